"""Nobody comes: the market is that of the firms which start it."""

from aimarket.rng import Streams
from aimarket.settings import node
from aimarket.views import Memory, Prospect


@node
class Closed:
    @property
    def interval(self) -> int:
        """Months from one decision to the next: 0, never."""
        return 0

    def enters(self, view: Prospect, memory: Memory, rng: Streams) -> bool:
        return False
