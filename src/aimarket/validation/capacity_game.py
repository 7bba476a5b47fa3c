"""Firms of given capacity that choose prices or quantities, one after the other, with the market's own price search.

The good is homogeneous and demand linear, P = intercept - Q: those who want it most buy first, from the cheapest firm
that has room. The running market is no place for this: there users who are turned away try again next month, not next
door, so a firm that prices finds no residual demand left by a full rival.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from aimarket.kernels.profit import best_prices
from aimarket.kernels.rationing import place_load

Floats = NDArray[np.float64]


def sales(price: Floats, capacity: Floats, intercept: float) -> Floats:
    """(F,) units sold: from the cheapest firm to the dearest, each serves what it can of demand still unserved."""
    sold = np.zeros(len(price))
    for level in np.unique(price):
        tied = np.flatnonzero(price == level)
        wanted = max(0.0, intercept - level - sold.sum())
        placed = place_load(np.array([[[wanted]]]), np.array([[capacity[tied].sum()]]))
        sold[tied] = placed.busy.sum() * capacity[tied] / capacity[tied].sum()
    return sold


def best_reply(firm: int, price: Floats, capacity: Floats, intercept: float, tick: float) -> float:
    """Most profitable price of one firm at the others' prices.

    Profit jumps where a rival is undercut, so each stretch between rivals' prices, a tick away from either, is searched
    on its own; meeting a rival's price is tried too.
    """
    rivals = np.delete(price, firm)
    reachable = np.delete(capacity, firm)
    found = {}
    for level in np.unique(rivals):
        trial = price.copy()
        trial[firm] = level
        found[float(level)] = float(level * sales(trial, capacity, intercept)[firm])
    edges = np.concatenate([[1e-3 * rivals.min()], np.unique(rivals), [intercept]])
    for low, high in zip(edges[:-1] * (1 + tick), edges[1:] * (1 - tick), strict=True):
        if low >= high:
            continue
        cheaper = rivals < low
        served = sales(rivals[cheaper], reachable[cheaper], intercept).sum()
        profit = _ProfitAbove(float(served), float(capacity[firm]), intercept)
        width = np.log(high / low) / 2
        floor, ceiling = np.array([low]), np.array([high])
        own = float(best_prices(profit, np.sqrt(floor * ceiling), floor, ceiling, np.linspace(-width, width, 201))[0])
        found[own] = profit(np.array([own]))[0]
    return max(found, key=lambda own: found[own])


class _ProfitAbove:
    """Profit of a firm at a price above that of firms that have served some demand already, and its slope in logs."""

    def __init__(self, served: float, capacity: float, intercept: float) -> None:
        self.served, self.capacity, self.intercept = served, capacity, intercept

    def __call__(self, own: Floats) -> tuple[float, Floats]:
        price = float(own[0])
        wanted = max(0.0, self.intercept - price - self.served)
        placed = place_load(np.array([[[wanted]]]), np.array([[self.capacity]]))
        sold = float(placed.busy[0, 0, 0])
        return price * sold, np.array([price * sold - (price * price if 0 < wanted < self.capacity else 0.0)])


def price_path(capacity: Floats, intercept: float, rounds: int, tick: float, start: float | Floats) -> Floats:
    """(rounds, F) USD: prices after each firm in turn has answered the others'.

    tick  : relative, least by which a rival is undercut
    start : USD, of all or of each
    """
    price = np.full(len(capacity), 0.0) + start
    path = []
    for _ in range(rounds):
        for firm in range(len(price)):
            price[firm] = best_reply(firm, price, capacity, intercept, tick)
        path.append(price.copy())
    return np.array(path)


def rest_price(capacity: Floats, intercept: float, start: float) -> Floats:
    """(F,) USD: where prices come to rest as the least undercutting gets smaller and smaller."""
    price = np.full(len(capacity), start)
    for tick in (1e-2, 1e-3, 1e-4, 1e-5):
        for _ in range(100):
            before, price = price, price_path(capacity, intercept, 1, tick, price)[-1]
            if np.abs(price - before).max() < 0.1 * tick * price.min():
                break
    return price


def edgeworth(capacity: float, intercept: float, tick: float = 0.02) -> tuple[float, float]:
    """Lowest and highest price of the cycle of two firms of equal capacity, each answering the other in turn."""
    both = np.full(2, capacity)
    path = price_path(both, intercept, 90, tick, 0.3 * intercept).ravel()
    jumps = np.flatnonzero(np.diff(path) > 0.1 * intercept * tick)
    if len(jumps) < 2:
        raise ValueError("prices do not cycle: capacities are too small or too large for it")
    return float(path[jumps[1:]].mean()), float(path[jumps[1:] + 1].mean())


def mixed_mean_price(capacity: float, intercept: float, highest: float, points: int = 80) -> float:
    """USD: mean price of the mixed equilibrium of two firms of equal capacity, on a grid.

    The chances of one firm's prices are those that leave the other indifferent between all of its own, from the top of
    the cycle down to the price at which selling out earns as much. The two grids lie half a step apart: no ties.
    """
    both = np.full(2, capacity)

    def profit(own: float, rival: float) -> float:
        return own * float(sales(np.array([own, rival]), both, intercept)[0])

    lowest = brentq(lambda p: profit(p, highest) - profit(highest, p), 1e-6 * intercept, highest * (1 - 1e-9))
    own, step = np.linspace(lowest, highest, points, retstep=True)
    rival = own + step / 2
    matrix, right = np.zeros((points + 1, points + 1)), np.zeros(points + 1)
    matrix[:points, :points] = [[profit(a, b) for b in rival] for a in own]
    matrix[:points, points], matrix[points, :points], right[points] = -1.0, 1.0, 1.0
    chances = np.linalg.solve(matrix, right)[:points]
    return float(rival @ chances)


def cournot_quantities(costs: Floats, intercept: float, rounds: int = 200) -> Floats:
    """(F,) units: each firm in turn chooses the quantity of highest profit at the others', until all stay."""
    quantity = np.full(len(costs), intercept / (2.0 * len(costs)))
    for _ in range(rounds):
        before = quantity.copy()
        for firm, cost in enumerate(costs):
            others = quantity.sum() - quantity[firm]

            def profit(own: Floats, others: float = others, cost: float = float(cost)) -> tuple[float, Floats]:
                margin = intercept - others - own[0] - cost
                return float(margin * own[0]), np.array([(margin - own[0]) * own[0]])

            floor, ceiling = np.array([1e-9 * intercept]), np.array([intercept])
            grid = np.linspace(-2.0, 2.0, 41)
            quantity[firm] = best_prices(profit, quantity[[firm]], floor, ceiling, grid)[0]
        if np.abs(quantity - before).max() < 1e-12 * intercept:
            break
    return quantity
