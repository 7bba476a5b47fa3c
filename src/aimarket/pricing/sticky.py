"""Another rule whose price changes only now and then: by chance, or when the change is worth its trouble."""

from typing import Any

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import NonNegative, PositiveShare, node
from aimarket.views import Floats, Memory, View


@node
class Sticky:
    """The rule is asked every step and learns every step; what it wants is posted only if the price may change.

    With `calvo` 1 and `menu_cost` 0 this is the rule itself. The menu cost is a hurdle, not a payment: it is compared
    with what the panel expects the change to bring in the step, the value the rule sets on users included.

    Source: Calvo (1983), Journal of Monetary Economics 12(3); Mankiw (1985), QJE 100(2).
    """

    calvo: PositiveShare  # probability of being allowed to change, a month
    menu_cost: NonNegative  # share of revenue that a change must bring in
    rule: Any  # a rule of the same shelf

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        before = dict(memory)
        wanted: Floats = self.rule.quote(view, memory, rng)
        name = view.menu.providers[view.provider]
        draw = float(rng.at("pricing.sticky", view.step, name).uniform(0, 1)[0])
        posted = view.prices if wanted.ndim == 1 else np.stack([view.prices, view.newcomer_prices])
        if self.calvo < 1 and draw >= 1 - (1 - self.calvo) ** view.months:
            return posted
        if self.menu_cost > 0 and self._gain(view, before, wanted, posted) <= self.menu_cost * view.revenue:
            return posted
        return wanted

    def _gain(self, view: View, memory: Memory, wanted: Floats, posted: Floats) -> float:
        """What the panel expects new prices to bring in a step, beyond the posted ones; USD."""
        user_value = getattr(self.rule, "user_value", None)  # of rules that look ahead
        later = np.zeros(len(view.panel.weight)) if user_value is None else user_value(view, memory)
        return view.value_of(wanted, later)[0] - view.value_of(posted, later)[0]
