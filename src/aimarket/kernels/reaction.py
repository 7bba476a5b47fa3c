"""How much of a loyal user's worth rivals take back by their prices, from the conditions posted prices must meet."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import exp
from aimarket.kernels.rivalry import Rivalry

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_NEARBY = 1e-3  # of the firm's base: how far to either side the value of a user is looked at
_NOTHING = 1e-9  # USD a USD of spend: as good as no retention
_FURTHEST = 1.0  # log points: the expansion about the prices posted says nothing of moves beyond
_CONCAVE = 0.5  # least part of a firm's second-order condition that the curvature of its value may leave

compiled = njit(nogil=True, cache=True, error_model="numpy")


@dataclass(frozen=True)
class Sums:
    """What users do after firms have moved their prices, summed over users of some weights, which may be negative.

    One number a firm, (F,):
    base, sales, response : users held at the end of the step; their spend; and its change per log point of the firm's
                            price, at a given margin
    steeper               : the part of the response that comes from users who are lost
    of_sales, of_response : sales and response by users, each times 1 + his elasticity

    (F, F), change of the first firm's sum per log point of the second's prices, through choices only:
    base_slope, won_slope, bent_slope : of its base, of its sales to users who choose, and of how these respond
    """

    base: Floats
    sales: Floats
    response: Floats
    of_sales: Floats
    of_response: Floats
    steeper: Floats
    base_slope: Floats
    won_slope: Floats
    bent_slope: Floats

    @classmethod
    def over(cls, users: Rivalry, held: Integers, weight: Floats, moves: Floats, slopes: bool = True) -> "Sums":
        """held : (K,) int, firm; weight : (K,) float; moves : (F,) float, log points of all prices of a firm.

        slopes : whether those are asked for; 0 if not
        """
        totals, changing, drawn = _choices(held, weight, users.of_users, users.of_firms, moves, users.dollars)
        if not slopes:
            return cls(*totals, *np.zeros((3, len(moves), len(moves))))
        return cls(*totals, *_slopes(changing, drawn, users.of_firms, moves, users.dollars))

    def plus(self, other: "Sums", times: float) -> "Sums":
        """Of both, the others' weights multiplied."""
        return Sums(*(mine + times * vars(other)[name] for name, mine in vars(self).items()))


@compiled
def _choices(
    held: Integers, weight: Floats, of_users: Floats, of_firms: Floats, moves: Floats, dollars: bool
) -> tuple[Floats, Floats, Floats]:
    """What users do, of `Rivalry.of_users` and `Rivalry.of_firms`; loops of a few arrays each, to be vectorised.

    returns : (6, F) the first six fields of `Sums`; (3, F, K) users who choose a firm, their spend there, and how that
              responds to its price; (F, K) share of a choice that a log point of the firm's price draws to it
    """
    review, remains, outside = of_users
    firms, count = of_firms.shape[1:]
    totals, changing, drawn, bill = (
        np.zeros((6, firms)),
        np.empty((3, firms, count)),
        np.empty((firms, count)),
        np.empty(count),
    )
    total, chooses = outside * np.where(held >= 0, remains, 1.0), weight * review
    for f in range(firms):
        attraction, slope, pull = of_firms[0, f], of_firms[1, f], drawn[f]
        felt = exp(moves[f]) - 1 if dollars else moves[f]
        for k in range(count):
            pull[k] = attraction[k] * exp(slope[k] * felt)
        for k in range(count):
            pull[k] *= 1.0 if held[k] < 0 or held[k] == f else remains[k]
        for k in range(count):
            total[k] += pull[k]
    for f in range(firms):
        slope, spend, elasticity, share = of_firms[1, f], of_firms[2, f], of_firms[3, f], drawn[f]
        comes, wins, bends = changing[0, f], changing[1, f], changing[2, f]
        factor = exp(moves[f]) if dollars else 1.0
        for k in range(count):
            share[k] /= total[k]
        for k in range(count):
            bill[k] = spend[k] * exp((1 + elasticity[k]) * moves[f])
        for k in range(count):
            comes[k] = chooses[k] * share[k]
        for k in range(count):
            wins[k] = bill[k] * comes[k]
        for k in range(count):  # d share_k / d ln p_l = share_k (1[k = l] - share_l) slope_l
            share[k] *= slope[k] * factor
        for k in range(count):
            bends[k] = wins[k] * (slope[k] * factor - 2 * share[k] + elasticity[k])
        base = sales = response = of_sales = of_response = steeper = 0.0
        for k in range(count):
            kept = comes[k] + (weight[k] - chooses[k] if held[k] == f else 0.0)
            sale, lost = bill[k] * kept, wins[k] * (slope[k] * factor - share[k])
            answer, more = lost + sale * elasticity[k], 1 + elasticity[k]
            base, sales, response = base + kept, sales + sale, response + answer
            of_sales, of_response, steeper = of_sales + more * sale, of_response + more * answer, steeper + lost
        totals[:, f] = base, sales, response, of_sales, of_response, steeper
    return totals, changing, drawn


@compiled
def _slopes(changing: Floats, drawn: Floats, of_firms: Floats, moves: Floats, dollars: bool) -> Floats:
    """(3, F, F) the last three fields of `Sums`, of what `_choices` returns."""
    firms = len(drawn)
    slopes = np.empty((3, firms, firms))
    for f in range(firms):
        comes, wins, bends = changing[0, f], changing[1, f], changing[2, f]
        for g in range(firms):
            for i, product in enumerate(_dots(comes, wins, bends, drawn[g])):
                slopes[i, f, g] = -product
        for i, product in enumerate(_dots(comes, wins, bends, of_firms[1, f])):
            slopes[i, f, f] += product * exp(moves[f]) if dollars else product
    return slopes


@compiled
def _dots(one: Floats, two: Floats, three: Floats, other: Floats) -> tuple[float, float, float]:
    """Sums of products of three arrays with a fourth, in four interleaved parts, which any machine adds up alike."""
    a = b = c = d = 0.0
    e = f = g = h = 0.0
    p = q = r = s = 0.0
    whole = len(other) // 4 * 4
    for k in range(0, whole, 4):
        w, x, y, z = other[k], other[k + 1], other[k + 2], other[k + 3]
        a, b, c, d = a + one[k] * w, b + one[k + 1] * x, c + one[k + 2] * y, d + one[k + 3] * z
        e, f, g, h = e + two[k] * w, f + two[k + 1] * x, g + two[k + 2] * y, h + two[k + 3] * z
        p, q, r, s = p + three[k] * w, q + three[k + 1] * x, r + three[k + 2] * y, s + three[k + 3] * z
    for k in range(whole, len(other)):
        a, e, p = a + one[k] * other[k], e + two[k] * other[k], p + three[k] * other[k]
    return (a + b) + (c + d), (e + f) + (g + h), (p + q) + (r + s)


@dataclass(frozen=True)
class Conditions:
    """The first-order conditions sales + margin · response = 0 of F firms, and how they change with prices.

    The margin they imply is net of what a user is worth later, over price: one over the elasticity a firm faces. That
    is how Nevo (2001), Econometrica 69(2), infers costs from prices.
    """

    base: Floats  # (F,) users held at the end of the step
    margin: Floats  # (F,) of price
    response: Floats  # (F,) USD per log point of the firm's price: sales lost at a given margin
    base_slope: Floats  # (F, F) of the first firm's base per log point of the second's prices
    won_slope: Floats  # (F, F) of its sales, by users who come and go
    condition: Floats  # (F, F) of its p (1 - margin), over p

    @classmethod
    def of(cls, sums: Sums, dollars: bool) -> "Conditions":
        """From sums over users; `dollars` as in `Rivalry`."""
        margin = -_over(sums.sales, sums.response)
        more = sums.of_sales + margin * (sums.of_response + (sums.steeper if dollars else 0.0))
        change = sums.won_slope + margin[:, None] * sums.bent_slope + np.diag(more)
        condition = np.diag(1 - margin) + _over(change, sums.response[:, None])
        return cls(sums.base, margin, sums.response, sums.base_slope, sums.won_slope, condition)


def price_answers(
    market: Conditions, shift: tuple[Floats, Floats, Floats], bend: Floats, stays: NDArray[np.bool_]
) -> Floats:
    """Log points by which firms move their prices per unit of a shift of users, each answering the others.

    Prices meet p (1 - margin) = net cost before and after. Net cost falls by what a user becomes worth: `bend`, (F,)
    USD a USD of spend, for each user more. Firms that rest on a kink, whose price is at no maximum, or whose buyers
    mind no price, stay.

    shift   : (F,) each; base, sales and response gained
    returns : (F,) float, log points
    """
    base, sales, response = shift
    condition = market.condition + bend[:, None] * market.base_slope
    moved = -_over(sales + market.margin * response, market.response) - bend * base
    stays = stays | (market.condition.diagonal() <= 0) | (market.response == 0)
    condition[stays], moved[stays] = np.eye(len(stays))[stays], 0.0
    return np.asarray(np.linalg.solve(condition, moved))


def _bend(market: Conditions, curvature: float) -> Floats:
    """(F,) see `price_answers`; bounded, so that every condition keeps part of its slope."""
    leaving = -_over(market.base_slope.diagonal(), market.base)
    most = _over((1 - _CONCAVE) * np.maximum(market.condition.diagonal(), 0.0), leaving)
    return _over(np.minimum(curvature, most), market.base)


def _over(part: Floats, whole: Floats) -> Floats:
    """A ratio, 0 over nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole != 0)


def concession(users: Rivalry, later: Rivalry, firm: int, curvature: float) -> tuple[float, float]:
    """Share of a retained user's worth that rivals' answers take back, and how his worth changes with the base.

    With one user more, and the rival whom he likes best one fewer, prices move. By the envelope theorem the firm's own
    move costs it nothing to first order, so a user is worth margin · (spend retained + Σ spend won by a rise of a
    rival's price · that price's move). `curvature`, discounted, is thought to be every firm's.

    later     : the same users at the review to be expected; `provider` does not matter
    returns   : 1, 0 if nothing is retained; USD a USD of spend per log point of the base, undiscounted
    reference : Maskin and Tirole (2001), J. Economic Theory 100(2), for the equilibrium; the expansion about the
                present state, to second order, is ours
    """
    count, firms = users.attraction.shape
    best = np.where(np.arange(firms) == firm, -1.0, later.attraction).argmax(axis=1)
    ours, one = np.full(count, firm), users.weight / users.weight.sum()

    def look(by: float, moves: Floats, bend: Floats | None = None) -> tuple[Conditions, Floats, Floats, float, float]:
        moves = np.clip(by * moves, -_FURTHEST, _FURTHEST)
        gained, lost = (Sums.over(later, held, one, moves, slopes=by != 0) for held in (ours, best))
        shift = gained.plus(lost, -1)
        market = Conditions.of(Sums.over(users, users.provider, users.weight, moves).plus(shift, by), users.dollars)
        bend = _bend(market, curvature) if bend is None else bend
        moves = price_answers(market, (shift.base, shift.sales, shift.response), bend, users.stays)
        margin, won = market.margin[firm], np.delete(market.won_slope[firm] * moves, firm).sum()
        return market, moves, bend, float(margin * shift.sales[firm]), float(margin * won)

    market, moves, bend, retained, won = look(0.0, np.zeros(firms))
    spend = float(one @ users.spend[:, firm])
    if retained <= _NOTHING * spend:
        return 0.0, 0.0
    step = _NEARBY * market.base[firm]
    above, below = (sum(look(by, moves, bend)[3:]) for by in (step, -step))
    return -won / retained, (above - below) / (2 * _NEARBY) / spend
