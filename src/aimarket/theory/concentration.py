"""Concentration, and how much of it arises with no advantage at all."""

import math

import numpy as np
from numpy.typing import ArrayLike


def hhi(sizes: ArrayLike) -> float:
    """Herfindahl-Hirschman index, 1/N to 1 (times 10,000 for the competition authorities' scale).

    sizes  : (N,) >= 0, any unit
    raises : ValueError if a size is negative or all are 0
    source : Hirschman (1964), American Economic Review 54(5)
    """
    size = _checked(sizes)
    return float(((size / size.sum()) ** 2).sum())


def concentration_ratio(sizes: ArrayLike, firms: int = 4) -> float:
    """Share of the `firms` largest, CR4 by default; sizes (N,) >= 0."""
    size = _checked(sizes)
    return float(np.sort(size)[::-1][:firms].sum() / size.sum())


def _checked(sizes: ArrayLike) -> np.ndarray:
    size = np.asarray(sizes, float)
    if (size < 0).any() or not size.sum() > 0:
        raise ValueError("sizes must be 0 or more, and not all 0")
    return size


def gibrat_hhi_multiple(growth_sd: float, time: float) -> float:
    """N times HHI after `time` periods of independent growth, from equal sizes and in the limit of many firms.

    Log sizes are normal with variance sd^2 t, and E[x^2] / E[x]^2 = exp(sd^2 t) for a log-normal x.

    growth_sd : 1 per sqrt(period), standard deviation of log growth
    source    : Gibrat (1931), Les inegalites economiques; Sutton (1997), Journal of Economic Literature 35(1)
    """
    return math.exp(growth_sd**2 * time)
