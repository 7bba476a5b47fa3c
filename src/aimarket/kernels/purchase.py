"""What the size of an order is worth, and how large an order a purse can pay."""

import numpy as np
from numpy.typing import NDArray


def volume_effect[Quantity: (float, NDArray[np.float64])](quantity: Quantity, scale: float) -> Quantity:
    """Share of the advantages of a very large order that an order has: 0 for none, 1/2 at `scale`, towards 1.

    quantity : (...) float, GPU/month, >= 0
    scale    : float, GPU/month, > 0
    returns  : (...) float, 1
    """
    return quantity / (quantity + scale)


def order_cost(quantity: float, price: float, discount: float, scale: float) -> float:
    """Cost of an order with a discount that grows with its size, USD; arguments as in `affordable_quantity`."""
    return quantity * price * (1 - discount * volume_effect(quantity, scale))


def affordable_quantity(money: float, price: float, discount: float, scale: float) -> float:
    """The order q that takes all the money: q · price · (1 − discount · q/(q + scale)) = money.

    money    : float, USD, >= 0
    price    : float, USD/GPU, > 0
    discount : float, 1, below 1
    scale    : float, GPU, > 0
    returns  : float, GPU: the positive root of (1 − discount) q² + (scale − m) q − m scale = 0, m = money/price
    """
    m = money / price
    if m == 0:
        return 0.0
    half = (scale - m) / 2
    root = np.hypot(half, np.sqrt((1 - discount) * m * scale))
    # Of the two forms of the root the one that subtracts nothing from its like keeps its digits.
    return float(m * scale / (root + half) if half > 0 else (root - half) / (1 - discount))
