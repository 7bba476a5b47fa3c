"""One price for own customers and another for everybody else: those who have shown that they like us pay more."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import Count, NonNegative, Positive, node
from aimarket.units import MONTHS_PER_YEAR
from aimarket.views import Floats, Memory, View

_CAP = 0.995  # of retention times discount: the value of a user stays finite


@node
class CustomerRecognition:
    """Best prices for the two groups, rivals' prices as posted.

    With a discount rate a user kept or won is worth W = rho m / (1 - delta rho) beyond the step, m what own customers
    pay above cost and rho the retention advantage; without one nothing later counts.

    Source: Fudenberg and Tirole (2000), RAND 31(4); Villas-Boas (1999), RAND 30(4).
    """

    discount_rate: NonNegative | None  # a year; null: static
    span: Positive  # log points: furthest move of a price in one step
    grid: Count  # prices tried on either side before the polish

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        start = np.stack([view.prices, view.newcomer_prices])
        return view.best_prices(start, self.user_value(view, memory), self.span, self.grid)

    def user_value(self, view: View, memory: Memory) -> Floats:
        """Discounted value beyond this step of having each panel user at its end, (K,) USD; never below 0."""
        if self.discount_rate is None:
            return np.zeros(len(view.panel.weight))
        discount = (1 + self.discount_rate) ** (-view.months / MONTHS_PER_YEAR)
        spend, segment, count = view.own_spend, view.panel.segment, len(view.menu.mix)
        weight = view.panel.weight * spend
        total = np.bincount(segment, weight, minlength=count)
        kept = np.bincount(segment, weight * view.retention_advantage(), minlength=count)
        rho = np.divide(kept, total, out=np.zeros(count), where=total > 0)
        rho = np.minimum(rho, _CAP / discount)
        margin = max(0.0, float(np.mean(1 - view.costs / view.prices)))
        return np.asarray(discount * (rho / (1 - discount * rho))[segment] * margin * spend)
