"""Does any firm gain by leaving a candidate equilibrium? First-order conditions alone cannot tell."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, minimize

from aimarket.theory.logit_demand import Floats, LogitMarket, demand


def firm_profit(market: LogitMarket, prices: ArrayLike, firm: int) -> float:
    """USD: profit of one firm (its label in `owners`) at prices (J,) USD."""
    price = np.asarray(prices, float)
    owned = market.owners == firm
    return float((demand(market, price) * (price - market.marginal_costs))[owned].sum())


def best_reply(market: LogitMarket, prices: ArrayLike, firm: int, reach: float = 8.0, points: int = 400) -> Floats:
    """(J,) USD: prices with those of one firm moved to its best reply.

    A common scale of the firm's margins is searched on a grid up to `reach` times the present one (profit can have
    several peaks), and the three best points are polished in all of the firm's prices.
    raises : ValueError if the firm owns nothing
    """
    price = np.array(prices, float)
    owned = market.owners == firm
    if not owned.any():
        raise ValueError(f"firm {firm} owns no product")
    margins = (price - market.marginal_costs)[owned]

    def profit_at(scales: Floats) -> float:
        trial = price.copy()
        trial[owned] = market.marginal_costs[owned] + scales * margins
        return firm_profit(market, trial, firm)

    unit = max(abs(firm_profit(market, price, firm)), np.finfo(float).tiny)

    def loss(scales: Floats) -> float:
        return -profit_at(scales) / unit

    grid = np.linspace(0.0, reach, points + 1)[1:]
    order = np.argsort([profit_at(np.full(margins.size, scale)) for scale in grid])
    candidates = [np.ones(margins.size)]
    for position in order[-3:]:
        start = np.full(margins.size, grid[position])
        polished = minimize(loss, start, bounds=Bounds(1e-6, 4 * reach), method="L-BFGS-B")
        candidates.append(np.asarray(polished.x, float))
    best = max(candidates, key=profit_at)
    price[owned] = market.marginal_costs[owned] + best * margins
    return price


def largest_deviation_gain(market: LogitMarket, prices: ArrayLike) -> float:
    """Greatest gain of any firm from leaving prices (J,) alone, as a share of its profit; 0 at a Nash equilibrium.

    source : Caplin and Nalebuff (1991), Econometrica 59(1), for when the first-order conditions suffice
    """
    price = np.asarray(prices, float)
    gains = []
    for firm in np.unique(market.owners):
        present = firm_profit(market, price, firm)
        gains.append((firm_profit(market, best_reply(market, price, firm), firm) - present) / abs(present))
    return float(max(gains))
