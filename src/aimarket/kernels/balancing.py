"""Balancing load: it moves from region to region until nobody's answer would come sooner elsewhere."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aimarket.kernels.rationing import Placement

Floats = NDArray[np.float64]

_SWEEPS = 2  # over all pairs of regions; a later one mends what later pairs undid
_OUT_AND_IN = np.array([-1.0, 1.0])[:, None]
_GUESSES = 2  # by false position; one is enough where the time of an answer is linear in work


def balance_load(
    placed: Placement, load: Floats, capacity: Floats, delay: Floats, answer_time: Callable[[Floats, list[int]], Floats]
) -> Placement:
    """Send load from home to where travel and answer together take less time, hour by hour.

    Pair after pair of regions, nearest first, load leaves home while the other side answers sooner and has room, or
    comes back: towards the equilibrium of Wardrop (1952), in which no request gains by going elsewhere. What was turned
    away stays turned away. Load is conserved.

    placed      : what fits at home, and overflow; see `place_load`
    load        : (F, R, H) float, GPU   work arriving by provider, region and hour
    capacity    : (F, R) float, GPU      work that may be done at once
    delay       : (R, R) float, s, there and back
    answer_time : from work done (F, 2, H) in two regions, and which, to what an answer takes there, s, rising in work
    returns     : Placement
    """
    regions = len(delay)
    if regions == 1:
        return placed
    flow = load[:, :, None, :] * placed.served[:, :, None, :] * placed.abroad  # (F, R, R, H)
    home = load * placed.served - flow.sum(axis=2)
    busy = placed.busy.copy()
    pairs = sorted((delay[i, k], i, k) for i in range(regions) for k in range(regions) if i != k)
    for _ in range(_SWEEPS):
        for way, i, k in pairs:
            extra = way - delay[i, i]

            both = [i, k]
            worked, room = busy[:, both], np.maximum(capacity[:, both, None] - busy[:, both], 0.0)

            def gain(moved: Floats, worked: Floats = worked, both: list[int] = both, extra: float = extra) -> Floats:
                time = answer_time(worked + moved[:, None] * _OUT_AND_IN, both)
                return time[:, 0] - time[:, 1] - extra

            moved = _root(gain, -np.minimum(flow[:, i, k], room[:, 0]), np.minimum(home[:, i], room[:, 1]))
            home[:, i] -= moved
            flow[:, i, k] += moved
            busy[:, both] += moved[:, None] * _OUT_AND_IN
    total = home + flow.sum(axis=2)
    share = np.divide(flow, total[:, :, None], out=np.zeros_like(flow), where=total[:, :, None] > 0)
    # What rounding leaves of load that came and went may be more than a region can do that has next to no GPUs.
    busy = np.clip(busy, 0.0, np.maximum(capacity[:, :, None], placed.busy))
    return Placement(served=placed.served, busy=busy, abroad=np.clip(share, 0.0, 1.0))


def _root(falling: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where a falling function crosses zero, or the end nearest to it; false position with the Illinois correction.

    low, high : (F, H) float, low <= high
    """
    at_low, at_high = falling(low), falling(high)
    end = np.where(at_low <= 0, low, high)
    ended = (at_low <= 0) | (at_high >= 0)
    if ended.all():
        return end
    at_low, at_high = np.where(ended, 1.0, at_low), np.where(ended, -1.0, at_high)
    for _ in range(_GUESSES):
        guess = low + (high - low) * at_low / (at_low - at_high)
        value = falling(guess)
        above = value > 0
        low, high = np.where(above, guess, low), np.where(above, high, guess)
        at_low, at_high = np.where(above, value, at_low / 2), np.where(above, at_high / 2, value)
    return np.where(ended, end, guess)


def slowdown(utilisation: Floats, planned: float, concurrency: float, batch_half: float | None) -> Floats:
    """Time per output token over that at planned utilisation, when GPUs serve many requests at once.

    Each step of decoding reads the weights once for the whole batch, and every request's own keys and values: its time
    is proportional to 1 + B / B_half with B requests on a GPU. Speeds are quoted at the planned batch.

    utilisation : (...) float, 1
    batch_half  : requests at which each runs at half the speed it has alone; None: speed does not depend on load
    returns     : (...) float, 1
    source      : roofline (Williams, Waterman and Patterson, 2009, CACM 52(4)); Patel et al. (2024), Splitwise, ISCA
    """
    if batch_half is None:
        return np.ones_like(utilisation)
    batch = concurrency / batch_half
    return np.asarray((1 + batch * utilisation) / (1 + batch * planned))
