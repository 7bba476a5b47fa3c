"""Switching costs: who stays, what lock-in does to shares, and what firms ask of users who cannot leave freely."""

import functools
from typing import Any

import numpy as np

from aimarket.demand import Population
from aimarket.market import Market
from aimarket.population import users_switching_cost
from aimarket.settings import Settings
from aimarket.theory.markov_perfect import markov_perfect_duopoly
from aimarket.theory.switching import (
    myopic_symmetric_margin,
    pure_equilibrium_limit,
    stationary_shares,
    switch_rate,
    tenure_steady_state,
    two_period_margins,
)
from aimarket.validation.check import CLOSED_FORM, FIXED_POINT, Check, Task, compare, sampled
from aimarket.validation.limits import Changes, everyone, limit_settings, prices_at, run

BONUSES = (0.0, 0.25, 0.5, 1.0, 1.5)  # utils
DISCOUNTS = (0.5, 0.95)  # a step
LEARNT = 0.05  # relative: the aim for the value that firms learn by themselves
_HALF = (0.5, 0.5)


def loyalty() -> list[Check]:
    """State-dependent logit at fixed prices: stationary shares, switches, concentration."""
    quality, checks = [1.0, 0.5, 0.0], []
    for cost in (0.0, 2.0, 4.0):
        limit = run(limit_settings("loyalty", {everyone("switching.base"): cost, "run.steps": 500, "users.size": 2000}))
        shares, churn = limit.shares[100:], limit.churn[100:]
        known, how = stationary_shares(quality, cost), "market: 800,000 choices"
        checks += [
            sampled(f"loyalty {cost:g}: shares", known, shares, how),
            sampled(f"loyalty {cost:g}: switch rate", switch_rate(quality, cost), churn, how),
            sampled(f"loyalty {cost:g}: HHI", (known**2).sum(), (shares**2).sum(axis=1), how),
        ]
    return checks


def tenure() -> list[Check]:
    """Switching cost that grows with tenure, two equal firms."""
    known = tenure_steady_state(3.0, 6.0)
    limit = run(limit_settings("tenure", {"run.steps": 160}))
    market, churn = limit.market, limit.churn[40:]
    assert isinstance(market.population, Population)  # in one piece
    at_next_choice = users_switching_cost(market.population.users, market.segments)
    cost, error = at_next_choice.mean(), at_next_choice.std() / np.sqrt(len(at_next_choice))
    switches = sampled("tenure: switch rate", known.switch_rate, churn, "market: 1,200,000 choices")
    spell_error = switches.tolerance * known.mean_spell**2
    how = "market: 1 / switch rate"
    return [
        switches,
        Check("tenure: mean spell, steps", known.mean_spell, 1 / switches.simulated, spell_error, how),
        Check("tenure: mean switching cost", known.mean_cost, float(cost), float(4 * error), "market: 10,000 users"),
    ]


# ── prices ──


def duopoly(cost: float, pricing: Changes, **changes: Any) -> Settings:
    """Two equal firms with one pricing rule, switching cost `cost`; a step is a year, a user buys one unit in it."""
    settings: dict[str, Any] = {everyone("switching.base"): cost}
    for name in ("anna", "bert"):
        settings |= {f"providers.{name}.pricing.{key}": value for key, value in pricing.items()}
    return limit_settings("switching_duopoly", settings | {key.replace("__", "."): v for key, v in changes.items()})


_MYOPIC = {"continuation_value": 0.0}


def _forward(discount: float, value: float | None) -> Changes:
    """Forward-looking firms of some discount factor a step; value : USD of one retained user, None to learn it."""
    return {"discount_rate": 1 / discount - 1, "continuation_value": value}


def held_margins(cost: float, pricing: Changes, users: int = 200, base: tuple[float, float] = _HALF) -> np.ndarray:
    """(2,) USD: margins at rest while the bases of the two firms are held where they are."""
    settings = duopoly(cost, pricing, run__steps=60, run__panel=users, users__size=users)
    return np.asarray(prices_at(settings, base).price[-1] - 1)


def myopic() -> list[Check]:
    how = "market: prices at rest, half of the users held by each firm"
    return [
        compare(
            f"myopic, switching cost {cost:g}: margin",
            [myopic_symmetric_margin(cost)] * 2,
            held_margins(cost, _MYOPIC),
            FIXED_POINT,
            how,
        )
        for cost in (1.0, 1.5)
    ]


def deserts(cost: float) -> bool:
    """Whether the best response to the symmetric myopic price is another price, far below it."""
    price = 1 + myopic_symmetric_margin(cost)
    start = {f"providers__{n}__offers__main__{k}_price": price for n in ("anna", "bert") for k in _LISTED}
    settings = duopoly(
        cost, _MYOPIC | {"span": 3.0, "grid": 60}, run__steps=1, run__panel=200, users__size=200, **start
    )
    answer = prices_at(settings, _HALF).price[0]
    return bool((answer < 0.9 * price).any())


_LISTED = ("input", "cached", "output")


def no_pure_equilibrium() -> list[Check]:
    """Where poaching the rival's base beats living off one's own."""
    low, high = 2.0, 3.5
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (low, middle) if deserts(middle) else (middle, high)
    how = "market: best response to the symmetric price, bisection"
    return [Check("no pure equilibrium above switching cost", pure_equilibrium_limit(), (low + high) / 2, 1e-3, how)]


def value_of_a_user(cost: float, step: float = 0.005) -> float:
    """USD: gain in the second and last period from one more user at its start, rival's answer included."""
    profit, users = [], round(2 / step)
    for own in (0.5 + step, 0.5 - step):
        settings = duopoly(cost, _MYOPIC, run__steps=60, run__panel=users, users__size=users)
        limit = prices_at(settings, (own, 1 - own))
        profit.append(profit_per_user(limit.market))
    return (profit[0] - profit[1]) / (2 * step)


def profit_per_user(market: Market) -> float:
    """USD a step and user: the first firm's expected profit at posted prices, as its own research reckons it."""
    view = market.view(market.providers[0])
    value, _ = view.value_of(view.prices, np.zeros(len(view.panel.weight)))
    return value / float(view.panel.weight.sum())


def two_periods() -> list[Check]:
    """Bargain, then ripoff: the value of a user, found by the market of the second period, enters the first's price."""
    checks = []
    for cost in (1.0, 2.0):
        known = two_period_margins(cost)
        second = held_margins(cost, _MYOPIC)
        first = held_margins(0.0, _forward(1.0, value_of_a_user(cost)))
        checks += [
            compare(f"two periods, cost {cost:g}: first margin", [known.first] * 2, first, 1e-3, "market: new users, "
                    "value of a user from its second period"),
            compare(f"two periods, cost {cost:g}: second margin", [known.second] * 2, second, FIXED_POINT, "market: "
                    "half of the users held by each firm"),
        ]  # fmt: skip
    return checks


# ── infinite horizon ──


@functools.cache
def steady(discount: float, cost: float) -> tuple[float, float]:
    """Known margin and value of a user, USD."""
    known = markov_perfect_duopoly(discount, cost)
    return known.steady_margin, known.continuation_value


def free_margin(discount: float, cost: float, value: float | None, steps: int = 100, users: int = 5000) -> float:
    """USD: mean margin while users go where they like.

    Shares are sampled and prices swing with them, in opposite directions: the mean errs by the order of the variance.
    """
    settings = duopoly(cost, _forward(discount, value), run__steps=steps, run__panel=users, users__size=users)
    return float(run(settings).price[steps // 3 :].mean() - 1)


def exact_value(discount: float) -> list[Check]:
    """With the true value of a user: as users go where they like, and with half of them held by each firm."""
    checks = []
    for cost in BONUSES:
        margin, value = steady(discount, cost)
        name = f"discount {discount:g}, cost {cost:g}: margin"
        at_rest = held_margins(cost, _forward(discount, value))
        checks += [
            Check(name, margin, free_margin(discount, cost, value), 1e-3, "market: exact continuation value"),
            compare(f"{name} at rest", [margin] * 2, at_rest, FIXED_POINT, "market: exact value, bases held"),
        ]
    return checks


def learnt_value(discount: float) -> list[Check]:
    """With the value firms learn: within 5 % in every cell, and first lower, then higher as switching costs rise."""
    known = np.array([steady(discount, cost)[0] for cost in BONUSES])
    found = np.array([free_margin(discount, cost, None) for cost in BONUSES])
    checks = [
        Check(f"discount {discount:g}, cost {cost:g}: learnt margin", float(k), float(f), LEARNT * float(k),
              f"market: learnt continuation value, off by {100 * (f / k - 1):+.1f} %")
        for cost, k, f in zip(BONUSES, known, found, strict=True)
    ]  # fmt: skip
    for name, known_change, change in (("falls first", known.min() - known[0], found.min() - found[0]),
                                       ("rises then", known[-1] - known.min(), found[-1] - found.min())):  # fmt: skip
        how = f"market: sign of the change; changes by {change:+.3f}, known {known_change:+.3f}"
        name = f"discount {discount:g}: margin {name} as cost rises"
        checks.append(Check(name, float(np.sign(known_change)), float(np.sign(change)), CLOSED_FORM, how))
    return checks


TASKS: tuple[Task, ...] = (
    loyalty,
    tenure,
    myopic,
    no_pure_equilibrium,
    two_periods,
    *(functools.partial(exact_value, discount) for discount in DISCOUNTS),
    *(functools.partial(learnt_value, discount) for discount in DISCOUNTS),
)
