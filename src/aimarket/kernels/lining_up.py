"""Those who choose, side by side: where they stand if they are most of a block, else gathered from it."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.counter import unit32, words
from aimarket.kernels.reviewing import is_routed
from aimarket.kernels.sampling import Choosers
from aimarket.kernels.tables import Bytes, Choosing, Column, Flags, Integers, Reviewing, Shorts, Singles, Users

_VECTORS = 64  # users that a loop takes in one go at most: what is left over would go one by one


class Candidates(NamedTuple):
    """Columns of n users, side by side."""

    row: Integers
    quality: Singles
    latency: Singles
    price: Singles
    router: Singles
    free: Flags
    offer: Shorts
    cost: Singles  # of leaving
    tastes: Bytes  # (F, m)
    from_row: np.uint64  # of tastes: where these users begin


@njit(nogil=True, cache=True)
def in_place(users: Users, start: int, stop: int, cost: Singles) -> Candidates:
    """Everybody from start to stop."""
    rows = slice(start, stop)
    return Candidates(
        np.arange(start, stop), users.quality[rows], users.latency[rows], users.price[rows], users.router[rows],
        users.free[rows], users.offer[rows], cost[: stop - start], users.tastes, np.uint64(start),
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _gather(column: Column, rows: Integers, some: Column) -> None:
    for k in range(len(rows)):
        some[k] = column[np.uint64(rows[k])]


@njit(nogil=True, cache=True)
def gathered(users: Users, rows: Integers, cost: Singles, start: int) -> Candidates:
    """Some rows, the last of them again and again up to a whole number of vectors.

    cost : (n,) float, utils of leaving, from the row `start` on
    """
    n, brands = -(-len(rows) // _VECTORS) * _VECTORS, len(users.tastes)
    padded, places = np.empty(n, np.int64), np.empty(n, np.int64)
    for k in range(n):
        padded[k] = rows[min(k, len(rows) - 1)]
        places[k] = padded[k] - start
    quality, latency, price = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    router, free, offer = np.empty(n, np.float32), np.empty(n, np.bool_), np.empty(n, np.int16)
    leaving, tastes = np.empty(n, np.float32), np.empty((brands, n), np.int8)
    _gather(users.quality, padded, quality)
    _gather(users.latency, padded, latency)
    _gather(users.price, padded, price)
    _gather(users.router, padded, router)
    _gather(users.free, padded, free)
    _gather(users.offer, padded, offer)
    _gather(cost, places, leaving)
    for brand in range(brands):
        _gather(users.tastes[brand], padded, tastes[brand])
    return Candidates(padded, quality, latency, price, router, free, offer, leaving, tastes, np.uint64(0))


@njit(nogil=True, cache=True)
def line_up(
    candidates: Candidates, reviewing: Reviewing, tables: Choosing, s: int, first: int
) -> tuple[Choosers, NDArray[np.uint64]]:
    """Candidates as the choice wants them, and a word for each, should a patience have run out."""
    rows, router, free, offer = candidates.row, candidates.router, candidates.free, candidates.offer
    posted, cost = candidates.price, candidates.cost
    n, share, contracts = len(rows), reviewing.multihoming[s], tables.term[s] > 0
    price, leaving, held = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.int16)
    signs, uniform = np.empty(n, np.bool_), np.empty(n, np.float32)
    waits = np.empty(n, np.uint64)
    provider = np.full(len(tables.provider) + 1, -1, np.int16)  # of what is on sale; none before the first offer
    for j in range(len(tables.provider)):
        provider[j + 1] = tables.provider[j] if reviewing.on_sale[j] else -1
    for k in range(n):
        held[k] = provider[np.uint16(offer[k] + 1)]
    for k in range(n):
        routed = is_routed(free[k], router[k], share)
        price[k] = np.float32(0) if free[k] else posted[k]
        leaving[k] = np.float32(0) if routed | (held[k] < 0) else cost[k]
        signs[k] = contracts & (not free[k]) & (not routed)
    key, step = reviewing.key, reviewing.step
    for k in range(n):
        draw = words(key, step, first + rows[k])
        uniform[k], waits[k] = unit32(draw[0]), draw[1]
    own = (candidates.quality, candidates.latency, price, leaving, held, free, signs)
    return Choosers(*own, candidates.tastes, candidates.from_row, uniform), waits
