"""Users among firms that compete in prices, as market research knows them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rivalry:
    """K users among F firms, each of which moves all its prices by the same log points.

    weight     : (K,) float, users stood for
    provider   : (K,) int              firm held, -1 for none
    review     : (K,) float, 1         chance of choosing in a step
    remains    : (K,) float, 1         exp(-switching cost): what it leaves of the attraction of all but the firm held
    attraction : (K, F) float, 1       exp(utility) at posted prices, up to a factor of the user
    outside    : (K,) float, 1         likewise of having no provider
    slope      : (K, F) float, utils per log point of price
    spend      : (K, F) float, USD/step
    elasticity : (K, F) float, 1       of tokens to price
    stays      : (F,) bool             firms whose price rests on a kink: they answer nothing
    dollars    : bool                  whether price enters utility in dollars: then the slope grows with it
    """

    weight: Floats
    provider: Integers
    review: Floats
    remains: Floats
    attraction: Floats
    outside: Floats
    slope: Floats
    spend: Floats
    elasticity: Floats
    stays: NDArray[np.bool_]
    dollars: bool

    @cached_property
    def of_users(self) -> Floats:
        """(3, K) what is one number a user: review, remains, outside."""
        return np.stack([self.review, self.remains, self.outside])

    @cached_property
    def of_firms(self) -> Floats:
        """(4, F, K) what is one number a user and firm: attraction, slope, spend, elasticity."""
        return np.array([x.T for x in (self.attraction, self.slope, self.spend, self.elasticity)], order="C")
