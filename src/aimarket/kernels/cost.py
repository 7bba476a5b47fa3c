"""What a GPU-hour costs, and what moved the cost of a token."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def capital_recovery(discount_rate: float, years: float) -> float:
    """Yearly payment that repays 1 with interest over `years`: the Jorgenson rental of an asset of constant service.

    discount_rate : float, 1/year
    returns       : float, 1/year
    source        : Jorgenson (1963), AER 53(2); annuity form
    """
    return discount_rate / -np.expm1(-years * np.log1p(discount_rate)) if discount_rate > 0 else 1 / years


def logarithmic_mean(first: ArrayLike, second: ArrayLike) -> Floats:
    """Logarithmic mean (x - y)/(ln x - ln y), x where both agree, 0 where either is 0.

    source : Carlson (1972), American Mathematical Monthly 79
    """
    x, y = np.broadcast_arrays(np.asarray(first, float), np.asarray(second, float))
    positive = (x > 0) & (y > 0)
    a, b = np.where(positive, x, 1.0), np.where(positive, y, 1.0)
    gap = np.log(a / b)
    # Close together the quotient loses digits; x sinh(h)/h with h half the log gap is the same thing without the loss.
    half = gap / 2
    shape = np.where(np.abs(half) < 1e-4, 1 + half**2 / 6, np.sinh(half) / np.where(half == 0, 1.0, half))
    return np.where(positive, np.sqrt(a * b) * shape, 0.0)


def attribute_log_change(
    parts: Floats, previous_parts: Floats, divisors: Floats, previous_divisors: Floats
) -> tuple[Floats, Floats]:
    """Exact attribution of the change in log unit cost c = sum(parts) / product(divisors) by LMDI-I.

    parts    : (..., P) float, USD/GPU-hour    e.g. capital and hosting, energy
    divisors : (..., D) float, any             e.g. hardware, software, utilisation
    returns  : (..., P) and (..., D) float, log points; together they sum to the change in ln c
    source   : Ang (2005), Energy Policy 33(7)
    """
    # L(x, y) ln(x / y) = x - y, so the LMDI weight times the log change of a part is its change over L of the totals:
    # exact, and defined for a part that is or becomes zero. Divisors act on all parts alike and need no weights.
    total_mean = logarithmic_mean(parts.sum(axis=-1), previous_parts.sum(axis=-1))
    return (parts - previous_parts) / total_mean[..., None], -np.log(divisors / previous_divisors)
