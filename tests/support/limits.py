"""Run a limiting market and keep what it measured, step by step: as `aimarket validate` does."""

import numpy as np
from numpy.typing import ArrayLike

from aimarket.validation.check import batch_means
from aimarket.validation.limits import Limit, run_limit

__all__ = ["Limit", "run_limit", "standard_errors"]


def standard_errors(series: ArrayLike, expected: ArrayLike, batches: int = 10) -> float:
    """Standard errors by which the mean of a series misses what is expected; batch means allow for correlation."""
    mean, error = batch_means(series, batches)
    return float(np.max(np.abs(mean - np.asarray(expected)) / error))
