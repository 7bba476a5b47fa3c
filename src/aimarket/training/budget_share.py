"""A fixed share of revenue goes into training; a model is launched at the end of every period."""

from aimarket.rng import Streams
from aimarket.settings import NonNegative, Period, node
from aimarket.views import Memory, View


@node
class BudgetShare:
    share: NonNegative  # of last step's revenue
    period: Period  # months from launch to launch

    def outlay(self, view: View, memory: Memory, rng: Streams) -> float:
        return self.share * view.revenue
