"""Firms of given capacity that choose prices or quantities, one after the other, with the market's own price search.

The good is homogeneous and demand linear, P = intercept - slope Q: those who want it most buy first, from the cheapest
firm that has room. The running market is no place for this: there users who are turned away try again next month, not
next door, so a firm that prices finds no residual demand left by a full rival.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from aimarket.kernels.price_search import best_prices
from aimarket.kernels.rationing import merit_order, place_load
from aimarket.validation.objectives import profit_at_price, profit_at_quantity

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Game:
    """Plants, who owns them, and what is wanted; an owner asks one price and works the cheapest of his plants first."""

    capacity: Floats  # (P,) units; inf without limit
    cost: Floats  # (P,) USD a unit
    owner: Integers  # (P,) 0, 1, ..., F - 1
    intercept: float  # USD, price at which nobody buys
    slope: float  # USD a unit

    @property
    def firms(self) -> int:
        return int(self.owner.max()) + 1

    @cached_property
    def built(self) -> Floats:
        """(F,) units each firm can make, at most all that anybody wants for nothing."""
        wanted = self.intercept / self.slope
        return np.minimum(np.bincount(self.owner, np.minimum(self.capacity, wanted), self.firms), wanted)

    def wanted(self, price: float) -> float:
        """Units bought if all there is to buy costs that much."""
        return max(0.0, (self.intercept - price) / self.slope)

    @cached_property
    def plants(self) -> list[tuple[Floats, Floats]]:
        """Capacity, units, and cost, USD a unit, of the plants of each firm, the cheapest first."""
        room, order = np.minimum(self.capacity, self.intercept / self.slope), np.argsort(self.cost, kind="stable")
        owned = [order[self.owner[order] == firm] for firm in range(self.firms)]
        return [(room[plants], self.cost[plants]) for plants in owned]

    def outlay(self, firm: int, quantity: float) -> tuple[float, float]:
        """Cost of a quantity within capacity, USD, and of a unit of it at the dearest plant at work, USD a unit."""
        room, cost = self.plants[firm]
        if len(cost) == 1:
            return quantity * float(cost[0]), float(cost[0])
        work = merit_order(np.array([quantity]), room[:, None], cost)[:, 0]
        return float(work @ cost), float(cost[work > 0].max(initial=cost.min()))


def game(capacity: ArrayLike, cost: ArrayLike = 0.0, owner: ArrayLike | None = None, intercept: float = 1.0,
         slope: float = 1.0) -> Game:  # fmt: skip
    """A game of plants, each a firm of its own unless `owner` (P,) labels them otherwise.

    raises : ValueError unless capacities and slope are above 0 and some plant costs less than the intercept
    """
    room = np.atleast_1d(np.asarray(capacity, float))
    costs = np.broadcast_to(np.asarray(cost, float), room.shape)
    if (room <= 0).any() or slope <= 0 or costs.min() >= intercept:
        raise ValueError("capacities and slope must be above 0, and the lowest cost below the intercept")
    labels = np.arange(len(room)) if owner is None else np.unique(np.asarray(owner), return_inverse=True)[1]
    return Game(room, costs, np.asarray(labels, np.int64), intercept, slope)


def sales(of: Game, price: Floats) -> Floats:
    """(F,) units sold: from the cheapest firm to the dearest, each serves what it can of demand still unserved."""
    sold, built = np.zeros(len(price)), of.built
    for level in np.unique(price):
        tied = np.flatnonzero(price == level)
        left = max(0.0, of.wanted(float(level)) - sold.sum())
        placed = place_load(np.array([[[left]]]), np.array([[built[tied].sum()]]))
        sold[tied] = placed.busy.sum() * built[tied] / built[tied].sum()
    return sold


def profit_of(of: Game, firm: int, price: Floats) -> float:
    """USD at the prices of all firms."""
    sold = float(sales(of, price)[firm])
    return float(price[firm]) * sold - of.outlay(firm, sold)[0]


def best_reply(of: Game, firm: int, price: Floats, tick: float) -> float:
    """Most profitable price of one firm at the others' prices.

    Profit jumps where a rival is undercut, so each stretch between rivals' prices, a tick away from either, is searched
    on its own; meeting a rival's price is tried too. A firm that can earn nothing asks what keeps it out of a loss.
    """
    rivals, built = np.delete(price, firm), np.delete(of.built, firm)
    found = {}
    for level in np.unique(rivals):
        trial = price.copy()
        trial[firm] = level
        found[float(level)] = profit_of(of, firm, trial)
    edges = np.concatenate([[1e-3 * rivals.min(initial=of.intercept)], np.unique(rivals), [of.intercept]])
    for low, high in zip(edges[:-1] * (1 + tick), edges[1:] * (1 - tick), strict=True):
        if low >= high:
            continue
        profit = profit_at_price(of.intercept, of.slope, _served(of, rivals, built, low), *of.plants[firm])
        width = np.log(high / low) / 2
        floor, ceiling = np.array([low]), np.array([high])
        own = float(best_prices(profit, np.sqrt(floor * ceiling), floor, ceiling, np.linspace(-width, width, 201))[0])
        trial[firm] = own
        found[own] = profit_of(of, firm, trial)
    return max(found, key=lambda own: found[own])


def _served(of: Game, price: Floats, built: Floats, below: float) -> float:
    """Units that firms cheaper than `below` sell."""
    sold = 0.0
    for level in np.unique(price[price < below]):
        sold += min(float(built[price == level].sum()), max(0.0, of.wanted(float(level)) - sold))
    return sold


def price_path(of: Game, rounds: int, tick: float, start: float | Floats) -> Floats:
    """(rounds, F) USD: prices after each firm in turn has answered the others'.

    tick  : relative, least by which a rival is undercut
    start : USD, of all or of each
    """
    price = np.zeros(of.firms) + start
    path = []
    for _ in range(rounds):
        for firm in range(of.firms):
            price[firm] = best_reply(of, firm, price, tick)
        path.append(price.copy())
    return np.array(path)


def rest_price(of: Game, start: float) -> Floats:
    """(F,) USD: where prices come to rest as the least undercutting gets smaller and smaller."""
    price = np.full(of.firms, start)
    for tick in (1e-2, 1e-3, 1e-4, 1e-5):
        for _ in range(100):
            before, price = price, price_path(of, 1, tick, price)[-1]
            if np.abs(price - before).max() < 0.1 * tick * price.min():
                break
    return price


def edgeworth(of: Game, tick: float = 0.02, rounds: int = 90) -> tuple[float, float]:
    """Lowest and highest price of the cycle of firms that answer each other in turn."""
    path = price_path(of, rounds, tick, 0.7 * float(of.cost.min()) + 0.3 * of.intercept).ravel()
    jumps = np.flatnonzero(np.diff(path) > 3 * tick * of.intercept)
    if len(jumps) < 2:
        raise ValueError("prices do not cycle: capacities are too small or too large for it")
    return float(path[jumps[1:]].mean()), float(path[jumps[1:] + 1].max())


def mixed_mean_prices(of: Game, highest: float, points: int = 80) -> Floats:
    """(2,) USD: mean prices of the mixed equilibrium of two firms, on grids, up to the top of their cycle.

    The chances of a firm's prices are those that leave the other indifferent between all of its own, from the top of
    the cycle down to the price at which the larger firm earns as much by selling first. The grids lie half a step
    apart, so there are no ties; the top is on both, for the larger firm may ask it with a chance of its own.
    """
    large = int(np.argmax(of.built))

    def profit(firm: int, own: float, rival: float) -> float:
        return profit_of(of, firm, np.array([own, rival] if firm == 0 else [rival, own]))

    cost = float(of.cost.min())
    first = cost + 1e-6 * (highest - cost)
    lowest = brentq(
        lambda p: profit(large, p, highest) - profit(large, highest, p), first, highest - 1e-9 * (highest - cost)
    )
    others, step = np.linspace(lowest, highest, points, retstep=True)
    prices = np.minimum(others + step / 2, highest + 1e-9 * step)
    means = np.zeros(2)
    for firm in range(2):  # whose chances they are
        matrix, right = np.zeros((points + 1, points + 1)), np.zeros(points + 1)
        matrix[:points, :points] = [[profit(1 - firm, a, b) for b in prices] for a in others]
        matrix[:points, points], matrix[points, :points], right[points] = -1.0, 1.0, 1.0
        means[firm] = prices @ np.linalg.solve(matrix, right)[:points]
    return means


def cournot_quantities(of: Game, rounds: int = 200) -> Floats:
    """(F,) units: each firm in turn chooses the quantity of highest profit at the others', until all stay."""
    most = of.built
    quantity = np.minimum(of.intercept / of.slope / (2.0 * of.firms), most)
    for _ in range(rounds):
        before = quantity.copy()
        for firm in range(of.firms):
            others = float(quantity.sum() - quantity[firm])
            profit = profit_at_quantity(of.intercept, of.slope, others, *of.plants[firm])
            floor, ceiling = np.array([1e-9 * most[firm]]), most[[firm]]
            grid = np.linspace(-2.0, 2.0, 41)
            quantity[firm] = best_prices(profit, quantity[[firm]], floor, ceiling, grid)[0]
        if np.abs(quantity - before).max() < 1e-12 * quantity.sum():
            break
    return quantity
