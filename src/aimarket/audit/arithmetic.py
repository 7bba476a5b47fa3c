"""What the laws reckon with: quotients, means and shares that may not exist, and the step before."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Quotient, nan where there is nothing to divide by."""
    over, under = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    some = np.abs(under) > 0
    return np.divide(over, under, out=np.full(under.shape, np.nan), where=some)


def mean(values: Floats, weights: Floats) -> Floats:
    """Mean along the last axis; what has no weight may be missing."""
    return ratio((np.where(weights > 0, values, 0.0) * weights).sum(-1), weights.sum(-1))


def share(quantity: Floats) -> Floats:
    """Shares of the sum along the last axis; zeros if that is zero."""
    total = quantity.sum(-1, keepdims=True)
    return np.where(total > 0, quantity / np.where(total > 0, total, 1.0), 0.0)


def last[Values: (Floats, Flags)](values: Values) -> Values:
    """(R, T, ...) as it was a step before; in the first step, whose past is not recorded, as it is."""
    return np.concatenate([values[:, :1], values[:, :-1]], axis=1)


def change(values: Floats) -> Floats:
    """From the step before; in the first step 0."""
    return values - last(values)


def after_first(values: Floats | Flags) -> Flags:
    """(R, T, ...) all steps but the first."""
    later = np.arange(values.shape[1]) > 0
    return np.broadcast_to(later.reshape(1, -1, *[1] * (values.ndim - 2)), values.shape)
