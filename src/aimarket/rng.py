"""The only door to randomness: draws keyed by who and when, never by how many came before.

A stream is a Philox generator (Salmon et al., 2011, Parallel random numbers: as easy as 1, 2, 3) whose key is a hash of
seed, replication, name and owner, and whose counter holds the step. The draw of agent `i` is the `i`-th number of the
stream, so it is the same however many agents, threads or shards there are. Settings never enter the key: two points of
a sweep share their shocks.
"""

import hashlib
import threading

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
_WORDS_PER_COUNT = 4  # a Philox count yields four 64-bit words, one draw each
_EMPTY = np.zeros(_WORDS_PER_COUNT, dtype=np.uint64)
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
        return np.maximum(_generator(self._key, counter).random(stop - start + skip)[skip:], _SMALLEST)

    def normal(self, start: int, stop: int) -> Floats:
        """Standard normal, by inversion so that one agent uses one word."""
        return np.asarray(ndtri(self.uniform(start, stop)), dtype=np.float64)

    def one_normal(self) -> float:
        """One standard normal for a stream with a single owner."""
        counter = np.array([0, 0, self._step, 0], dtype=np.uint64)
        return float(ndtri(max(_generator(self._key, counter).random(), _SMALLEST)))


_of_thread = threading.local()


def _generator(key: NDArray[np.uint64], counter: NDArray[np.uint64]) -> np.random.Generator:
    """The thread's generator, set to a key and a counter: a new one would first ask the system for entropy in vain."""
    generator: np.random.Generator | None = getattr(_of_thread, "generator", None)
    if generator is None:
        generator = _of_thread.generator = np.random.Generator(np.random.Philox(key=0))
    generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"counter": counter, "key": key},
        "buffer": _EMPTY,
        "buffer_pos": _WORDS_PER_COUNT,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator


class Streams:
    """All streams of one replication.

    >>> streams = Streams(seed=1, replication=0)
    >>> whole = streams.at("users.taste", step=3).uniform(0, 10)
    >>> bool((streams.at("users.taste", step=3).uniform(4, 7) == whole[4:7]).all())
    True
    """

    def __init__(self, seed: int, replication: int) -> None:
        self._root = f"{seed}/{replication}"
        self._keys: dict[tuple[str, str], NDArray[np.uint64]] = {}

    def at(self, name: str, step: int = 0, owner: str = "") -> Draws:
        """Draws of stream `name` of `owner` at `step`."""
        key = self._keys.get((name, owner))
        if key is None:
            digest = hashlib.blake2b(f"{self._root}/{name}/{owner}".encode(), digest_size=16).digest()
            key = self._keys[name, owner] = np.frombuffer(digest, dtype=np.uint64)
        return Draws(key, step)
