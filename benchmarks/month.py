"""The work that all peers do: a month in which every user reviews, chooses, stays or moves, and uses.

A user compares twelve offers and none by a logit with individual coefficients, a taste for each firm and a cost of
switching that grows with tenure and depth; one draw decides. Whoever stays with a firm grows in tenure and depth. What
is asked for is added up by region and offer. Each peer draws as it likes, so peers agree in law and not to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket.rng import Streams

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Totals = tuple[Floats, Floats]  # (R, J) users and (R, J) use
Month = Callable[[int], Totals]  # a month, by its number; what users have become is kept inside

OFFERS, REGIONS, FIRMS = 12, 4, 8
BASE, MAXIMUM, HORIZON, PER_LOG_DEPTH = 0.3, 1.5, 24.0, 0.2  # of the switching cost
GROWTH, CEILING = 0.03, 4.0  # of depth, a month
TASTE_STEP, OUTSIDE = 1 / 32, 0.0
KEY = 0x9E3779B97F4A7C15  # of the draws of peers that draw by position


@dataclass
class Crowd:
    """Users as columns, sorted by region, and the tables of the month."""

    starts: NDArray[np.int64]  # (R + 1,) rows where regions begin
    quality: Singles
    latency: Singles
    price: Singles
    size: Singles
    tastes: NDArray[np.int8]  # (F, n)
    tenure: Singles
    depth: Singles
    offer: NDArray[np.int16]  # -1: none
    offered: Singles  # (J,) quality
    delay: Singles  # (R, J)
    unit_price: Singles  # (R, J) utils
    use: Singles  # (R, J) use of a user of size and depth 1
    firm: NDArray[np.int16]  # (J,)

    def __len__(self) -> int:
        return len(self.quality)


def crowd(users: int) -> Crowd:
    """Users in the first month, drawn by key."""
    streams = Streams(seed=4, replication=0)

    def normal(name: str, count: int) -> Floats:
        return streams.at(f"benchmark.{name}").normal(0, count)

    def table(name: str, scale: float) -> Singles:
        return (scale * normal(name, REGIONS * OFFERS)).reshape(REGIONS, OFFERS).astype(np.float32)

    firm = np.arange(OFFERS, dtype=np.int16) % FIRMS
    return Crowd(
        starts=np.arange(REGIONS + 1) * users // REGIONS,
        quality=np.exp(0.5 * normal("quality", users)).astype(np.float32),
        latency=np.exp(0.5 * normal("latency", users) - 1).astype(np.float32),
        price=np.exp(0.5 * normal("price", users)).astype(np.float32),
        size=np.exp(normal("size", users) - 0.5).astype(np.float32),
        tastes=np.stack([np.clip(32 * normal(f"taste.{f}", users), -127, 127).astype(np.int8) for f in range(FIRMS)]),
        tenure=np.zeros(users, dtype=np.float32),
        depth=np.ones(users, dtype=np.float32),
        offer=np.full(users, -1, dtype=np.int16),
        offered=(0.5 * normal("offered", OFFERS)).astype(np.float32),
        delay=np.abs(table("delay", 1.0)),
        unit_price=table("unit_price", 0.7),
        use=np.exp(table("use", 0.3)),
        firm=firm,
    )
