"""Technology advances and models get better: what changes before anybody decides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.rng import Streams

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DRIVERS = ("software", "distillation", "architecture")


@dataclass
class Technology:
    """Levels of the drivers of tokens per GPU-hour, in logs; 0 when the run starts."""

    common: Floats  # (3,) software, distillation, architecture

    def advance(self, settings: config.Technology, streams: Streams, step: int, years: float) -> None:
        """One step of each common trend: a random walk with drift."""
        rates = np.array([settings.rates.software, settings.rates.distillation, settings.rates.architecture])
        shocks = np.array([streams.at("technology.common", step, name).one_normal() for name in DRIVERS])
        self.common = self.common + rates * years + settings.volatility * np.sqrt(years) * shocks


def advance_private(level: Floats, shocks: Floats, selling: Flags, settings: config.Technology, years: float) -> Floats:
    """Private efficiency of each provider: own luck, and catching up with the best of those that sell.

    level, shocks, selling : (F,)
    returns                : (F,) float, log tokens per GPU-hour
    """
    level = level + settings.private_volatility * np.sqrt(years) * shocks
    if not selling.any():
        return level
    lead = level[selling].max()
    return level + np.maximum(lead - level, 0.0) * -np.expm1(-settings.spillover * years)


def trained_quality(quality: Floats, effort: float, shock: float, settings: config.Technology) -> Floats:
    """Quality of a provider's offers after a training run: diminishing returns to effort.

    A dollar buys ever more compute and a logit takes ever more of it; the two are taken to cancel.

    effort : float, USD
    shock  : float, standard normal
    source : Bloom, Jones, Van Reenen and Webb (2020), AER 110(4), on ideas getting harder to find
    """
    return quality + settings.quality_gain * np.log1p(effort / settings.training_scale) + settings.quality_shock * shock


def frontier_gain(history: list[float], settings: config.Technology, months: float) -> float:
    """By how much open weights have followed the closed frontier so far: its gain up to `open_weights_lag` ago; logits.

    history : best closed quality at the end of each step so far, logits; the first entry is the start of the run
    months  : length of a step
    """
    steps = round(settings.open_weights_lag / months)
    return history[max(0, len(history) - 1 - steps)] - history[0]
