"""Random words by position, for compiled loops: Philox4x32-10, which keeps no state.

`aimarket.rng` hands out the keys; a word is a function of key, step and agent alone.

Source: Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11, section 3.
"""

import numpy as np
from numba import njit

_LOW, _HALF = np.uint64(2**32 - 1), np.uint64(32)
_ROUNDS = 10
_FIRST, _SECOND = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # multipliers
_GOLDEN, _ROOT = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)  # fractions of phi and sqrt 3: added to the key a round

Pair = tuple[np.uint64, np.uint64]
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

inlined = njit(cache=True, nogil=True, forceinline=True)  # a call would keep the loop around it scalar


@inlined
def philox(counter: Words, key: Pair) -> Words:
    """Four random words of a counter.

    counter, key : words of 32 bits, each in 64: so their products are at hand in full
    """
    a, b, c, d = counter
    left, right = key
    for _ in range(_ROUNDS):
        first, second = a * _FIRST, c * _SECOND
        a, b, c, d = (second >> _HALF) ^ b ^ left, second & _LOW, (first >> _HALF) ^ d ^ right, first & _LOW
        left, right = (left + _GOLDEN) & _LOW, (right + _ROOT) & _LOW
    return a, b, c, d


@inlined
def words(key: np.uint64, step: int, agent: int) -> Words:
    """The four words that belong to an agent in a step, 32 bits each.

    key : uint64, from `aimarket.rng.Draws.key_of_loop`
    """
    who, when = np.uint64(agent), np.uint64(step)
    return philox((who & _LOW, who >> _HALF, when & _LOW, when >> _HALF), (key & _LOW, key >> _HALF))


@inlined
def unit32(word: np.uint64) -> np.float32:
    """Uniform on (0, 1), float32: the middle of one of 2^23 equal parts, from the upper bits of a word."""
    return (np.float32(word >> np.uint64(9)) + np.float32(0.5)) * np.float32(2.0**-23)


@inlined
def unit64(high: np.uint64, low: np.uint64) -> float:
    """Uniform on (0, 1), float64: the middle of one of 2^52 equal parts, from two words."""
    return (np.float64(((high << _HALF) | low) >> np.uint64(12)) + 0.5) * 2.0**-52
