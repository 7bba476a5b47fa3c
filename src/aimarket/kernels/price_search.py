"""The search for the prices that maximise what a firm expects: a grid, then a polish between kinks; compiled.

The search knows nothing of what it maximises: see `value_at`.

Source: Nocedal and Wright (2006), Numerical Optimization, 2nd ed., sections 3.4 (modified Newton), 6.2 (SR1) and 16.7
(bounds); that the polish takes kinks for bounds and crosses them is ours.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

from aimarket.kernels.curvature import ascent, dot, learn
from aimarket.kernels.elementary import exp, log

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
compiled = njit(nogil=True, cache=True, error_model="numpy")
# One function in the end: each that calls another has all that is below optimised once more, the objective too.
folded_in = njit(nogil=True, cache=True, error_model="numpy", inline="always")

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
_KEPT = 32  # points looked at last, which are not looked at again


def value_at(objective: Any, prices: Floats) -> tuple[float, Floats]:
    """What an objective is worth at some prices, USD, and its gradient in their logs; prices as in `best_prices`.

    Each type of objective has an `overload` of this, by which Numba compiles the search for it and keeps what it
    compiled for the processes to come. Whoever has a function rather than a type hands over a `Pointed`: a type from
    outside this package would be written into that store, and no process that lacks it could read the store again.
    """
    raise TypeError(f"nobody has said what a {type(objective).__name__} is worth")


class Pointed(NamedTuple):
    """An objective known by where its code lies: slower to call than a type of its own, and compiled once for all.

    function   : `numba.cfunc(POINTED)`; given prices and parameters it writes value, then gradient, in place
    parameters : (P,) float
    """

    function: Any
    parameters: Floats


POINTED = types.void(types.float64[:, ::1], types.float64[::1], types.float64[::1])


@overload(value_at)
def _value_of_pointed(objective: Any, prices: Any) -> Any:
    if getattr(objective, "instance_class", None) is not Pointed:
        return None

    def value(objective: Any, prices: Any) -> Any:
        found = np.empty(1 + prices.size)
        objective.function(prices, objective.parameters, found)
        return found[0], found[1:].reshape(prices.shape)

    return value


class _Search(NamedTuple):
    """An objective of R rows of M prices, n = R M, and what is known of it; moves are log points from the start."""

    objective: Any
    start: Floats  # (R, M) USD/Mtok
    points: Floats  # (_KEPT, n) moves
    values: Floats  # (_KEPT,)
    slopes: Floats  # (_KEPT, n)
    seen: NDArray[np.int64]  # (1,) points looked at


def best_prices(objective: Any, start: Floats, floor: Floats, ceiling: Floats, grid: Floats) -> Floats:
    """Prices that maximise an objective: a grid of common price moves, then a polish from the best of them.

    The grid guards against local maxima of mixed-logit profit, the polish gives the accuracy. Where a price stays as it
    is the objective may have a kink, because users notice a rise and not a cut: the polish keeps each price on one side
    of its start, and crosses over only if there is more to be had there. At any other corner, such as that of capacity,
    the way up comes to no end: the corner is then looked for price by price.

    objective      : of a type that `value_at` knows, such as `profit.ExpectedValue`
    start          : (M,) or (R, M) float, USD/Mtok
    floor, ceiling : likewise
    grid           : (G,) float, log points added to the start
    returns        : likewise, USD/Mtok
    """
    rows = (
        np.ascontiguousarray(prices, dtype=float).reshape(-1, start.shape[-1]) for prices in (start, floor, ceiling)
    )
    return np.asarray(_best_prices(objective, *rows, grid).reshape(start.shape))


@compiled
def _best_prices(objective: Any, start: Floats, floor: Floats, ceiling: Floats, grid: Floats) -> Floats:
    """See `best_prices`; all prices (R, M)."""
    count = start.size
    search = _Search(
        objective, start, np.empty((_KEPT, count)), np.empty(_KEPT), np.empty((_KEPT, count)), np.zeros(1, np.int64)
    )
    low, high = _moves(floor, start), _moves(ceiling, start)
    first, highest, scale = _best_of_grid(search, low, high, grid)
    below, above = _within(low, np.full(count, -_BESIDE), high), _within(low, np.full(count, _BESIDE), high)
    up, rests, slope = np.empty(count, np.bool_), False, first
    for m in range(count):
        rests = rests or first[m] == 0
    if rests:
        _, slope = _at(search, above)
    for m in range(count):
        up[m] = slope[m] > 0 if first[m] == 0 else first[m] > 0
    moves, value, stays = _between_kinks(search, first, up, low, below, above, high, scale)
    best = first
    if value >= highest:
        best = moves
        for m in range(count):
            if stays[m] and low[m] <= 0 <= high[m]:
                best[m] = 0.0
    return _prices(start, best)


@folded_in
def _best_of_grid(search: _Search, low: Floats, high: Floats, grid: Floats) -> tuple[Floats, float, float]:
    """The first of the best common moves, what it is worth, and the size of what moves are worth."""
    highest, scale, first = -np.inf, 0.0, low
    for move in grid:
        moves = _within(low, np.full(len(low), move), high)
        value, _ = _at(search, moves)
        scale = max(scale, abs(value))
        if value > highest:
            highest, first = value, moves
    return first, highest, scale if scale > 0 else 1.0


@folded_in
def _between_kinks(
    search: _Search, moves: Floats, up: Flags, low: Floats, below: Floats, above: Floats, high: Floats, scale: float
) -> tuple[Floats, float, Flags]:
    """The highest point uphill from some moves, crossing kinks; what it is worth; and the prices that rest on theirs.

    up           : (n,) the prices that are above their start, or about to rise from it; written to
    below, above : (n,) moves just to either side of the start
    """
    count, value, stays = len(moves), -np.inf, np.zeros(len(moves), np.bool_)
    least, most, beyond, crosses = np.empty(count), np.empty(count), np.empty(count), np.empty(count, np.bool_)
    for _ in range(_CROSSINGS):
        for m in range(count):
            least[m], most[m] = (above[m], high[m]) if up[m] else (low[m], below[m])
        moves, value = _polish(search, _within(least, moves, most), least, most, scale)
        for m in range(count):
            stays[m] = moves[m] <= above[m] if up[m] else moves[m] >= below[m]
            beyond[m] = moves[m] if not stays[m] else (below[m] if up[m] else above[m])
        if not stays.any():
            break
        _, slope = _at(search, beyond)
        for m in range(count):
            crosses[m] = stays[m] and (-slope[m] if up[m] else slope[m]) > _NO_SLOPE * scale
        if not crosses.any():
            break
        for m in range(count):
            up[m] = up[m] != crosses[m]
    return moves, value, stays


@compiled
def _at(search: _Search, moves: Floats) -> tuple[float, Floats]:
    """Value and slope at some moves, unless they are known."""
    seen = search.seen[0]
    for i in range(min(seen, _KEPT)):
        same = True
        for m in range(len(moves)):
            same = same and search.points[i, m] == moves[m]
        if same:
            return search.values[i], search.slopes[i].copy()
    value, slope = value_at(search.objective, _prices(search.start, moves))
    i, along = seen % _KEPT, slope.ravel()
    search.values[i] = value
    for m in range(len(moves)):
        search.points[i, m], search.slopes[i, m] = moves[m], along[m]
    search.seen[0] += 1
    return value, along


@compiled
def _moves(prices: Floats, start: Floats) -> Floats:
    """(n,) log points from the start."""
    moves = np.empty(start.size)
    for m in range(start.size):
        moves[m] = log(prices.flat[m] / start.flat[m])
    return moves


@compiled
def _prices(start: Floats, moves: Floats) -> Floats:
    """(R, M) prices after some moves."""
    prices = np.empty_like(start)
    for m in range(len(moves)):
        prices.flat[m] = start.flat[m] * exp(moves[m])
    return prices


@compiled
def _clip(number: float, low: float, high: float) -> float:
    raised = low if low > number else number  # nan stays nan
    return high if high < raised else raised


@compiled
def _within(low: Floats, moves: Floats, high: Floats) -> Floats:
    inside = np.empty(len(moves))
    for m in range(len(moves)):
        inside[m] = _clip(moves[m], low[m], high[m])
    return inside


@compiled
def _stride(moves: Floats, step: Floats, low: Floats, high: Floats) -> Floats:
    """What is left of a step that may not leave the box."""
    stride = np.empty(len(moves))
    for m in range(len(moves)):
        stride[m] = _clip(step[m], low[m] - moves[m], high[m] - moves[m])
    return stride


@compiled
def _after(moves: Floats, step: Floats) -> Floats:
    there = np.empty(len(moves))
    for m in range(len(moves)):
        there[m] = moves[m] + step[m]
    return there


@folded_in
def _polish(search: _Search, moves: Floats, low: Floats, high: Floats, scale: float) -> tuple[Floats, float]:
    """Highest point found uphill from `moves` within a box, and its height; `scale` is the size of the objective."""
    count = len(moves)
    free, curvature = np.empty(count, np.bool_), np.empty((0, count))
    value, slope = _at(search, moves)
    for _ in range(_STEPS):
        steepest = 0.0
        for m in range(count):
            free[m] = moves[m] < high[m] if slope[m] > 0 else moves[m] > low[m]
            steepest = max(steepest, abs(slope[m]) if free[m] else 0.0)
        if steepest <= _NO_SLOPE * scale:
            return moves, value
        if not len(curvature):
            curvature = _curvature(search, moves, slope, free, high)
        step = _stride(moves, ascent(curvature, slope, free), low, high)
        if dot(slope, step) <= 0:  # the box has cut off what led upwards
            for m in range(count):
                step[m] = slope[m] / max(abs(curvature[m, m]), _TINY) if free[m] else 0.0
            step = _stride(moves, step, low, high)
        if dot(slope, step) <= _NO_GAIN * scale:
            return _after(moves, step), value
        trial, reached, new_slope = _climb(search, moves, value, slope, step, scale)
        if reached == -np.inf:
            break
        learn(curvature, step, new_slope, slope)
        moves, value, slope = trial, reached, new_slope
    return _corner(search, moves, value, low, high)


@folded_in
def _climb(
    search: _Search, moves: Floats, value: float, slope: Floats, step: Floats, scale: float
) -> tuple[Floats, float, Floats]:
    """Where a step leads, value and slope there; it is halved, in place, until it leads upwards, or else -inf."""
    for _ in range(_HALVINGS):
        trial = _after(moves, step)
        reached, new_slope = _at(search, trial)
        if reached - value >= _LEAST_GAIN * dot(slope, step) - _ROUNDING * scale:
            return trial, reached, new_slope
        for m in range(len(step)):
            step[m] /= 2
    return moves, -np.inf, slope


@folded_in
def _curvature(search: _Search, moves: Floats, slope: Floats, free: Flags, high: Floats) -> Floats:
    """(n, n) second derivatives among the free prices, by differences of slopes; of the others, which way is up."""
    count, rows, steepest = len(moves), np.zeros((len(moves), len(moves))), 0.0
    for m in range(count):
        steepest = max(steepest, abs(slope[m]))
    for m in range(count):
        rows[m, m] = -steepest
        if free[m]:
            nudge, trial = _NUDGE if moves[m] + _NUDGE <= high[m] else -_NUDGE, moves.copy()
            trial[m] += nudge
            _, beside = _at(search, trial)
            for n in range(count):
                rows[m, n] = (beside[n] - slope[n]) / nudge if free[n] else 0.0
    both = np.empty((count, count))
    for m in range(count):
        for n in range(count):
            both[m, n] = (rows[m, n] + rows[n, m]) / 2
    return both


@folded_in
def _corner(search: _Search, moves: Floats, value: float, low: Floats, high: Floats) -> tuple[Floats, float]:
    """The best point near by, looked for price by price where the slope changes its sign."""
    for m in range(len(moves)):
        least, most = max(low[m], moves[m] - _NEAR), min(high[m], moves[m] + _NEAR)
        for _ in range(_SECTIONS):
            trial = moves.copy()
            trial[m] = (least + most) / 2
            reached, slope = _at(search, trial)
            if slope[m] > 0:
                least = trial[m]
            else:
                most = trial[m]
            if reached > value:
                moves, value = trial, reached
    return moves, value
