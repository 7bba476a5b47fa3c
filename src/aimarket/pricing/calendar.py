"""Control: grow until a date, harvest after it. The switch is an input, so nothing it produces is a finding."""

from aimarket.rng import Streams
from aimarket.settings import Months, Real, node
from aimarket.views import Floats, Memory, View


@node
class Calendar:
    growth_markup: Real  # (p - c)/c before the date
    harvest_markup: Real  # (p - c)/c from the date on
    harvest_from: Months  # month of the run

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        harvesting = (view.step - 1) * view.months >= self.harvest_from
        return view.costs * (1 + (self.harvest_markup if harvesting else self.growth_markup))
