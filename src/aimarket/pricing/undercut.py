"""A step below the cheapest rival offer of comparable quality, never below marginal cost."""

import numpy as np

from aimarket.rng import Streams
from aimarket.settings import NonNegativeUtils, OpenShare, node
from aimarket.views import Floats, Memory, View


@node
class Undercut:
    """Offers that nobody in the panel holds are no rivals; without rivals the price stays, or rises to cost.

    Source: Maskin and Tirole (1988), A theory of dynamic oligopoly II, Econometrica 56(3).
    """

    step: OpenShare  # below the rival, as a share of its price
    comparable: NonNegativeUtils  # logits of quality up to which offers compare

    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        menu = view.menu
        rival = view.held_offers & (menu.provider != view.provider)
        near = np.abs(menu.quality[view.offers, None] - menu.quality) <= self.comparable  # (M, J)
        cheapest = np.where(near & rival, menu.price, np.inf).min(axis=1)
        target = np.where(np.isfinite(cheapest), (1 - self.step) * cheapest, view.prices)
        return np.maximum(target, view.costs)
