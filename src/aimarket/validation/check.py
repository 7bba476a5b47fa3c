"""One comparison of a known answer with a simulated one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SAMPLED = 4.0  # standard errors
CLOSED_FORM = 1e-8
FIXED_POINT = 1e-6


@dataclass(frozen=True)
class Check:
    """A row of the table: passes if |simulated - known| <= tolerance; all three in the unit of the quantity."""

    name: str
    known: float
    simulated: float
    tolerance: float
    how: str  # what was run: a limiting market, or the component in use

    @property
    def error(self) -> float:
        return abs(self.simulated - self.known)

    @property
    def passed(self) -> bool:
        return bool(self.error <= self.tolerance)  # not so for nan


Task = Callable[[], list[Check]]


def compare(name: str, known: ArrayLike, simulated: ArrayLike, tolerance: float, how: str) -> Check:
    """The component of a vector that misses by most; `tolerance` in the unit of the quantity."""
    return _worst(name, known, simulated, tolerance, how, by_size=False)


def relative(name: str, known: ArrayLike, simulated: ArrayLike, tolerance: float, how: str) -> Check:
    """As `compare`, the tolerance a share of the known number."""
    return _worst(name, known, simulated, tolerance, how, by_size=True)


def _worst(name: str, known: ArrayLike, simulated: ArrayLike, tolerance: float, how: str, by_size: bool) -> Check:
    expected, found = np.atleast_1d(np.asarray(known, float)), np.atleast_1d(np.asarray(simulated, float))
    if expected.shape != found.shape:
        raise ValueError(f"{name}: {expected.shape} numbers known, {found.shape} simulated")
    allowed = tolerance * np.abs(expected) if by_size else np.full(expected.shape, tolerance)
    worst = int(np.argmax(np.nan_to_num(np.abs(found - expected) / allowed, nan=np.inf)))
    return Check(name, float(expected.flat[worst]), float(found.flat[worst]), float(allowed.flat[worst]), how)


def batch_means(series: ArrayLike, batches: int) -> tuple[Floats, Floats]:
    """Mean of a correlated series (T, ...), and its standard error from the means of batches of it."""
    values = np.asarray(series, float)
    means = np.array([batch.mean(axis=0) for batch in np.array_split(values, batches)])
    return values.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(batches)


def sampled(name: str, known: ArrayLike, series: ArrayLike, how: str, batches: int = 10) -> Check:
    """The mean of a series (T, ...), one row a step, against what is expected, within four standard errors."""
    mean, error = batch_means(series, batches)
    return _most_improbable(name, np.asarray(known, float), mean, error, how)


def counted(name: str, known: ArrayLike, shares: ArrayLike, draws: int, how: str) -> Check:
    """Mean shares of independent choices against their probabilities, within four standard errors of the binomial.

    shares : (T, J), one row a step
    draws  : choices in all
    """
    expected = np.asarray(known, float)
    error = np.sqrt(expected * (1 - expected) / draws)
    return _most_improbable(name, expected, np.asarray(shares, float).mean(axis=0), error, how)


def _most_improbable(name: str, expected: Floats, found: Floats, error: Floats, how: str) -> Check:
    expected, found, error = (np.atleast_1d(values) for values in np.broadcast_arrays(expected, found, error))
    worst = int(np.argmax(np.abs(found - expected) / error))
    return Check(name, float(expected[worst]), float(found[worst]), float(SAMPLED * error[worst]), how)
