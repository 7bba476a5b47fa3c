"""What the compiled users' step is held against: the same step from the same draws in plain NumPy, double precision."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket import terms
from aimarket.demand import Step
from aimarket.kernels import effort
from aimarket.kernels.choice import logit_shares, price_utility
from aimarket.kernels.counter import unit32, words
from aimarket.kernels.tables import OVER, Users
from aimarket.population import offer_utility, over_step, routes, time_price, users_switching_cost
from aimarket.usage import Totals

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.int16): np.int64}


def widened(users: Users) -> Users:
    """A copy in double precision."""
    return Users(*(column.astype(_WIDER.get(column.dtype, column.dtype)) for column in users))


def draws(step: Step, count: int) -> NDArray[np.uint64]:
    """(U, 4) words of all users."""
    key = step.streams.at("users.step").key_of_loop
    return np.array([words(key, step.number, i) for i in range(count)], dtype=np.uint64)


def _exponential(words: NDArray[np.uint64]) -> Floats:
    return -np.log((words + 0.5) / 2.0**32)


def _hazard(probability: Any) -> Floats:
    with np.errstate(divide="ignore"):
        return -np.log1p(-np.asarray(probability, dtype=float))


def _runs_out(patience: Floats, hazard: Floats, who: Flags) -> Flags:
    """Hazards are taken off the patience of some; who has none left. An infinite hazard leaves patience as it is."""
    runs = who & np.isfinite(hazard)
    patience[runs] -= hazard[runs]
    return who & (np.isinf(hazard) | (patience <= 0))


def review(users: Users, step: Step) -> Flags:
    """Who chooses; those who adopt have by then."""
    menu, s = step.menu, users.segment
    attached, held = users.offer >= 0, np.maximum(users.offer, 0)
    waiting = ~users.adopted
    triggers = step.settings.outage_review * step.months * menu.outage[s, users.region, held]
    triggers += np.where(users.free, 0.0, step.settings.price_rise_review) * np.maximum(menu.rise[held], 0.0)
    hazard = _hazard(terms.review_hazard(users, step.segments, step.months)) + np.where(attached, triggers, 0.0)
    bound = attached & terms.is_bound(users, menu)
    must = users.adopted & ((attached & ~menu.on_sale[held]) | users.due) & ~bound
    hazard = np.where(waiting, _hazard(step.adoption)[s], hazard)
    acts = must | _runs_out(users.patience, hazard, waiting | (users.adopted & ~bound & ~must))
    users.adopted[acts] = True
    return acts


def choose(users: Users, step: Step, uniform: Floats, cost: Floats) -> NDArray[np.int64]:
    """The offer each would take: first in the order of names whose cumulated share reaches the draw; (U,), -1: none."""
    menu = step.menu
    attached = (users.offer >= 0) & menu.on_sale[np.maximum(users.offer, 0)]
    leaving = np.where(attached, cost, 0.0)
    utility = offer_utility(users, menu, step.settings)
    kind = 2 * users.segment + terms.signs(users, step.segments)
    own, sensitivity = terms.is_own(users, menu), np.where(users.free, 0.0, users.price)
    utility += terms.menu_price_utility(kind, own, sensitivity, menu, step.segments, step.settings)
    utility -= np.where(own, 0.0, leaving[:, None])
    outside = step.segments.outside[users.segment] - leaving
    some = np.isfinite(np.maximum(utility.max(axis=1), outside))
    shares, _ = logit_shares(utility[some], outside[some])
    order = np.argsort(np.array(menu.names), kind="stable")
    borders = np.cumsum(shares[:, order], axis=1)
    borders[np.isneginf(outside[some]), -1] = 1.0
    choice = np.full(len(outside), -1)
    choice[some] = np.append(order, -1)[(borders < uniform[some, None]).sum(axis=1)]
    return choice


def take(before: Users, step: Step) -> tuple[Users, Totals]:
    """A step of all users; `before` stays as it is."""
    users, menu, segments, months = widened(before), step.menu, step.segments, step.months
    s, r, weight = users.segment, users.region, segments.weight[users.segment]
    word, providers, shape = draws(step, len(s)), len(menu.providers), (*menu.latency.shape[:2], len(menu.names))
    provider = np.append(menu.provider, -1)  # of no offer: -1
    old, loyal = users.offer.copy(), ~routes(users, segments)
    acts = review(users, step)
    cost = users_switching_cost(users, segments)
    uniform = np.array([unit32(w) for w in word[:, 0]], dtype=float)
    new = np.where(acts, choose(users, step, uniform, cost), old)
    redraws = acts & (users.patience <= 0)
    users.patience[redraws] = _exponential(word[redraws, 1])
    stays = (old >= 0) & (new >= 0) & (provider[old] == provider[new])
    left, joined = (old >= 0) & ~stays, (new >= 0) & ~stays

    def by_segment(values: Floats) -> Floats:
        return np.bincount(s, weight * values, minlength=len(segments.names))

    def by_owner(who: Flags) -> Floats:
        index = s[who] * providers + provider[old[who]]
        return np.bincount(index, weight[who], minlength=len(segments.names) * providers).reshape(-1, providers)

    moves = {
        "adopted": by_segment(users.adopted),
        "reviews": by_segment(acts),
        "attached_before": by_owner((old >= 0) & loyal),
        "leavers": by_owner(left & loyal),
        "abandonments": by_segment(left & loyal & (new < 0)),
    }
    users.offer[:] = new
    users.tenure[left] *= step.portability
    users.tenure[acts & (new < 0)] = 0.0
    users.surplus[new != old] = np.nan
    _sign(users, step, acts, stays)
    attached, j = new >= 0, np.maximum(new, 0)
    price = np.where(joined, menu.newcomer_price[j], menu.price[j])
    signed = np.isfinite(users.contract_price)
    price = np.where(signed, users.contract_price, price)
    mix, waiting = menu.mix[s, j], time_price(segments, menu.speed)[s, j]
    asked = np.where(users.free, step.settings.reference_price, price * mix)
    response = terms.response(step.settings)
    base = users.tasks * months * step.task_factor
    count, thinking = effort.use(base, users.depth, segments.thinking[s], asked, waiting, response)
    wanted = count * (segments.tokens_per_task[s] + thinking)
    share = np.where(users.free, np.minimum(1.0, menu.allowance[j] / np.maximum(wanted, 1e-300)), 1.0)
    count, tokens = count * share, wanted * share
    missing = np.maximum(users.commitment * months - tokens * mix, 0.0)
    # Firms like to post the very price at which everything is done; under contract it is known to single precision.
    at_the_kink = np.where(signed, asked * (1 - 1e-6), asked)
    extensive, intensive = effort.use_elasticities(at_the_kink, waiting, response)

    def by_offer(values: Floats) -> Floats:
        index = np.ravel_multi_index((s[attached], r[attached], j[attached]), shape)
        return np.bincount(index, (weight * values)[attached], minlength=int(np.prod(shape))).reshape(shape)

    def held(values: Floats) -> Floats:
        return by_segment(np.where(attached, values, 0.0))

    totals = Totals(
        users=by_offer(np.ones_like(count)),
        tasks=by_offer(count),
        tokens=by_offer(tokens),
        thinking=by_offer(count * thinking),
        mix_tokens=by_offer(tokens * mix),
        wanted=by_offer(wanted),
        declined=by_offer(wanted - tokens),
        spend=by_offer(np.where(users.free, 0.0, price * mix) * tokens),
        shortfall=by_offer(np.where(signed, price * missing, 0.0)),
        **moves,
        depth=held(users.depth),
        tenure=held(users.tenure),
        switching_cost=held(users_switching_cost(users, segments)),
        free=held(users.free),
        routed=held(~loyal),
        contracted=held(signed),
        task_elasticity=held(np.where(users.free, 0.0, tokens * extensive)),
        thinking_elasticity=held(np.where(users.free, 0.0, count * thinking * intensive)),
    )
    _deepen(users, step, attached, price * mix)
    _run_down(users, step, word)
    return users, totals


def _sign(users: Users, step: Step, acts: Flags, stays: Flags) -> None:
    """Those who have chosen sign what they sign; contracts that ended are forgotten."""
    menu, segments, s = step.menu, step.segments, users.segment
    users.due[acts] = False
    users.contract_price[acts] = np.nan
    users.contract_left[acts] = users.commitment[acts] = 0.0
    who = acts & terms.signs(users, segments) & (users.offer >= 0)
    s, j = s[who], users.offer[who]
    price = np.where(stays[who], menu.price[j], menu.newcomer_price[j]) * (1 - segments.discount[s])
    waiting = time_price(segments, menu.speed)[s, j]
    asked, response = price * menu.mix[s, j], terms.response(step.settings)
    size = users.tasks[who] * step.task_factor
    count, thinking = effort.use(size, users.depth[who], segments.thinking[s], asked, waiting, response)
    users.contract_price[who], users.contract_left[who] = price, segments.term[s]
    a_month = count * (segments.tokens_per_task[s] + thinking) * menu.mix[s, j]
    users.commitment[who] = segments.commitment[s] * a_month


def _deepen(users: Users, step: Step, attached: Flags, asked: Floats) -> None:
    menu, segments, settings, s = step.menu, step.segments, step.settings, users.segment
    j = np.maximum(users.offer, 0)
    delay = np.log1p(menu.latency[s, users.region, j] / settings.latency_scale)
    sensitivity = np.where(users.free, 0.0, users.price)
    surplus = users.quality * menu.quality[j] - users.latency * delay
    surplus += price_utility(asked, sensitivity, settings.price_metric, settings.reference_price)
    fall = np.maximum(np.nan_to_num(users.surplus - surplus), 0.0)
    growth, kept = over_step(segments.depth_growth, step.months)[s], 1 - segments.depth_decay[s]
    grown = users.depth + growth * np.maximum(segments.depth_ceiling[s] - users.depth, 0.0)
    idle = np.where(users.adopted, users.depth * kept**step.months, users.depth)
    users.depth[:] = np.where(attached, grown * kept**fall, idle)
    users.surplus[:] = np.where(attached, surplus, np.nan)
    users.tenure[attached] += step.months


def _run_down(users: Users, step: Step, word: NDArray[np.uint64]) -> None:
    signed = np.isfinite(users.contract_price)
    users.contract_left[signed] -= step.months
    users.due[signed & (users.contract_left <= OVER)] = True
    hazard = _hazard(over_step(step.segments.conversion, step.months))[users.segment]
    begins = _runs_out(users.patience, hazard, users.free & users.adopted & (hazard > 0))
    users.free[begins], users.due[begins], users.surplus[begins] = False, True, np.nan
    redraws = begins & (users.patience <= 0)
    users.patience[redraws] = _exponential(word[redraws, 2])
