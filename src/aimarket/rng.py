"""The only door to randomness: draws keyed by who and when, never by how many came before.

A stream is a Philox generator (Salmon et al., 2011, Parallel random numbers: as easy as 1, 2, 3) whose key is a hash of
seed, replication, name and owner, and whose counter holds the step. The draw of agent `i` is the `i`-th number of the
stream, so it is the same however many agents, threads or shards there are. Settings never enter the key: two points of
a sweep share their shocks.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
_WORDS_PER_COUNT = 4  # a Philox count yields four 64-bit words, one draw each
_SMALLEST = 2.0**-54  # keeps logarithms and normal quantiles finite


class Draws:
    """Draws of one stream at one step, addressed by the position of the agent.

    start, stop : half-open range of agent numbers
    returns     : (stop - start,) float
    """

    def __init__(self, key: NDArray[np.uint64], step: int) -> None:
        self._key = key
        self._step = step

    @property
    def key_of_loop(self) -> np.uint64:
        """The key for a compiled loop that draws by itself, step and agent being its own: see `kernels.counter`."""
        return self._key[0]

    def uniform(self, start: int, stop: int) -> Floats:
        """Uniform on (0, 1)."""
        skip = start % _WORDS_PER_COUNT
        counter = np.array([start // _WORDS_PER_COUNT, 0, self._step, 0], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=self._key, counter=counter))
        return np.maximum(generator.random(stop - start + skip)[skip:], _SMALLEST)

    def normal(self, start: int, stop: int) -> Floats:
        """Standard normal, by inversion so that one agent uses one word."""
        return np.asarray(ndtri(self.uniform(start, stop)), dtype=np.float64)

    def one_normal(self) -> float:
        """One standard normal for a stream with a single owner."""
        return float(self.normal(0, 1)[0])


class Streams:
    """All streams of one replication.

    >>> streams = Streams(seed=1, replication=0)
    >>> whole = streams.at("users.taste", step=3).uniform(0, 10)
    >>> bool((streams.at("users.taste", step=3).uniform(4, 7) == whole[4:7]).all())
    True
    """

    def __init__(self, seed: int, replication: int) -> None:
        self._root = f"{seed}/{replication}"

    def at(self, name: str, step: int = 0, owner: str = "") -> Draws:
        """Draws of stream `name` of `owner` at `step`."""
        digest = hashlib.blake2b(f"{self._root}/{name}/{owner}".encode(), digest_size=16).digest()
        return Draws(np.frombuffer(digest, dtype=np.uint64), step)
