"""Those who look around choose an offer or none, and sign what they sign."""

from typing import NamedTuple

import numpy as np
from numba import njit

from aimarket.kernels.counter import unit32, words
from aimarket.kernels.elementary import expm1, log1p
from aimarket.kernels.reviewing import is_routed, patience_from
from aimarket.kernels.sampling import Choosers, Menu, sample_offers
from aimarket.kernels.tables import (
    ABANDONMENTS,
    LEFT,
    REVIEWS,
    Bytes,
    Choosing,
    Column,
    Flags,
    Floats,
    Integers,
    Reviewing,
    Shorts,
    Singles,
    Users,
)

_MOST = 0.6  # where at least this share of users choose, it is faster to ask all where they stand than to gather those

_VECTORS = 64  # users that a loop takes in one go at most: what is left over would go one by one


@njit(nogil=True, cache=True)
def costs_of_leaving(tables: Choosing, s: int, tenure: Singles, depth: Singles, cost: Singles) -> None:
    """What leaving a provider costs users of one segment without a router; see `kernels.choice.switching_cost`.

    tenure, depth : (n,) float, months and workflows
    cost          : (n,) float, utils, written to
    """
    base, maximum, per_log_depth = tables.base[s], tables.maximum[s], tables.per_log_depth[s]
    horizon = tables.horizon[s]
    for i in range(len(tenure)):
        cost[i] = base - maximum * expm1(-tenure[i] / horizon) + per_log_depth * log1p(depth[i])


class _Candidates(NamedTuple):
    """Columns of n users, side by side."""

    row: Integers
    quality: Singles
    latency: Singles
    price: Singles
    router: Singles
    free: Flags
    offer: Shorts
    cost: Singles  # of leaving
    tastes: Bytes  # (F, n)


@njit(nogil=True, cache=True)
def choose(
    users: Users,
    reviewing: Reviewing,
    tables: Choosing,
    s: int,
    r: int,
    first: int,
    acting: Integers,
    cost: Singles,
    start: int,
    stop: int,
    joined: Flags,
    by_offer: Floats,
    by_stratum: Floats,
) -> None:
    """The rows in `acting`, of start..stop in one stratum, choose; their draws belong to the users `first` + row.

    cost   : (n,) float, utils, of leaving, from the row `start` on; those who move get their new one
    joined : (n,) bool, likewise; set for those who come from another provider or from none
    """
    if len(acting) == 0:
        return
    everybody = len(acting) >= _MOST * (stop - start)
    if everybody:
        candidates = _in_place(users, start, stop, cost)
    else:
        candidates = _gathered(users, acting, cost, start)
    menu = Menu(
        tables.quality, tables.delay[s, r], tables.unit_price[s], tables.appeal, tables.free_allowed, tables.provider,
        tables.brand, tables.order, tables.outside[s], tables.taste_step,
    )  # fmt: skip
    choosers, fresh = _choosers(candidates, reviewing, tables, s, first)
    choice = np.empty(len(choosers.free), np.int16)
    sample_offers(choosers, menu, choice)
    by_stratum[REVIEWS] += len(acting)
    if everybody:
        for k in range(len(acting)):  # rows ascend, so nothing is overwritten that is still to be read
            c = acting[k] - start
            choice[k], choosers.signs[k], fresh[k] = choice[c], choosers.signs[c], fresh[c]
    _renew(users, acting, fresh)
    _move(users, tables, s, acting, choice, reviewing.multihoming[s], cost, start, joined, by_offer, by_stratum)
    _sign(users, tables, s, acting, choice, choosers.signs, start, joined)


@njit(nogil=True, cache=True)
def _renew(users: Users, acting: Integers, fresh: Singles) -> None:
    """Whose patience has run out gets a fresh one."""
    patience, due = users.patience, users.due
    for k in range(len(acting)):
        i = acting[k]
        due[i] = False
        patience[i] = patience[i] if patience[i] > 0 else fresh[k]


@njit(nogil=True, cache=True)
def _move(
    users: Users,
    tables: Choosing,
    s: int,
    acting: Integers,
    choice: Shorts,
    share: float,
    cost: Singles,
    start: int,
    joined: Flags,
    by_offer: Floats,
    by_stratum: Floats,
) -> None:
    """Some users take another offer, or none from now on; the arguments are those of `choose`."""
    offer, surplus, tenure, depth = users.offer, users.surplus, users.tenure, users.depth
    free, router, provider = users.free, users.router, tables.provider
    base, maximum, per_log_depth = tables.base[s], tables.maximum[s], tables.per_log_depth[s]
    horizon, portability = tables.horizon[s], tables.portability
    for k in range(len(acting)):
        i, new = acting[k], choice[k]
        old = offer[i]
        if new == old:
            continue
        stays = old >= 0 and new >= 0 and provider[old] == provider[new]
        if old >= 0 and not stays and not is_routed(free[i], router[i], share):
            by_offer[old, LEFT] += 1
            by_stratum[ABANDONMENTS] += new < 0
        joined[i - start] = new >= 0 and not stays
        offer[i], surplus[i] = new, np.nan
        if new < 0:
            tenure[i] = 0
        elif not stays:
            tenure[i] *= portability
            cost[i - start] = base - maximum * expm1(-tenure[i] / horizon) + per_log_depth * log1p(depth[i])


@njit(nogil=True, cache=True)
def _sign(
    users: Users,
    tables: Choosing,
    s: int,
    acting: Integers,
    choice: Shorts,
    signs: Flags,
    start: int,
    joined: Flags,
) -> None:
    """Contracts of those who have chosen end, and some sign a new one with whatever they chose."""
    price, left, commitment, tasks, depth = (
        users.contract_price, users.contract_left, users.commitment, users.tasks, users.depth,
    )  # fmt: skip
    locked, committed, term = tables.locked, tables.committed, tables.term[s]
    for k in range(len(acting)):
        i, new = acting[k], choice[k]
        if signs[k] and new >= 0:
            kind = 1 if joined[i - start] else 0
            price[i], left[i] = locked[kind, s, new], term
            commitment[i] = tasks[i] * depth[i] * committed[kind, s, new]
        elif not np.isnan(price[i]):
            price[i], left[i], commitment[i] = np.nan, 0, 0


@njit(nogil=True, cache=True)
def _in_place(users: Users, start: int, stop: int, cost: Singles) -> _Candidates:
    """Everybody from start to stop."""
    rows = slice(start, stop)
    tastes = np.empty((len(users.tastes), stop - start), np.int8)
    for brand in range(len(tastes)):
        tastes[brand] = users.tastes[brand, rows]
    return _Candidates(
        np.arange(start, stop), users.quality[rows], users.latency[rows], users.price[rows], users.router[rows],
        users.free[rows], users.offer[rows], cost[: stop - start], tastes,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _gather(column: Column, rows: Integers, some: Column) -> None:
    for k in range(len(rows)):
        some[k] = column[np.uint64(rows[k])]


@njit(nogil=True, cache=True)
def _gathered(users: Users, rows: Integers, cost: Singles, start: int) -> _Candidates:
    """Some rows, the last of them again and again up to a whole number of vectors; costs are in `cost` from `start` on."""
    n, brands = -(-len(rows) // _VECTORS) * _VECTORS, len(users.tastes)
    padded = np.full(n, rows[-1])
    padded[: len(rows)] = rows
    quality, latency, price = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    router, free, offer = np.empty(n, np.float32), np.empty(n, np.bool_), np.empty(n, np.int16)
    leaving, tastes = np.empty(n, np.float32), np.empty((brands, n), np.int8)
    _gather(users.quality, padded, quality)
    _gather(users.latency, padded, latency)
    _gather(users.price, padded, price)
    _gather(users.router, padded, router)
    _gather(users.free, padded, free)
    _gather(users.offer, padded, offer)
    _gather(cost, padded - start, leaving)
    for brand in range(brands):
        _gather(users.tastes[brand], padded, tastes[brand])
    return _Candidates(padded, quality, latency, price, router, free, offer, leaving, tastes)


@njit(nogil=True, cache=True)
def _choosers(
    candidates: _Candidates, reviewing: Reviewing, tables: Choosing, s: int, first: int
) -> tuple[Choosers, Singles]:
    """Candidates as the choice wants them, and a patience for each, should the old one have run out."""
    rows, router, free, offer = candidates.row, candidates.router, candidates.free, candidates.offer
    posted, cost = candidates.price, candidates.cost
    n, share, contracts = len(rows), reviewing.multihoming[s], tables.term[s] > 0
    price, leaving, held = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.int16)
    signs, uniform = np.empty(n, np.bool_), np.empty(n, np.float32)
    waits, fresh = np.empty(n, np.uint64), np.empty(n, np.float32)
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
    for k in range(n):
        fresh[k] = patience_from(waits[k])
    own = (candidates.quality, candidates.latency, price, leaving, held, free, signs, candidates.tastes, uniform)
    return Choosers(*own), fresh
