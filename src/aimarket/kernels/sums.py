"""Sums whose order never depends on how many terms are zero."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ordered_sum(values: Floats, axis: int = -1) -> Floats:
    """Sum along one axis, term after term from the first to the last.

    NumPy's own sum pairs terms by position, so a term of zero put in between changes the rounding of all the rest; here
    a firm nobody wants changes nothing, to the last bit.

    values  : (..., N, ...) float
    returns : (..., ...) float, the axis gone; zeros if it is empty
    """
    if values.shape[axis] == 0:
        return np.zeros(np.delete(values.shape, axis))
    return np.asarray(np.take(np.add.accumulate(values, axis=axis), -1, axis=axis))


def sums_without_each(values: Floats) -> Floats:
    """Sum of all rows but one, for each row: ordered sums of the rows before and after it; nothing is subtracted.

    values  : (N, K) float
    returns : (N, K) float
    """
    before, after = np.zeros_like(values), np.zeros_like(values)
    np.add.accumulate(values[:-1], axis=0, out=before[1:])
    np.add.accumulate(values[:0:-1], axis=0, out=after[-2::-1])
    return before + after
