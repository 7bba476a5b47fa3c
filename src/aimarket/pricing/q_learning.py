"""Prices found by trial: Q-learning over a grid of markups, knowing only prices, costs and what was earned."""

from typing import Annotated

import numpy as np
from pydantic import Field

from aimarket.kernels.learning import best_action, choice, experimentation, updated
from aimarket.rng import Streams
from aimarket.settings import NonNegative, Positive, PositiveShare, node
from aimarket.units import MONTHS_PER_YEAR
from aimarket.views import Floats, Memory, View


@node
class QLearning:
    """One markup for all own offers, out of a few; the state is last step's own markup and that of the rivals.

    The rivals' is the markup over own cost that their mean price would be, weighted by users in the panel: one figure
    for all of them keeps the states few. At first an action is worth what market research expects it to earn for ever
    at the rivals' posted prices. What is learnt from is the price posted, whoever set it.

    Source: Calvano, Calzolari, Denicolò and Pastorello (2020), AER 110(10).
    """

    learning: PositiveShare  # alpha: weight of the last step in the value of what was done
    decay: NonNegative  # beta: decay of experimentation, 1/month
    discount_rate: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-4, le=1e6)]  # a year
    prices: Annotated[int, Field(strict=True, ge=2, le=1000)]  # actions
    lowest_markup: NonNegative  # (p - c)/c
    markup_span: Positive  # from the lowest markup to the highest

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        markups = self.lowest_markup + np.linspace(0.0, self.markup_span, self.prices)
        costs = memory.get("costs", view.costs)  # prices stand against the costs they were made for
        own = _nearest(markups, float(np.mean(view.prices / costs)) - 1)
        state = own * self.prices + self._rivals(view, costs, markups, own)
        if "values" not in memory:
            memory["values"] = np.tile(self._expected(view, markups), (self.prices**2, 1))
        else:
            self._learn(view, memory, own, state)
        name = view.menu.providers[view.provider]
        draw = float(rng.at("pricing.q_learning", view.step, name).uniform(0, 1)[0])
        chance = experimentation(self.decay, (view.step - 1) * view.months)
        action = choice(best_action(memory["values"][state]), chance, draw, self.prices)
        memory["state"], memory["costs"] = state, view.costs
        return view.costs * (1 + markups[action])

    def _discount(self, view: View) -> tuple[float, float]:
        """Discount factor of a step, and what is missing to 1."""
        missing = -np.expm1(-np.log1p(self.discount_rate) * view.months / MONTHS_PER_YEAR)
        return 1 - missing, missing

    def _expected(self, view: View, markups: Floats) -> Floats:
        """Value of each markup kept for ever, rivals' prices and users as they are; (A,) USD."""
        nothing_later = np.zeros(len(view.panel.weight))
        margins = [view.value_of(view.costs * (1 + markup), nothing_later)[0] for markup in markups]
        return np.array(margins) / self._discount(view)[1]

    def _learn(self, view: View, memory: Memory, action: int, state: int) -> None:
        """What was done in the last state gets the margin it earned, and what the state it led to promises."""
        earned = view.revenue * float(np.mean(1 - memory["costs"] / view.prices))
        values, before = memory["values"].copy(), memory["state"]
        promised = values[state, best_action(values[state])]
        values[before, action] = updated(
            values[before, action], earned, promised, self.learning, self._discount(view)[0]
        )
        memory["values"] = values

    def _rivals(self, view: View, costs: Floats, markups: Floats, own: int) -> int:
        """Place on the grid of the rivals' mean price; that of the own price if nobody in the panel is with a rival."""
        menu, panel = view.menu, view.panel
        of_rival = (panel.offer >= 0) & (panel.provider != view.provider)
        if not of_rival.any():
            return own
        mean = np.average(menu.price[panel.offer[of_rival]], weights=panel.weight[of_rival])
        return _nearest(markups, float(np.mean(mean / costs)) - 1)


def _nearest(grid: Floats, value: float) -> int:
    return int(np.abs(grid - value).argmin())
