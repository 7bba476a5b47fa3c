"""Who made unit cost fall? Exact attribution of a log change to its drivers: Shapley and LMDI.

Unit cost is a sum of parts (capital, energy) over common divisors (tokens per GPU-hour, utilisation):
c = sum_i part_i / prod_k divisor_k.
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def shapley_attribution(
    value: Callable[[Mapping[str, float]], float], before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, float]:
    """Change of `value` owed to each driver: its mean effect over all orders in which drivers could have changed.

    Contributions sum to value(after) - value(before) exactly; pass the log of cost to attribute a log change.

    value         : from a mapping of every driver to a number
    before, after : driver to its level; at most 16 drivers, for 2^n values are computed
    raises        : ValueError if the drivers differ or are too many
    source        : Shapley (1953); Shorrocks (2013), Journal of Economic Inequality 11(1)
    """
    drivers = tuple(before)
    if set(drivers) != set(after) or len(drivers) > 16:
        raise ValueError("before and after must name the same drivers, 16 at most")
    changed_values = {
        frozenset(changed): value({name: after[name] if name in changed else before[name] for name in drivers})
        for size in range(len(drivers) + 1)
        for changed in combinations(drivers, size)
    }
    attribution = {}
    for driver in drivers:
        total = 0.0
        for changed, base in changed_values.items():
            if driver not in changed:
                rest = len(drivers) - len(changed) - 1
                weight = factorial(len(changed)) * factorial(rest) / factorial(len(drivers))
                total += weight * (changed_values[changed | {driver}] - base)
        attribution[driver] = total
    return attribution


def logarithmic_mean(first: ArrayLike, second: ArrayLike) -> Floats:
    """(...) (x - y) / (ln x - ln y) of numbers above 0; x where equal."""
    x, y = np.broadcast_arrays(np.asarray(first, float), np.asarray(second, float))
    gap = np.log(x / y)
    near = np.abs(gap) < 1e-5  # where the quotient loses digits a series to second order is exact to rounding
    safe = np.where(near, 1.0, gap)
    return np.asarray(np.where(near, np.sqrt(x * y) * (1 + gap**2 / 24), (x - y) / safe))


def lmdi_attribution(before: ArrayLike, after: ArrayLike, *, normalised: bool = False) -> Floats:
    """(K,) log change of sum_i prod_k x_ik owed to each factor k, by the logarithmic mean Divisia index.

    Contribution of k: sum_i w_i ln(x_ik' / x_ik), where part c_i = prod_k x_ik has the weight
    LMDI-I                w_i = L(c_i', c_i) / L(c', c), the logarithmic mean L of parts over that of totals
    LMDI-II (normalised)  w_i = L(s_i', s_i) / sum_i L(s_i', s_i), with s_i = c_i / c
    Either way contributions sum to ln(c' / c) exactly. Only the weights of LMDI-II sum to 1, so that a factor common to
    all parts is owed the whole of its log change.

    before, after : (I, K) levels > 0, part by factor
    raises        : ValueError if shapes differ or a level is not above 0
    source        : Ang (2005), Energy Policy 33(7); Sato (1976) and Vartia (1976) for LMDI-II
    """
    old, new = np.asarray(before, float), np.asarray(after, float)
    if old.shape != new.shape or old.ndim != 2 or (old <= 0).any() or (new <= 0).any():
        raise ValueError("before and after must be matrices of one shape with levels above 0")
    old_parts, new_parts = old.prod(axis=1), new.prod(axis=1)
    if normalised:
        means = logarithmic_mean(new_parts / new_parts.sum(), old_parts / old_parts.sum())
        weights = means / means.sum()
    else:
        weights = logarithmic_mean(new_parts, old_parts) / logarithmic_mean(new_parts.sum(), old_parts.sum())
    return np.asarray(weights @ np.log(new / old))


def lmdi_unit_cost(
    parts_before: ArrayLike, parts_after: ArrayLike, divisors_before: ArrayLike, divisors_after: ArrayLike
) -> tuple[Floats, Floats]:
    """(P,) and (K,) log change of unit cost owed to each part and to each divisor, summing to ln(c' / c) exactly.

    Divisors act on all parts alike and are owed their whole log change; the change of the sum of parts is divided by
    LMDI-I, where a part's contribution is (part' - part) / L(total', total).

    parts    : (P,) USD per GPU-hour, > 0      divisors : (K,) any unit, > 0
    source   : Ang (2005), Energy Policy 33(7)
    """
    old, new = np.asarray(parts_before, float), np.asarray(parts_after, float)
    of_parts = (new - old) / logarithmic_mean(new.sum(), old.sum())
    return of_parts, -np.log(np.asarray(divisors_after, float) / np.asarray(divisors_before, float))
