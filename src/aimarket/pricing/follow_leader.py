"""The price of the leader, the largest other seller, times a ratio; never below marginal cost."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import Positive, node
from aimarket.views import Floats, Memory, View


@node
class FollowLeader:
    """Each own offer follows the leader's offer nearest in quality; where nobody else sells, the price stays.

    Source: Markham (1951), The nature and significance of price leadership, AER 41(5).
    """

    ratio: Positive  # own price over the leader's

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        menu, spend = view.menu, view.panel_spend
        sold = np.bincount(menu.provider, spend, minlength=len(menu.providers))
        sold[view.provider] = 0.0
        target = view.prices
        if sold.any():
            leading = np.flatnonzero(menu.on_sale & (menu.provider == sold.argmax()))
            distance = np.abs(menu.quality[view.offers, None] - menu.quality[leading])  # (M, offers of the leader)
            target = self.ratio * menu.price[leading[distance.argmin(axis=1)]]
        return np.maximum(target, view.costs)
