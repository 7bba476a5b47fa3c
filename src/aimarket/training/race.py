"""A race: spend what it takes for the next model to pass the best rival, as far as money goes."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import NonNegative, NonNegativeUtils, Period, Share, node
from aimarket.views import Memory, View

_MOST = 50.0  # log points of effort over the scale: more than anybody has


@node
class Race:
    """Effort that makes up the distance to the best rival on sale plus a lead, spread over the months to the launch.

    Quality gain is inverted: it takes F = F0 (exp(distance / gain) - 1) USD. Who is far behind would have to spend more
    than he has, and falls back to what revenue and cash allow; who is far ahead rests.

    Source: Harris and Vickers (1987), Racing with uncertainty, Review of Economic Studies 54(1): effort is highest
    where rivals are close, and the follower who falls far behind gives up the chase.
    """

    lead: NonNegativeUtils  # logits by which the next model shall pass the best rival's of today
    revenue_share: NonNegative  # of last step's revenue, at most
    cash_share: Share  # of cash, at most, a month on top
    period: Period  # months from launch to launch

    def outlay(self, view: View, memory: Memory, rng: Streams) -> float:
        rivals = view.menu.on_sale & (view.menu.provider != view.provider)
        if view.quality_gain <= 0 or not rivals.any():
            return 0.0
        distance = float(view.menu.quality[rivals].max()) + self.lead - float(view.quality.max())
        effort = view.training_scale * np.expm1(np.clip(distance / view.quality_gain, 0.0, _MOST))
        months_left = max(view.months, self.period - view.months_in_training)
        wanted = max(0.0, effort - view.training_effort) * view.months / months_left
        spare = max(0.0, view.cash) * (1 - (1 - self.cash_share) ** view.months)
        return float(min(wanted, self.revenue_share * view.revenue + spare))
