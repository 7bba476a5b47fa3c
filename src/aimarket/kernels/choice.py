"""Discrete choice: utility of price, switching cost and logit shares; `sampling` draws from them."""

import numpy as np
from numpy.typing import NDArray

from aimarket.kernels.sums import ordered_sum

Floats = NDArray[np.float64]


def price_utility(price: Floats, sensitivity: Floats, metric: str, reference_price: float) -> Floats:
    """Utility of a price: -beta ln(p / reference) if `metric` is "log", -alpha p if "linear".

    price       : (...) float, USD/Mtok
    sensitivity : broadcastable to price, utils per log point, or utils per USD/Mtok
    returns     : (...) float, utils
    source      : log: Berry, Levinsohn and Pakes (1995) with income effects; linear: Train (2009), ch. 3
    """
    if metric == "log":
        return -sensitivity * np.log(price / reference_price)
    return -sensitivity * price


def price_utility_slope(price: Floats, sensitivity: Floats, metric: str) -> Floats:
    """Derivative of `price_utility` with respect to the log of the price, utils."""
    return np.broadcast_to(-sensitivity, price.shape) if metric == "log" else -sensitivity * price


def switching_cost(
    tenure: Floats, depth: Floats, base: Floats, maximum: Floats, horizon: Floats, per_log_depth: Floats
) -> Floats:
    """Cost of leaving a provider: grows with tenure and with workflow depth.

    tenure, horizon              : (U,) float, months
    depth                        : (U,) float, 1
    base, maximum, per_log_depth : (U,) float, utils
    returns                      : (U,) float, utils
    source                       : form ours; Farrell and Klemperer (2007), Handbook of Industrial Organization 3
    """
    return base - maximum * np.expm1(-tenure / horizon) + per_log_depth * np.log1p(depth)


def logit_shares(utility: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """Multinomial-logit choice probabilities and the inclusive value.

    utility : (U, J) float, utils   [user, offer]; -inf for an offer that cannot be had
    outside : (U,) float, utils     of the outside option; -inf where there is none
    returns : (U, J) float, 1 and (U,) float, utils; each row and the outside probability sum to 1
    raises  : ValueError            if somebody has nothing to choose from
    source  : Train (2009), Discrete Choice Methods with Simulation, ch. 3
    """
    top = np.maximum(utility.max(axis=1, initial=-np.inf), outside)
    if not np.isfinite(top).all():
        raise ValueError("a user has neither an offer nor an outside option of finite utility")
    weight = utility - top[:, None]
    np.exp(weight, out=weight)
    total = ordered_sum(weight) + np.exp(outside - top)
    weight /= total[:, None]
    return weight, np.log(total) + top
