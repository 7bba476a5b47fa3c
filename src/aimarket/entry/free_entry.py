"""A waiting provider comes in if what it expects to earn for ever is worth more than what coming in costs."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import Period, Positive, node
from aimarket.units import MONTHS_PER_YEAR
from aimarket.views import Memory, Prospect


@node
class FreeEntry:
    """Firms come in until the next one would lose: the fixed cost is overhead, and the return on what is paid in.

    Profit is that of today's market, everybody having looked around once and rivals' prices as posted. The rental of
    GPUs is in the cost of a token, so what the fleet costs is not counted again.

    Source: Mankiw and Whinston (1986), RAND Journal of Economics 17(1), on free entry; perpetuity: Brealey, Myers and
    Allen (2020), Principles of Corporate Finance, ch. 2.
    """

    interval: Period  # months from one decision to the next; at most one provider comes at a time
    required_return: Positive  # a year, on what investors pay in

    def enters(self, view: Prospect, memory: Memory, rng: Streams) -> bool:
        margin, _ = view.value_of(view.prices, np.zeros(len(view.panel.weight)))
        earned = (1 - view.tax_rate) * (margin / view.months - view.overhead) * MONTHS_PER_YEAR
        return earned > self.required_return * view.entry_cost
