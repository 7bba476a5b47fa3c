"""How many firms a market holds: free entry at a fixed cost, and sunk outlays that firms choose."""

from dataclasses import replace

import numpy as np

from aimarket.configuration import load
from aimarket.innovation import trained_quality
from aimarket.kernels.price_search import best_prices
from aimarket.theory.entry import endogenous_sunk_cost_limit, free_entry_firms
from aimarket.units import MONTHS_PER_YEAR
from aimarket.validation.check import FIXED_POINT, Check
from aimarket.validation.limits import Changes, limit_settings, run
from aimarket.validation.objectives import profit_at_worth


def profit_share(firms: int, substitution: float, usage_elasticity: float) -> float:
    """Profit of one of equal firms as a share of what users spend in the market; log price, no outside option."""
    changes = {
        "users.usage_elasticity": usage_elasticity,
        "users.segments.everyone.preferences.price": substitution - usage_elasticity,
        "users.size": 500,
        "run.steps": 40,
    }
    accounts = run(limit_settings("log_price", changes, firms)).market.tables["statements"]
    revenue, wholesale = (np.asarray(accounts[name]).sum() for name in ("revenue", "wholesale"))
    return float((revenue - wholesale) / revenue / firms)


def free_entry(substitution: float = 5.0, usage_elasticity: float = 1.11, cost_share: float = 0.01) -> list[Check]:
    """With 20 firms profit exceeds the fixed cost, with 21 it does not; between them it is what theory says.

    cost_share : fixed cost over what users spend in the market
    """
    known = free_entry_firms(1.0, cost_share, substitution, usage_elasticity)
    fewer = int(known)
    profits = [profit_share(n, substitution, usage_elasticity) for n in (fewer, fewer + 1)]
    inverse = 1 / np.array(profits)  # rises along a line in the number of firms
    found = fewer + (1 / cost_share - inverse[0]) / (inverse[1] - inverse[0])
    enter = fewer + int(profits[1] > cost_share) - int(profits[0] < cost_share)
    how = f"market: profits with {fewer} and {fewer + 1} firms at rest"
    return [
        Check("free entry: firms, a real number", known, float(found), 1e-5, how),
        Check("free entry: firms", fewer, enter, FIXED_POINT, how),
    ]


def entering(changes: Changes | None = None) -> list[Check]:
    """Firms come one by one while they expect to earn their fixed cost, until the next would not."""
    settings = limit_settings("free_entry", changes)
    market = run(settings).market
    waiting = list(settings.providers.values())[-1]
    everyone = next(iter(settings.users.segments.values()))
    elasticity = settings.users.usage_elasticity
    fixed = waiting.overhead + settings.entry.required_return / MONTHS_PER_YEAR * waiting.cash
    allowed = free_entry_firms(
        market.tables["market"]["spend"], fixed, everyone.preferences.price + elasticity, elasticity
    )
    how = f"market: {len(settings.providers)} firms may come; theory allows {allowed:.3f} at what users spend"
    return [Check("free entry as it happens: firms", int(allowed), len(market.active_providers), FIXED_POINT, how)]


# ── endogenous sunk cost ──


def outlay_exponent(gain: float, taste: float) -> float:
    """Exponent gamma of training outlay in quality measured in prices, where quality is high.

    The market's returns to training give the outlay; u = e^(Q / taste) is the factor by which a quality of Q logits may
    raise a price, `taste` the price sensitivity in utils a log point.
    """
    settings = replace(load(["experiment=limit/bertrand"]).technology, quality_gain=gain, quality_shock=0.0)
    outlays = settings.training_scale * np.array([1e8, 1e9])
    log_quality = [float(trained_quality(np.zeros(1), outlay, 0.0, settings)[0]) / taste for outlay in outlays]
    return float(np.log(outlays[1] / outlays[0]) / (log_quality[1] - log_quality[0]))


def stage_profit(qualities: np.ndarray, cost: float = 1.0, spend: float = 1.0) -> np.ndarray:
    """(F,) USD: Cournot profits where users spend a given sum on the best ratio of quality to price.

    All who sell have one ratio, so firm i's price is u_i spend / sum(u x). Best replies in quantities, in turn.
    """
    sold = np.full(len(qualities), spend / (4 * cost * len(qualities)))
    for _ in range(300):
        before = sold.copy()
        for firm, quality in enumerate(qualities):
            others = float(qualities @ sold - quality * sold[firm])
            profit = profit_at_worth(float(quality), spend, cost, others)
            floor, ceiling = np.array([1e-9 * spend / cost]), np.array([spend / cost])
            sold[firm] = best_prices(profit, sold[[firm]], floor, ceiling, np.linspace(-1, 1, 21))[0]
        if np.abs(sold - before).max() < 1e-12 * spend:
            break
    return np.asarray((qualities * spend / (qualities @ sold) - cost) * sold)


def sunk_cost(gamma: float = 2.0) -> list[Check]:
    """Firms in an ever larger market: a little more quality earns what it costs, and profit pays the outlay.

    Outlay rises with quality to the power gamma, so a firm is content where the elasticity of its profit in its own
    quality is gamma. That elasticity, 2 (N + 1/N - 2), lies on a line in N + 1/N, found with two and three firms.
    """
    elasticity, step = [], 1e-4
    for firms in (2, 3):
        up, down = (stage_profit(np.append(np.exp(sign * step), np.ones(firms - 1)))[0] for sign in (1, -1))
        elasticity.append(np.log(up / down) / (2 * step))
    taste = 4.0
    exponent = outlay_exponent(taste / gamma, taste)
    slope = (elasticity[1] - elasticity[0]) / (3 + 1 / 3 - 2 - 1 / 2)
    half = (2 + 1 / 2 + (exponent - elasticity[0]) / slope) / 2
    how = "component: returns to training; best_prices for the stage of quantities"
    return [
        Check(
            "endogenous sunk cost: firms",
            endogenous_sunk_cost_limit(gamma),
            float(half + np.sqrt(half**2 - 1)),
            1e-4,
            how,
        )
    ]


TASKS = (free_entry, entering, sunk_cost)
