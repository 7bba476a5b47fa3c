"""Switching costs with given or myopic prices: loyalty and shares, tenure, symmetric prices, bargains then ripoffs.

`loyalty_bonus` is the utility a user gives up by leaving, in utils; users are myopic and there is no outside option.
Sources: Farrell and Klemperer (2007), Handbook of Industrial Organization 3, ch. 31; Dube, Hitsch and Rossi (2010),
RAND Journal 41(3), for state-dependent logit.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

Floats = NDArray[np.float64]


def loyalty_choice_matrix(utilities: ArrayLike, loyalty_bonus: ArrayLike) -> Floats:
    """(J, J) probability that a user loyal to the row's product chooses the column's.

    utilities     : (J,) utils
    loyalty_bonus : scalar or (J,) utils, of staying with each product
    """
    utility = np.asarray(utilities, float)
    bonus = np.broadcast_to(np.asarray(loyalty_bonus, float), utility.shape)
    weights = np.exp(utility - utility.max() + np.diag(bonus) - bonus.max())
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def stationary_distribution(transition: ArrayLike) -> Floats:
    """(J,) shares that a stochastic matrix (J, J), rows from and columns to, leaves unchanged.

    raises : ValueError if rows do not sum to 1 or more than one distribution is stationary
    """
    matrix = np.asarray(transition, float)
    if not np.allclose(matrix.sum(axis=1), 1.0, atol=1e-12):
        raise ValueError("rows of a transition matrix must sum to 1")
    values, vectors = np.linalg.eig(matrix.T)
    if (np.abs(values - 1) < 1e-12).sum() > 1:
        raise ValueError("more than one distribution is stationary")
    vector = vectors[:, np.abs(values - 1).argmin()].real
    return np.asarray(vector / vector.sum())


def stationary_shares(utilities: ArrayLike, loyalty_bonus: ArrayLike) -> Floats:
    """(J,) long-run shares under `loyalty_choice_matrix`."""
    return stationary_distribution(loyalty_choice_matrix(utilities, loyalty_bonus))


def stationary_shares_closed_form(static_shares: ArrayLike, loyalty_bonus: float) -> Floats:
    """(J,) long-run shares, proportional to sigma_j (1 + sigma_j (e^s - 1)), sigma the shares without loyalty.

    The chain is reversible: flow from k to j over flow from j to k balances at these shares.
    """
    share = np.asarray(static_shares, float)
    weight = share * (1 + share * math.expm1(loyalty_bonus))
    return np.asarray(weight / weight.sum())


def switch_rate(utilities: ArrayLike, loyalty_bonus: ArrayLike) -> float:
    """Share of all users who change product in a period, in the long run."""
    matrix = loyalty_choice_matrix(utilities, loyalty_bonus)
    return float(1 - stationary_distribution(matrix) @ np.diag(matrix))


class TenureSteadyState(NamedTuple):
    """Mean periods between switches, share who switch in a period, mean switching cost over users (utils)."""

    mean_spell: float
    switch_rate: float
    mean_cost: float


def tenure_steady_state(ceiling: float, time_constant: float, firms: int = 2) -> TenureSteadyState:
    """Equal firms and a cost of leaving that grows with tenure, ceiling * (1 - exp(-tenure / time_constant)).

    A user who switched this period has tenure 1 when choosing in the next.

    ceiling       : utils, >= 0
    time_constant : periods, > 0
    raises        : ValueError if spells are so long (ceiling above about 30) that the sum has no end in practice
    """
    if ceiling > 30:
        raise ValueError("spells longer than about e^30 periods are not summed")
    # Summed one by one until the cost is at its ceiling to rounding; from there on spells are geometric.
    tenures = np.arange(1, math.ceil(40 * time_constant) + 2)
    costs = -ceiling * np.expm1(-tenures / time_constant)
    leave = (firms - 1) / (firms - 1 + np.exp(costs))
    survival = np.concatenate([[1.0], np.cumprod(1 - leave)])
    tail = survival[-1] * (1 + math.exp(ceiling) / (firms - 1))  # 1 / leave at the ceiling
    mean_spell = float(survival[:-1].sum() + tail)
    mean_cost = float(survival[:-1] @ costs + tail * ceiling) / mean_spell
    return TenureSteadyState(mean_spell, 1 / mean_spell, mean_cost)


def myopic_symmetric_margin(loyalty_bonus: float, price_sensitivity: float = 1.0, firms: int = 2) -> float:
    """USD: price less cost of equal firms, each with an equal base of loyal users, that ignore the future.

    With two firms (1 + cosh s) / alpha. It solves the first-order conditions; whether it is an equilibrium is another
    question, see `pure_equilibrium_limit`.
    """
    stay = 1 / (1 + (firms - 1) * math.exp(-loyalty_bonus))
    come = math.exp(-loyalty_bonus) * stay  # from each rival's base
    return 1 / (price_sensitivity * (stay * (1 - stay) + (firms - 1) * come * (1 - come)))


def _logistic(utility: float) -> float:
    return (1 + math.tanh(utility / 2)) / 2


def pure_equilibrium_limit() -> float:
    """Loyalty bonus (utils) above which two equal myopic firms have no symmetric equilibrium in pure prices.

    Profit then has a second peak, well below the rival's price, where a firm poaches the rival's base; at the limit
    both peaks are equally high. Price sensitivity drops out.
    """

    def gain(bonus: float) -> float:
        margin = 1 + math.cosh(bonus)

        def loss(own: float) -> float:
            served = (_logistic(bonus - own + margin) + _logistic(-bonus - own + margin)) / 2
            return -own * served

        peaks = (
            minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12})
            for bounds in ((0.05 * margin, 0.8 * margin), (1.2 * margin, 4 * margin))
        )
        return max(-float(peak.fun) for peak in peaks) - margin / 2

    return float(brentq(gain, 1.0, 4.0, xtol=1e-12))


class BargainThenRipoff(NamedTuple):
    """Price less cost in the first and in the second period, USD."""

    first: float
    second: float


def two_period_margins(
    loyalty_bonus: float, price_sensitivity: float = 1.0, discount: float = 1.0
) -> BargainThenRipoff:
    """Two equal firms and two periods: users are new in the first, and loyal to their first choice in the second.

    Second period as `myopic_symmetric_margin`. One more user is worth (2/3) sinh s / alpha there: sinh s at given
    prices, less a third because the rival, having fewer loyal users, asks less.
    source : Klemperer (1995), Review of Economic Studies 62(4), section 3, for the argument
    """
    second = myopic_symmetric_margin(loyalty_bonus, price_sensitivity)
    first = (2 - discount * 2 * math.sinh(loyalty_bonus) / 3) / price_sensitivity
    return BargainThenRipoff(first, second)
