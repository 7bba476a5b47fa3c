"""Users adopt, review, choose and use: the demand side of a step, block by block.

Blocks have a fixed size and their sums are added in block order, so any number of threads gives the same bytes.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.choice import price_utility, sampled_choice
from aimarket.kernels.effort import tasks, thinking_tokens
from aimarket.population import (
    Menu,
    Segments,
    Users,
    menu_price_utility,
    offer_utility,
    over_step,
    provider_tastes,
    time_price,
    users_switching_cost,
)
from aimarket.rng import Streams, gumbel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK = 8192  # users; a multiple of the draws a Philox count yields


@dataclass
class Totals:
    """Sums over users of one step, in users stood for. Flows are per step."""

    users: Floats  # (S, R, J) attached after choosing
    tasks: Floats  # (S, R, J)
    tokens: Floats  # (S, R, J) Mtok
    thinking: Floats  # (S, R, J) Mtok, part of tokens
    mix_tokens: Floats  # (S, R, J) Mtok of the reference mix: what is paid for and worked off
    adopted: Floats  # (S,)
    reviews: Floats  # (S,)
    attached_before: Floats  # (S, F)
    leavers: Floats  # (S, F)
    depth: Floats  # (S,) summed over attached users, as are the next two
    tenure: Floats  # (S,)
    switching_cost: Floats  # (S,)

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Step:
    """What every block needs to know about the step."""

    users: Users
    menu: Menu
    segments: Segments
    settings: config.Users
    streams: Streams
    number: int
    months: float  # length of the step
    adoption: Floats  # (S,) probability of adopting in this step
    task_factor: float  # demand shock
    portability: float


def reviewing(step: Step, rows: slice) -> tuple[Integers, Integers]:
    """Who adopts and who looks around this step: rows that adopt, and rows that choose (adopters among them)."""
    users, menu = step.users, step.menu
    segment, offer = users.segment[rows], users.offer[rows]
    draw = step.streams.at("users.review", step.number).uniform(rows.start, rows.stop)
    held = np.maximum(offer, 0)
    attached = offer >= 0
    # A price rise or an outage at one's own provider adds to the hazard; a provider that leaves forces a choice.
    trigger = step.settings.price_rise_review * np.maximum(menu.rise[held], 0.0)
    trigger += step.settings.outage_review * step.months * menu.outage[segment, users.region[rows], held]
    stays_calm = (1 - over_step(step.segments.review, step.months))[segment] * np.exp(-np.where(attached, trigger, 0.0))
    evicted = attached & ~menu.on_sale[held]
    adopts = ~users.adopted[rows] & (
        step.streams.at("users.adoption", step.number).uniform(rows.start, rows.stop) < step.adoption[segment]
    )
    chooses = adopts | (users.adopted[rows] & ((draw < 1 - stays_calm) | evicted))
    return np.flatnonzero(adopts) + rows.start, np.flatnonzero(chooses) + rows.start


def decide(step: Step, rows: slice, chosen: Integers) -> Integers:
    """The offer each reviewing user picks, -1 for none."""
    users, menu, settings = step.users, step.menu, step.settings
    local = chosen - rows.start
    known = np.bincount(menu.brand, menu.on_sale, minlength=len(menu.providers)) > 0
    tastes = provider_tastes(step.streams, menu.providers, settings.taste_spread, rows.start, rows.stop, known)[local]
    utility = offer_utility(users, chosen, menu, tastes, settings.latency_scale)
    utility += menu_price_utility(users, chosen, menu, settings)
    offer = users.offer[chosen]
    attached = (offer >= 0) & menu.on_sale[np.maximum(offer, 0)]
    cost = np.where(attached, users_switching_cost(users, chosen, step.segments), 0.0)
    leaving = attached[:, None] & (menu.provider != menu.provider[np.maximum(offer, 0)][:, None])
    utility -= np.where(leaving, cost[:, None], 0.0)

    def shock(owner: str) -> Floats:
        draws = step.streams.at("users.choice", step.number, owner)
        return gumbel(draws.uniform(rows.start, rows.stop)[local])

    for column, name in enumerate(menu.names):
        if menu.on_sale[column]:
            utility[:, column] += shock(name)
    outside = step.segments.outside[users.segment[chosen]] - cost + shock("")
    return sampled_choice(utility, outside)


def adopt_and_choose(step: Step, rows: slice, totals: Totals) -> None:
    """Adoption, review and choice of one block; writes to its own rows and to the block's totals."""
    users, menu = step.users, step.menu
    before = users.offer[rows].copy()
    providers = len(menu.providers)
    adopters, chosen = reviewing(step, rows)
    users.adopted[adopters] = True
    if len(chosen):
        choice = decide(step, rows, chosen)
        old = users.offer[chosen]
        moved = (old >= 0) & ((choice < 0) | (menu.provider[old] != menu.provider[choice]))
        users.tenure[chosen[moved]] *= step.portability
        users.tenure[chosen[choice < 0]] = 0.0
        users.surplus[chosen[choice != old]] = np.nan
        users.offer[chosen] = choice
    after = users.offer[rows]
    weight, segment = users.weight[rows], users.segment[rows]
    shape = totals.attached_before.shape
    was = before >= 0
    left = was & ((after < 0) | (menu.provider[after] != menu.provider[before]))
    for who, target in ((was, totals.attached_before), (left, totals.leavers)):
        index = segment[who] * providers + menu.provider[before[who]]
        target += np.bincount(index, weight[who], minlength=target.size).reshape(shape)
    count = len(step.segments.names)
    totals.adopted += np.bincount(segment, weight * users.adopted[rows], minlength=count)
    totals.reviews += np.bincount(users.segment[chosen], users.weight[chosen], minlength=count)


def use(step: Step, rows: slice, totals: Totals) -> None:
    """Tasks and tokens of the attached users of one block at the prices they face."""
    users, menu, settings, segments = step.users, step.menu, step.settings, step.segments
    attached = np.flatnonzero(users.offer[rows] >= 0) + rows.start
    s, r, j = users.segment[attached], users.region[attached], users.offer[attached]
    weight = users.weight[attached]
    price = menu.price[j] * menu.mix[s, j]
    base = users.tasks[attached] * step.months * step.task_factor
    count = tasks(base, users.depth[attached], price, settings.reference_price, settings.usage_elasticity)
    thinking = thinking_tokens(
        segments.thinking[s],
        price,
        settings.reference_price,
        time_price(segments, menu.speed)[s, j],
        settings.effort_curvature,
    )
    tokens = count * (segments.tokens_per_task[s] + thinking)
    shape = totals.users.shape
    index = np.ravel_multi_index((s, r, j), shape)
    for target, value in (
        (totals.users, np.ones_like(count)),
        (totals.tasks, count),
        (totals.tokens, tokens),
        (totals.thinking, count * thinking),
        (totals.mix_tokens, tokens * menu.mix[s, j]),
    ):
        target += np.bincount(index, weight * value, minlength=target.size).reshape(shape)
    cost = users_switching_cost(users, attached, segments)
    for total, value in (
        (totals.depth, users.depth[attached]),
        (totals.tenure, users.tenure[attached]),
        (totals.switching_cost, cost),
    ):
        total += np.bincount(s, weight * value, minlength=len(total))


def deepen(step: Step, rows: slice) -> None:
    """Users stay a step longer, embed more workflows unless their surplus falls, and drop some if it does.

    Those who left the market drop some too; those who never were in it have none to drop.
    """
    users, menu, segments = step.users, step.menu, step.segments
    segment, offer = users.segment[rows], np.maximum(users.offer[rows], 0)
    attached = users.offer[rows] >= 0
    delay = np.log1p(menu.latency[segment, users.region[rows], offer] / step.settings.latency_scale)
    surplus = users.quality[rows] * menu.quality[offer] - users.latency[rows] * delay
    price = menu.price[offer] * menu.mix[segment, offer]
    surplus += price_utility(price, users.price[rows], step.settings.price_metric, step.settings.reference_price)
    fall = np.maximum(np.nan_to_num(users.surplus[rows] - surplus), 0.0)
    growth = over_step(segments.depth_growth, step.months)[segment]
    kept = 1 - segments.depth_decay[segment]
    depth = users.depth[rows]
    embedded = (depth + growth * np.maximum(segments.depth_ceiling[segment] - depth, 0.0)) * kept**fall
    idle = np.where(users.adopted[rows], depth * kept**step.months, depth)
    users.depth[rows] = np.where(attached, embedded, idle)
    users.surplus[rows] = np.where(attached, surplus, np.nan)
    users.tenure[rows] += np.where(attached, step.months, 0.0)


def _empty(step: Step) -> Totals:
    regions = step.menu.latency.shape[1]
    s, j, f = len(step.segments.names), len(step.menu.names), len(step.menu.providers)
    shapes = [(s, regions, j)] * 5 + [(s,)] * 2 + [(s, f)] * 2 + [(s,)] * 3
    return Totals(*(np.zeros(shape) for shape in shapes))


def choose(step: Step, pool: Executor | None) -> Totals:
    """One step of demand: adoption, review, choice, usage and deepening of every user; writes to `step.users`.

    pool : threads to spread the blocks over, or None
    """

    def block(start: int) -> Totals:
        rows, totals = slice(start, min(start + BLOCK, len(step.users))), _empty(step)
        adopt_and_choose(step, rows, totals)
        use(step, rows, totals)
        deepen(step, rows)
        return totals

    run: Callable[..., Iterable[Totals]] = pool.map if pool else map
    return sum(run(block, range(0, len(step.users), BLOCK)), start=_empty(step))
