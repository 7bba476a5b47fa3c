"""Sums whose order never depends on how many terms are zero."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MANY = 4096  # numbers: from here on it is faster to add term by term than to cumulate; the additions are the same


def ordered_sum(values: Floats, axis: int = -1) -> Floats:
    """Sum along one axis, term after term from the first to the last.

    NumPy's own sum pairs terms by position, so a term of zero put in between changes the rounding of all the rest; here
    a firm nobody wants changes nothing, to the last bit.

    values  : (..., N, ...) float
    returns : (..., ...) float, the axis gone; zeros if it is empty
    """
    if values.shape[axis] == 0:
        return np.zeros(np.delete(values.shape, axis))
    if values.ndim == 1:
        return np.asarray(np.add.accumulate(values)[-1])
    if values.size < _MANY:
        return np.asarray(_term(np.add.accumulate(values, axis=axis), axis, -1))
    total = _term(values, axis, 0).copy()
    for i in range(1, values.shape[axis]):
        total += _term(values, axis, i)
    return total


def _term(values: Floats, axis: int, i: int) -> Floats:
    index: tuple[slice | int, ...] = (*(slice(None),) * (axis % values.ndim), i)
    return values[index]


def sums_without_each(values: Floats) -> Floats:
    """Sum of all rows but one, for each row: ordered sums of the rows before and after it; nothing is subtracted.

    values  : (N, K) float
    returns : (N, K) float
    """
    before, after = np.zeros_like(values), np.zeros_like(values)
    for row in range(1, len(values)):
        np.add(before[row - 1], values[row - 1], out=before[row])
        np.add(after[-row], values[-row], out=after[-row - 1])
    return before + after
