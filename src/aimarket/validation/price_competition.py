"""Logit-Bertrand prices, pass-through, mergers: the running market of identical or different firms."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aimarket.kernels.choice import logit_shares
from aimarket.kernels.concentration import herfindahl
from aimarket.market import Market
from aimarket.theory.logit_closed_forms import (
    monopoly_lambert,
    symmetric_linear_margin,
    symmetric_log_price_cost_ratio,
)
from aimarket.theory.mergers import SixBeers, calibrate_logit, simulate_merger
from aimarket.theory.price_competition import (
    LogitMarket,
    joint_profit_maximum,
    logit_market,
    nash_bertrand,
    pass_through,
    with_owners,
)
from aimarket.validation.check import CLOSED_FORM, FIXED_POINT, Check, compare, counted, relative
from aimarket.validation.limits import Floats, logit_settings, run

_PRICES = {"users.size": 100, "run.panel": 50, "run.steps": 50}  # prices come from the panel: few users will do
_MERGER = 40  # steps before one
_SETTLED = 30  # steps until prices are at rest, to the last user


def market_prices(market: LogitMarket) -> Floats:
    """(J,) USD: where best responses in the running market come to rest."""
    return np.asarray(run(logit_settings(market, _PRICES)).price[-1])


def expected_shares(market: Market) -> Floats:
    """(J,) of choosers: what the panel's choice probabilities say at posted prices."""
    share, _ = logit_shares(market.panel.utility_now, market.panel.outside_now)
    return np.asarray(market.panel.weight @ share / market.panel.weight.sum())


def nash_prices(name: str, market: LogitMarket) -> Check:
    """Best responses of the running market come to rest at the oracle's equilibrium, whatever the parameters."""
    return relative(name, nash_bertrand(market).prices, market_prices(market), FIXED_POINT, "market: prices at rest")


def nash_market(name: str, market: LogitMarket, users: int = 10_000, steps: int = 30) -> list[Check]:
    """Prices, Lerner indices and sampled shares, the outside share among them."""
    known = nash_bertrand(market)
    limit = run(logit_settings(market, {"users.size": users, "run.panel": 50, "run.steps": _SETTLED + steps}))
    shares = np.c_[limit.shares, limit.outside][_SETTLED:]
    expected = np.append(known.shares, known.outside_share)
    return [
        relative(f"{name}: price", known.prices, limit.price[-1], FIXED_POINT, "market: prices at rest"),
        compare(f"{name}: Lerner", known.lerner, limit.market.tables["offers"]["lerner"], FIXED_POINT, "market"),
        counted(f"{name}: shares", expected, shares, users * steps, f"market: {users * steps:,} choices"),
    ]


def without_outside_option() -> list[Check]:
    """Margin J / (alpha (J - 1)), alpha = 2."""
    return [
        compare(
            f"logit, no outside option, {firms} firms: margin",
            symmetric_linear_margin(firms, 2.0),
            market_prices(logit_market([2.0] * firms, 2.0, 1.0, outside_option=False)).mean() - 1,
            FIXED_POINT,
            "market: prices at rest",
        )
        for firms in (2, 3, 5, 10)
    ]


def with_outside_option() -> list[Check]:
    return [
        check
        for firms in (1, 2, 3, 5, 10)
        for check in nash_market(f"logit, {firms} firm{'s' * (firms > 1)}", logit_market([2.0] * firms, 1.0, 1.0))
    ]


def monopoly() -> list[Check]:
    """Lambert's W; two products of one owner carry one margin."""
    checks = []
    for quality, sensitivity, cost in (([3.0], 1.0, [1.0]), ([2.0, 1.0], 1.5, [1.0, 0.4])):
        known = monopoly_lambert(quality, sensitivity, cost)
        market = logit_market(quality, sensitivity, cost, owners=[0] * len(quality))
        limit = run(logit_settings(market, _PRICES))
        name = f"monopoly, {len(quality)} product{'s' * (len(quality) > 1)}"
        share = float(expected_shares(limit.market).sum())
        checks += [
            compare(f"{name}: price", known.prices, limit.price[-1], FIXED_POINT, "market: prices at rest"),
            compare(f"{name}: share", known.share, share, FIXED_POINT, "market: choice probabilities of the panel"),
        ]
    return checks


def pass_through_of_cost(market: LogitMarket, whose: Sequence[int], rise: float = 5e-3) -> tuple[float, float]:
    """Known and simulated rise of the first product's price when costs of some products rise, per USD."""
    known = pass_through(market, nash_bertrand(market).prices)[0, list(whose)].sum()
    step = np.zeros(market.marginal_costs.size)
    step[list(whose)] = rise
    up, down = (market_prices(replace(market, marginal_costs=market.marginal_costs + sign * step)) for sign in (1, -1))
    return float(known), float((up - down)[0] / (2 * rise))


def pass_through_of_costs() -> list[Check]:
    how = "market: prices at costs a little higher and lower"
    checks = []
    for firms in (1, 2, 3, 10):
        known, found = pass_through_of_cost(logit_market([2.0] * firms, 1.0, 1.0), range(firms))
        checks.append(Check(f"pass-through of a common cost, {firms} firms", known, found, 1e-5, how))
    known, found = pass_through_of_cost(logit_market([2.0] * 2, 1.0, 1.0), [0])
    return [*checks, Check("pass-through of one's own cost, 2 firms", known, found, 1e-5, how)]


def merger(name: str, market: LogitMarket, acquirer: int, target: int) -> list[Check]:
    """A merger by policy in the running market, between two of the oracle's owners: prices and concentration."""
    after = np.where(market.owners == target, acquirer, market.owners)
    known = simulate_merger(market, after)
    policy = {"policy.start": _MERGER, "policy.merger": {"acquirer": f"firm{acquirer}", "target": f"firm{target}"}}
    settings = logit_settings(market, _PRICES | {"run.steps": 2 * _MERGER + 10} | policy)
    shares_before: list[Floats] = []

    def look(running: Market) -> None:
        if running.steps == _MERGER:
            shares_before.append(expected_shares(running))

    limit = run(settings, look)
    how = "market: a merger by policy, prices at rest before and after"
    hhi = [
        herfindahl(np.bincount(owners, shares) / shares.sum())
        for owners, shares in ((market.owners, shares_before[0]), (after, expected_shares(limit.market)))
    ]
    before, prices = limit.price[_MERGER - 1], limit.price[-1]
    return [
        relative(f"{name}: price before the merger", known.before.prices, before, FIXED_POINT, how),
        relative(f"{name}: price after it", known.after.prices, prices, FIXED_POINT, how),
        compare(f"{name}: rise of price, %", 100 * known.price_changes, 100 * (prices / before - 1), 1e-4, how),
        compare(f"{name}: HHI before", 1e4 * known.hhi_before, 1e4 * hhi[0], 1e-2, how),
        compare(f"{name}: HHI after", 1e4 * known.hhi_after, 1e4 * hhi[1], 1e-2, how),
    ]


def mergers() -> list[Check]:
    """Duopoly to monopoly by policy, three firms under one owner, six beers of five owners, two of whom merge.

    source : manual of the R package `antitrust`; Epstein and Rubinfeld (2004)
    """
    two, three = (logit_market([8.0] * n, 4.0, 1.0) for n in (2, 3))
    known = joint_profit_maximum(three)
    limit = run(logit_settings(with_owners(three, np.zeros_like(three.owners)), _PRICES))
    profit = expected_shares(limit.market) * (limit.price[-1] - 1)
    how = "market: one owner of all"
    brands = SixBeers()
    beers = calibrate_logit(brands.prices, brands.shares, brands.lerner, brands.owners)
    return [
        *merger("duopoly, sensitivity 4", two, 0, 1),
        nash_prices("three firms, sensitivity 4: price", three),
        relative("three firms under one owner: price", known.prices, limit.price[-1], FIXED_POINT, how),
        relative("three firms under one owner: profit", known.profits, profit, FIXED_POINT, how),
        *merger("six beers", beers, 1, 2),
    ]


def log_price() -> list[Check]:
    """Elasticity eta + beta (1 - s); all costs over ten, prices over ten."""
    checks = []
    for firms in (2, 3, 5, 10):
        known = symmetric_log_price_cost_ratio(firms, 3.89, 1.11)
        prices = []
        for cost in (1.0, 0.1):
            market = logit_market(
                [2.0] * firms, 3.89, cost, outside_option=False, price_metric="log", usage_elasticity=1.11
            )
            prices.append(market_prices(market))
        name = f"log price, {firms} firms"
        checks += [
            compare(f"{name}: price over cost", known, prices[0].mean(), FIXED_POINT, "market: prices at rest"),
            compare(f"{name}: costs over 10", prices[0] / 10, prices[1], CLOSED_FORM, "market: prices at rest"),
        ]
    return checks


def other_parameters() -> list[Check]:
    """Asymmetric qualities and costs, several offers an owner, two kinds of users."""
    quality, cost, owners = np.array([2.0, 1.2, 1.6, 0.7]), [1.0, 0.8, 1.3, 0.6], [0, 0, 1, 2]
    utility = np.outer([1.0, 1.5], quality) - 0.5
    linear = logit_market(utility, np.array([2.4, 1.3]), cost, owners=owners, type_weights=[0.7, 0.3])
    log = replace(linear, price_metric="log", usage_elasticities=np.array([0.4, 0.4]))
    return [
        nash_prices("four offers of three owners, two segments", linear),
        nash_prices("four offers of three owners, two segments, log price", log),
    ]


TASKS = (
    without_outside_option,
    with_outside_option,
    monopoly,
    pass_through_of_costs,
    mergers,
    log_price,
    other_parameters,
)
