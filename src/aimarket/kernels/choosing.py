"""Those who look around choose an offer or none, and sign what they sign."""

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
    Choosing,
    Flags,
    Floats,
    Integers,
    Reviewing,
    Singles,
    Users,
)


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
    joined: Flags,
    by_offer: Floats,
    by_stratum: Floats,
) -> None:
    """The rows in `acting`, of one stratum, choose; their draws belong to the users `first` + row.

    cost   : (n,) float, utils, of leaving, from the row `start` on; those who move get their new one
    joined : (n,) bool, likewise; set for those who come from another provider or from none
    """
    choosers, choice = (
        _choosers(users, reviewing, tables, s, first, acting, cost, start),
        np.empty(len(acting), np.int16),
    )
    menu = Menu(
        tables.quality, tables.delay[s, r], tables.unit_price[s], tables.appeal, tables.free_allowed, tables.provider,
        tables.brand, tables.order, tables.outside[s], tables.taste_step,
    )  # fmt: skip
    sample_offers(choosers, menu, choice)
    share = reviewing.multihoming[s]
    for k in range(len(acting)):
        i, new = acting[k], choice[k]
        old = users.offer[i]
        stays = old >= 0 and new >= 0 and tables.provider[old] == tables.provider[new]
        by_stratum[REVIEWS] += 1
        if old >= 0 and not stays and not is_routed(users.free[i], users.router[i], share):
            by_offer[old, LEFT] += 1
            by_stratum[ABANDONMENTS] += new < 0
        joined[i - start] = new >= 0 and not stays
        if new != old:
            users.surplus[i] = np.nan
        if new < 0:
            users.tenure[i] = 0
        elif not stays:
            users.tenure[i] *= tables.portability
            grown = tables.maximum[s] * expm1(-users.tenure[i] / tables.horizon[s])
            cost[i - start] = tables.base[s] - grown + tables.per_log_depth[s] * log1p(users.depth[i])
        users.offer[i], users.due[i] = new, False
        users.contract_price[i], users.contract_left[i], users.commitment[i] = np.nan, 0, 0
        if choosers.signs[k] and new >= 0:
            kind = 0 if stays else 1
            users.contract_price[i], users.contract_left[i] = tables.locked[kind, s, new], tables.term[s]
            users.commitment[i] = users.tasks[i] * users.depth[i] * tables.committed[kind, s, new]


@njit(nogil=True, cache=True)
def _choosers(
    users: Users,
    reviewing: Reviewing,
    tables: Choosing,
    s: int,
    first: int,
    acting: Integers,
    cost: Singles,
    start: int,
) -> Choosers:
    """Those who choose, side by side, with their draws."""
    n, brands = len(acting), users.tastes.shape[1]
    quality, latency, price = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    leaving, held = np.zeros(n, np.float32), np.full(n, -1, np.int16)
    free, signs, uniform = np.empty(n, np.bool_), np.empty(n, np.bool_), np.empty(n, np.float32)
    tastes = np.empty((brands, n), np.int8)
    for k in range(n):
        i = acting[k]
        routed, offer = is_routed(users.free[i], users.router[i], reviewing.multihoming[s]), users.offer[i]
        quality[k], latency[k], free[k] = users.quality[i], users.latency[i], users.free[i]
        price[k] = np.float32(0) if free[k] else users.price[i]
        signs[k] = tables.term[s] > 0 and not free[k] and not routed
        if offer >= 0 and reviewing.on_sale[offer]:
            held[k] = tables.provider[offer]
            leaving[k] = np.float32(0) if routed else cost[i - start]
    for brand in range(brands):
        for k in range(n):
            tastes[brand, k] = users.tastes[acting[k], brand]
    key, step, waits = reviewing.key, reviewing.step, np.empty(n, np.uint64)
    for k in range(n):
        draw = words(key, step, first + acting[k])
        uniform[k], waits[k] = unit32(draw[0]), draw[1]
    for k in range(n):
        if users.patience[acting[k]] <= 0:
            users.patience[acting[k]] = patience_from(waits[k])
    return Choosers(quality, latency, price, leaving, held, free, signs, tastes, uniform)
