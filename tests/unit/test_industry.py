"""Mergers, break-ups and entry: nothing is lost on the way, and whoever comes in comes with what it needs."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compositions import changed, composed, made
from hypothesis import given
from hypothesis import strategies as st

from aimarket import Market, SettingsError, industry
from aimarket.configuration import validate
from aimarket.entry.free_entry import FreeEntry
from aimarket.ledger import ASSETS, CLAIMS, Ledger
from aimarket.provider import Fleet
from aimarket.rng import Streams
from aimarket.views import Prospect

SMALL = ("users.size=400", "run.panel=100")
AMOUNTS = st.floats(-1e12, 1e12)


class Restructured(Market):
    """A market in which something happens to firms in its second step; `before` is the step's start."""

    change: Callable[["Restructured"], None]

    def deliver(self) -> None:
        super().deliver()
        if self.steps == 2:
            self.before = totals(self)
            self.change(self)
            self.after = totals(self)


def totals(market: Market) -> dict[str, Any]:
    """What all firms have together."""
    books = [market.ledger.books[p.name] for p in market.providers]
    sums = {name: sum(b.balance[name] for b in books) for name in (*ASSETS, "debt")}
    sums["equity"] = sum(b.equity for b in books)
    sums["overhead"] = sum(p.overhead for p in market.active_providers)
    for name in ("training_effort", "tax_losses", "cash_cost", "burn"):
        sums[name] = sum(getattr(p, name) for p in market.providers)
    sums["gpus"] = sum(p.fleet.installed(*market.gpu_shape) for p in market.providers)
    sums["gpus on order"] = sum(p.fleet.installed(*market.gpu_shape, delivered=False) for p in market.providers)
    return sums


def with_somebody_waiting(*overrides: str) -> dict[str, Any]:
    """Five firms that own GPUs, and one without offers that waits for some."""
    config = composed(
        "roster=oligopoly", *SMALL, "+provider@providers.zoe=neocloud",
        "+provider/offer@providers.beta.offers.small=entrant", *overrides,
    )  # fmt: skip
    config["providers"]["zoe"] |= {"active": False, "offers": {}}
    return config


def run_with(change: Callable[[Market], None], steps: int = 4) -> Restructured:
    """A market of firms with fleets, orders and training under way; the identities are checked in every step."""
    market = Restructured(validate(with_somebody_waiting()))
    market.change = change
    for _ in range(steps):
        market.step()
    return market


def assert_nothing_lost(market: Restructured) -> None:
    for name, before in market.before.items():
        scale = float(np.max(np.abs(before)))
        np.testing.assert_allclose(market.after[name], before, rtol=1e-9, atol=1e-9 * scale, err_msg=name)


def test_a_merger_loses_nothing_and_leaves_an_empty_shell() -> None:
    market = run_with(lambda m: industry.merge(m, m.providers[0], m.providers[1]))
    assert_nothing_lost(market)
    acquirer, target = market.providers[:2]
    assert market.before["orders"] > 0
    assert not target.active
    assert len(target.offers) == 0
    assert not target.fleet.installed(*market.gpu_shape).any()
    assert len(acquirer.offers) == 3
    largest = market.ledger.books[target.name].largest
    assert market.ledger.books[target.name].balance == pytest.approx(
        dict.fromkeys(ASSETS + CLAIMS, 0), abs=largest / 1e9
    )
    assert market.tables["providers"]["tokens_served"][1] == 0


def test_users_move_freely_between_the_offers_of_a_merged_firm() -> None:
    market = run_with(lambda m: industry.merge(m, m.providers[0], m.providers[1]))
    menu, held = market.menu(), market.population.users.offer
    assert menu.brand.tolist() == market.catalogue.provider.tolist()  # tastes stay
    panel = market.survey(menu, np.zeros(3))
    of_target = np.isin(panel.offer, np.flatnonzero(menu.brand == 1))
    assert of_target.any()
    assert (panel.provider[of_target] == 0).all()
    free = panel.utility + panel.price_utility
    ours, at_will = menu.provider == 0, of_target & ~panel.bound
    np.testing.assert_array_equal(panel.utility_now(menu)[at_will][:, ours], free[at_will][:, ours])
    assert (held >= 0).any()


@pytest.mark.parametrize("offer", ["main", "small"])
def test_a_break_up_shares_out_by_work(offer: str) -> None:
    def split(market: Market) -> None:
        names = [f"beta/{offer}"]
        columns = np.flatnonzero(np.isin(market.catalogue.names, names))
        work = market.by_offer(market.work)
        split.share = work[columns].sum() / work[market.providers[1].offers].sum()
        split.cash = market.ledger.books["beta"].balance["cash"]
        split.gpus = market.providers[1].fleet.gpus.sum()
        industry.break_up(market, market.providers[1], columns, market.providers[-1])
        assert market.ledger.books["zoe"].balance["cash"] == pytest.approx(split.share * split.cash)
        assert market.providers[-1].fleet.gpus.sum() == pytest.approx(split.share * split.gpus)

    market = run_with(split)
    assert_nothing_lost(market)
    assert 0 < split.share < 1
    zoe = market.providers[-1]
    assert zoe.active
    assert not zoe.waiting
    assert market.tables["providers"]["tokens_served"][-1] > 0
    assert market.catalogue.names[zoe.offers[0]] == f"beta/{offer}"
    assert market.tables["offers"]["owner"].count("zoe") == 1


@given(st.fixed_dictionaries(dict.fromkeys(("cash", "orders", "fleet", "debt"), AMOUNTS)))
def test_handing_over_keeps_both_sheets_balanced(amounts: dict[str, float]) -> None:
    ledger = Ledger()
    for name in ("giver", "taker"):
        ledger.open(name, cash=2e12, debt=1e12, fleet=3e12)
    ledger.close_step()
    ledger.hand_over("giver", "taker", amounts, "merger")
    giver, taker = ledger.books["giver"], ledger.books["taker"]
    for books, sign in ((giver, -1), (taker, 1)):
        assert books.assets == pytest.approx(sum(books.balance[name] for name in CLAIMS), abs=1e-2)
        assert books.net_income == 0
        cash = [amount for (_, other), amount in books.flows.items() if other]
        assert sum(cash) == pytest.approx(sign * amounts["cash"])
    assert giver.equity + taker.equity == pytest.approx(2 * 4e12)


@given(st.floats(0.01, 0.99), st.lists(st.floats(0.1, 1e6), min_size=1, max_size=5))
def test_a_share_of_a_fleet_is_a_share_of_every_cohort(share: float, sizes: list[float]) -> None:
    giver, taker = Fleet(), Fleet()
    for i, size in enumerate(sizes):
        giver.add(i % 2, np.array([size, 0.0, 2 * size]), i - 2, 100.0 + i, delivered=i < 3)
    whole, value = giver.gpus.copy(), giver.book_value(1, 24)
    giver.hand_over(share, taker)
    np.testing.assert_allclose(taker.gpus, share * whole)
    np.testing.assert_allclose(giver.gpus + taker.gpus, whole)
    assert giver.book_value(1, 24) + taker.book_value(1, 24) == pytest.approx(value)
    giver.hand_over(1.0, taker)
    assert len(giver.gpus) == 0
    assert taker.book_value(1, 24) == pytest.approx(value)


# --- entry ------------------------------------------------------------------------------------------------------------


RESOLVED = ("users.size=4000", "run.panel=1000")  # enough enterprises that what entry is worth is no luck of the draw


def entering(**values: Any) -> Market:
    """The default roster, in which the first host comes in at the end of the first step, after four steps."""
    settings = made(*RESOLVED, entry__interval=1, entry__required_return=0.08, **values)
    market = Market(settings)
    for _ in range(4):
        market.step()
    return market


def test_an_entrant_comes_with_money_and_a_fleet_and_sells() -> None:
    market = entering()
    books, entrant = market.ledger.books["baseten"], next(p for p in market.providers if p.name == "baseten")
    assert entrant.active
    assert not entrant.waiting
    assert entrant.fleet.gpus.sum() > 0
    assert (entrant.fleet.arrival[entrant.fleet.delivered] >= 2).all()  # nothing is older than the firm
    assert books.balance["paid_in"] > market.settings.providers["baseten"].cash
    row = list(market.tables["providers"]["provider"]).index("baseten")
    assert market.tables["providers"]["tokens_served"][row] > 0
    quoted = market.price[entrant.offers] / market.opportunity_cost[entrant.offers]
    assert quoted == pytest.approx(1.1)  # by its own rule
    spin_off = next(p for p in market.providers if p.name == "spin_off")
    assert spin_off.waiting  # it has nothing to sell


def test_whoever_a_break_up_waits_for_does_not_enter() -> None:
    eager = {"entry.interval": 1, "entry.required_return": 0.08, "providers.novita.overhead": 0.0}
    config = changed(composed(*SMALL), eager)
    config["policy"]["break_up"] = {"provider": "openai", "offers": ["luna"], "into": "baseten"}
    config["policy"]["start"] = 100
    market = Market(validate(config))
    for _ in range(4):
        market.step()
    assert next(p for p in market.providers if p.name == "baseten").waiting
    assert not next(p for p in market.providers if p.name == "novita").waiting


@pytest.mark.parametrize(
    ("values", "comes"),
    [
        ({"overhead": 0.0}, True),
        ({"overhead": 0.0, "entry_cost": 1e18}, False),
        ({"overhead": 1e18}, False),
        ({"overhead": 0.0, "tax_rate": 0.999999}, False),
        ({"entry_cost": 0.0, "overhead": 0.0, "tax_rate": 0.999999}, True),
    ],
)
def test_what_keeps_a_firm_out(values: dict[str, float], comes: bool) -> None:
    market = Market(made(*RESOLVED, "entry=closed"))
    for _ in range(3):
        market.step()
    host = next(p for p in market.providers if p.name == "baseten")
    assert host.waiting
    prospect = industry.look_ahead(market, host)
    assert isinstance(prospect, Prospect)
    rule = FreeEntry(interval=6, required_return=0.25)
    assert rule.enters(dataclasses.replace(prospect, **values), {}, Streams(1, 0)) is comes


def test_entry_is_worth_a_perpetuity() -> None:
    """The highest entry cost at which a firm comes is yearly profit after tax over the return required."""
    market = Market(made(*RESOLVED, "entry=closed"))
    market.step()
    host = next(p for p in market.providers if p.name == "baseten")
    prospect = industry.look_ahead(market, host)
    margin, _ = prospect.value_of(prospect.prices, np.zeros(len(prospect.panel.weight)))
    limit = 12 * (1 - 0.21) * (margin - 8e6) / 0.2
    rule = FreeEntry(interval=1, required_return=0.2)
    for factor in (0.999, 1.001):
        cost = dataclasses.replace(prospect, entry_cost=factor * limit)
        assert rule.enters(cost, {}, Streams(1, 0)) is (factor < 1)


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ({"merger": {"acquirer": "alpa", "target": "beta"}}, "merger.acquirer: unknown (got 'alpa'); allowed: alpha"),
        ({"merger": {"acquirer": "alpha", "target": "alpha"}}, "merger.target: unknown (got 'alpha'); allowed: beta"),
        ({"break_up": {"provider": "x", "offers": ["main"], "into": "zoe"}}, "break_up.provider: unknown"),
        ({"break_up": {"provider": "beta", "offers": ["main"], "into": "alpha"}}, "break_up.into: unknown"),
        ({"break_up": {"provider": "beta", "offers": ["big"], "into": "zoe"}}, "break_up.offers: unknown (got 'big')"),
        ({"break_up": {"provider": "beta", "offers": [], "into": "zoe"}}, "break_up.offers: some and not all"),
        ({"break_up": {"provider": "alpha", "offers": ["main"], "into": "zoe"}}, "break_up.offers: some and not all"),
    ],
)
def test_a_policy_for_firms_that_are_not_there_is_told(policy: dict[str, Any], complaint: str) -> None:
    config = with_somebody_waiting()
    config["policy"] |= policy
    with pytest.raises(SettingsError) as error:
        validate(config)
    assert f"policy.{complaint}" in str(error.value)


def test_somebody_has_to_be_in_business_and_to_have_something_to_sell() -> None:
    with pytest.raises(SettingsError, match=r"providers: at least one must be active"):
        made("roster=monopoly", providers__alpha__active=False)
    with pytest.raises(SettingsError, match=r"providers\.alpha\.offers: at least one"):
        made("roster=monopoly", providers__alpha__offers={})


def test_the_dead_do_not_merge() -> None:
    """A policy that names a firm that has left does nothing."""
    config = with_somebody_waiting()
    config["policy"] |= {"start": 2, "merger": {"acquirer": "alpha", "target": "beta"}}
    config["providers"]["beta"]["overhead"] = 1e13
    market = Market(validate(config))
    for _ in range(4):
        market.step()
    assert not market.providers[1].active
    assert market.owner.tolist() == market.catalogue.provider.tolist()
