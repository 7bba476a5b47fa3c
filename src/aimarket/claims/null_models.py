"""Gibrat's law as a null model: every firm grows by chance, in proportion to its size, and by nothing else.

Gibrat (1931), *Les inégalités économiques*; Sutton (1997), *Journal of Economic Literature* 35(1).
"""

import numpy as np
from numpy.typing import ArrayLike

from aimarket.rng import Streams

_DRAWS = 4000


def gibrat_volatility(shares: ArrayLike) -> float:
    """Standard deviation of firms' yearly log growth relative to one another, where both years have a share.

    shares : (years, firms)
    """
    sizes = np.asarray(shares, dtype=float)
    sizes = np.where(sizes > 0, sizes, np.nan)
    changes = np.diff(np.log(sizes), axis=0)
    seen = np.isfinite(changes)
    counts = seen.sum(axis=1, keepdims=True)
    means = np.where(seen, changes, 0.0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)
    freedom = int(np.maximum(counts - 1, 0).sum())
    squares = np.where(seen & (counts > 1), (changes - means) ** 2, 0.0).sum()
    return float(np.sqrt(squares / freedom)) if freedom else 0.0


def gibrat_hhi(shares: ArrayLike) -> float:
    """Mean Herfindahl index in the last year of firms that start from the first year's shares and grow by luck alone.

    shares : (years, firms), yearly means; the volatility is fitted to them
    """
    sizes = np.asarray(shares, dtype=float)
    start = sizes[0][sizes[0] > 0]
    spread = gibrat_volatility(sizes) * np.sqrt(len(sizes) - 1)
    luck = Streams(0, 0).at("claims.gibrat").normal(0, _DRAWS * len(start)).reshape(_DRAWS, len(start))
    grown = start * np.exp(spread * luck)
    portions = grown / grown.sum(axis=1, keepdims=True)
    return float(np.mean((portions**2).sum(axis=1)))
