"""A digest of what the compiled functions give, to be the same on every machine: prints it when run."""

import hashlib

import numpy as np
from numba import njit

from aimarket.kernels import elementary
from aimarket.kernels.counter import unit32, unit64, words
from aimarket.kernels.sampling import Choosers, Menu, sample_offers

FUNCTIONS = {name: getattr(elementary, name) for name in ("exp", "expm1", "log", "log1p")}


def over_arrays(function):
    """A compiled loop over an array: what the model's kernels do."""

    @njit
    def loop(x, out):
        for i in range(len(x)):
            out[i] = function(x[i])

    def applied(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return applied


@njit
def draws(key, singles, doubles):
    """Uniforms of the first agents in step 3."""
    for i in range(len(singles)):
        a, b, c, _ = words(key, 3, i)
        singles[i], doubles[i] = unit32(a), unit64(b, c)


def choices(count, offers):
    """Choices that numbers made without a library lead to."""
    single, numbers = np.empty(count, np.float32), np.empty(count)
    draws(np.uint64(7), single, numbers)
    columns = [np.roll(single, 5 * k) for k in range(5)]
    firms = (np.arange(offers) % 5).astype(np.int16)
    choosers = Choosers(
        *(2 * columns[0], columns[1], 3 * columns[2], columns[3]),
        held=(np.arange(count) % 6 - 1).astype(np.int16),
        free=columns[4] < 0.1,
        signs=columns[4] > 0.8,
        tastes=(numbers[None, :] * 200 - 100 + np.arange(5)[:, None]).astype(np.int8),
        from_row=np.uint64(0),
        uniform=single[::-1].copy(),
    )
    tables = single[: 8 * offers].reshape(8, offers) - np.float32(0.5)
    menu = Menu(
        *(tables[0], tables[1], tables[2:6].reshape(2, 2, offers), tables[6], tables[7] > 0, firms, firms),
        order=np.arange(offers)[::-1].copy(),
        outside=np.float32(0.25),
        taste_step=np.float32(1 / 32),
    )
    choice = np.empty(count, np.int16)
    sample_offers(choosers, menu, choice)
    return single, numbers, choice


def digest():
    """SHA-256 of functions over all magnitudes in both precisions, of draws and of choices."""
    found = hashlib.sha256()
    singles = np.arange(0, 2**32, 2**16 - 1, dtype=np.uint32).view(np.float32)
    doubles = np.arange(0, 2**63, 2**47 - 1, dtype=np.uint64).view(np.float64)
    for x in (singles[np.isfinite(singles)], doubles[np.isfinite(doubles)], -doubles[np.isfinite(doubles)]):
        for function in FUNCTIONS.values():
            result = over_arrays(function)(x)
            found.update(np.where(np.isnan(result), 0, result).tobytes())  # which of the many nans is not agreed upon
    for result in choices(10_000, 12):
        found.update(result.tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())
