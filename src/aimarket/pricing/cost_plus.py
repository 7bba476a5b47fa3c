"""A fixed markup over long-run marginal cost."""

from aimarket.rng import Streams
from aimarket.settings import Real, node
from aimarket.views import Floats, Memory, View


@node
class CostPlus:
    """Source: Hall and Hitch (1939), Oxford Economic Papers 2."""

    markup: Real  # (p - c)/c

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        return view.costs * (1 + self.markup)
