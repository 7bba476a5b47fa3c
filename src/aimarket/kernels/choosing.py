"""Those who look around choose an offer or none, and sign what they sign."""

import math

import numpy as np
from numba import njit

from aimarket.kernels.counter import words
from aimarket.kernels.reviewing import patience_from, uniform_from
from aimarket.kernels.sampling import sample_offers
from aimarket.kernels.tables import ABANDONMENTS, LEFT, REVIEWS, Choosing, Flags, Floats, Integers, Reviewing, Singles, Users

@njit(nogil=True, cache=True)
def leaving_cost(tables: Choosing, s: int, tenure: float, depth: float) -> np.float32:
    """Cost of leaving a provider after some months with some workflows, utils; see `kernels.choice.switching_cost`."""
    grown = tables.maximum[s] * np.float32(math.expm1(-tenure / tables.horizon[s]))
    return tables.base[s] - grown + tables.per_log_depth[s] * np.float32(math.log1p(depth))


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
    n, brands = len(acting), users.tastes.shape[1]
    quality, latency, price = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    leaving, uniform = np.zeros(n, np.float32), np.empty(n, np.float32)
    held, choice = np.full(n, -1, np.int16), np.empty(n, np.int16)
    free, signs, routed = np.empty(n, np.bool_), np.empty(n, np.bool_), np.empty(n, np.bool_)
    tastes = np.empty((n, brands), np.int8)
    for k in range(n):
        i = acting[k]
        draw = words(reviewing.key, reviewing.step, np.uint64(first + i))
        uniform[k] = uniform_from(draw[0])
        if users.patience[i] <= 0:
            users.patience[i] = patience_from(draw[1])
        free[k] = users.free[i]
        routed[k] = not users.free[i] and users.router[i] < reviewing.multihoming[s]
        signs[k] = not users.free[i] and not routed[k] and tables.term[s] > 0
        quality[k], latency[k] = users.quality[i], users.latency[i]
        price[k] = np.float32(0) if users.free[i] else users.price[i]
        offer = users.offer[i]
        if offer >= 0 and reviewing.on_sale[offer]:
            held[k] = tables.provider[offer]
            if not routed[k]:
                leaving[k] = cost[i - start]
        for f in range(brands):
            tastes[k, f] = users.tastes[i, f]
    sample_offers(
        n, quality, latency, price, leaving, held, free, signs, tastes, uniform,
        tables.quality, tables.delay[s, r], tables.unit_price[s], tables.appeal, tables.free_allowed, tables.provider,
        tables.brand, tables.order, tables.outside[s], tables.taste_unit, choice,
    )  # fmt: skip
    for k in range(n):
        i, new = acting[k], choice[k]
        old = users.offer[i]
        by_stratum[REVIEWS] += 1
        stays = old >= 0 and new >= 0 and tables.provider[old] == tables.provider[new]
        if old >= 0 and not stays:
            users.tenure[i] *= tables.portability
            if not routed[k]:
                by_offer[old, LEFT] += 1
                if new < 0:
                    by_stratum[ABANDONMENTS] += 1
        if new < 0:
            users.tenure[i] = 0
        if new != old:
            users.surplus[i] = np.nan
        users.offer[i] = new
        users.due[i] = False
        users.contract_price[i], users.contract_left[i], users.commitment[i] = np.nan, 0, 0
        joined[i - start] = new >= 0 and not stays
        if joined[i - start]:
            cost[i - start] = leaving_cost(tables, s, users.tenure[i], users.depth[i])
        if signs[k] and new >= 0:
            kind = 0 if stays else 1
            users.contract_price[i] = tables.locked[kind, s, new]
            users.contract_left[i] = tables.term[s]
            users.commitment[i] = users.tasks[i] * users.depth[i] * tables.committed[kind, s, new]
