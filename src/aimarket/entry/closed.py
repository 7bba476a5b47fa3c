"""Nobody enters: the roster is the market."""

from collections.abc import Mapping

from aimarket.rng import Streams
from aimarket.settings import node
from aimarket.views import Memory


@node
class Closed:
    def entrants(self, active: Mapping[str, bool], memory: Memory, rng: Streams) -> tuple[str, ...]:
        return ()
