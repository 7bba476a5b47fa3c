"""Placeholder of the polynomial functions until the branch `kernel` brings them."""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def exp(x):
    return math.exp(x)


@njit(nogil=True, cache=True)
def exp32(x):
    return np.float32(math.exp(x))


@njit(nogil=True, cache=True)
def log(x):
    return math.log(x)
