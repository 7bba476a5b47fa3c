"""The search for the prices that maximise what a firm expects: a grid, then a quasi-Newton polish between kinks.

There are a handful of prices, for which plain numbers are faster than arrays and library calls together.

Source: Nocedal and Wright (2006), Numerical Optimization, 2nd ed., sections 3.4 (modified Newton), 6.2 (SR1) and 16.7
(bounds); that the polish takes kinks for bounds and crosses them is ours.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vector = list[float]
Objective = Callable[[Floats], tuple[float, Floats]]
_At = Callable[[Vector], tuple[float, Vector]]

_BESIDE = 1e-9  # log points: how near to a kink its sides are looked at
_CROSSINGS = 6  # of kinks, at most
_NO_SLOPE = 1e-10  # per log point, relative: as good as flat
_NO_GAIN = 1e-14  # relative: a step that promises no more is taken and is the last
_LEAST_GAIN = 1e-4  # of what the slope promises, for a step to be taken
_ROUNDING = 1e-14  # relative: by how much a value may seem to be lower than it is
_STEPS = 40  # of the quasi-Newton search, at most
_HALVINGS = 12  # of one of its steps, at most
_NUDGE = 1e-5  # log points between the slopes compared for the first guess of the curvature
_NEAR = 0.2  # log points: how far about the best point a corner is looked for
_SECTIONS = 40  # halvings of that
_TINY = 1e-300


def best_prices(objective: Objective, start: Floats, floor: Floats, ceiling: Floats, grid: Floats) -> Floats:
    """Prices that maximise `objective`: a grid of common price moves, then a polish from the best of them.

    The grid guards against local maxima of mixed-logit profit, the polish gives the accuracy. Where a price stays as it
    is the objective may have a kink, because users notice a rise and not a cut: the polish keeps each price on one side
    of its start, and crosses over only if there is more to be had there. At any other corner, such as that of capacity,
    the way up comes to no end: the corner is then looked for price by price.

    objective      : prices of the shape of `start` -> value, gradient in log prices of that shape
    start          : float, USD/Mtok
    floor, ceiling : likewise
    grid           : (G,) float, log points added to the start
    returns        : float, USD/Mtok
    """

    known: dict[tuple[float, ...], tuple[float, Vector]] = {}

    def at(moves: Vector) -> tuple[float, Vector]:  # in log points from the start, so that the unit of money is nothing
        if (where := tuple(moves)) not in known:
            value, slope = objective(start * np.exp(moves).reshape(start.shape))
            known[where] = value, slope.ravel().tolist()
        return known[where]

    low, high = np.log(floor / start).ravel().tolist(), np.log(ceiling / start).ravel().tolist()
    count = range(len(low))
    candidates = [_within(low, [move] * len(low), high) for move in grid.tolist()]
    values = [at(candidate)[0] for candidate in candidates]
    highest, scale = max(values), max(map(abs, values)) or 1.0
    first = moves = candidates[values.index(highest)]
    below, above = _within(low, [-_BESIDE] * len(low), high), _within(low, [_BESIDE] * len(low), high)
    beside = at(above)[1] if 0.0 in first else first
    up = [beside[m] > 0 if first[m] == 0 else first[m] > 0 for m in count]
    for _ in range(_CROSSINGS):
        box = [low[m] if not up[m] else above[m] for m in count], [high[m] if up[m] else below[m] for m in count]
        moves, value = _polish(at, _within(box[0], moves, box[1]), *box, scale)
        stays = [moves[m] <= above[m] if up[m] else moves[m] >= below[m] for m in count]
        if not any(stays):
            break
        slope = at([moves[m] if not stays[m] else below[m] if up[m] else above[m] for m in count])[1]  # beyond
        crosses = [stays[m] and (-slope[m] if up[m] else slope[m]) > _NO_SLOPE * scale for m in count]
        if not any(crosses):
            break
        up = [up[m] != crosses[m] for m in count]
    best = [0.0 if stays[m] and low[m] <= 0 <= high[m] else moves[m] for m in count]
    return np.asarray(start * np.exp(best if value >= highest else first).reshape(start.shape))


def _within(low: Vector, moves: Vector, high: Vector) -> Vector:
    return [min(max(move, least), most) for least, move, most in zip(low, moves, high, strict=True)]


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _polish(at: _At, moves: Vector, low: Vector, high: Vector, scale: float) -> tuple[Vector, float]:
    """Highest point found uphill from `moves` within a box, and its height; `scale` is the size of the objective."""
    count = range(len(moves))
    value, slope = at(moves)
    curvature: list[Vector] | None = None
    for _ in range(_STEPS):
        free = [moves[m] < high[m] if slope[m] > 0 else moves[m] > low[m] for m in count]
        if max(abs(slope[m]) if free[m] else 0.0 for m in count) <= _NO_SLOPE * scale:
            return moves, value
        if curvature is None:
            curvature = _curvature(at, moves, slope, free, high)
        step = _step(_ascent(curvature, slope, free), moves, low, high)
        if _dot(slope, step) <= 0:  # the box has cut off what led upwards
            uphill = [slope[m] / max(abs(curvature[m][m]), _TINY) if free[m] else 0.0 for m in count]
            step = _step(uphill, moves, low, high)
        if _dot(slope, step) <= _NO_GAIN * scale:
            return [moves[m] + step[m] for m in count], value
        for _ in range(_HALVINGS):
            trial = [moves[m] + step[m] for m in count]
            reached, new_slope = at(trial)
            if reached - value >= _LEAST_GAIN * _dot(slope, step) - _ROUNDING * scale:
                break
            step = [part / 2 for part in step]
        else:
            break
        _learn(curvature, step, [new_slope[m] - slope[m] for m in count])
        moves, value, slope = trial, reached, new_slope
    return _corner(at, moves, value, low, high)


def _step(step: Vector, moves: Vector, low: Vector, high: Vector) -> Vector:
    """As much of a step as the box leaves room for."""
    return [min(max(s, a - x), b - x) for s, x, a, b in zip(step, moves, low, high, strict=True)]


def _curvature(at: _At, moves: Vector, slope: Vector, free: list[bool], high: Vector) -> list[Vector]:
    """(M, M) second derivatives among the free prices, by differences of slopes; of the others, which way is up."""
    count = range(len(moves))
    rows = [[-max(map(abs, slope)) * (m == n) for n in count] for m in count]
    for m in count:
        if free[m]:
            nudge = _NUDGE if moves[m] + _NUDGE <= high[m] else -_NUDGE
            beside = at([moves[n] + nudge * (m == n) for n in count])[1]
            rows[m] = [(beside[n] - slope[n]) / nudge if free[n] else 0.0 for n in count]
    return [[(rows[m][n] + rows[n][m]) / 2 for n in count] for m in count]


def _ascent(curvature: list[Vector], slope: Vector, free: list[bool]) -> Vector:
    """Newton's step in the free prices; where the objective curves upwards, as if it did so downwards."""
    which = [m for m, is_free in enumerate(free) if is_free]
    hill, step = [[-curvature[m][n] for n in which] for m in which], [slope[m] for m in which]
    least = max(1e-12 * max(abs(hill[i][i]) for i in range(len(which))), _TINY)
    for i in range(len(which)):  # Gauss, without exchange of rows: pivots are made positive instead
        hill[i][i] = max(abs(hill[i][i]), least)
        for j in range(i + 1, len(which)):
            ratio = hill[j][i] / hill[i][i]
            hill[j] = [a - ratio * b for a, b in zip(hill[j], hill[i], strict=True)]
            step[j] -= ratio * step[i]
    for i in reversed(range(len(which))):
        step[i] = (step[i] - _dot(hill[i][i + 1 :], step[i + 1 :])) / hill[i][i]
    found = dict(zip(which, step, strict=True))
    return [found.get(m, 0.0) for m in range(len(slope))]


def _learn(curvature: list[Vector], step: Vector, change: Vector) -> None:
    """Curvature learns from a step how the slope changed along it (symmetric rank one)."""
    missed = [part - _dot(row, step) for part, row in zip(change, curvature, strict=True)]
    size = _dot(missed, step)
    if abs(size) > 1e-8 * (_dot(missed, missed) * _dot(step, step)) ** 0.5:
        for m, row in enumerate(curvature):
            row[:] = [known + missed[m] * part / size for known, part in zip(row, missed, strict=True)]


def _corner(at: _At, moves: Vector, value: float, low: Vector, high: Vector) -> tuple[Vector, float]:
    """The best point near by, looked for price by price where the slope changes its sign."""
    for m in range(len(moves)):
        least, most = max(low[m], moves[m] - _NEAR), min(high[m], moves[m] + _NEAR)
        for _ in range(_SECTIONS):
            trial = [*moves[:m], (least + most) / 2, *moves[m + 1 :]]
            reached, slope = at(trial)
            least, most = (trial[m], most) if slope[m] > 0 else (least, trial[m])
            if reached > value:
                moves, value = trial, reached
    return moves, value
