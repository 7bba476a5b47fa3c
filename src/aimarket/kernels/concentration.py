"""Concentration of a market."""

import numpy as np
from numpy.typing import NDArray

from aimarket.kernels.sums import ordered_sum

Floats = NDArray[np.float64]


def shares(quantity: Floats) -> Floats:
    """Shares of the total; zeros if the total is zero."""
    total = float(ordered_sum(quantity))
    return quantity / total if total > 0 else np.zeros_like(quantity)


def herfindahl(share: Floats) -> float:
    """Herfindahl-Hirschman index of shares, 0 to 1. Source: Hirschman (1964), AER 54(5)."""
    return float(ordered_sum(share**2))


def concentration_ratio(share: Floats, firms: int = 4) -> float:
    """Share of the `firms` largest."""
    return float(ordered_sum(np.sort(share)[::-1][:firms]))
