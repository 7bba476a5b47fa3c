"""Segments of users, the menu they choose from, and what each offer is worth to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.choice import switching_cost
from aimarket.kernels.tables import Users
from aimarket.units import SECONDS_PER_HOUR, TOKENS_PER_MTOK

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TASTE_STEPS = 32  # tastes for providers are kept in this part of a standard deviation, up to 127 of them


@dataclass(frozen=True)
class Segments:
    """The settings of the segments as columns, (S,) each; see `settings.Segment` for units."""

    names: tuple[str, ...]
    population: Floats
    sample: Integers  # simulated users
    review: Floats
    outside: Floats  # -inf: no outside option
    base: Floats
    maximum: Floats
    horizon: Floats
    per_log_depth: Floats
    initial: Floats
    innovation: Floats
    imitation: Floats
    depth_ceiling: Floats
    depth_growth: Floats
    depth_decay: Floats
    tokens_per_task: Floats  # Mtok
    thinking: Floats  # Mtok
    value_of_time: Floats  # USD/hour
    output: Floats  # output tokens of a task, without thinking
    term: Floats  # months of a contract, 0: none
    discount: Floats
    commitment: Floats
    multihoming: Floats
    free: Floats
    conversion: Floats

    @property
    def weight(self) -> Floats:
        """(S,) users that a simulated user stands for; 0 where there is none."""
        nobody = np.zeros(len(self.population))
        return np.divide(self.population, self.sample, where=self.sample > 0, out=nobody)


@dataclass(frozen=True)
class Menu:
    """What users see when they choose. Offers of providers out of business are not on sale.

    price, rise, quality, speed : (J,)     USD/Mtok, log points since last step, logits, tokens/s
    newcomer_price              : (J,)     USD/Mtok, for the first step of those who were no customers of the provider
    outlook                     : (J,)     price expected on average over a stay, over the price own customers pay now
    allowance                   : (J,)     Mtok a step for users who do not pay; 0: no free tier
    provider, brand             : (J,) int  who owns the offer, and under whose name it is known
    mix                         : (S, J)   price of the segment's token mix over that of the reference mix
    latency, outage             : (S, R, J) s, share unserved last step
    """

    providers: tuple[str, ...]
    names: tuple[str, ...]  # "provider/offer"
    provider: Integers
    brand: Integers
    on_sale: Flags
    price: Floats
    newcomer_price: Floats
    outlook: Floats
    allowance: Floats
    rise: Floats
    quality: Floats
    appeal: Floats
    speed: Floats
    mix: Floats
    latency: Floats
    outage: Floats

    @cached_property
    def recognises(self) -> bool:
        """Whether anybody asks newcomers for another price."""
        return self.newcomer_price is not self.price and bool((self.newcomer_price != self.price).any())


def apportion(total: int, weights: Sequence[float] | Floats) -> list[int]:
    """Split `total` in proportion to `weights` by largest remainders (Hamilton's method); the parts sum to it."""
    exact = total * np.asarray(weights, float) / sum(weights)
    parts = np.floor(exact).astype(int)
    order = np.argsort(-(exact - parts), kind="stable")
    parts[order[: total - int(parts.sum())]] += 1
    return [int(part) for part in parts]


def segment_columns(users: config.Users) -> Segments:
    """Turn the mapping of segments into columns, and share the simulated users out among them."""
    rows = list(users.segments.values())

    def column(pick: Callable[[config.Segment], float]) -> Floats:
        return np.array([float(pick(row)) for row in rows])

    return Segments(
        names=tuple(users.segments),
        population=column(lambda s: s.population) * users.scale,
        sample=np.array(apportion(users.size, [row.sample for row in rows])),
        review=column(lambda s: s.review),
        outside=column(lambda s: -np.inf if s.outside_utility is None else s.outside_utility),
        base=column(lambda s: s.switching.base),
        maximum=column(lambda s: s.switching.maximum),
        horizon=column(lambda s: s.switching.horizon),
        per_log_depth=column(lambda s: s.switching.depth),
        initial=column(lambda s: s.adoption.initial),
        innovation=column(lambda s: s.adoption.innovation),
        imitation=column(lambda s: s.adoption.imitation),
        depth_ceiling=column(lambda s: s.depth.ceiling),
        depth_growth=column(lambda s: s.depth.growth),
        depth_decay=column(lambda s: s.depth.decay),
        tokens_per_task=column(lambda s: s.tokens_per_task) / TOKENS_PER_MTOK,
        thinking=column(lambda s: s.thinking_tokens) / TOKENS_PER_MTOK,
        value_of_time=column(lambda s: s.value_of_time),
        output=column(lambda s: s.tokens_per_task * s.tokens.output),
        term=column(lambda s: s.contract.term if s.contract else 0.0),
        discount=column(lambda s: s.contract.discount if s.contract else 0.0),
        commitment=column(lambda s: s.contract.commitment if s.contract else 0.0),
        multihoming=column(lambda s: s.multihoming),
        free=column(lambda s: s.free.share if s.free else 0.0),
        conversion=column(lambda s: s.free.conversion if s.free else 0.0),
    )


def over_step(monthly: Floats | float, months: float) -> Floats:
    """Probability over a step from a monthly one, as for a constant hazard."""
    return np.asarray(1 - (1 - np.asarray(monthly)) ** months)


def offer_utility(users: Users, menu: Menu, settings: config.Users) -> Floats:
    """Utility of every offer before price, switching cost and shock; -inf if it cannot be had; (U, J) utils."""
    delay = np.log1p(menu.latency / settings.latency_scale)[users.segment, users.region]
    utility = users.quality[:, None] * menu.quality
    utility -= users.latency[:, None] * delay
    utility += settings.taste_spread / TASTE_STEPS * users.tastes[menu.brand].T + menu.appeal
    utility[:, ~menu.on_sale] = -np.inf
    utility[np.ix_(users.free, menu.allowance <= 0)] = -np.inf
    return utility


def users_switching_cost(users: Users, segments: Segments, later: Floats | float = 0.0) -> Floats:
    """Cost of leaving their provider, `later` months of tenure from now; (U,) utils. None for those with a router."""
    s = users.segment
    cost = switching_cost(
        users.tenure + later,
        users.depth,
        segments.base[s],
        segments.maximum[s],
        segments.horizon[s],
        segments.per_log_depth[s],
    )
    return np.where(routes(users, segments), 0.0, cost) if segments.multihoming.any() else cost


def routes(users: Users, segments: Segments) -> Flags:
    """Who chooses anew every month through a router; users who pay nothing do not; (U,)."""
    return ~users.free & (users.router < segments.multihoming[users.segment])


def time_price(segments: Segments, speed: Floats) -> Floats:
    """Value of the time a Mtok of thinking takes, (S, J) USD/Mtok."""
    return segments.value_of_time[:, None] / SECONDS_PER_HOUR * TOKENS_PER_MTOK / speed
