"""Who is where in the population: users sorted by segment and region, in chunks that may be worked on apart."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aimarket.population import apportion

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHUNKS = 32  # at most; sums are added up inside a chunk, and then chunk after chunk
SMALLEST = 8192  # users of a chunk, where there are more than one


@dataclass(frozen=True)
class Strata:
    """A stratum is a segment in a region; its simulated users stand in consecutive rows.

    bounds : (S * R + 1,) int, row in which each stratum begins; by segment and then region
    """

    regions: int
    bounds: Integers

    @classmethod
    def of(cls, sample: Integers, weights: Floats) -> "Strata":
        """Share the simulated users of each segment out among regions.

        sample  : (S,) int, simulated users by segment
        weights : (R,) relative number of users by region
        """
        counts = [apportion(int(n), weights) for n in sample]
        return cls(len(weights), np.concatenate([[0], np.cumsum(np.ravel(counts))]))

    @property
    def size(self) -> int:
        """Simulated users."""
        return int(self.bounds[-1])

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """Where chunks start and stop: by the size of the population alone, whoever works on them."""
        count = min(CHUNKS, max(1, self.size // SMALLEST))
        edges = [self.size * c // count for c in range(count + 1)]
        return list(pairwise(edges))

    def within(self, start: int, stop: int) -> Integers:
        """Bounds of the strata in rows of their own, if only users start..stop are there."""
        return np.clip(self.bounds, start, stop) - start

    def segment_and_region(self, start: int, stop: int) -> tuple[Integers, Integers]:
        """(stop - start,) int each, of users start..stop."""
        stratum = np.searchsorted(self.bounds, np.arange(start, stop), side="right") - 1
        return stratum // self.regions, stratum % self.regions
