"""Usage: how many tasks (extensive margin) and how much thinking a task gets (intensive margin)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def tasks(
    tasks_at_reference: Floats, depth: Floats, price: Floats, reference_price: float, elasticity: float
) -> Floats:
    """Tasks a month: proportional to workflow depth and to price to the power of -elasticity.

    tasks_at_reference : (U,) float, tasks/month at depth 1
    price              : (U,) float, USD/Mtok
    returns            : (U,) float, tasks/month
    """
    return tasks_at_reference * depth * (price / reference_price) ** -elasticity


def thinking_tokens(
    tokens_at_reference: Floats, price: Floats, reference_price: float, time_price: Floats, curvature: float
) -> Floats:
    """Thinking tokens a task that maximise v(1 - A n^-b) - (p + w s) n: n* = (v A b / (p + w s))^(1/(1+b)).

    v A b is fixed by `tokens_at_reference`, the tokens chosen at the reference price when waiting is free.

    tokens_at_reference : (U,) float, Mtok/task
    price, time_price   : (U,) float, USD/Mtok; time_price is the value of the seconds a Mtok takes (w s)
    curvature           : float, 1    b, curvature of quality in thinking tokens
    returns             : (U,) float, Mtok/task
    """
    return tokens_at_reference * (reference_price / (price + time_price)) ** (1 / (1 + curvature))


def thinking_elasticity(price: Floats, time_price: Floats, curvature: float) -> Floats:
    """Elasticity of thinking tokens a task to the price of a token: -1/(1+b) when waiting is free, nearer 0 if not."""
    return -price / (price + time_price) / (1 + curvature)
