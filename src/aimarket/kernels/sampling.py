"""Placeholder of the choice kernel until the branch `kernel` brings it."""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sample_offers(
    n, quality, latency, price, leaving, held, free, signs, tastes, uniform,
    offer_quality, delay, unit_price, appeal, free_allowed, provider, brand, order, outside, taste_unit, choice,
):
    offers = len(order)
    weights = np.empty(offers, np.float32)
    for i in range(n):
        top = np.float32(outside - leaving[i])
        s = 1 if signs[i] else 0
        for k in range(offers):
            j = order[k]
            own = held[i] >= 0 and provider[j] == held[i]
            u = quality[i] * offer_quality[j] - latency[i] * delay[j] + price[i] * unit_price[s, 0 if own else 1, j]
            u += taste_unit * np.float32(tastes[i, brand[j]]) + appeal[j]
            if held[i] >= 0 and not own:
                u -= leaving[i]
            if free[i] and not free_allowed[j]:
                u = np.float32(-np.inf)
            weights[k] = u
            top = max(top, u)
        choice[i] = -1
        if top == -np.inf:
            continue
        total = np.float32(0)
        for k in range(offers):
            total += np.float32(math.exp(weights[k] - top))
            weights[k] = total
        last = total
        total += np.float32(math.exp(outside - leaving[i] - top))
        mark = uniform[i] * total
        for k in range(offers):
            if weights[k] >= mark:
                choice[i] = order[k]
                break
