"""Buying and losing GPUs: supply is shared out, sites have room or not, old vintages go, failed firms are sold off."""

import copy

import numpy as np
import pytest
from compositions import made
from hypothesis import given
from hypothesis import strategies as st

from aimarket import Market, disposal, simulate
from aimarket.configuration import SettingsError
from aimarket.kernels.purchase import affordable_quantity, order_cost, volume_effect
from aimarket.kernels.rationing import share_out
from aimarket.rental import share_bought
from aimarket.theory.capital import vintage_life

SMALL = ("roster=oligopoly", "users.size=200", "run.panel=60")
PLAIN = {"hardware__headroom": None, "hardware__supply": None, "hardware__scrapping": False, "hardware__resale": 0.0}
PLAIN |= {"hardware__volume_discount": 0.0, "hardware__early_delivery": 0.0}
PLAIN |= {"hardware__rental": None, "hardware__obsolescence": 0.0}


def market(*overrides, **values) -> Market:
    """A small oligopoly in which only what is named is switched on."""
    return Market(made(*SMALL, *overrides, **(PLAIN | values)))


# --- kernels ----------------------------------------------------------------------------------------------------------

ORDERS = st.lists(st.just(0.0) | st.floats(1e-3, 1e6), min_size=1, max_size=8).map(np.array)


@given(ORDERS, st.floats(0, 1.5), st.floats(0, 3))
def test_supply_is_used_up_and_nobody_gets_more_than_he_wants(wanted, share, priority):
    supply = share * float(wanted.sum())
    granted = share_out(wanted, supply, priority)
    assert (granted >= 0).all()
    assert (granted <= wanted).all()
    assert granted.sum() == pytest.approx(min(supply, wanted.sum()))
    got, asked = granted[wanted > 0] / wanted[wanted > 0], wanted[wanted > 0]
    assert (np.diff(got[np.argsort(asked, kind="stable")]) >= -1e-12).all()  # a larger order is filled at least as far
    with_nobody = np.insert(wanted, len(wanted) // 2, 0.0)
    np.testing.assert_array_equal(np.delete(share_out(with_nobody, supply, priority), len(wanted) // 2), granted)


def test_priority_favours_the_large():
    orders = np.array([100.0, 200.0, 0.0])
    assert share_out(orders, 150.0, 0.0) == pytest.approx([50, 100, 0])
    assert share_out(orders, 100.0, 1.0) == pytest.approx([20, 80, 0])  # weights as the square of the order
    assert share_out(orders, 280.0, 3.0) == pytest.approx([80, 200, 0])  # the larger is filled
    assert share_out(orders, np.inf, 1.0) == pytest.approx(orders)


@given(st.floats(0, 1e12), st.floats(1, 1e5), st.floats(0, 0.95), st.floats(1, 1e6))
def test_an_order_that_can_just_be_paid_takes_all_the_money(money, price, discount, scale):
    quantity = affordable_quantity(money, price, discount, scale)
    assert order_cost(quantity, price, discount, scale) == pytest.approx(money, rel=1e-9)
    assert volume_effect(scale, scale) == 0.5


# --- supply -----------------------------------------------------------------------------------------------------------


def test_no_more_is_ordered_than_is_made_and_what_is_not_had_is_remembered():
    plenty, scarce = market(), market(hardware__supply=20_000.0, hardware__supply_growth=0.0, hardware__supply_ramp=0.0)
    for m in (plenty, scarce):
        m.step()
    assert plenty.tables["market"]["gpus_rationed"] == 0
    assert plenty.gpus_ordered.sum() > 40_000  # so that the limit binds
    assert scarce.gpus_ordered.sum() == pytest.approx(20_000)
    measured = scarce.tables["market"]
    assert measured["gpus_rationed"] * measured["gpus_wanted"] == pytest.approx(measured["gpus_wanted"] - 20_000)
    assert sum(p.unmet for p in scarce.providers) > 0


def test_a_shortage_multiplies_supply_while_it_lasts():
    shock = {"shock__start": 1, "shock__months": 1, "shock__gpu_supply": 0.25, "hardware__supply_ramp": 0.0}
    m = market(hardware__supply=20_000.0, hardware__supply_growth=0.0, **shock)
    for expected in (20_000, 5_000, 20_000):
        m.step()
        assert m.tables["market"]["gpu_supply"] == pytest.approx(expected)
        assert m.gpus_ordered.sum() == pytest.approx(expected)


def test_a_new_generation_comes_slowly_and_the_next_best_is_bought_if_it_pays():
    m = market(hardware__supply=2e6, hardware__supply_growth=0.0, hardware__supply_ramp=20.0)
    m.step()
    newest = len(m.settings.hardware.generations) - 1
    assert m.gpus_ordered[:, newest].sum() == pytest.approx(2e6 / 20)  # released today, the first month of its ramp
    for p in m.active_providers:
        for g in np.flatnonzero(m.gpus_ordered[p.index].sum(axis=1)):
            assert (
                g == m.generation[p.index] or m.gpu_hour_costs[p.index, g] <= m.hour_earned(p) * 1.5
            )  # prices have moved on


# --- sites ------------------------------------------------------------------------------------------------------------


def test_what_finds_no_room_waits_for_a_new_site_that_has_headroom():
    m = market(hardware__headroom=0.0, hardware__lead_time=2, hardware__new_site_lead_time=4)
    before = np.array([p.room.sum() for p in m.providers])
    m.step()
    first = m.gpus_ordered.copy()
    assert first.sum() > 0
    for p in m.providers:
        late = p.fleet.new_site
        assert (p.fleet.arrival[late] == 1 + 4).all()
        assert p.fleet.gpus[late].sum() == pytest.approx(first[p.index].sum())  # no GPU has retired, so no room at all
    for _ in range(4):
        assert [p.room.sum() for p in m.providers] == pytest.approx(before)
        m.step()
    opened = (first * m.roadmap.power[:, None]).sum(axis=(1, 2))
    assert [p.room.sum() for p in m.providers] == pytest.approx(before + opened)
    assert m.gpus_delivered.sum() >= first.sum() * (1 - 1e-9)


def test_room_is_used_first_and_headroom_is_what_a_new_site_adds():
    m = market(hardware__headroom=0.05)
    m.step()
    fuller = 0
    for p in m.active_providers:
        drawn = (p.fleet.gpus * m.roadmap.power[p.fleet.generation])[~p.fleet.new_site].sum()
        assert drawn <= p.room.sum() * (1 + 1e-9)
        if p.fleet.new_site.any():  # only what does not fit goes elsewhere
            assert drawn == pytest.approx(p.room.sum())
            fuller += 1
    assert fuller > 0


def test_large_orders_are_cheaper_and_earlier():
    m = market(hardware__volume_discount=0.3, hardware__early_delivery=5.0, hardware__volume_scale=10_000.0)
    m.step()
    orders = []
    for p in m.active_providers:
        rows = ~p.fleet.delivered
        if rows.any():
            orders.append((p.fleet.gpus[rows].sum(), p.fleet.unit_cost[rows][0], p.fleet.arrival[rows][0]))
    assert len(orders) > 1
    gpus, price, arrival = (np.array(x) for x in zip(*sorted(orders), strict=True))
    listed = m.roadmap.price[int(m.generation[0])]
    assert price == pytest.approx(listed * (1 - 0.3 * gpus / (gpus + 10_000)))
    assert arrival[-1] < arrival[0] <= 1 + m.lead_time
    assert (np.diff(arrival) <= 0).all()


# --- policy -----------------------------------------------------------------------------------------------------------


def test_a_subsidy_pays_its_share_and_assets_are_booked_net_of_it():
    plain, aided = market(), market("policy=compute_subsidy", policy__start=0, policy__compute_subsidy=0.4)
    for m in (plain, aided):
        m.step()
    measured = aided.tables["market"]
    assert measured["subsidy"] == pytest.approx(0.4 * measured["capex"])
    assert measured["subsidy"] > 0
    parts = measured["consumer_surplus"] + measured["net_income"] + measured["taxes"]  # net of what the treasury pays
    assert measured["welfare"] == pytest.approx(parts)
    assert aided.ledger.outside["treasury"] == pytest.approx(measured["taxes"])
    assert sum(b.balance["orders"] for b in aided.ledger.books.values()) == pytest.approx(0.6 * measured["capex"])
    own = np.isnan(aided.catalogue.wholesale)
    assert (aided.marginal_cost[own] < plain.marginal_cost[own]).all()


def test_no_gpus_are_delivered_where_exports_are_limited():
    m = market("policy=export_limit", policy__start=2, hardware__lead_time=3)
    asia, delivered = m.network.names.index("asia"), 0.0
    for step in range(1, 9):
        m.step()
        assert m.gpus_delivered[:, :, asia].sum() == 0
        delivered += m.gpus_delivered.sum()
        on_order = np.array([p.fleet.installed(*m.gpu_shape, delivered=False) for p in m.providers])
        assert (on_order[:, :, asia].sum() > 0) == (step <= 2)  # what was on order for Asia goes elsewhere
    assert delivered > 0


def test_who_has_no_other_site_gets_its_money_back():
    only = {"providers__alpha__fleet__regions": {"asia": 1.0}}
    m = market("policy=export_limit", policy__start=2, **only)
    m.step()
    m.step()
    prepaid = m.ledger.books["alpha"].balance["orders"]
    assert prepaid > 0
    m.step()
    assert m.ledger.books["alpha"].balance["orders"] == 0
    assert m.ledger.books["alpha"].spent("capex") == pytest.approx(-prepaid)
    assert m.tables["providers"]["gpus_on_order"][0] == 0


def test_a_region_that_is_not_there_is_told():
    with pytest.raises(SettingsError, match=r"policy\.export_limit: unknown region \(got mars\); allowed: americas"):
        made(*SMALL, policy__export_limit=["mars"])


# --- retirement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cash_share", "growth"), [(0.2, 0.357), (0.5, 0.357), (0.3, 0.8)])
def test_a_vintage_serves_until_its_rental_has_fallen_to_its_cash_cost(cash_share, growth):
    """Solow's vintages: T = ln(1/φ)/g; ten new generations a year, nobody needs the old."""
    first = {"release": "2026-10", "price": 10_000.0, "power": 1.0, "throughput": 1.0}
    values = {
        "hardware__generations": {"first": first},
        "hardware__cadence": 0.1,
        "hardware__power_growth": 0.0,
        "hardware__scrapping": True,
        "hardware__obsolescence": 0.0,
        "hardware__service_life": 600,
        "technology__rates__hardware": growth,
        "technology__volatility": 0.0,  # generations keep to their trend
        "run__steps": 90,
        **{f"geography__regions__{r}__electricity": 0.0 for r in ("americas", "europe", "asia")},
    }
    config = made(*SMALL, **PLAIN).hardware
    rental = 10_000.0 * config.discount_rate / 12 / (1 - (1 + config.discount_rate) ** -50)
    values["hardware__hosting"] = rental * cash_share / (1 - cash_share)
    for name in ("alpha", "beta", "gamma", "delta", "epsilon"):  # they sell what they buy by the token
        values[f"providers__{name}__offers__main__margin"] = None
        values[f"providers__{name}__offers__main__wholesale"] = 0.1
        values[f"providers__{name}__offers__main__throughput"] = None
        values[f"providers__{name}__fleet__gpus"] = 100.0
        values[f"providers__{name}__fleet__mix"] = {"first": 1.0}
        values[f"providers__{name}__cash"] = 1e15
        values[f"providers__{name}__cost_of_capital"] = None
        values[f"providers__{name}__capacity"] = {"kind": "fixed"}
        values[f"providers__{name}__training"] = {"kind": "none"}
        values[f"providers__{name}__pricing"] = {"kind": "cost_plus", "markup": 0.1}
    m = Market(made(*SMALL, **(PLAIN | values)))
    years = vintage_life(cash_share, growth)
    while m.providers[0].fleet.gpus.sum() > 0:
        m.step()
        assert m.years < years + 0.3
    late = m.months_so_far / 12 - years
    assert -1e-9 < late < 0.1 + 1 / 12  # until the next generation, and the next step
    assert m.tables["providers"]["gpus_scrapped"] == pytest.approx(100.0)
    lost = m.tables["statements"]["write_off"][0]
    assert lost == pytest.approx(100 * 10_000 * (1 - (m.steps - 1) / 600), rel=0.01)


def reference_gpus(m, p):
    """Installed; one is what a GPU of the reference generation does."""
    return float((m.roadmap.throughput @ p.fleet.installed(*m.gpu_shape)).sum())


def test_what_load_needs_is_kept_until_it_is_replaced():
    m = market(hardware__hosting=700.0, hardware__scrapping=True)
    scrapped = m.uneconomic
    m.uneconomic = lambda p: scrapped(p) & False
    m.step()
    m.uneconomic = scrapped
    p = m.providers[0]
    assert m.uneconomic(p)[p.fleet.generation, p.fleet.region].any()
    m.work = m.work * (reference_gpus(m, p) / float(m.by_offer(m.work)[p.offers].sum()))  # it needs them all
    busy, idle = copy.deepcopy(m), copy.deepcopy(m)
    busy.price = busy.price * 1e6
    disposal.scrap(busy, busy.providers[p.index])
    assert reference_gpus(busy, busy.providers[p.index]) == pytest.approx(reference_gpus(m, p))
    idle.price, idle.work = idle.price * 1e6, idle.work * 0
    disposal.scrap(idle, idle.providers[p.index])
    left = idle.providers[p.index].fleet
    assert not idle.condemned[p.index, left.generation, left.region][left.delivered].any()
    assert reference_gpus(idle, idle.providers[p.index]) < reference_gpus(m, p)


def test_ninety_percent_a_year_makes_somebody_write_off_part_of_its_fleet():
    long = ("technology=thesis", "hardware.service_life=72", "users.size=300", "run.panel=100", "run.steps=36")
    results = simulate(made("roster=oligopoly", *long))
    providers = results.providers.merge(results.statements[["provider", "step", "write_off", "fleet"]])
    lived = providers[providers["active"]]
    early = lived[(lived["gpus_scrapped"] > 0) & (lived["write_off"] > 0)]
    assert len(early)
    assert (early["fleet"] > 0).any()  # part of it


# --- resale -----------------------------------------------------------------------------------------------------------


def failing(**values) -> Market:
    """A market whose first provider cannot pay its bills at the end of the next step."""
    m = market(hardware__resale=0.5, hardware__lead_time=6, **values)
    for _ in range(2):
        m.step()
    settle = m.settle

    def ruin() -> None:
        settle()
        books = m.ledger.books["alpha"]
        m.ledger.pay("alpha", "staff", books.balance["cash"] + 1e6, "overhead")

    m.settle = ruin
    return m


def test_a_failed_firm_is_sold_off_and_creditors_come_first():
    m = failing()
    m.step()  # the identities of the step hold, or it raises
    row = {name: column[0] for name, column in (m.tables["statements"] | m.tables["providers"]).items()}
    books = m.ledger.books["alpha"]
    assert not row["active"]
    assert row["resale"] > 0
    assert row["gpus_sold"] > 0
    assert all(abs(books.balance[name]) < 1 for name in ("cash", "orders", "fleet", "debt"))
    sold = m.tables["statements"]["resale"].sum()
    assert m.ledger.outside["dealers"] == pytest.approx(-sold)  # nobody inside missed GPUs
    repaid = books.flows["borrowing", "lenders"]
    assert repaid <= 0 or row["resale"] < 1e6
    kinds = [(e.kind, e.subject) for e in m.events if e.provider == "alpha" and e.kind in ("sale", "exit")]
    assert kinds == [("sale", "dealers"), ("exit", "")]


def test_survivors_that_miss_gpus_buy_them_with_their_age():
    m = failing(hardware__supply=1_000.0, hardware__supply_growth=0.0, hardware__supply_ramp=0.0)
    ages = None
    measure = m.measure

    def look() -> None:
        nonlocal ages
        ages = {p.name: p.fleet.arrival[p.fleet.delivered].min() for p in m.active_providers}
        measure()

    m.measure = look
    m.step()
    providers = m.tables["providers"]
    bought = providers["gpus_bought"]
    assert bought.sum() > 0
    assert bought[0] == 0
    assert providers["gpus_sold"][0] >= bought.sum() * (1 - 1e-9)
    buyer = m.providers[int(bought.argmax())]
    assert ages[buyer.name] < 0  # older than the run
    paid = -m.tables["statements"]["resale"][buyer.index]
    assert paid > 0
    assert m.ledger.books[buyer.name].balance["fleet"] == pytest.approx(buyer.fleet.book_value(m.steps + 1, m.life))


def test_nobody_buys_where_used_gpus_are_worth_nothing():
    m = market(hardware__resale=0.0)
    m.step()
    p = m.providers[0]
    p.active = False
    assert disposal.clear_out(m, p) == []
    assert m.gpus_sold.sum() == 0
    assert m.gpus_retired[0].sum() > 0


@given(price=st.floats(1e-6, 1e6), cost=st.floats(1e-6, 1e6), dearer=st.floats(1, 10))
def test_the_dearer_it_is_to_rent_the_more_is_bought(price, cost, dearer):
    share = share_bought(price, cost)
    assert 0 <= share <= share_bought(price * dearer, cost) <= 1
    assert share + share_bought(cost, price) == pytest.approx(1)
    assert share_bought(price, price) == pytest.approx(0.5)


@pytest.mark.parametrize("scarcity", [0.5, 1.0, 2.0])
def test_firms_buy_in_a_shortage_and_rent_in_a_glut(scarcity):
    orders, shares = [], []
    for weighs in (False, True):
        here = Market(made(*SMALL, hardware__supply=None, hardware__rental__lease_or_buy=weighs))
        here.deliver()
        here.research()
        here.rental.price *= scarcity
        on_sale = here.roadmap.on_sale(here.months_so_far)
        shares = [share_bought(here.rental.price, here.gpu_hour_costs[p.index, on_sale].min()) for p in here.providers]
        here.invest()
        orders.append(here.gpus_wanted)
    assert orders[0].sum() > 0
    np.testing.assert_allclose(orders[1], shares * orders[0])
