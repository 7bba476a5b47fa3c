"""Order what was turned away, and replace what retires: capacity follows demand and never leads it."""

from aimarket.rng import Streams
from aimarket.settings import node
from aimarket.views import Memory, View


@node
class FollowDemand:
    """What is on order counts, so that the same shortage is not ordered twice.

    Source: Clark (1917), Business acceleration and the law of demand, JPE 25(3); as the lag strategy, Olhager, Rudberg
    and Wikner (2001), International Journal of Production Economics 69(2).
    """

    def order(self, view: View, memory: Memory, rng: Streams) -> float:
        missing = view.turned_away * view.peak / view.usable + view.retiring - view.arriving
        return max(0.0, missing) / view.gpu_throughput
