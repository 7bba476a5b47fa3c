"""Placeholder of the counter-based generator until the branch `kernel` brings it."""

import numpy as np
from numba import njit

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@njit(nogil=True, cache=True)
def words(key, step, user):
    """Four words of 32 bits: Philox4x32-10."""
    a, b = np.uint32(user & _LOW), np.uint32(user >> _HALF)
    c, d = np.uint32(step), np.uint32(0)
    k, l = np.uint32(key & _LOW), np.uint32(key >> _HALF)
    for _ in range(10):
        p, q = np.uint64(a) * _M0, np.uint64(c) * _M1
        a, b, c, d = (
            np.uint32(np.uint32(q >> _HALF) ^ b ^ k),
            np.uint32(q & _LOW),
            np.uint32(np.uint32(p >> _HALF) ^ d ^ l),
            np.uint32(p & _LOW),
        )
        k, l = np.uint32(k + _W0), np.uint32(l + _W1)
    return a, b, c, d
