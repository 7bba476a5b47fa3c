"""How much of a loyal user's worth rivals take back by their prices, from the conditions posted prices must meet."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_NEARBY = 1e-3  # of the firm's base: how far to either side the value of a user is looked at
_NOTHING = 1e-9  # USD a USD of spend: as good as no retention
_FURTHEST = 1.0  # log points: the expansion about the prices posted says nothing of moves beyond
_CONCAVE = 0.5  # least part of a firm's second-order condition that the curvature of its value may leave


@dataclass(frozen=True)
class Rivalry:
    """K users among F firms, each of which moves all its prices by the same log points.

    weight     : (K,) float, users stood for
    provider   : (K,) int              firm held, -1 for none
    review     : (K,) float, 1         chance of choosing in a step
    remains    : (K,) float, 1         exp(-switching cost): what it leaves of the attraction of all but the firm held
    attraction : (K, F) float, 1       exp(utility) at posted prices, up to a factor of the user
    outside    : (K,) float, 1         likewise of having no provider
    slope      : (K, F) float, utils per log point of price
    spend      : (K, F) float, USD/step
    elasticity : (K, F) float, 1       of tokens to price
    stays      : (F,) bool             firms whose price rests on a kink: they answer nothing
    dollars    : bool                  whether price enters utility in dollars: then the slope grows with it
    """

    weight: Floats
    provider: Integers
    review: Floats
    remains: Floats
    attraction: Floats
    outside: Floats
    slope: Floats
    spend: Floats
    elasticity: Floats
    stays: NDArray[np.bool_]
    dollars: bool

    def moved(self, moves: Floats) -> "Rivalry":
        """The same users after firms have moved their prices by `moves`, (F,) log points."""
        factor = np.exp(moves)
        utility = self.slope * ((factor - 1) if self.dollars else moves)
        return replace(
            self,
            attraction=self.attraction * np.exp(utility),
            slope=self.slope * factor if self.dollars else self.slope,
            spend=self.spend * np.exp((1 + self.elasticity) * moves),
        )


class Outcomes:
    """What every user does at the prices posted, from which the sums over users follow."""

    def __init__(self, users: Rivalry) -> None:
        held = users.provider[:, None] == np.arange(users.attraction.shape[1])
        remains = np.where(users.provider >= 0, users.remains, 1.0)
        pull = users.attraction * np.where(held, 1.0, remains[:, None])
        share = pull / (pull.sum(axis=1) + users.outside * remains)[:, None]
        self.users = users
        self.chosen = users.review[:, None] * share
        self.kept = self.chosen + np.where(held, (1 - users.review)[:, None], 0.0)
        self.sales = users.spend * self.kept
        self.lost = users.spend * self.chosen * (1 - share) * users.slope
        self.response = self.lost + self.sales * users.elasticity
        self.bent = users.spend * self.chosen * ((1 - 2 * share) * users.slope + users.elasticity)
        self.diverted = share * users.slope  # d share_k / d ln p_l = share_k (1[k = l] - share_l) slope_l

    def margin_parts(self, weight: Floats) -> tuple[Floats, Floats, Floats]:
        """Base, sales and response of the firms, (F,) each, summed over users of `weight` (K,); see `Conditions`."""
        return weight @ self.kept, weight @ self.sales, weight @ self.response

    def slopes(self, of: Floats, weight: Floats) -> Floats:
        """(F, F) change of the first firm's sum of `of` per log point of the second's prices, through choices only."""
        weighted = of * weight[:, None]
        crossed = -weighted.T @ self.diverted
        return np.asarray(crossed + np.diag(weight @ (of * self.users.slope)))


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
    def of(cls, outcomes: Outcomes, weight: Floats) -> "Conditions":
        """Summed over users of `weight` (K,), which may be negative."""
        users = outcomes.users
        base, sales, response = outcomes.margin_parts(weight)
        margin, won = -_over(sales, response), outcomes.slopes(users.spend * outcomes.chosen, weight)
        steeper = outcomes.lost if users.dollars else 0.0
        more = (1 + users.elasticity) * (outcomes.sales + margin * outcomes.response) + margin * steeper
        change = won + margin[:, None] * outcomes.slopes(outcomes.bent, weight) + np.diag(weight @ more)
        condition = np.diag(1 - margin) + _over(change, response[:, None])
        return cls(base, margin, response, outcomes.slopes(outcomes.chosen, weight), won, condition)


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
    everyone = _stacked(users, replace(later, provider=np.full(count, firm)), replace(later, provider=best))
    one, nobody = users.weight / users.weight.sum(), np.zeros(count)
    present, shifted = np.concatenate([users.weight, nobody, nobody]), np.concatenate([nobody, one, -one])

    def look(by: float, moves: Floats, bend: Floats | None = None) -> tuple[Conditions, Floats, Floats, float, float]:
        outcomes = Outcomes(everyone.moved(np.clip(by * moves, -_FURTHEST, _FURTHEST)))
        market, shift = Conditions.of(outcomes, present + by * shifted), outcomes.margin_parts(shifted)
        bend = _bend(market, curvature) if bend is None else bend
        moves = price_answers(market, shift, bend, users.stays)
        margin, won = market.margin[firm], np.delete(market.won_slope[firm] * moves, firm).sum()
        return market, moves, bend, float(margin * shift[1][firm]), float(margin * won)

    market, moves, bend, retained, won = look(0.0, np.zeros(firms))
    spend = float(one @ users.spend[:, firm])
    if retained <= _NOTHING * spend:
        return 0.0, 0.0
    step = _NEARBY * market.base[firm]
    above, below = (sum(look(by, moves, bend)[3:]) for by in (step, -step))
    return -won / retained, (above - below) / (2 * _NEARBY) / spend


def _stacked(*several: Rivalry) -> Rivalry:
    """Users one after another; firms as in the first."""
    names = [f.name for f in fields(Rivalry) if f.name not in ("stays", "dollars")]
    rows: dict[str, Any] = {name: np.concatenate([getattr(r, name) for r in several]) for name in names}
    return replace(several[0], **rows)
