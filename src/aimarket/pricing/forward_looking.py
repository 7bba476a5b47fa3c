"""Prices that maximise this step's expected margin plus the value of the users kept and won: the flagship rule.

Nothing in it says when to invest in users and when to harvest them. While many users are free to choose, demand is
elastic and the value of a user large against today's margin, so the price is low; once they are locked in, the margin
weighs more and the price rises, or does not.
"""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import Count, Months, NonNegative, Positive, PositiveShare, Real, Share, node
from aimarket.units import MONTHS_PER_YEAR
from aimarket.views import Floats, Memory, View

_CAP = 0.995  # of retention times growth times discount: the value of a user stays finite
_LOOKS = 8  # at rivals when nothing is known yet
_STRIDE = 0.1  # first change of what is believed of the bend of a user's worth, USD a USD of spend per log point
_MOST = 0.5  # of a worth that rivals can take back: then a base is what it was a step later
_BEND = 10.0  # the most that is believed


@node
class ForwardLooking:
    """Continuation value of one more user W = rho (m + delta W), learnt from the firm's own retention and margins.

    rho is the retention advantage: how much likelier a user is ours next step if ours now than if a rival's. Without
    switching cost and inertia it is zero and the rule is the static best response.

    Source: Klemperer (1987), QJE 102(2); Dubé, Hitsch and Rossi (2009), JMR 46(4). Little cash discounts the future:
    Chevalier and Scharfstein (1996), AER 86(4).
    """

    discount_rate: NonNegative  # a year
    learning: PositiveShare  # weight of the last step in what is learnt
    growth_limit: Share  # log points a month: bound on the expected growth of spend per user
    runway: NonNegative  # months of cash below which the future counts less
    continuation_value: Real | None  # USD/user, fixed instead of learnt
    reaction_period: Months  # between looks at how rivals answer; 0: their prices are taken as given
    respondents: Count  # panel users looked at for it
    span: Positive  # log points: furthest move of a price in one step
    grid: Count  # prices tried on either side before the polish

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        value = self.user_value(view, memory)
        memory["continuation_value"] = _mean_own(value, view)
        return view.best_prices(view.prices, value, self.span, self.grid)

    def user_value(self, view: View, memory: Memory) -> Floats:
        """Discounted value beyond this step of having each panel user at its end, (K,) USD; never below 0.

        Nobody has to keep a user who costs more than he pays.
        """
        discount = (1 + self.discount_rate) ** (-view.months / MONTHS_PER_YEAR)
        if self.continuation_value is not None:
            return np.full(len(view.panel.weight), discount * self.continuation_value)
        margin = self._learn_margin(view, memory)
        multiple = self._learn_multiple(view, memory, discount)
        runway = (view.cash + view.credit) / view.burn if view.burn > 0 else np.inf
        patience = min(1.0, runway / self.runway) if self.runway > 0 else 1.0
        return patience * discount * multiple[view.panel.segment] * max(0.0, margin) * view.own_spend

    def _learn_margin(self, view: View, memory: Memory) -> float:
        """Lerner margin on own sales, learnt; a share of revenue, so that falling costs do not make it stale."""
        seen = float(np.mean(1 - view.costs / view.prices))
        memory["margin"] = seen if "margin" not in memory else self._mix(memory["margin"], seen)
        return float(memory["margin"])

    def _learn_multiple(self, view: View, memory: Memory, discount: float) -> Floats:
        """Steps of margin a user is worth beyond this one, by segment: rho g / (1 - delta rho g), learnt."""
        advantage, weight = view.retention_advantage(), view.panel.weight * view.own_spend
        count = int(view.menu.mix.shape[0])
        total = np.bincount(view.panel.segment, weight, minlength=count)
        sums = np.bincount(view.panel.segment, weight * advantage, minlength=count)
        seen = np.divide(sums, total, where=total > 0, out=np.zeros(count))
        memory["retention"] = seen if "retention" not in memory else self._mix(memory["retention"], seen)
        kept = memory["retention"] * (1 - self._learn_concession(view, memory, discount))
        growing = np.minimum(kept * np.exp(self._learn_growth(view, memory)), _CAP / discount)
        return np.asarray(growing / (1 - discount * growing))

    def _learn_concession(self, view: View, memory: Memory, discount: float) -> float:
        """Share of a retained user's worth that rivals take back by asking less, learnt."""
        period = round(self.reaction_period / view.months)
        if not self.reaction_period:
            return 0.0
        first = "concession" not in memory
        if first or period < 2 or view.step % period == 0:
            for _ in range(_LOOKS if first else 1):
                seen = self._look_at_rivals(view, memory, discount)
            memory["concession"] = seen if first else self._mix(memory["concession"], seen)
        return float(memory["concession"])

    def _look_at_rivals(self, view: View, memory: Memory, discount: float) -> float:
        """The share now; learns on the way how the worth of a user bends with the base.

        The bend that is looked for is the one that is seen if it is believed. Where retention is high, what is seen
        falls steeply in what is believed: belief moves by strides that halve when they overshoot.
        """
        from aimarket.kernels.reaction import concession

        rivalry = view.rivalry(self.respondents)
        if rivalry is None:
            return 0.0
        belief, stride = memory.get("curvature", 0.0), memory.get("stride", _STRIDE)
        share, seen = concession(*rivalry, discount * belief)
        gap, before = seen - belief, memory.get("gap", 0.0)
        if before:
            stride = min(stride * (1.5 if gap * before > 0 else 0.5), (1 + abs(belief)) / 2)
        memory["gap"], memory["stride"] = gap, max(stride, _STRIDE / 10)
        memory["curvature"] = float(np.clip(belief + np.clip(gap, -stride, stride), -_BEND, _BEND))
        return float(np.clip(share, 0.0, _MOST))

    def _learn_growth(self, view: View, memory: Memory) -> float:
        """Log growth a step of revenue per own user, learnt and bounded."""
        now = view.revenue / view.users if view.users > 0 else 0.0
        before = memory.get("revenue_per_user", 0.0)
        memory["revenue_per_user"] = now
        limit = self.growth_limit * view.months
        seen = float(np.clip(np.log(now / before), -limit, limit)) if now > 0 and before > 0 else 0.0
        memory["growth"] = self._mix(memory.get("growth", 0.0), seen)
        return float(memory["growth"])

    def _mix(self, old: Floats | float, seen: Floats | float) -> Floats | float:
        return (1 - self.learning) * old + self.learning * seen


def _mean_own(value: Floats, view: View) -> float:
    """Mean value over the panel users now ours; over all of them if none is."""
    own = view.panel.provider == view.provider
    weight = view.panel.weight * (own if own.any() else 1.0)
    return float((value * weight).sum() / weight.sum())
