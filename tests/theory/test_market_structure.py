"""Who owns what and who is in business, against the oracle: mergers, break-ups, caps and free entry as they run."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from compositions import changed, composed
from limits import run_limit
from scipy.optimize import minimize

from aimarket import Market, industry
from aimarket.configuration import validate
from aimarket.theory.entry import free_entry_firms
from aimarket.theory.logit_demand import logit_market
from aimarket.theory.mergers import SixBeers, calibrate_logit, simulate_merger
from aimarket.theory.price_competition import nash_bertrand, with_owners

BEFORE, AFTER = 39, -1  # rows of the last step before a merger in step 41, and of the last step


def test_merger_to_monopoly():
    limit = run_limit("merger")
    assert limit.price[BEFORE] == pytest.approx([1.472926660] * 2, abs=1e-8)
    assert limit.price[AFTER] == pytest.approx([1.924980919] * 2, abs=1e-8)
    share, outside = limit.shares[BEFORE + 1 :], limit.outside[BEFORE + 1 :]
    # Profit a head, .337490459 each, on what users choose: 40 steps of 10,000 draws.
    profit = (limit.price[AFTER] - 1) * share
    error = 0.925 * np.sqrt(share.mean() * (1 - share.mean()) / share.size * 2 / 10_000)
    assert abs(profit.mean() - 0.337490459) < 4 * error
    assert outside.mean() == pytest.approx(1 - 2 * share.mean())
    assert limit.market.tables["offers"]["owner"] == ["anna", "anna"]
    assert limit.market.tables["providers"]["active"] == [True, False]


def test_a_blocked_merger_is_none():
    blocked = run_limit("merger", "policy.merger_allowed=false", "run.steps=60")
    assert blocked.price[AFTER] == pytest.approx([1.472926660] * 2, abs=1e-8)
    assert blocked.market.tables["providers"]["active"] == [True, True]


def test_six_beer_brands():
    limit, beers = run_limit("merger_beers"), SixBeers()
    oracle = simulate_merger(
        calibrate_logit(beers.prices, beers.shares, beers.lerner, beers.owners), beers.owners_after
    )
    change = 100 * (limit.price[AFTER] / limit.price[BEFORE] - 1)
    assert limit.price[BEFORE] == pytest.approx(np.array(beers.prices), abs=1e-8)
    assert change == pytest.approx(100 * oracle.price_changes, abs=1e-5)
    assert change == pytest.approx([6.609752, 3.174073, 0.762233, 0.787256, 0.151513, 0.292024], abs=2e-5)
    draws = 10_000 * 20
    error = np.sqrt(np.array(beers.shares) * (1 - np.array(beers.shares)) / draws)
    assert (np.abs(limit.shares[BEFORE - 19 : BEFORE + 1].mean(axis=0) - beers.shares) < 4 * error).all()


@pytest.mark.parametrize("metric", ["linear", "log"])
def test_mergers_of_other_firms(metric):
    """Four offers of three owners, qualities, costs and sensitivity of their own; the small firm buys the largest."""
    quality, cost = [2.0, 1.2, 1.6, 0.7], [1.0, 0.8, 1.3, 0.6]
    names = ["anna.offers.main", "anna.offers.lite", "bert.offers.main", "carl.offers.main"]
    overrides = [f"users.price_metric={metric}", "+provider/offer@providers.anna.offers.lite=textbook"]
    overrides += [f"providers.{n}.quality={q}" for n, q in zip(names, quality, strict=True)]
    overrides += [f"providers.{n}.wholesale={c}" for n, c in zip(names, cost, strict=True)]
    overrides += ["users.segments.everyone.preferences.price=2.1", "users.size=2000", "run.steps=110"]
    limit = run_limit("bertrand", *overrides, "policy.start=50", "policy.merger={acquirer: carl, target: anna}")
    market = logit_market([quality], [2.1], cost, owners=[0, 0, 1, 2], price_metric=metric)
    assert limit.price[49] == pytest.approx(nash_bertrand(market).prices, abs=1e-6)
    merged = nash_bertrand(with_owners(market, [2, 2, 1, 2]))
    assert limit.price[AFTER] == pytest.approx(merged.prices, abs=1e-6)


class Restructured(Market):
    """A market in which things happen to firms in given steps."""

    plan: Mapping[int, Callable[[], None]] = {}

    def deliver(self) -> None:
        super().deliver()
        self.plan.get(self.steps, lambda: None)()


def with_somebody_waiting(*overrides: str, **values: Any) -> dict[str, Any]:
    """The merger experiment with a third firm that has no offers and waits for some."""
    config = composed("experiment=limit/merger", "+provider@providers.zoe=textbook", *overrides)
    config["providers"]["zoe"] |= {"active": False, "offers": {}}
    return changed(config, {key.replace("__", "."): value for key, value in values.items()})


def test_a_merger_and_a_break_up_of_the_same_offers_restore_prices():
    market = Restructured(validate(with_somebody_waiting(policy__merger=None)))
    anna, bert, zoe = market.providers
    market.plan = {
        31: lambda: industry.merge(market, anna, bert),
        61: lambda: industry.break_up(market, anna, np.array([1]), zoe),
    }
    prices = []
    for _ in range(110):
        market.step()
        prices.append(market.price)
    duopoly, monopoly = [1.472926660] * 2, [1.924980919] * 2
    assert prices[29] == pytest.approx(duopoly, abs=1e-7)
    assert prices[59] == pytest.approx(monopoly, abs=1e-7)
    assert prices[-1] == pytest.approx(duopoly, abs=1e-7)
    assert market.owner.tolist() == [0, 2]
    assert [p.active for p in market.providers] == [True, False, True]


def test_a_break_up_by_policy_restores_competition():
    """A firm with both offers, and a newcomer that gets one of them."""
    both = "+provider/offer@providers.anna.offers.second=textbook"
    config = with_somebody_waiting(both, policy__merger=None, providers__anna__offers__second__quality=8.0)
    del config["providers"]["bert"]
    config["policy"]["break_up"] = {"provider": "anna", "offers": ["second"], "into": "zoe"}
    market = Market(validate(config))
    prices = []
    for _ in range(config["run"]["steps"]):
        market.step()
        prices.append(market.price)
    assert prices[BEFORE] == pytest.approx([1.924980919] * 2, abs=1e-7)
    assert prices[AFTER] == pytest.approx([1.472926660] * 2, abs=1e-7)
    assert market.tables["offers"]["owner"] == ["anna", "zoe"]


@pytest.mark.parametrize("cap", [1.2, 1.7, 2.0])
def test_whoever_has_a_capped_offer_knows_it(cap):
    """A monopolist of two offers, costs 1 and .4: the other price is the best one given what the cap leaves."""
    limit = run_limit(
        "bertrand", "~providers.bert", "~providers.carl", "+provider/offer@providers.anna.offers.lite=textbook",
        "providers.anna.offers.lite.wholesale=.4", f"policy.price_cap={cap}", "run.steps=40", "users.size=1000",
    )  # fmt: skip

    def profit(prices):
        weight = np.exp(2.0 - prices)
        return ((prices - [1.0, 0.4]) * weight).sum() / (1 + weight.sum())

    best = minimize(lambda p: -profit(p), [1.1, 1.1], bounds=[(0.5, cap)] * 2, options={"ftol": 1e-15, "gtol": 1e-9}).x
    assert limit.price.max() == pytest.approx(cap, abs=1e-9)  # what was dearer before is at the cap
    assert limit.price[AFTER] == pytest.approx(best, abs=1e-5)


def free_entry(overhead: float, **values: Any) -> list[int]:
    """Firms in business step by step, and at the end the number that theory allows, a real one."""
    base = composed("experiment=limit/free_entry")
    costs = {f"providers.{name}.overhead": overhead for name in base["providers"]}
    settings = validate(changed(base, costs | {key.replace("__", "."): value for key, value in values.items()}))
    market, firms = Market(settings), []
    for _ in range(settings.run.steps):
        market.step()
        firms.append(len(market.active_providers))
    fixed = overhead + settings.entry.required_return / 12 * settings.providers["f04"].cash
    return [*firms, free_entry_firms(market.tables["market"]["spend"], fixed, 5.0, 1.11)]


@pytest.mark.parametrize(
    ("overhead", "required_return", "steps"), [(9447.0, 0.12, 40), (19194.0, 0.12, 25), (13000.0, 0.20, 30)]
)
def test_firms_enter_until_the_next_would_lose(overhead, required_return, steps):
    *firms, allowed = free_entry(overhead, entry__required_return=required_return, run__steps=steps)
    assert firms[0] == 4  # three started, and one came in every step
    assert firms[-8:] == [int(allowed)] * 8
    if overhead == 9447.0:
        assert allowed == pytest.approx(20.778, abs=0.01)
        assert firms[-1] == 20


@pytest.mark.slow
def test_firms_leave_until_the_rest_live():
    """All twenty-four start and nobody comes: those with little money fail one by one, but not all of them."""
    names = list(composed("experiment=limit/free_entry")["providers"])
    poor = {f"providers__{name}__cash": 3800.0 * (1 + i) for i, name in enumerate(names[18:])}
    rich = {f"providers__{name}__cash": 3e6 for name in names[:18]}
    everybody = {f"providers__{name}__active": True for name in names}
    *firms, _ = free_entry(9747.0, run__steps=120, **everybody, **poor, **rich)
    assert firms[0] == 24
    assert firms[-20:] == [20] * 20
