"""Order what keeps peak-hour utilisation at a target when the order arrives, from the growth of load seen so far."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import NonNegative, PositiveShare, node
from aimarket.views import Memory, View


@node
class TargetUtilisation:
    """Source: adaptive expectations, Nerlove (1958), QJE 72(2)."""

    target: PositiveShare  # load in the peak hour over capacity
    learning: PositiveShare  # weight of the last step in the growth expected
    growth_limit: NonNegative  # log points a month: bound on the growth expected

    def order(self, view: View, memory: Memory, rng: Streams) -> float:
        before = memory.get("load", view.load)
        memory["load"] = view.load
        limit = self.growth_limit * view.months
        seen = float(np.clip(np.log(view.load / before), -limit, limit)) if view.load > 0 and before > 0 else 0.0
        memory["growth"] = (1 - self.learning) * memory.get("growth", 0.0) + self.learning * seen
        expected = view.load * float(np.exp(memory["growth"] * view.lead_time))
        missing = expected * view.peak / self.target - (view.capacity + view.arriving - view.retiring)
        return max(0.0, missing) / view.gpu_throughput
