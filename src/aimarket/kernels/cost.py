"""What a GPU-hour costs, and what moved the cost of a token."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb

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


def shapley_log_change(
    parts: Floats, previous_parts: Floats, divisors: Floats, previous_divisors: Floats
) -> tuple[Floats, Floats]:
    """The same by Shapley: each driver's mean effect over all orders in which drivers could have changed.

    The log of unit cost is the log of a sum less logs of divisors, so a divisor's effect is the same in every order
    and only the parts need their 2^P coalitions.

    returns : (..., P) and (..., D) float, log points; together they sum to the change in ln c
    source  : Shapley (1953); Shorrocks (2013), Journal of Economic Inequality 11(1)
    """
    count = parts.shape[-1]
    changed = (np.arange(2**count)[:, None] >> np.arange(count)) & 1  # (2^P, P)
    totals = parts @ changed.T + previous_parts @ (1 - changed).T  # (..., 2^P)
    # A coalition in which nothing costs anything has no log; a trillionth of the smaller total stands for it.
    least = 1e-12 * np.minimum(parts.sum(axis=-1), previous_parts.sum(axis=-1))
    value = np.log(np.maximum(totals, least[..., None]))
    size = changed.sum(axis=1)
    contributions = []
    for part in range(count):
        without = np.flatnonzero(changed[:, part] == 0)
        weight = 1 / (count * comb(count - 1, size[without]))
        contributions.append((value[..., without + 2**part] - value[..., without]) @ weight)
    return np.stack(contributions, axis=-1), -np.log(divisors / previous_divisors)


def attribute_mean_change(
    quantity: Floats, unit_cost: Floats, previous_quantity: Floats, previous_unit_cost: Floats, moved: Floats
) -> tuple[Floats, float]:
    """Exact attribution of the change in the log of mean unit cost over firms to the firms' drivers and to their mix.

    Firms that produce before and after are weighted as in LMDI-II, by logarithmic means of their shares of cost: the
    weights sum to 1, so a driver common to all is owed the whole of its log change. Shifts of share among them, entry
    and exit are the mix; the last two as the change of the share of cost that those who stay have.

    quantity, unit_cost and previous : (F,) float, 0 where a firm did not produce
    moved    : (F, K) float, log points, contributions to each firm's own change, which they sum to
    returns  : (K,) float and float, log points; together they sum to the change in the log of mean unit cost
    source   : Sato (1976), Vartia (1976); Ang (2005), Energy Policy 33(7); Feenstra (1994), AER 84(1), on new varieties
    """
    new = quantity / quantity.sum() * unit_cost
    old = previous_quantity / previous_quantity.sum() * previous_unit_cost
    stay = (quantity > 0) & (previous_quantity > 0)
    change = float(np.log(new.sum() / old.sum()))
    if not stay.any():
        return np.zeros(moved.shape[1]), change
    means = logarithmic_mean(new[stay] / new[stay].sum(), old[stay] / old[stay].sum())
    drivers = means / means.sum() @ moved[stay]
    # The drivers of those who stay move their own unit cost; whatever else moved the mean is shares, entry and exit.
    shares = np.log(quantity[stay] / quantity.sum()) - np.log(previous_quantity[stay] / previous_quantity.sum())
    staying = np.log(new[stay].sum() / new.sum()) - np.log(old[stay].sum() / old.sum())
    return drivers, float(means / means.sum() @ shares - staying)
