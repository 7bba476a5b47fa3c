"""Firms that choose quantities or capacities: Cournot, and capacity first, then price (Kreps and Scheinkman).

Inverse demand is linear throughout, price = intercept - slope * total quantity, with efficient rationing.
Sources: Tirole (1988), The Theory of Industrial Organization, ch. 5; Kreps and Scheinkman (1983), Bell Journal 14(2);
Davidson and Deneckere (1986), RAND Journal 17(3), for the mixed equilibrium.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CournotOutcome:
    """Price in USD; quantities (N,) in units, 0 for a firm whose cost exceeds the price; elasticity > 0 of demand."""

    price: float
    quantities: Floats
    shares: Floats
    lerner: Floats  # (N,) (p - c) / p
    profits: Floats  # (N,) USD
    hhi: float
    elasticity: float


def cournot(intercept: float, slope: float, marginal_costs: ArrayLike) -> CournotOutcome:
    """Cournot equilibrium with linear inverse demand and any constant marginal costs, (N,) USD.

    Price is (intercept + sum of active costs) / (active firms + 1); firms are added from the cheapest while they gain.
    Then sum(share * lerner) = HHI / elasticity exactly.
    raises : ValueError if slope is not above 0 or no firm can sell
    source : Cournot (1838); Cowling and Waterson (1976), Economica 43, for the identity
    """
    costs = np.asarray(marginal_costs, float)
    if slope <= 0 or costs.min() >= intercept:
        raise ValueError("slope must be above 0 and the lowest cost below the intercept")
    price = intercept
    for active, cost in enumerate(np.sort(costs), start=1):
        if cost >= price:
            break
        price = (intercept + np.sort(costs)[:active].sum()) / (active + 1)
    quantities = np.maximum(price - costs, 0.0) / slope
    shares = quantities / quantities.sum()
    return CournotOutcome(
        price=float(price),
        quantities=quantities,
        shares=shares,
        lerner=(price - costs) / price,
        profits=(price - costs) * quantities,
        hhi=float((shares**2).sum()),
        elasticity=float(price / (slope * quantities.sum())),
    )


@dataclass(frozen=True)
class CapacityPrices:
    """Prices once capacities are built. A mixed equilibrium has lowest < highest; a pure one has them equal."""

    lowest: float  # USD, foot of the Edgeworth cycle
    highest: float  # USD, its top
    mean_prices: Floats  # (2,) USD, mean price asked by each firm
    profits: Floats  # (2,) USD, expected
    is_mixed: bool


def capacity_then_price(
    capacities: tuple[float, float], intercept: float = 1.0, slope: float = 1.0, marginal_cost: float = 0.0
) -> CapacityPrices:
    """Price equilibrium of two firms with given capacities (units) and one marginal cost (USD).

    Small capacities, k_i <= R(k_j) with R the Cournot best reply at marginal_cost: both sell out at the clearing price.
    Capacity for the whole market each: price is cost. Between them prices are mixed on one interval; the larger firm
    earns what it would on demand left by the smaller, and asks the highest price with positive probability.
    raises : ValueError unless capacities and slope are above 0 and cost is below the intercept
    """
    if min(capacities) <= 0 or slope <= 0 or marginal_cost >= intercept:
        raise ValueError("capacities and slope must be above 0, and marginal cost below the intercept")
    built = np.asarray(capacities, float)
    competitive = (intercept - marginal_cost) / slope  # units sold at a price equal to cost
    if (built <= (competitive - built[::-1]) / 2).all():
        price = intercept - slope * float(built.sum())
        return _pure(price, (price - marginal_cost) * built)
    if built.min() >= competitive:
        return _pure(marginal_cost, np.zeros(2))
    return _mixed(built, intercept, slope, marginal_cost)


def _pure(price: float, profits: Floats) -> CapacityPrices:
    return CapacityPrices(price, price, np.full(2, price), profits, is_mixed=False)


def _mixed(built: Floats, intercept: float, slope: float, cost: float) -> CapacityPrices:
    large, small = float(built.max()), float(built.min())

    def sales(price: float, own: float, rival: float, undercut: bool) -> float:
        wanted = (intercept - price) / slope
        return min(own, wanted) if undercut else min(own, max(wanted - rival, 0.0))

    highest = (intercept - slope * small + cost) / 2
    large_profit = (highest - cost) ** 2 / slope
    lowest = cost + large_profit / large
    if large > (intercept - lowest) / slope:  # the large firm cannot sell its capacity even at the lowest price
        lowest = (intercept + cost) / 2 - math.sqrt(((intercept - cost) / 2) ** 2 - slope * large_profit)
    small_profit = (lowest - cost) * sales(lowest, small, large, undercut=True)

    def chance_below(price: float, own: float, rival: float, profit: float) -> float:
        """Chance that the rival asks less than `price`: it leaves the firm of capacity `own` indifferent."""
        first = (price - cost) * sales(price, own, rival, undercut=True)
        second = (price - cost) * sales(price, own, rival, undercut=False)
        return (first - profit) / (first - second)

    def mean(chance: Callable[[float], float]) -> float:
        return lowest + float(quad(lambda price: 1 - chance(price), lowest, highest, epsabs=1e-13, epsrel=1e-12)[0])

    mean_small = mean(lambda price: chance_below(price, large, small, large_profit))
    mean_large = mean(lambda price: chance_below(price, small, large, small_profit))
    large_first = bool(built[0] >= built[1])
    means, profits = np.array([mean_large, mean_small]), np.array([large_profit, small_profit])
    return CapacityPrices(
        lowest=lowest,
        highest=highest,
        mean_prices=means if large_first else means[::-1],
        profits=profits if large_first else profits[::-1],
        is_mixed=True,
    )


def edgeworth_cycle(
    capacities: tuple[float, float], tick: float, rounds: int, intercept: float = 1.0, slope: float = 1.0
) -> Floats:
    """(rounds,) USD: prices when two firms in turn set the price of highest profit against the other's last price.

    Prices move on a grid of `tick`; cost is 0, a tie splits the market, and the start is the highest price. Rivals
    undercut by a tick until one gains more from what the other cannot serve.
    source : Edgeworth (1925), The pure theory of monopoly; Maskin and Tirole (1988), Econometrica 56(3)
    """
    grid = tick * np.arange(1, round(intercept / tick))
    wanted = (intercept - grid) / slope
    prices, last = [], grid[-1]
    for turn in range(rounds):
        own, rival = capacities[turn % 2], capacities[1 - turn % 2]
        alone, residual = np.minimum(own, wanted), np.minimum(own, np.maximum(wanted - rival, 0.0))
        shared = np.minimum(own, np.maximum(wanted / 2, wanted - rival))
        below, above = grid < last - tick / 2, grid > last + tick / 2
        profit = grid * np.where(below, alone, np.where(above, residual, shared))
        last = grid[int(np.argmax(profit))]
        prices.append(last)
    return np.array(prices)
