"""Prices that maximise this step's expected margin, rivals' prices as posted; what comes after does not count."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import Count, Positive, node
from aimarket.views import Floats, Memory, View


@node
class StaticBestResponse:
    """Simultaneous best responses, whose rest point is the Bertrand-Nash equilibrium.

    Source: Caplin and Nalebuff (1991), Econometrica 59(1), for the logit.
    """

    span: Positive  # log points: furthest move of a price in one step
    grid: Count  # prices tried on either side before the polish

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        nothing_later = np.zeros(len(view.panel.weight))
        return view.best_prices(view.prices, nothing_later, self.span, self.grid)
