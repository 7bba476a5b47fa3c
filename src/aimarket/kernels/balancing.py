"""Balancing load: it moves from region to region until nobody's answer would come sooner elsewhere; compiled."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.rationing import Placement

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SWEEPS = 2  # over all pairs of regions; a later one mends what later pairs undid
_GUESSES = 2  # by false position; one is enough where the time of an answer is linear in work


@dataclass(frozen=True)
class Pools:
    """Pools of GPUs, one a firm and region, and what an answer takes there; see `answer_time`.

    gpus                   : (F, R) float, reference GPUs installed
    concurrency            : float, requests that a GPU serves at once
    prefilling, generating : (F,) float, s at the planned utilisation
    planned                : float, 1, the planned utilisation
    batch_half             : float, requests at which each runs at half the speed it has alone; inf: load slows nobody
    """

    gpus: Floats
    concurrency: float
    prefilling: Floats
    generating: Floats
    planned: float
    batch_half: float


def balance_load(placed: Placement, load: Floats, capacity: Floats, delay: Floats, pools: Pools) -> Placement:
    """Send load from home to where travel and answer together take less time, hour by hour.

    Pair after pair of regions, nearest first, load leaves home while the other side answers sooner and has room, or
    comes back: towards the equilibrium of Wardrop (1952), in which no request gains by going elsewhere. What was turned
    away stays turned away. Load is conserved.

    placed   : what fits at home, and overflow; see `place_load`
    load     : (F, R, H) float, GPU   work arriving by provider, region and hour
    capacity : (F, R) float, GPU      work that may be done at once
    delay    : (R, R) float, s, there and back
    returns  : Placement
    """
    regions = len(delay)
    if regions == 1:
        return placed
    flow = load[:, :, None, :] * placed.served[:, :, None, :] * placed.abroad  # (F, R, R, H)
    home = load * placed.served - flow.sum(axis=2)
    busy = placed.busy.copy()
    nearest_first = sorted((delay[i, k], i, k) for i in range(regions) for k in range(regions) if i != k)
    pairs = np.array([pair[1:] for pair in nearest_first])
    gpus = np.where(capacity > 0, pools.gpus, 1.0)  # where there are none nothing is sent
    batch = pools.concurrency / pools.batch_half
    _move(home, flow, busy, capacity, delay, pairs, gpus, pools.concurrency, pools.prefilling, pools.generating,
          batch, 1 + batch * pools.planned)  # fmt: skip
    total = home + flow.sum(axis=2)
    share = np.divide(flow, total[:, :, None], out=np.zeros_like(flow), where=total[:, :, None] > 0)
    # What rounding leaves of load that came and went may be more than a region can do that has next to no GPUs.
    busy = np.clip(busy, 0.0, np.maximum(capacity[:, :, None], placed.busy))
    return Placement(served=placed.served, busy=busy, abroad=np.clip(share, 0.0, 1.0))


@njit(cache=True, nogil=True)
def answer_time(
    busy: float, gpus: float, concurrency: float, prefilling: float, generating: float, batch: float, usual: float
) -> float:
    """What an answer takes in a pool of GPUs: queue, prefill and generation; s, rising in work.

    The wait is Sakasegawa's approximation, close to Erlang's at any load and far cheaper: good enough to choose a
    region by.

    busy   : float, reference GPUs at work, below `gpus`
    batch  : float, requests a busy GPU serves over those at which each has half its speed
    usual  : float, 1 + batch at the planned utilisation
    source : Sakasegawa (1977), Annals of the Institute of Statistical Mathematics 29; `slowdown` in queueing.py
    """
    utilisation, servers = max(busy, 0.0) / gpus, gpus * concurrency
    time = generating * (1 + batch * utilisation) / usual
    waiting = utilisation ** (np.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - utilisation))
    return time + (prefilling + time) * waiting


@njit(cache=True, nogil=True)
def _move(
    home: Floats,
    flow: Floats,
    busy: Floats,
    capacity: Floats,
    delay: Floats,
    pairs: Integers,
    gpus: Floats,
    concurrency: float,
    prefilling: Floats,
    generating: Floats,
    batch: float,
    usual: float,
) -> None:
    """Move load in place: `home` and `busy` (F, R, H), `flow` (F, R, R, H) from the first region to the second."""
    firms, _, hours = home.shape
    for f in range(firms):
        for hour in range(hours):
            for _ in range(_SWEEPS):
                for i, k in pairs:
                    here, there = busy[f, i, hour], busy[f, k, hour]
                    low = -min(flow[f, i, k, hour], max(capacity[f, i] - here, 0.0))
                    high = min(home[f, i, hour], max(capacity[f, k] - there, 0.0))
                    if low == high:
                        continue
                    extra = delay[i, k] - delay[i, i]
                    moved = _where_even(
                        low, high, here, there, extra, gpus[f, i], gpus[f, k], concurrency, prefilling[f],
                        generating[f], batch, usual,
                    )  # fmt: skip
                    home[f, i, hour] -= moved
                    flow[f, i, k, hour] += moved
                    busy[f, i, hour] -= moved
                    busy[f, k, hour] += moved


@njit(cache=True, nogil=True)
def _where_even(
    low: float,
    high: float,
    here: float,
    there: float,
    extra: float,
    gpus_here: float,
    gpus_there: float,
    concurrency: float,
    prefilling: float,
    generating: float,
    batch: float,
    usual: float,
) -> float:
    """Work to move at which an answer takes as long either way, or the end nearest to it.

    What is gained by moving falls in what is moved; its root by false position with the Illinois correction.

    low, high : float, low < high
    extra     : float, s that travel takes longer
    """
    rest = (concurrency, prefilling, generating, batch, usual)
    at_low = answer_time(here - low, gpus_here, *rest) - answer_time(there + low, gpus_there, *rest) - extra
    if at_low <= 0:
        return low
    at_high = answer_time(here - high, gpus_here, *rest) - answer_time(there + high, gpus_there, *rest) - extra
    if at_high >= 0:
        return high
    guess = low
    for _ in range(_GUESSES):
        guess = low + (high - low) * at_low / (at_low - at_high)
        gain = answer_time(here - guess, gpus_here, *rest) - answer_time(there + guess, gpus_there, *rest) - extra
        if gain > 0:
            low, at_low, at_high = guess, gain, at_high / 2
        else:
            high, at_low, at_high = guess, at_low / 2, gain
    return guess
