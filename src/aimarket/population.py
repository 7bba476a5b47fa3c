"""Users as a struct of arrays, the menu they choose from, and what each offer is worth to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.choice import switching_cost
from aimarket.kernels.sums import ordered_sum
from aimarket.rng import Streams
from aimarket.units import SECONDS_PER_HOUR, TOKENS_PER_MTOK

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass
class Users:
    """One row a simulated user; rows are sorted by segment, and independent within one."""

    segment: Integers
    region: Integers
    weight: Floats  # users a row stands for
    quality: Floats  # utils per logit
    price: Floats  # utils per log point, or per USD/Mtok
    latency: Floats  # utils per log point
    tasks: Floats  # tasks/month at depth 1 and the reference price
    adopted: Flags
    offer: Integers  # -1: none
    tenure: Floats  # months with the provider by the next choice
    depth: Floats  # workflows
    surplus: Floats  # utils of the offer held, tastes for providers left out; nan without one
    router: Floats  # uniform draw: below the share of the segment that chooses through a router, so does the user
    free: Flags  # pays nothing
    due: Flags  # must choose in the next step: the contract has ended, or the user has begun to pay
    contract_price: Floats  # USD/Mtok of the reference mix; nan: no contract
    contract_left: Floats  # months the contract still runs
    commitment: Floats  # Mtok of the reference mix a month, paid whether used or not

    def __len__(self) -> int:
        return len(self.segment)


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

    @property
    def recognises(self) -> bool:
        """Whether anybody asks newcomers for another price."""
        return self.newcomer_price is not self.price and bool((self.newcomer_price != self.price).any())


def apportion(total: int, weights: Sequence[float]) -> list[int]:
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


def taste_factor(users: config.Users) -> Floats:
    """Matrix that turns three independent normals into correlated logs of the tastes for quality, price and latency."""
    c = users.correlation
    correlation = np.array(
        [
            [1, c.quality_price, c.quality_latency],
            [c.quality_price, 1, c.price_latency],
            [c.quality_latency, c.price_latency, 1],
        ]
    )
    try:
        factor = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        raise ValueError("users.correlation: the three correlations allow no joint distribution") from None
    return factor * np.array([users.spread.quality, users.spread.price, users.spread.latency])[:, None]


def create_users(settings: config.Users, segments: Segments, region_weights: Floats, streams: Streams) -> Users:
    """Draw the users: region, tastes, size and whether they have adopted before the run starts."""
    size = settings.size
    segment = np.repeat(np.arange(len(segments.names)), segments.sample)
    rows = list(settings.segments.values())
    edges = np.cumsum(region_weights / region_weights.sum())[:-1]
    normals = np.stack([streams.at("users.preferences", owner=k).normal(0, size) for k in ("0", "1", "2")])
    log_tastes = ordered_sum(taste_factor(settings)[:, :, None] * normals, axis=1)
    spread = np.array([settings.spread.quality, settings.spread.price, settings.spread.latency])
    means = np.array([[s.preferences.quality, s.preferences.price, s.preferences.latency] for s in rows]).T
    # exp(z - var/2) has mean 1, so the means in the settings are the means of the coefficients whatever the spread.
    tastes = means[:, segment] * np.exp(log_tastes - spread[:, None] ** 2 / 2)
    task_spread = np.array([s.tasks_spread for s in rows])[segment]
    tasks = np.array([s.tasks for s in rows])[segment]
    size_draw = streams.at("users.tasks").normal(0, size)
    weight = np.divide(segments.population, segments.sample, where=segments.sample > 0, out=np.zeros(len(rows)))
    return Users(
        segment=segment,
        region=np.searchsorted(edges, streams.at("users.region").uniform(0, size), side="right"),
        weight=weight[segment],
        quality=tastes[0],
        price=tastes[1],
        latency=tastes[2],
        tasks=tasks * np.exp(task_spread * size_draw - task_spread**2 / 2),
        adopted=streams.at("users.adopted").uniform(0, size) < segments.initial[segment],
        offer=np.full(size, -1),
        tenure=np.zeros(size),
        depth=np.array([s.depth.initial for s in rows])[segment],
        surplus=np.full(size, np.nan),
        router=streams.at("users.router").uniform(0, size),
        free=streams.at("users.free").uniform(0, size) < segments.free[segment],
        due=np.zeros(size, dtype=bool),
        contract_price=np.full(size, np.nan),
        contract_left=np.zeros(size),
        commitment=np.zeros(size),
    )


def provider_tastes(
    streams: Streams, providers: Sequence[str], spread: float, start: int, stop: int, known: Flags | None = None
) -> Floats:
    """Persistent taste of users start..stop for each provider, re-derived from its key instead of being stored.

    known   : (F,) bool, brands on sale, if the tastes for others need not be known; these are 0 then
    returns : (stop - start, F) float, utils
    """
    tastes = np.zeros((stop - start, len(providers)))
    if spread > 0:
        for column, name in enumerate(providers):
            if known is not None and not known[column]:
                continue
            tastes[:, column] = spread * streams.at("users.taste", owner=name).normal(start, stop)
    return tastes


def offer_utility(users: Users, rows: Integers, menu: Menu, tastes: Floats, latency_scale: float) -> Floats:
    """Utility of every offer to some users before price, switching cost and shock; -inf if it cannot be had.

    rows    : (n,) int
    tastes  : (n, F) float, utils
    returns : (n, J) float, utils
    """
    delay = np.log1p(menu.latency[users.segment[rows], users.region[rows]] / latency_scale)
    utility = users.quality[rows, None] * menu.quality - users.latency[rows, None] * delay
    utility += tastes[:, menu.brand] + menu.appeal
    utility = np.where(menu.on_sale, utility, -np.inf)
    free = users.free[rows]
    if free.any():
        utility[free[:, None] & (menu.allowance <= 0)] = -np.inf
    return utility


def over_step(monthly: Floats | float, months: float) -> Floats:
    """Probability over a step from a monthly one, as for a constant hazard."""
    return np.asarray(1 - (1 - np.asarray(monthly)) ** months)


def users_switching_cost(users: Users, rows: Integers, segments: Segments, later: Floats | float = 0.0) -> Floats:
    """Cost of leaving their provider, `later` months of tenure from now; (n,) utils. None for those with a router."""
    s = users.segment[rows]
    cost = switching_cost(
        users.tenure[rows] + later,
        users.depth[rows],
        segments.base[s],
        segments.maximum[s],
        segments.horizon[s],
        segments.per_log_depth[s],
    )
    return np.where(routes(users, rows, segments), 0.0, cost) if segments.multihoming.any() else cost


def routes(users: Users, rows: Integers | slice, segments: Segments) -> Flags:
    """Who chooses anew every month through a router; users who pay nothing do not."""
    return ~users.free[rows] & (users.router[rows] < segments.multihoming[users.segment[rows]])


def time_price(segments: Segments, speed: Floats) -> Floats:
    """Value of the time a Mtok of thinking takes, (S, J) USD/Mtok."""
    return segments.value_of_time[:, None] / SECONDS_PER_HOUR * TOKENS_PER_MTOK / speed
