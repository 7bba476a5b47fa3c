"""No orders: the fleet ages and is never renewed."""

from aimarket.rng import Streams
from aimarket.settings import node
from aimarket.views import Memory, View


@node
class Fixed:
    def order(self, view: View, memory: Memory, rng: Streams) -> float:
        return 0.0
