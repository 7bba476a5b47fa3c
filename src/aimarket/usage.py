"""What users do with the offer they hold: tasks, tokens and what they pay; workflows grow and fall."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket import terms
from aimarket.kernels import effort
from aimarket.kernels.choice import price_utility
from aimarket.population import Menu, Segments, Users, over_step, routes, time_price, users_switching_cost
from aimarket.rng import Streams

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass
class Totals:
    """Sums over users of one step, in users stood for. Flows are per step."""

    users: Floats  # (S, R, J) attached after choosing
    tasks: Floats  # (S, R, J)
    tokens: Floats  # (S, R, J) Mtok asked of the offer
    thinking: Floats  # (S, R, J) Mtok, part of tokens
    mix_tokens: Floats  # (S, R, J) Mtok of the reference mix: what is paid for and worked off
    wanted: Floats  # (S, R, J) Mtok, also what is declined
    declined: Floats  # (S, R, J) Mtok beyond the allowance of users who do not pay
    spend: Floats  # (S, R, J) USD for tokens, if all are served
    shortfall: Floats  # (S, R, J) USD for tokens committed to and not wanted
    adopted: Floats  # (S,)
    reviews: Floats  # (S,)
    attached_before: Floats  # (S, F) users with a router left out, as among leavers
    leavers: Floats  # (S, F)
    abandonments: Floats  # (S,) leavers who take no other provider
    depth: Floats  # (S,) summed over attached users, as are the next two
    tenure: Floats  # (S,)
    switching_cost: Floats  # (S,)
    free: Floats  # (S,) attached users who do not pay
    routed: Floats  # (S,) attached users with a router
    contracted: Floats  # (S,) attached users under contract
    task_elasticity: Floats  # (S,) summed over tokens asked for, as is the next
    thinking_elasticity: Floats  # (S,) of tokens a task

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


def prices_faced(step: Step, rows: slice, joined: Flags) -> Floats:
    """What users are asked for a Mtok of the reference mix of the offer held, nan without one; (n,) USD/Mtok.

    joined : (n,) bool, has come from another provider or from none in this step
    """
    users, menu = step.users, step.menu
    held = np.maximum(users.offer[rows], 0)
    price = np.where(joined, menu.newcomer_price[held], menu.price[held]) if menu.recognises else menu.price[held]
    if not step.segments.term.any():
        return price
    locked = users.contract_price[rows]
    return np.where(np.isnan(locked), price, locked)


def use(step: Step, rows: slice, price: Floats, totals: Totals) -> None:
    """Tasks and tokens of the attached users of one block at the prices they face.

    price : (n,) float, USD/Mtok, see `prices_faced`
    """
    users, menu, settings, segments = step.users, step.menu, step.settings, step.segments
    local = np.flatnonzero(users.offer[rows] >= 0)
    attached = local + rows.start
    s, r, j = users.segment[attached], users.region[attached], users.offer[attached]
    weight, mix, price, free = users.weight[attached], menu.mix[s, j], price[local], users.free[attached]
    response = terms.response(settings)
    # Users who do not pay use as much as at the reference price, so that no posted price moves them.
    asked = np.where(free, settings.reference_price, price * mix)
    waiting = time_price(segments, menu.speed)[s, j]
    base = users.tasks[attached] * step.months * step.task_factor
    count, thinking = effort.use(base, users.depth[attached], segments.thinking[s], asked, waiting, response)
    per_task = segments.tokens_per_task[s] + thinking
    wanted = count * per_task
    share = np.where(free, np.minimum(1.0, menu.allowance[j] / np.maximum(wanted, 1e-300)), 1.0)
    count, tokens = count * share, wanted * share
    shape = totals.users.shape
    index = np.ravel_multi_index((s, r, j), shape)

    def add(target: Floats, value: Floats) -> None:
        target += np.bincount(index, weight * value, minlength=target.size).reshape(shape)

    add(totals.users, np.ones_like(count))
    add(totals.tasks, count)
    add(totals.tokens, tokens)
    add(totals.thinking, count * thinking)
    add(totals.mix_tokens, tokens * mix)
    add(totals.wanted, wanted)
    add(totals.spend, np.where(free, 0.0, price * mix) * tokens)
    if free.any():
        add(totals.declined, wanted - tokens)
    signed = np.isfinite(users.contract_price[attached])
    if signed.any():
        committed = users.commitment[attached] * step.months
        add(totals.shortfall, np.where(signed, price * np.maximum(committed - tokens * mix, 0.0), 0.0))
    extensive, intensive = effort.use_elasticities(asked, waiting, response)
    for total, value in (
        (totals.depth, users.depth[attached]),
        (totals.tenure, users.tenure[attached]),
        (totals.switching_cost, users_switching_cost(users, attached, segments)),
        (totals.free, free),
        (totals.routed, routes(users, attached, segments)),
        (totals.contracted, signed),
        (totals.task_elasticity, np.where(free, 0.0, tokens * extensive)),
        (totals.thinking_elasticity, np.where(free, 0.0, count * thinking * intensive)),
    ):
        total += np.bincount(s, weight * value, minlength=len(total))


def deepen(step: Step, rows: slice, price: Floats) -> None:
    """Users stay a step longer, embed more workflows unless their surplus falls, and drop some if it does.

    Those who left the market drop some too; those who never were in it have none to drop.

    price : (n,) float, USD/Mtok, see `prices_faced`
    """
    users, menu, segments = step.users, step.menu, step.segments
    segment, offer = users.segment[rows], np.maximum(users.offer[rows], 0)
    attached = users.offer[rows] >= 0
    delay = np.log1p(menu.latency[segment, users.region[rows], offer] / step.settings.latency_scale)
    surplus = users.quality[rows] * menu.quality[offer] - users.latency[rows] * delay
    sensitivity = np.where(users.free[rows], 0.0, users.price[rows])
    asked = price * menu.mix[segment, offer]
    surplus += price_utility(asked, sensitivity, step.settings.price_metric, step.settings.reference_price)
    fall = np.maximum(np.nan_to_num(users.surplus[rows] - surplus), 0.0)
    growth = over_step(segments.depth_growth, step.months)[segment]
    kept = 1 - segments.depth_decay[segment]
    depth = users.depth[rows]
    embedded = (depth + growth * np.maximum(segments.depth_ceiling[segment] - depth, 0.0)) * kept**fall
    idle = np.where(users.adopted[rows], depth * kept**step.months, depth)
    users.depth[rows] = np.where(attached, embedded, idle)
    users.surplus[rows] = np.where(attached, surplus, np.nan)
    users.tenure[rows] += np.where(attached, step.months, 0.0)
