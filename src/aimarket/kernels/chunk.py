"""A step of one chunk of users, in blocks small enough to stay in cache from the first pass to the last."""

import numpy as np
from numba import njit

from aimarket.kernels.choosing import choose, costs_of_leaving
from aimarket.kernels.reviewing import count_held, hazards, who_acts
from aimarket.kernels.tables import (
    OFFER_COLUMNS,
    STRATUM_COLUMNS,
    Choosing,
    Floats,
    Integers,
    Reviewing,
    Users,
    Using,
)
from aimarket.kernels.using import begin_to_pay, count_use, deepen, use, use_under_contract, worth


@njit(nogil=True, cache=True)
def step_chunk(
    users: Users,
    reviewing: Reviewing,
    choosing: Choosing,
    using: Using,
    first: int,
    start: int,
    stop: int,
    bounds: Integers,
    regions: int,
    block: int,
) -> tuple[Floats, Floats]:
    """Adoption, review, choice, use and workflows of the rows start..stop; writes to these rows only.

    first   : number of the user in row 0
    bounds  : (G + 1,) int, row in which each stratum begins, by segment and then region
    block   : int, rows taken at a time; changes no number
    returns : (G, J, OFFER_COLUMNS) and (G, STRATUM_COLUMNS), see `kernels.tables`; added up row after row
    """
    strata, offers = len(bounds) - 1, len(choosing.provider)
    by_offer, by_stratum = np.zeros((strata, offers, OFFER_COLUMNS)), np.zeros((strata, STRATUM_COLUMNS))
    rows, place, joined = np.empty(block, np.int64), np.empty(block, np.uint16), np.empty(block, np.bool_)
    cost, surplus = np.empty(block, np.float32), np.empty(block, np.float32)
    for g in range(strata):
        here, end = max(start, bounds[g]), min(stop, bounds[g + 1])
        if here >= end:
            continue
        s, r = g // regions, g % regions
        counts, sums, share = by_offer[g], by_stratum[g], reviewing.multihoming[s]
        chances, offered = hazards(reviewing, s, r), worth(choosing, using, s, r)
        seen, used = np.zeros(4 * (offers + 1), np.int64), np.zeros((4 * (offers + 1), 3))
        for low in range(here, end, block):
            high = min(low + block, end)
            costs_of_leaving(choosing, s, users.tenure[low:high], users.depth[low:high], cost)
            joined[: high - low] = False
            n = who_acts(users, chances, share, low, high, place, seen, rows, sums)
            choose(users, reviewing, choosing, s, r, first, rows[:n], cost, low, high, joined, counts, sums)
            n = use(users, offered, share, low, high, cost, joined, place, surplus, rows, used, sums)
            use_under_contract(users, using, s, low, surplus, rows[:n], counts)
            deepen(users, using, s, low, high, surplus)
            if reviewing.conversion[s] > 0:
                begin_to_pay(users, reviewing, s, first, low, high, rows)
        count_held(seen, counts)
        count_use(used, counts)
    return by_offer, by_stratum
