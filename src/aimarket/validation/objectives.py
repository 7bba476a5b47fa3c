"""Textbook profits as the market's price search takes them: compiled, with slopes in the log of what is chosen."""

import numpy as np
from numba import cfunc, njit
from numpy.typing import NDArray

from aimarket.kernels.price_search import POINTED, Pointed

Floats = NDArray[np.float64]


def profit_at_price(intercept: float, slope: float, served: float, room: Floats, cost: Floats) -> Pointed:
    """Of a firm at a price above that of firms that have served some demand already; P = intercept - slope Q.

    served     : units
    room, cost : (P,) units and USD a unit of its plants, the cheapest first
    """
    return Pointed(_profit_at_price, np.concatenate([[intercept, slope, served], room, cost]))


def profit_at_quantity(intercept: float, slope: float, others: float, room: Floats, cost: Floats) -> Pointed:
    """Of a firm that makes some quantity while others make `others`, units; see `profit_at_price`."""
    return Pointed(_profit_at_quantity, np.concatenate([[intercept, slope, others], room, cost]))


def profit_at_worth(quality: float, spend: float, cost: float, others: float) -> Pointed:
    """Of a firm that sells some units, where users spend `spend`, USD, on the best ratio of quality to price.

    others : units of rivals, each times its quality
    """
    return Pointed(_profit_at_worth, np.array([quality, spend, cost, others]))


@njit
def _outlay(quantity: float, plants: Floats) -> tuple[float, float]:
    """Cost of a quantity, USD, and of a unit of it at the dearest plant at work; plants: room, then cost."""
    count = len(plants) // 2
    outlay, marginal, left = 0.0, plants[count], quantity
    for plant in range(count):
        work = min(left, plants[plant])
        if work > 0:
            outlay, marginal, left = outlay + work * plants[count + plant], plants[count + plant], left - work
    return outlay, marginal


@cfunc(POINTED, cache=True)
def _profit_at_price(chosen: Floats, known: Floats, found: Floats) -> None:
    price, slope, plants = chosen[0, 0], known[1], known[3:]
    count = len(plants) // 2
    capacity = plants[:count].sum()
    wanted = max(0.0, max(0.0, (known[0] - price) / slope) - known[2])
    sold = min(wanted, capacity)
    outlay, marginal = _outlay(sold, plants)
    lost = price * (price - marginal) / slope if 0 < wanted < capacity else 0.0
    found[0], found[1] = price * sold - outlay, price * sold - lost


@cfunc(POINTED, cache=True)
def _profit_at_quantity(chosen: Floats, known: Floats, found: Floats) -> None:
    quantity, slope = chosen[0, 0], known[1]
    price = known[0] - slope * (known[2] + quantity)
    outlay, marginal = _outlay(quantity, known[3:])
    found[0], found[1] = price * quantity - outlay, (price - slope * quantity - marginal) * quantity


@cfunc(POINTED, cache=True)
def _profit_at_worth(chosen: Floats, known: Floats, found: Floats) -> None:
    sold, quality, spend, cost, others = chosen[0, 0], known[0], known[1], known[2], known[3]
    total = others + quality * sold
    found[0] = quality * sold * spend / total - cost * sold
    found[1] = (quality * spend * others / total**2 - cost) * sold
