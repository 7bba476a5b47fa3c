"""What a quasi-Newton search makes of the curvature of a hill in a handful of directions, compiled; see `price_search`.

Source: Nocedal and Wright (2006), Numerical Optimization, 2nd ed., sections 3.4 (modified Newton) and 6.2 (SR1).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
compiled = njit(nogil=True, cache=True, error_model="numpy")

_TINY = 1e-300
_UPRIGHT = 1e-8  # least cosine between a step and what it taught, for that to be believed


@compiled
def dot(one: Floats, other: Floats) -> float:
    """Sum of products, term after term."""
    total = 0.0
    for m in range(len(one)):
        total += one[m] * other[m]
    return total


@compiled
def ascent(curvature: Floats, slope: Floats, free: Flags) -> Floats:
    """Newton's step in the free directions, 0 in others; where the hill curves upwards, as if it did so downwards.

    curvature : (n, n) float, second derivatives
    slope     : (n,) float
    free      : (n,) bool, of which at least one is set
    returns   : (n,) float
    """
    which = np.flatnonzero(free)
    count, largest = len(which), 0.0
    hill, step = np.empty((count, count)), np.empty(count)
    for i in range(count):
        step[i] = slope[which[i]]
        for j in range(count):
            hill[i, j] = -curvature[which[i], which[j]]
        largest = max(largest, abs(hill[i, i]))
    least = max(1e-12 * largest, _TINY)
    for i in range(count):  # Gauss, without exchange of rows: pivots are made positive instead
        hill[i, i] = max(abs(hill[i, i]), least)
        for j in range(i + 1, count):
            ratio = hill[j, i] / hill[i, i]
            for n in range(i, count):
                hill[j, n] -= ratio * hill[i, n]
            step[j] -= ratio * step[i]
    found = np.zeros(len(slope))
    for i in range(count - 1, -1, -1):
        step[i] = (step[i] - dot(hill[i, i + 1 :], step[i + 1 :])) / hill[i, i]
        found[which[i]] = step[i]
    return found


@compiled
def learn(curvature: Floats, step: Floats, slope: Floats, before: Floats) -> None:
    """Curvature, (n, n), learns from a step how the slope changed along it (symmetric rank one)."""
    missed = np.empty(len(step))
    for m in range(len(step)):
        missed[m] = slope[m] - before[m] - dot(curvature[m], step)
    size = dot(missed, step)
    if abs(size) > _UPRIGHT * np.sqrt(dot(missed, missed) * dot(step, step)):
        for m in range(len(step)):
            for n in range(len(step)):
                curvature[m, n] += missed[m] * missed[n] / size
