"""How much of a loyal user's worth rivals take back by their prices, from the conditions posted prices must meet."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.linear import solve
from aimarket.kernels.rival_choices import (
    BASE,
    LEAVING,
    OF_RESPONSE,
    OF_SALES,
    RESPONSE,
    SALES,
    STEEPER,
    Choices,
    add_slopes,
    choices,
    moved,
    won_by,
)
from aimarket.kernels.rivalry import Rivalry

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
_NEARBY = 1e-3  # of the firm's base: how far to either side the value of a user is looked at
_NOTHING = 1e-9  # USD a USD of spend: as good as no retention
_FURTHEST = 1.0  # log points: the expansion about the prices posted says nothing of moves beyond
_CONCAVE = 0.5  # least part of a firm's second-order condition that the curvature of its value may leave

compiled = njit(nogil=True, cache=True, error_model="numpy")
folded_in = njit(nogil=True, cache=True, error_model="numpy", inline="always")  # see `price_search`


@compiled
def _plus(one: Floats, times: float, other: Floats) -> Floats:
    total = np.empty(one.shape)
    for i in range(one.shape[0]):
        for f in range(one.shape[1]):
            total[i, f] = one[i, f] + times * other[i, f]
    return total


@compiled
def margins(totals: Floats) -> Floats:
    """(F,) margins of price at which sales + margin · response = 0, the condition that a posted price meets.

    They are net of what a user is worth later, over price: one over the elasticity a firm faces. That is how Nevo
    (2001), Econometrica 69(2), infers costs from prices.

    totals : (7, F) see `rival_choices.BASE`
    """
    found = np.empty(totals.shape[1])
    for f in range(len(found)):
        found[f] = -_over(totals[SALES, f], totals[RESPONSE, f])
    return found


@compiled
def weights_of_slopes(totals: Floats, bend: Floats) -> Floats:
    """(3, F) `mix` for `add_slopes` by which the slopes of the conditions come of those of sums, prices' own apart."""
    mix, margin = np.empty((3, len(bend))), margins(totals)
    for f in range(len(bend)):
        of_sales = _over(1.0, totals[RESPONSE, f])
        mix[0, f], mix[1, f], mix[2, f] = bend[f], of_sales, margin[f] * of_sales
    return mix


@compiled
def add_own(condition: Floats, totals: Floats, dollars: bool) -> None:
    """Add, to the slopes of the conditions, (F, F), what a firm's own price does at given choices."""
    margin = margins(totals)
    for f in range(len(margin)):
        response = totals[OF_RESPONSE, f] + (totals[STEEPER, f] if dollars else 0.0)
        condition[f, f] += 1 - margin[f] + _over(totals[OF_SALES, f] + margin[f] * response, totals[RESPONSE, f])


@compiled
def _over(part: float, whole: float) -> float:
    """A ratio, 0 over nothing."""
    return part / whole if whole != 0 else 0.0


@compiled
def _answers(condition: Floats, totals: Floats, shift: Floats, bend: Floats, stays: Flags) -> Floats:
    """(F,) log points by which firms move their prices per unit of a shift of users, each answering the others.

    Prices meet p (1 - margin) = net cost before and after. Net cost falls by what a user becomes worth: `bend`, (F,)
    USD a USD of spend, for each user more. Firms that rest on a kink, whose price is at no maximum, or whose buyers
    mind no price, stay.

    condition : (F, F) log points of p (1 - margin) of the first firm per log point of the second's price, and `bend`
                times the change of its base; written over
    shift     : (7, F) what sums by firm gain
    stays     : (F,) firms that rest on a kink
    """
    margin, answer = margins(totals), np.zeros(len(bend))
    for f in range(len(bend)):
        at_maximum = condition[f, f] - bend[f] * totals[LEAVING, f] > 0
        if stays[f] or not at_maximum or totals[RESPONSE, f] == 0:
            for g in range(len(bend)):
                condition[f, g] = 1.0 if g == f else 0.0
        else:
            gain = shift[SALES, f] + margin[f] * shift[RESPONSE, f]
            answer[f] = -gain / totals[RESPONSE, f] - bend[f] * shift[BASE, f]
    return solve(condition, answer)


@compiled
def _bends(condition: Floats, totals: Floats, curvature: float) -> Floats:
    """(F,) see `_answers`; bounded, so that every condition keeps part of its slope.

    condition : (F, F) see `_answers`, without any bend
    """
    bend = np.empty(len(condition))
    for f in range(len(bend)):
        leaving = -_over(totals[LEAVING, f], totals[BASE, f])
        most = _over((1 - _CONCAVE) * max(condition[f, f], 0.0), leaving)
        bend[f] = _over(min(curvature, most), totals[BASE, f])
    return bend


class _Game(NamedTuple):
    """Two `Rivalry`s of the same users, who are looked at by one firm; K users, F firms."""

    users: Floats  # (3, K) `Rivalry.of_users`
    later: Floats  # (3, K) likewise, at the review to be expected
    firms: Floats  # (4, F, K) `Rivalry.of_firms`
    held: Integers  # (K,) firm, -1 for none
    ours: Integers  # (K,) the firm that looks
    best: Integers  # (K,) the rival that each user likes best
    weight: Floats  # (K,)
    one: Floats  # (K,) weights of one user spread over all
    stays: Flags  # (F,)
    dollars: bool


def concession(users: Rivalry, later: Rivalry, firm: int, curvature: float) -> tuple[float, float]:
    """Share of a retained user's worth that rivals' answers take back, and how his worth changes with the base.

    With one user more, and the rival whom he likes best one fewer, prices move. By the envelope theorem the firm's own
    move costs it nothing to first order, so a user is worth margin · (spend retained + Σ spend won by a rise of a
    rival's price · that price's move). `curvature`, discounted, is thought to be every firm's.

    later     : the same users at the review to be expected, who differ in `review` and `remains` alone
    returns   : 1, 0 if nothing is retained; USD a USD of spend per log point of the base, undiscounted
    raises    : LinAlgError    if no prices, or many, meet the conditions
    reference : Maskin and Tirole (2001), J. Economic Theory 100(2), for the equilibrium; the expansion about the
                present state, to second order, is ours
    """
    firms = users.attraction.shape[1]
    game = _Game(
        users=users.of_users,
        later=later.of_users,
        firms=users.of_firms,
        held=users.provider,
        ours=np.full(len(users.weight), firm),
        best=np.where(np.arange(firms) == firm, -1.0, users.attraction).argmax(axis=1),
        weight=users.weight,
        one=users.weight / users.weight.sum(),
        stays=users.stays,
        dollars=users.dollars,
    )
    return _concession(game, firm, curvature)


@compiled
def _concession(game: _Game, firm: int, curvature: float) -> tuple[float, float]:
    """See `concession`."""
    firms = game.firms
    now = choices(game.users, firms, game.held, game.weight)
    gained, lost = _shift(game, firms)
    totals, shift, nowhere = now.totals, _plus(gained.totals, -1.0, lost.totals), np.zeros(len(game.stays))
    condition = np.zeros((len(nowhere), len(nowhere)))
    add_slopes(condition, now, firms, weights_of_slopes(totals, nowhere), 1.0)
    add_own(condition, totals, game.dollars)
    bend = _bends(condition, totals, curvature)
    of_base = np.zeros((3, len(bend)))
    for f in range(len(bend)):
        of_base[0, f] = bend[f]
    add_slopes(condition, now, firms, of_base, 1.0)
    moves = _answers(condition, totals, shift, bend, game.stays)
    margin, spend = margins(totals)[firm], 0.0
    for k in range(len(game.one)):
        spend += game.one[k] * firms[2, firm, k]
    retained = margin * shift[SALES, firm]
    if retained <= _NOTHING * spend:
        return 0.0, 0.0
    rise = 0.0
    for side in (1.0, -1.0):
        rise += side * _worth(game, firm, side * _NEARBY * totals[BASE, firm], moves, bend)
    return -margin * won_by(now, firm, moves) / retained, rise / (2 * _NEARBY) / spend


@folded_in
def _shift(game: _Game, firms: Floats) -> tuple[Choices, Choices]:
    """What the user more does whom the firm has, and the one fewer whom the rivals have."""
    return choices(game.later, firms, game.ours, game.one), choices(game.later, firms, game.best, game.one)


@folded_in
def _worth(game: _Game, firm: int, by: float, moves: Floats, bend: Floats) -> float:
    """USD that a user is worth to the firm once so many have come over, and prices have moved by `moves` for each."""
    near = np.empty(len(moves))
    for f in range(len(moves)):
        near[f] = min(max(by * moves[f], -_FURTHEST), _FURTHEST)
    firms = moved(game.firms, near, game.dollars)
    now = choices(game.users, firms, game.held, game.weight)
    gained, lost = _shift(game, firms)
    shift = _plus(gained.totals, -1.0, lost.totals)
    totals = _plus(now.totals, by, shift)
    condition, mix = np.zeros((len(bend), len(bend))), weights_of_slopes(totals, bend)
    add_slopes(condition, now, firms, mix, 1.0)
    add_slopes(condition, gained, firms, mix, by)
    add_slopes(condition, lost, firms, mix, -by)
    add_own(condition, totals, game.dollars)
    answers = _answers(condition, totals, shift, bend, game.stays)
    won = won_by(now, firm, answers) + by * (won_by(gained, firm, answers) - won_by(lost, firm, answers))
    return margins(totals)[firm] * (shift[SALES, firm] + won)
