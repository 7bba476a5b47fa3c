"""How use and spend answer a fall in price: constant elasticity, thinking tokens, the difficulty of tasks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def quantity_ratio(price_ratio: ArrayLike, elasticity: ArrayLike) -> Floats:
    """(...) new over old quantity when price is multiplied by price_ratio > 0, at a constant elasticity > 0."""
    return np.asarray(np.asarray(price_ratio, float) ** -np.asarray(elasticity, float))


def spend_ratio(price_ratio: ArrayLike, elasticity: ArrayLike) -> Floats:
    """(...) new over old spend: price_ratio ** (1 - elasticity). Spend rises as prices fall where elasticity > 1."""
    return np.asarray(np.asarray(price_ratio, float) * quantity_ratio(price_ratio, elasticity))


def thinking_tokens(
    value: ArrayLike,
    gain: ArrayLike,
    curvature: ArrayLike,
    price: ArrayLike,
    time_cost: ArrayLike = 0.0,
) -> Floats:
    """(...) tokens that maximise v (1 - A n^-b) - (p + w t) n, the worth of an answer less its cost.

    n* = (v A b / (p + w t))^(1 / (1 + b))

    value, gain, curvature : v in USD per task, A and b in (token^b, 1), > 0
    price                  : p, USD per token
    time_cost              : w t, USD per token: value of the user's time over the seconds that a token takes
    source                 : the first-order condition; quality of answers as a power law in test-time tokens
    """
    v, a, b, p, w = (np.asarray(number, float) for number in (value, gain, curvature, price, time_cost))
    return np.asarray((v * a * b / (p + w)) ** (1 / (1 + b)))


def thinking_token_elasticity(curvature: ArrayLike, price: ArrayLike = 1.0, time_cost: ArrayLike = 0.0) -> Floats:
    """(...) elasticity of tokens per task in the price of tokens: -(1 / (1 + b)) p / (p + w t), < 0."""
    b, p, w = (np.asarray(number, float) for number in (curvature, price, time_cost))
    return np.asarray(-p / (p + w) / (1 + b))


def tasks_worth_doing(value: ArrayLike, price: ArrayLike, exponent: float, scale: float = 1.0) -> Floats:
    """(...) tasks done when a task of difficulty d takes d units, is worth `value`, and the density of d is scale d^k.

    Those with d <= v / p are: scale (v / p)^(1 + k) / (1 + k). So the elasticity of use in price is -(1 + k) if each
    task takes equal tokens.

    exponent : k > -1
    raises   : ValueError if k <= -1: there would be infinitely many easy tasks
    """
    if exponent <= -1:
        raise ValueError("the exponent of the density must exceed -1")
    reach = np.asarray(value, float) / np.asarray(price, float)
    return np.asarray(scale * reach ** (1 + exponent) / (1 + exponent))
