"""Contracts, routers, free tiers, prices for newcomers, foresight: firms expect what users do; each does its part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compositions import made
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stepping import trial

from aimarket import Market
from aimarket.kernels.choice import logit_shares
from aimarket.panel import Panel
from aimarket.population import Segments, routes
from aimarket.terms import is_bound

SEGMENTS = ("consumer", "developer", "enterprise")
SMALL = ("roster=oligopoly", "users.size=6000", "run.panel=6000")
CONTRACT = {"term": 6, "discount": 0.2, "commitment": 0.9}
EVERYTHING: dict[str, Any] = {
    "users__segments__developer__contract": {"term": 3.0, "discount": 0.3, "commitment": 1.0},
    "users__segments__enterprise__contract": CONTRACT,
    "users__segments__developer__multihoming": 0.3,
    "users__segments__enterprise__multihoming": 0.3,
    "users__segments__consumer__multihoming": 0.2,
    "users__segments__consumer__free": {"share": 0.6, "conversion": 0.1},
    "users__segments__developer__free": {"share": 0.3, "conversion": 0.05},
    "users__foresight": {"weight": 0.6, "horizon": 12.0},
    "users__difficulty": {"ceiling": 12.0, "thinking": 0.4},
    **{f"providers__{name}__offers__main__free_allowance": 4e5 for name in ("alpha", "beta")},
}


def market_after(steps: int, *overrides: str, **values: Any) -> Market:
    market = Market(made(*SMALL, *overrides, **values))
    for _ in range(steps):
        market.step()
    return market


@pytest.fixture(scope="module")
def lived() -> Market:
    """Every mechanism on, after half a year: recognition at two firms, prices and service changed, one firm gone."""
    market = market_after(
        6,
        "pricing@providers.alpha.pricing=customer_recognition",
        "pricing@providers.gamma.pricing=customer_recognition",
        **EVERYTHING,
    )
    market.posted_before = market.price / np.linspace(0.8, 1.25, len(market.price))
    market.newcomer_price = market.price * np.array([0.7, 1.0, 0.8, 1.1, 1.0])
    market.outage = np.full_like(market.outage, 0.3)
    market.providers[3].active = False
    users = market.population.users
    users.commitment[:] *= np.linspace(0.5, 2, len(users.offer))  # some have committed to more than they will use
    return market


# ── expectation and sample ──


def spend_of(panel: Panel) -> NDArray[np.float64]:
    """(K, J) USD each user would pay in a step if all he asks for is served, commitments included."""
    spend, held = panel.price_paid * panel.tokens, np.flatnonzero(panel.bound)
    spend[held, panel.offer[held]] = panel.contract_spend
    return spend


def test_what_the_panel_expects_is_the_mean_of_what_users_do(lived: Market) -> None:
    """Users, tokens and payments on each offer, by segment; the panel is the whole market."""
    menu, rounds = lived.menu(), 40
    panel = lived.survey(menu, np.full(3, 0.2))
    assert menu.recognises
    assert min(panel.bound.sum(), panel.free.sum(), (panel.calm_review == 1).sum()) > 100
    share, _ = logit_shares(panel.utility_now, panel.outside_now)
    rise = np.where(panel.offer >= 0, np.maximum(menu.rise[np.maximum(panel.offer, 0)], 0.0), 0.0)
    review = 1 - (1 - panel.review) * np.exp(-panel.price_rise_review * rise)
    chance = review[:, None] * share + (1 - review)[:, None] * (panel.offer[:, None] == np.arange(len(menu.names)))
    member = panel.weight * (panel.segment == np.arange(3)[:, None])  # (S, K)
    sampled = [trial(lived, 100 + n).run() for n in range(rounds)]
    for worth, pick in (
        (np.ones_like(chance), lambda t: t.users),
        (panel.tokens, lambda t: t.mix_tokens),
        (spend_of(panel), lambda t: t.spend + t.shortfall),
    ):
        mean = np.mean([pick(totals).sum(axis=1) for totals in sampled], axis=0)
        expected, variance = member @ (chance * worth), member**2 @ (chance * (1 - chance) * worth**2)
        assert expected.sum() > 0
        assert (np.abs(mean - expected) <= 4 * np.sqrt(variance / rounds) + 1e-9 * expected.sum()).all()


def test_a_firm_expects_what_it_will_earn(lived: Market) -> None:
    """The objective of a rule, at the prices posted and without limit of capacity, is the panel's expected margin."""
    lived.panel_menu = menu = lived.menu()
    lived.panel = panel = lived.survey(menu, np.full(3, 0.2))
    share, _ = logit_shares(panel.utility_now, panel.outside_now)
    chance = panel.review[:, None] * share
    chance += (1 - panel.review)[:, None] * (panel.offer[:, None] == np.arange(len(menu.names)))
    for p in lived.active_providers:
        view = replace(lived.view(p), workable=np.inf)
        prices = np.stack([view.prices, view.newcomer_prices])
        value, _ = view.value_of(prices, np.zeros(len(panel.weight)))
        spend, tokens = spend_of(panel)[:, p.offers], panel.tokens[:, p.offers]
        expected = (panel.weight[:, None] * chance[:, p.offers] * (spend - tokens * view.costs)).sum()
        assert value == pytest.approx(expected, rel=1e-9)


def test_the_slope_of_what_a_firm_expects_is_that_of_differences(lived: Market) -> None:
    lived.panel_menu = lived.menu()
    lived.panel = lived.survey(lived.panel_menu, np.full(3, 0.2))
    for p in lived.active_providers:
        view = lived.view(p)
        prices = np.stack([view.prices, view.newcomer_prices]) * np.array([[1.03], [0.97]])
        worth = np.linspace(0, 5, len(lived.panel.weight))
        _, slope = view.value_of(prices, worth)
        for row in (0, 1):
            for m in range(len(view.offers)):
                bump = np.ones_like(prices)
                bump[row, m] = np.exp(1e-6)
                up, down = (view.value_of(x, worth)[0] for x in (prices * bump, prices / bump))
                assert slope[row, m] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-6 * np.abs(slope).max())


# ── contracts ──

BOUND = {f"users__segments__{s}__{key}": value for s in SEGMENTS for key, value in
         {"contract": CONTRACT, "free": None, "multihoming": 0.0}.items()}  # fmt: skip
STILL = {"users__price_rise_review": 0.0, "users__outage_review": 0.0}


def test_a_contract_locks_price_and_provider_for_its_term() -> None:
    market = market_after(0, "technology=slow", **BOUND)
    users, seen, everybody = market.population.users, [], (market.population.users.offer >= 0).sum()
    for _ in range(5):
        before = users.offer.copy(), users.contract_price.copy(), users.contract_left.copy(), users.due.copy()
        active = np.array([p.active for p in market.providers])[market.catalogue.provider]
        market.step()
        offer, price, left, due = before
        runs = (offer >= 0) & (left > 1e-9) & active[offer]
        assert (users.offer[runs] == offer[runs]).all()
        locked = 0.8 * market.price[offer] if market.steps == 1 else price  # the first quotes, then what was signed
        assert users.contract_price[runs] == pytest.approx(locked[runs])
        assert users.contract_left[runs] == pytest.approx(left[runs] - 1)
        signed = (users.offer >= 0) & ~runs
        assert users.contract_price[signed] == pytest.approx(0.8 * market.price[users.offer[signed]])
        assert users.contract_left[signed] == pytest.approx(5)
        assert (due == ((offer >= 0) & (left <= 1e-9))).all()
        seen.append(due.sum() / everybody)
    error = np.sqrt(5 / 36 / everybody)
    assert np.array(seen) == pytest.approx(1 / 6, abs=4 * error)  # as many end in each month of the term


def test_nobody_looks_around_before_the_end_and_everybody_does_then() -> None:
    market = market_after(2, **BOUND)
    step = trial(market, 50, adoption=0.0)
    step = step.but(menu=replace(step.menu, rise=np.full_like(market.price, 0.5)))
    choosers = step.reviewers()
    held = step.users.offer >= 0
    assert (step.users.due[choosers] | ~held[choosers]).all()
    assert np.isin(np.flatnonzero(step.users.due), choosers).all()
    freed = step.but(menu=replace(step.menu, on_sale=np.zeros(len(market.price), dtype=bool))).reviewers()
    assert np.isin(np.flatnonzero(held), freed).all()  # whose provider leaves is bound no more


def test_what_is_committed_to_is_paid_for_whether_used_or_not() -> None:
    still = {f"users__segments__{s}__depth__{key}": 0.0 for s in SEGMENTS for key in ("growth", "decay")}
    market = market_after(1, **BOUND, **STILL, **still)
    steps = [trial(market, 50, 0.0, task_factor=factor) for factor in (1.0, 0.5)]
    for step in steps:
        unbound = ~is_bound(step.users, step.menu)
        step.users.adopted[unbound], step.users.offer[unbound] = False, -1
    calm, slump = (step.run() for step in steps)
    assert calm.shortfall.sum() == 0
    assert slump.tokens.sum() == pytest.approx(0.5 * calm.tokens.sum())
    assert (slump.spend + slump.shortfall).sum() == pytest.approx(CONTRACT["commitment"] * calm.spend.sum())


def test_without_commitment_and_discount_a_contract_for_a_step_is_no_contract() -> None:
    """A term that is over at once leaves the choice where it was for users who choose every step."""
    free = {f"users__segments__{s}__{k}": v for s in SEGMENTS for k, v in {"review": 1.0, "multihoming": 0.0}.items()}
    free |= {"users__foresight": {"weight": 0.0, "horizon": 0.0}, **STILL}
    bare = {f"users__segments__{s}__contract": None for s in SEGMENTS}
    short = {f"users__segments__{s}__contract": {"term": 0.5, "discount": 0.0, "commitment": 0.0} for s in SEGMENTS}
    one, two = (market_after(3, **free, **contract) for contract in (bare, short))
    assert (one.population.users.offer == two.population.users.offer).all()
    assert one.price == pytest.approx(two.price, rel=1e-6)  # contracts hold their price in single precision


def test_those_under_contract_do_not_move_the_price_of_today() -> None:
    """The longer users are bound, the fewer can be won now: what a firm expects to sell moves less with its price."""
    slopes = []
    for term in (1.0, 24.0):
        contract = {f"users__segments__{s}__contract": CONTRACT | {"term": term} for s in SEGMENTS}
        market = market_after(1, **BOUND | contract)
        view = replace(market.view(market.providers[0]), workable=np.inf)
        nothing = np.zeros(len(view.panel.weight))
        costless, costly = (replace(view, costs=np.full(1, cost)) for cost in (0.0, 1.0))
        sold, less = (
            costless.value_of(p, nothing)[0] - costly.value_of(p, nothing)[0] for p in (view.prices, view.prices * 1.3)
        )
        slopes.append(1 - less / sold)
        advantage = view.retention_advantage()
        assert (advantage >= 1 - 1 / term - 1e-12).all()
    assert slopes[1] < 0.5 * slopes[0]


# ── routers ──


def test_a_mandate_only_adds_users_of_routers_and_frees_them() -> None:
    market = market_after(1, **EVERYTHING)
    chosen = routes(market.population.users, market.segments)
    mandated = market_after(1, "policy=multihoming", policy__start=0, **EVERYTHING)
    there = routes(mandated.population.users, mandated.under_policy(mandated.segments))
    assert there[chosen].all()
    paying = ~market.population.users.free
    assert there[paying].mean() == pytest.approx(0.5, abs=0.03)
    assert not there[~paying].any()
    assert mandated.tables["market"]["multihoming_share"] > market.tables["market"]["multihoming_share"] + 0.05
    panel = mandated.survey(mandated.menu(), np.zeros(3))
    loose = there & ~panel.bound
    assert (panel.leaving_cost[there] == 0).all()
    assert (panel.review[loose & mandated.population.users.adopted] == 1).all()
    assert (panel.calm_review[there] == 1).all()


def test_a_mandate_before_its_start_changes_nothing() -> None:
    early = market_after(3, "policy=multihoming", policy__start=3)
    assert (early.population.users.offer == market_after(3).population.users.offer).all()
    for market in (early, never := market_after(3)):
        market.step()
    assert (early.population.users.offer != never.population.users.offer).any()


def test_comings_and_goings_behind_a_router_are_no_churn() -> None:
    values = {f"users__segments__{s}__{key}": value for s in SEGMENTS for key, value in
              {"multihoming": 1.0, "contract": None, "free": None}.items()}  # fmt: skip
    table = market_after(3, **values).tables["market"]
    assert table["multihoming_share"] == pytest.approx(1)
    assert table["switches"] == table["abandonments"] == 0
    assert table["reviews"] >= table["attached_users"] * 0.99


# ── free tiers ──


def test_who_does_not_pay_takes_a_free_tier_and_no_more_than_its_allowance() -> None:
    market = market_after(3, **EVERYTHING)
    users, allowance = market.population.users, market.menu().allowance
    free = users.free & (users.offer >= 0)
    assert free.sum() > 100
    assert (allowance[users.offer[free]] > 0).all()
    step = trial(market, 60, 0.0)
    totals = step.run()
    assert totals.declined.sum() > 0
    none = trial(market, 60, 0.0, segments=nobody_pays(market.segments))
    none.population.users.free[:] = True
    none.population.users.contract_price[:] = np.nan
    only_free = none.run()
    assert only_free.spend.sum() == only_free.shortfall.sum() == 0
    most = only_free.users * allowance
    assert (only_free.tokens <= most * (1 + 1e-12)).all()
    assert only_free.wanted == pytest.approx(only_free.tokens + only_free.declined)


def nobody_pays(segments: Segments) -> Segments:
    return replace(segments, free=np.ones(3), conversion=np.zeros(3))


def test_prices_do_not_move_those_who_do_not_pay() -> None:
    market = market_after(2, **EVERYTHING)
    cheap, dear = (trial(market, 61, 0.0) for _ in range(2))
    menu = dear.menu
    dear = dear.but(menu=replace(menu, price=menu.price * 3, newcomer_price=menu.newcomer_price * 3))
    first, second = (step.run() for step in (cheap, dear))
    free = market.population.users.free
    assert (cheap.users.offer[free] == dear.users.offer[free]).all()
    assert (cheap.users.offer[~free] != dear.users.offer[~free]).any()
    assert (first.declined == second.declined).all()


def test_as_many_begin_to_pay_as_should() -> None:
    market = market_after(1, **EVERYTHING)
    step = trial(market, 62, 0.0)
    before = step.users.free & step.users.adopted
    step.run()
    for s, chance in ((0, 0.1), (1, 0.05)):
        who = before & (step.users.segment == s)
        begun = who & ~step.users.free
        error = np.sqrt(chance * (1 - chance) / who.sum())
        assert begun.sum() / who.sum() == pytest.approx(chance, abs=4 * error)
        assert step.users.due[begun].all()


def test_free_users_load_the_fleet_and_are_worth_what_they_may_pay_one_day() -> None:
    market = market_after(2, **EVERYTHING)
    view = market.view(market.providers[0])
    free, steady = market.panel.free, market.panel.standing.steady
    assert free[steady.rows].any()
    assert (steady.tokens[view.offers] > 0).all()
    spend = view.own_spend
    assert 0 < spend[free & (market.panel.segment == 0)].max() < spend[~free].max()
    none = market_after(2, **EVERYTHING | {"users__segments__consumer__free": {"share": 0.6, "conversion": 0.0}})
    view = none.view(none.providers[0])
    assert (view.own_spend[none.panel.free & (none.panel.segment == 0)] == 0).all()


@pytest.mark.parametrize("outside", [None, 2.0])
def test_a_market_without_free_tiers_runs(outside: float | None) -> None:
    values = EVERYTHING | {f"users__segments__{s}__outside_utility": outside for s in SEGMENTS}
    values |= {f"providers__{name}__offers__main__free_allowance": 0.0 for name in ("alpha", "beta")}
    market = market_after(2, **values)
    assert (market.population.users.offer[market.population.users.free] == -1).all()
    assert market.tables["market"]["tokens_declined"] == 0
    assert np.isfinite(market.tables["market"]["consumer_surplus"])


# ── foresight and recognition ──


def test_users_with_foresight_shun_offers_that_grow_dearer() -> None:
    market = market_after(3, **EVERYTHING)
    assert (market.price_outlook() != 1).any()
    market.price_history = [market.price * np.array([0.5, 1, 1, 1, 1]), market.price]
    outlook = market.price_outlook()
    assert outlook[0] > 1 > outlook[1]
    # A year of trend over half of a stay of a year; the market's own trend is left out.
    assert np.log(outlook[0] / outlook[1]) == pytest.approx(np.log(2) / 2)
    shares = [trial(market, 70).run().users[:, :, 0].sum()]
    market.price_history = [market.price, market.price]
    shares.append(trial(market, 70).run().users[:, :, 0].sum())
    assert shares[0] < shares[1]


def test_no_recognition_is_one_price_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    from aimarket.pricing.forward_looking import ForwardLooking

    plain = market_after(3)
    quote = ForwardLooking.quote
    monkeypatch.setattr(ForwardLooking, "quote", lambda self, *args: np.stack([quote(self, *args)] * 2))
    twice = market_after(3)
    assert plain.price.tobytes() == twice.price.tobytes()
    assert (plain.population.users.offer == twice.population.users.offer).all()
    for name, column in plain.tables["market"].items():
        assert np.array_equal(column, twice.tables["market"][name], equal_nan=True), name


def test_newcomers_pay_the_price_for_newcomers_once() -> None:
    plain = {f"users__segments__{s}__{key}": None for s in SEGMENTS for key in ("contract", "free")}
    market = market_after(2, "technology=slow", **plain)
    market.newcomer_price = market.price * 0.5
    step = trial(market, 80)
    before = np.append(step.menu.provider, -1)[step.users.offer]
    totals = step.run()
    now = np.append(step.menu.provider, -1)[step.users.offer]
    joined = (now >= 0) & (now != before)
    assert joined.sum() > 100
    assert totals.spend.sum() < (totals.mix_tokens.sum(axis=(0, 1)) * market.price).sum() * 0.999
    again = step.but(number=81, adoption=np.zeros(3), segments=replace(step.segments, review=np.zeros(3),
                    multihoming=np.zeros(3)), menu=replace(step.menu, rise=np.zeros_like(market.price)),
                    settings=replace(step.step.settings, outage_review=0.0))  # fmt: skip
    later = again.run()
    assert later.spend.sum(axis=(0, 1)) == pytest.approx(later.mix_tokens.sum(axis=(0, 1)) * market.price)


@settings(max_examples=4, deadline=None)
@given(st.floats(0.2, 2.0), st.floats(0.6, 2.0))
def test_two_firms_that_know_their_customers_pay_to_poach(cost: float, sensitivity: float) -> None:
    """Static, all users choose: p_own = c + 1/(a (1 - s)), p_new = c + 1/(a s), s = logit(k - a (p_own - p_new))."""
    everyone = "users.segments.everyone"
    limit = Market(made(
        "experiment=limit/bertrand", "~providers.carl", "users.size=400", "run.panel=400",
        *(f"pricing@providers.{n}.pricing=customer_recognition" for n in ("anna", "bert")),
        **{f"{everyone.replace('.', '__')}__{key}": value for key, value in
           {"outside_utility": None, "preferences__price": sensitivity, "switching__base": cost}.items()},
        **{f"providers__{n}__pricing__discount_rate": None for n in ("anna", "bert")},
    ))  # fmt: skip
    for _ in range(40):
        limit.step()
    stay = 0.5
    for _ in range(500):
        gap = (1 / (1 - stay) - 1 / stay) / sensitivity
        stay = 0.5 * stay + 0.5 / (1 + np.exp(-(cost - sensitivity * gap)))
    assert limit.price == pytest.approx(1 + 1 / (sensitivity * (1 - stay)), rel=1e-4)
    assert limit.newcomer_price == pytest.approx(1 + 1 / (sensitivity * stay), rel=1e-4)
    assert (limit.price > limit.newcomer_price).all()


# ── workflows and those who give up ──


def test_who_gives_up_is_counted_and_workflows_fall_with_surplus() -> None:
    plain = {f"users__segments__{s}__{key}": None for s in SEGMENTS for key in ("contract", "free")}
    market = market_after(2, **plain)
    steps = [trial(market, 90, 0.0) for _ in range(2)]
    dear = market.price * 20
    steps[1] = steps[1].but(menu=replace(steps[1].menu, price=dear, newcomer_price=dear))
    calm, shocked = (step.run() for step in steps)
    assert shocked.abandonments.sum() > 3 * calm.abandonments.sum() > 0
    assert (shocked.abandonments <= shocked.leavers.sum(axis=1) + 1e-6).all()
    stayed = (steps[0].users.offer == steps[1].users.offer) & (steps[1].users.offer == market.population.users.offer)
    stayed &= market.population.users.offer >= 0
    assert stayed.sum() > 1000
    assert (steps[1].users.depth[stayed] < steps[0].users.depth[stayed]).all()
