"""What a step says to users, as tables by segment, region and offer: all that is the same for many is reckoned once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket import terms
from aimarket.kernels import effort
from aimarket.kernels.choice import price_utility
from aimarket.kernels.tables import Choosing, Reviewing, StepTables, Using
from aimarket.population import TASTE_STEPS, Menu, Segments, over_step, time_price
from aimarket.rng import Streams

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_LEAST = -1e30  # log of next to nothing: times 0 it is still 0


@dataclass(frozen=True)
class Step:
    """What the demand side needs to know about a step."""

    menu: Menu
    segments: Segments
    settings: config.Users
    streams: Streams
    number: int
    months: float  # length of the step
    adoption: Floats  # (S,) probability of adopting in this step
    task_factor: float  # demand shock
    portability: float


@dataclass(frozen=True)
class Use:
    """What a user does in a step at some price, per task a month of own size; (..., S, J)."""

    tasks: Floats
    thinking: Floats  # Mtok a task
    tokens: Floats  # Mtok
    task_elasticity: Floats
    thinking_elasticity: Floats


def use_at(step: Step, asked: Floats) -> Use:
    """What users do who are asked some prices for their own token mixes; asked : (..., S, J) USD/Mtok."""
    segments, response = step.segments, terms.response(step.settings)
    waiting = time_price(segments, step.menu.speed)
    one, thinking = np.ones_like(asked), segments.thinking[:, None]
    tasks, thinking = effort.use(step.months * step.task_factor * one, one, thinking, asked, waiting, response)
    elasticities = effort.use_elasticities(asked, waiting, response)
    return Use(tasks, thinking, tasks * (segments.tokens_per_task[:, None] + thinking), *elasticities)


def posted(menu: Menu) -> Floats:
    """(2, 1, J) USD/Mtok of the reference mix, to own customers and to newcomers."""
    return np.stack([menu.price, menu.newcomer_price])[:, None]


def free_use(step: Step) -> Use:
    """Users who do not pay use as much as at the reference price, so that no posted price moves them; (S, J)."""
    return use_at(step, np.full_like(step.menu.mix, step.settings.reference_price))


def step_tables(step: Step) -> StepTables:
    """All that the compiled kernels need to know about a step."""
    return StepTables(_reviewing(step), _choosing(step), _using(step))


def _hazard(probability: Floats | float) -> Singles:
    """Of a Poisson process with a probability of at least one event."""
    with np.errstate(divide="ignore"):
        return _single(-np.log1p(-np.asarray(probability)))


def _single(values: Floats) -> Singles:
    return np.asarray(values, dtype=np.float32, order="C")


def _reviewing(step: Step) -> Reviewing:
    menu, segments, settings, months = step.menu, step.segments, step.settings, step.months
    return Reviewing(
        key=step.streams.at("users.step").key_of_loop,
        step=step.number,
        review=_hazard(over_step(segments.review, months)),
        router=np.float32(_hazard(min(1.0, months))),
        adoption=_hazard(step.adoption),
        conversion=_hazard(over_step(segments.conversion, months)),
        multihoming=segments.multihoming,
        outage=_single(settings.outage_review * months * menu.outage),
        rise=_single(settings.price_rise_review * np.maximum(menu.rise, 0.0)),
        on_sale=menu.on_sale,
    )


def _choosing(step: Step) -> Choosing:
    menu, segments, settings = step.menu, step.segments, step.settings
    locked = posted(menu) * (1 - segments.discount[:, None])
    a_month = use_at(step, locked * menu.mix).tokens / step.months
    return Choosing(
        base=_single(segments.base),
        maximum=_single(segments.maximum),
        horizon=_single(segments.horizon),
        per_log_depth=_single(segments.per_log_depth),
        outside=_single(segments.outside),
        quality=_single(menu.quality),
        delay=_single(np.log1p(menu.latency / settings.latency_scale)),
        unit_price=_single(terms.unit_price_utility(menu, segments, settings)),
        appeal=_single(np.where(menu.on_sale, menu.appeal, -np.inf)),
        free_allowed=menu.allowance > 0,
        provider=menu.provider.astype(np.int16),
        brand=menu.brand.astype(np.int16),
        order=np.argsort(np.array(menu.names), kind="stable"),
        taste_step=np.float32(settings.taste_spread / TASTE_STEPS),
        portability=np.float32(step.portability),
        term=_single(segments.term),
        locked=locked,
        committed=segments.commitment[:, None] * a_month * menu.mix,
    )


def _using(step: Step) -> Using:
    menu, segments, settings, months = step.menu, step.segments, step.settings, step.months
    response = terms.response(settings)
    unit = np.ones(1)
    with np.errstate(divide="ignore"):
        log_kept = np.maximum(np.log1p(-segments.depth_decay), _LEAST)
    return Using(
        months=float(months),
        tasks=float(months * step.task_factor),
        allowance=menu.allowance,
        free_tokens=free_use(step).tokens,
        worth=_single(price_utility(posted(menu) * menu.mix, unit, settings.price_metric, settings.reference_price)),
        mix=menu.mix,
        time_price=time_price(segments, menu.speed),
        plain=segments.tokens_per_task,
        thinking=segments.thinking,
        reference_price=float(settings.reference_price),
        elasticity=float(response.elasticity),
        effort=1 / (1 + response.curvature),
        difficulty=float(response.difficulty if response.elasticity > 0 else 0.0),
        log_ceiling=float(np.log(response.ceiling)),
        log_price=settings.price_metric == "log",
        growth=_single(over_step(segments.depth_growth, months)),
        ceiling=_single(segments.depth_ceiling),
        log_kept=_single(log_kept),
    )
