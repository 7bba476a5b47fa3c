"""Technology advances and models get better: what changes before anybody decides."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.sums import ordered_sum
from aimarket.rng import Streams

Floats = NDArray[np.float64]

DRIVERS = ("software", "distillation", "architecture")  # of tokens per reference-GPU-hour; hardware is in the road map


@dataclass
class Technology:
    """Levels of the drivers of tokens per GPU-hour, in logs; 0 when the run starts."""

    common: Floats  # (3,) software, distillation, architecture

    def advance(self, settings: config.Technology, streams: Streams, step: int, years: float) -> None:
        """One step of each common trend: a random walk with drift."""
        rates = np.array([settings.rates.software, settings.rates.distillation, settings.rates.architecture])
        shocks = np.array([streams.at("technology.common", step, name).one_normal() for name in DRIVERS])
        self.common = self.common + rates * years + settings.volatility * np.sqrt(years) * shocks


def generation_luck(streams: Streams) -> Callable[[str], float]:
    """How far each generation of GPUs not yet announced strays from its trend, in standard deviations, by its name."""
    return lambda name: streams.at("technology.hardware", 0, name).one_normal()


def private_shocks(streams: Streams, step: int, provider: str) -> Floats:
    """(3,) standard normal: one provider's own luck with each driver."""
    return np.array([streams.at(f"technology.private.{name}", step, provider).one_normal() for name in DRIVERS])


def advance_private(level: Floats, shocks: Floats, sales: Floats, settings: config.Technology, years: float) -> Floats:
    """Private levels of each provider: own luck, and a leak towards what is usual among those that sell.

    Every level reverts to the mean of all, weighted by sales. Leads are learnt away at the rate of `spillover`, and the
    leak alone leaves the industry's mean where it is, however many firms there are: the measured rates are the
    industry's, and hold the spread of ideas within it already. A firm that sells nothing is no example to anybody.

    level, shocks : (F, 3) float, log tokens per GPU-hour and standard normal
    sales         : (F,) float, revenue from tokens served on own GPUs, USD
    returns       : (F, 3) float
    """
    level = level + settings.private_volatility * np.sqrt(years) * shocks
    everybody = float(ordered_sum(sales))
    if everybody <= 0:
        return level
    usual = ordered_sum(sales[:, None] / everybody * level, 0)
    return level + (usual - level) * -np.expm1(-settings.spillover * years)


def trained_quality(quality: Floats, effort: float, shock: float, settings: config.Technology) -> Floats:
    """Quality of a provider's offers after a training run: diminishing returns to effort.

    A dollar buys ever more compute and a logit takes ever more of it; the two are taken to cancel.

    effort : float, USD
    shock  : float, standard normal
    source : Bloom, Jones, Van Reenen and Webb (2020), AER 110(4), on ideas getting harder to find
    """
    return quality + settings.quality_gain * np.log1p(effort / settings.training_scale) + settings.quality_shock * shock


def followed_quality(
    start: Floats, best_open: float, frontier: list[float], lag: float, gap: float, months: float
) -> Floats:
    """What the open weights of the day give each offer: its distance to the best of them stays what it was.

    The best open weights stand `gap` below the closed frontier of `lag` months ago, and never below where they started.

    start     : (J,) float, logits, quality of every offer when the run starts
    best_open : float, logits, the best open weights then; the frontier less the gap if nobody offers any
    frontier  : best closed quality at the end of each step so far, logits; the first entry is the start of the run
    lag, gap  : float, months and logits
    months    : float, length of a step
    returns   : (J,) float, logits
    """
    steps = round(lag / months)
    reached = frontier[max(0, len(frontier) - 1 - steps)] - gap
    # Nobody is carried beyond the weights he follows, or an opened frontier would lift itself.
    return np.maximum(start, np.minimum(start + (reached - best_open), reached))
