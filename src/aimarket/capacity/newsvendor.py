"""Order so that the peak of demand exceeds capacity, when the order arrives, as rarely as a lost hour costs."""

import numpy as np
from scipy.special import ndtri

from aimarket.rng import Streams
from aimarket.settings import NonNegative, PositiveShare, node
from aimarket.units import HOURS_PER_MONTH
from aimarket.views import Memory, View

_SUREST = 1 - 1e-9  # probability of having enough


@node
class Newsvendor:
    """P(demand in the peak <= capacity) = (r - k)/r: r margin of a GPU-hour worked, k cost of one owned.

    Demand in a lead time is log-normal, with growth and variance learnt from the firm's own load. The wider the margin
    and the more uncertain demand, the more capacity stands idle on purpose. All of r is set against all of k, as if
    every hour were like the peak: a GPU that works only in the peak hours earns less, so orders err on the high side.

    Source: Arrow, Harris and Marschak (1951), Econometrica 19(3); Van Mieghem (2003), Manufacturing & Service
    Operations Management 5(4).
    """

    learning: PositiveShare  # weight of the last step in growth and variance
    growth_limit: NonNegative  # log points a month: bound on a change of load that counts
    volatility: NonNegative  # log points per square root of a month, before anything is learnt

    def order(self, view: View, memory: Memory, rng: Streams) -> float:
        growth, variance = self._learn(view, memory)
        worked = min(view.load * HOURS_PER_MONTH * view.months, view.workable)
        if worked <= 0 or view.owning_cost <= 0:
            return 0.0
        margin = view.revenue / worked - view.working_cost  # USD an hour
        if margin <= view.owning_cost:
            return 0.0
        enough = min((margin - view.owning_cost) / margin, _SUREST)
        log_growth = growth * view.lead_time + np.sqrt(variance * view.lead_time) * float(ndtri(enough))
        wanted = view.load * view.peak * float(np.exp(log_growth)) / view.usable
        return max(0.0, wanted - (view.capacity + view.arriving - view.retiring)) / view.gpu_throughput

    def _learn(self, view: View, memory: Memory) -> tuple[float, float]:
        """Growth of load a step, log points, and the variance of its changes about it."""
        before, growth = memory.get("load", 0.0), memory.get("growth", 0.0)
        variance = memory.get("variance", self.volatility**2 * view.months)
        if view.load > 0 and before > 0:
            limit = self.growth_limit * view.months
            seen = float(np.clip(np.log(view.load / before), -limit, limit))
            variance = (1 - self.learning) * (variance + self.learning * (seen - growth) ** 2)
            growth += self.learning * (seen - growth)
        memory["load"], memory["growth"], memory["variance"] = view.load, growth, variance
        return growth, variance
