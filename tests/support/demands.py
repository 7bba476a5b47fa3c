"""Demands of a firm drawn at random."""

import numpy as np

from aimarket.kernels.effort import Response
from aimarket.kernels.profit import Demand


def make_demand(
    seed: int, users: int, offers: int, metric: str, capacity: float, kink: float, newcomers: bool = False
) -> Demand:
    """A panel with every mechanism on: holders of each offer and of none, locked in or free, at old prices near 1."""
    rng = np.random.default_rng(seed)
    groups = 4
    group = np.sort(rng.integers(0, groups, users))
    newcomer = rng.choice([False, True], groups) & newcomers
    shape = (groups, offers)
    current = np.where(newcomer[group], -1, rng.integers(-1, offers, users))
    weight, review, rest = rng.uniform(1, 1000, users), rng.choice([0.0, 1.0, 0.2], users), rng.normal(0, 1, users)
    size = rng.uniform(0.3, 3, users), rng.lognormal(0, 1, users) * rng.uniform(0.5, 4, users)
    utility = rng.normal(0, 1, (offers, users))
    of_offers = rng.uniform(0.5, 2, shape), rng.uniform(0, 3, shape), rng.uniform(0.7, 1.2, shape)
    of_groups = rng.uniform(0.1, 1, groups), rng.choice([0.0, 0.5, 2.0], groups), rng.uniform(0.8, 1, groups)
    foresight = rng.uniform(0, 1, groups)
    return Demand(
        first=np.searchsorted(group, np.arange(groups + 1)),
        current=current,
        users=np.array([weight, review, *size]),
        rest=rest,
        utility=utility,
        groups=np.array([*of_offers, *(np.repeat(x[:, None], offers, axis=1) for x in (*of_groups, foresight))]),
        newcomer=newcomer,
        response=Response(0.8, 0.9, 0.4),
        metric=metric,
        price_rise_review=3.0,
        previous_prices=np.full(offers, kink),
        hours=rng.uniform(0, 2, offers),
        capacity=capacity,
    )
