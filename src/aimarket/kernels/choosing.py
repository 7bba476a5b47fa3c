"""Those who look around choose an offer or none, and sign what they sign."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import expm1, log1p
from aimarket.kernels.lining_up import gathered, in_place, line_up
from aimarket.kernels.reviewing import is_routed, patience_from
from aimarket.kernels.sampling import Menu, sample_offers
from aimarket.kernels.tables import (
    ABANDONMENTS,
    LEFT,
    REVIEWS,
    Choosing,
    Flags,
    Floats,
    Integers,
    Reviewing,
    Shorts,
    Singles,
    Users,
)

_MOST = 0.6  # where at least this share of users choose, it is faster to ask all where they stand than to gather those


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


@njit(nogil=True, cache=True, inline="always")  # into the step: all it calls is compiled once less
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
    candidates = in_place(users, start, stop, cost) if everybody else gathered(users, acting, cost, start)
    menu = Menu(
        tables.quality, tables.delay[s, r], tables.unit_price[s], tables.appeal, tables.free_allowed, tables.provider,
        tables.brand, tables.order, tables.outside[s], tables.taste_step,
    )  # fmt: skip
    choosers, waits = line_up(candidates, reviewing, tables, s, first)
    choice = np.empty(len(choosers.free), np.int16)
    sample_offers(choosers, menu, choice)
    by_stratum[REVIEWS] += len(acting)
    if everybody and len(acting) < stop - start:
        for k in range(len(acting)):  # rows ascend, so nothing is overwritten that is still to be read
            c = acting[k] - start
            choice[k], choosers.signs[k], waits[k] = choice[c], choosers.signs[c], waits[c]
    _renew(users, acting, waits)
    _move(users, tables, s, acting, choice, reviewing.multihoming[s], cost, start, joined, by_offer, by_stratum)
    _sign(users, tables, s, acting, choice, choosers.signs, start, joined)


@njit(nogil=True, cache=True)
def _renew(users: Users, acting: Integers, waits: NDArray[np.uint64]) -> None:
    """Whose patience has run out draws anew: `waits` are the words for it, and are written over."""
    patience, due, over, count = users.patience, users.due, np.empty(len(acting), np.int64), 0
    for k in range(len(acting)):
        i = acting[k]
        due[i] = False
        over[count], waits[count] = i, waits[k]
        count += patience[i] <= 0
    fresh = np.empty(count, np.float32)
    for k in range(count):
        fresh[k] = patience_from(waits[k])
    for k in range(count):
        patience[over[k]] = fresh[k]


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
