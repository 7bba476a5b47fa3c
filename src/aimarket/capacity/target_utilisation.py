"""Order what keeps utilisation in the peak hour at a target when the order arrives, given how load has grown so far."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import NonNegative, PositiveShare, node
from aimarket.units import HOURS_PER_MONTH
from aimarket.views import Memory, View


@node
class TargetUtilisation:
    """A full fleet hides how much demand it turns or prices away, so a full firm orders for more than it sees.

    Source: adaptive expectations, Nerlove (1958), QJE 72(2); censored demand, Nahmias (1994), Naval Research
    Logistics 41(6).
    """

    target: PositiveShare  # load in the peak hour over capacity
    learning: PositiveShare  # weight of the last step in the growth expected
    growth_limit: NonNegative  # log points a month: bound on the growth expected
    full: PositiveShare  # load over what can be worked from which a fleet counts as full
    hidden_demand: NonNegative  # log points of demand thought to be hidden by a full fleet

    def order(self, view: View, memory: Memory, rng: Streams) -> float:
        before = memory.get("load", view.load)
        memory["load"] = view.load
        limit = self.growth_limit * view.months
        seen = float(np.clip(np.log(view.load / before), -limit, limit)) if view.load > 0 and before > 0 else 0.0
        memory["growth"] = (1 - self.learning) * memory.get("growth", 0.0) + self.learning * seen
        worked = view.load * HOURS_PER_MONTH * view.months
        hidden = self.hidden_demand if worked >= self.full * view.workable else 0.0
        expected = view.load * float(np.exp(memory["growth"] * view.lead_time + hidden))
        missing = expected * view.peak / self.target - (view.capacity + view.arriving - view.retiring)
        return max(0.0, missing) / view.gpu_throughput
