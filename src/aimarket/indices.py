"""Price indices: posted prices chained from step to step, as they are and at constant quality."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aimarket.kernels.welfare import tornqvist_change
from aimarket.population import Floats

if TYPE_CHECKING:
    from aimarket.market import Market


@dataclass
class Indices:
    """Logs of the chained indices, and what the next link is held against."""

    posted: float = 0.0  # matched offers at posted prices
    adjusted: float = 0.0  # the same at constant quality
    price: Floats = field(default_factory=lambda: np.zeros(0))
    quality: Floats = field(default_factory=lambda: np.zeros(0))
    value: Floats = field(default_factory=lambda: np.zeros(0))

    def advance(self, market: "Market", value: Floats) -> None:
        """Add this step's link; value : (J,) USD/month spent on each offer."""
        if self.price.size:
            self.posted += tornqvist_change(market.price, self.price, value, self.value)
            better = np.exp(-(market.quality - self.quality) * quality_premium(market))
            self.adjusted += tornqvist_change(market.price * better, self.price, value, self.value)
        self.price, self.quality, self.value = market.price.copy(), market.quality.copy(), value


def quality_premium(market: "Market") -> float:
    """Log points of price that users give for a logit of quality: mean taste for quality over mean taste for price."""
    if market.settings.users.price_metric == "linear":
        return np.nan
    quality, price = market.total_tastes
    return float(quality / price)
