"""Placing load: on regional capacity, home first, and on generations, cheapest first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """Where load went.

    served : (F, R, H) float, 1    share of the load of a region that was served; 1 where there was none
    busy   : (F, R, H) float, GPU  work done in a region
    abroad : (F, R, R, H) float, 1 share of the served load of a region (first) placed in another (second)
    """

    served: Floats
    busy: Floats
    abroad: Floats


def _ratio(numerator: Floats, denominator: Floats, otherwise: float) -> Floats:
    return np.divide(
        numerator,
        denominator,
        out=np.full(np.broadcast(numerator, denominator).shape, otherwise),
        where=denominator > 0,
    )


def place_load(load: Floats, capacity: Floats) -> Placement:
    """Serve load at home up to capacity, send the overflow where capacity is spare, ration what is left pro rata.

    load     : (F, R, H) float, GPU   work arriving by provider, region and hour
    capacity : (F, R) float, GPU      work that may be done at once
    returns  : Placement
    """
    home = np.minimum(load, capacity[:, :, None])
    over = load - home
    spare = capacity[:, :, None] - home
    total_over, total_spare = over.sum(axis=1, keepdims=True), spare.sum(axis=1, keepdims=True)
    moved = np.minimum(total_over, total_spare)
    sent = moved * _ratio(over, total_over, 0.0)  # (F, R, H) leaves its region
    taken = _ratio(spare, total_spare, 0.0)  # (F, R, H) where it goes
    away = _ratio(sent, home + sent, 0.0)
    return Placement(
        served=np.minimum(_ratio(home + sent, load, 1.0), 1.0),
        busy=home + moved * taken,
        abroad=away[:, :, None, :] * taken[:, None, :, :],
    )


def merit_order(load: Floats, capacity: Floats, cost: Floats) -> Floats:
    """Give work to the generations in the order of what an hour of them costs.

    load     : (..., R) float, GPU      work to be done in each region
    capacity : (..., G, R) float, GPU   at most what is done; together no less than the load
    cost     : (G,) float, USD/hour of a reference GPU at work
    returns  : (..., G, R) float, GPU
    source   : merit-order dispatch; Stoft (2002), Power System Economics, ch. 1-6
    """
    order = np.argsort(cost, kind="stable")
    ordered = capacity[..., order, :]
    before = np.cumsum(ordered, axis=-2) - ordered
    work = np.empty_like(capacity)
    work[..., order, :] = np.clip(load[..., None, :] - before, 0.0, ordered)
    return work


def share_out(wanted: Floats, supply: float, priority: float) -> Floats:
    """Share out what there is among those who want it, large orders first in part; nobody gets more than he wants.

    Each gets min(wanted, λ · wanted^(1 + priority)) with the λ at which all of the supply is taken: pro rata if the
    priority is 0, the largest order filled first as it grows.

    wanted   : (F,) float, any unit, >= 0
    supply   : float, same unit; inf: everybody gets what he wants
    priority : float, 1, >= 0
    returns  : (F,) float; exactly `wanted` if there is enough
    """
    order = np.argsort(-wanted, kind="stable")
    order = order[wanted[order] > 0]
    sizes = wanted[order]
    if len(sizes) == 0 or np.add.accumulate(sizes)[-1] <= supply:
        return wanted.copy()
    weight = sizes * (sizes / sizes[0]) ** priority
    # The largest are filled first: with the first n of them filled, λ is what is left over the weight of the others.
    filled = np.concatenate([[0.0], np.add.accumulate(sizes)[:-1]])
    others = np.add.accumulate(weight[::-1])[::-1]
    level = np.divide(supply - filled, others, out=np.zeros(len(sizes)), where=others > 0)
    fits = level * weight <= sizes  # the next one would not be filled
    level = level[int(np.argmax(fits))]
    granted = np.zeros(len(wanted))
    granted[order] = np.minimum(sizes, max(level, 0.0) * weight)
    return granted
