"""No training: quality stays as it is, unless the provider serves open weights."""

from aimarket.rng import Streams
from aimarket.settings import node
from aimarket.views import Memory, View


@node
class NoTraining:
    @property
    def period(self) -> int:
        """Months from launch to launch: 0, never."""
        return 0

    def outlay(self, view: View, memory: Memory, rng: Streams) -> float:
        return 0.0
