"""What `kernels.sampling` is held against: the same choice from the same draws, in plain NumPy and double precision."""

import numpy as np
from numpy.typing import NDArray

from aimarket.kernels.choice import logit_shares
from aimarket.kernels.sampling import Choosers, Menu

Floats = NDArray[np.float64]


def utilities(choosers: Choosers, menu: Menu) -> tuple[Floats, Floats, Floats]:
    """Utility of each offer (n, J) and of the outside option (n,), and the largest sum of absolute terms (n,)."""
    wide = {name: getattr(choosers, name).astype(float)[:, None] for name in ("quality", "latency", "price", "leaving")}
    newcomer = choosers.held[:, None] != menu.provider
    signs, offers = choosers.signs.astype(int)[:, None], np.arange(len(menu.order))
    terms = [
        wide["quality"] * menu.quality,
        -wide["latency"] * menu.delay,
        wide["price"] * menu.unit_price[signs, newcomer.astype(int), offers],
        float(menu.taste_step) * choosers.tastes.T[:, menu.brand],
        np.where(newcomer, -wide["leaving"], 0.0),
    ]
    barred = np.isneginf(menu.appeal) | (choosers.free[:, None] & ~menu.free_allowed)
    appeal = np.where(barred, 0.0, menu.appeal)
    outside = float(menu.outside) - choosers.leaving
    size = (sum(map(np.abs, terms)) + np.abs(appeal)).max(axis=1, initial=0.0)
    size = np.maximum(size, np.where(np.isfinite(outside), np.abs(outside), 0.0))
    return np.where(barred, -np.inf, sum(terms) + appeal), outside, size


def chosen(choosers: Choosers, menu: Menu) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The offer each user takes, -1 for none; how far the draw is from the next border, and what rounding may move it.

    returns : (n,) int; (n,) float, 1; (n,) float, 1
    """
    utility, outside, size = utilities(choosers, menu)
    choice, distance = np.full(len(outside), -1), np.full(len(outside), np.inf)
    some = np.isfinite(np.maximum(utility.max(axis=1, initial=-np.inf), outside))
    shares, _ = logit_shares(utility[some], outside[some])
    borders, draw = np.cumsum(shares[:, menu.order], axis=1), choosers.uniform[some].astype(float)
    # Without an outside option the last border is 1, which a draw never passes: rounding must not make it so.
    borders[:, -1:] = np.where(np.isneginf(outside[some])[:, None], 1.0, borders[:, -1:])
    passed = (borders < draw[:, None]).sum(axis=1)
    choice[some] = np.append(menu.order, -1)[passed]
    inner = np.where(borders < 1.0, np.abs(borders - draw[:, None]), np.inf)
    distance[some] = inner.min(axis=1, initial=np.inf)
    return choice, distance, 1e-7 * (len(menu.order) + 10 * size)
