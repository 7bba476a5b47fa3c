"""Logit pricing where a formula exists: a monopoly, and firms that are all alike.

Source: Anderson, de Palma and Thisse (1992), Discrete Choice Theory of Product Differentiation, ch. 7.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw


class Monopoly(NamedTuple):
    """Price of each product (USD), share of all products together, profit per chooser (USD)."""

    prices: np.ndarray
    share: float
    profit: float


def monopoly_lambert(qualities: ArrayLike, price_sensitivity: float, marginal_costs: ArrayLike) -> Monopoly:
    """One owner of every product, linear price, outside option of utility 0: m = (1 + W) / alpha, s = W / (1 + W).

    qualities      : scalar or (J,) utils
    marginal_costs : scalar or (J,) USD
    source         : Corless et al. (1996), Advances in Computational Mathematics 5, for Lambert's W
    """
    quality, cost = np.atleast_1d(np.asarray(qualities, float)), np.asarray(marginal_costs, float)
    attraction = np.exp(quality - price_sensitivity * cost - 1.0).sum()
    lambert = float(lambertw(attraction).real)
    margin = (1 + lambert) / price_sensitivity
    return Monopoly(np.broadcast_to(cost + margin, quality.shape), lambert / (1 + lambert), lambert / price_sensitivity)


def symmetric_linear_margin(firms: int, price_sensitivity: float) -> float:
    """USD: price less cost of each of `firms` >= 2 equal firms without outside option, J / (alpha (J - 1))."""
    if firms < 2:
        raise ValueError("a monopoly without outside option has no best price")
    return firms / (price_sensitivity * (firms - 1))


def symmetric_log_elasticity(firms: int, price_sensitivity: float, usage_elasticity: float) -> float:
    """Own elasticity, > 0, of equal firms without outside option and with price in logs: eta + beta (1 - 1 / J)."""
    return usage_elasticity + price_sensitivity * (1 - 1 / firms)


def symmetric_log_price_cost_ratio(firms: int, price_sensitivity: float, usage_elasticity: float) -> float:
    """Price over marginal cost, epsilon / (epsilon - 1).

    raises : ValueError if the elasticity is 1 or less: the best price is infinite
    """
    elasticity = symmetric_log_elasticity(firms, price_sensitivity, usage_elasticity)
    if elasticity <= 1:
        raise ValueError(f"own elasticity {elasticity:.4g} must exceed 1")
    return elasticity / (elasticity - 1)


def symmetric_common_pass_through(firms: int, share: float) -> float:
    """d price / d common cost for equal single-product firms, each with the given share (< 1 / J: an outside option).

    From p - c = 1 / (alpha (1 - s)) and s_0 = 1 - J s, differentiated.
    """
    squeeze = share * (1 - firms * share) / (1 - share) ** 2
    return 1 / (1 + squeeze)
