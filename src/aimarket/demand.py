"""Users adopt, review, choose and use: the demand side of a step, block by block.

Blocks have a fixed size and their sums are added in block order, so any number of threads gives the same bytes.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from aimarket import terms
from aimarket.kernels.choice import sampled_choice
from aimarket.population import offer_utility, provider_tastes, routes, users_switching_cost
from aimarket.rng import gumbel
from aimarket.usage import Step, Totals, deepen, prices_faced, use

__all__ = ["BLOCK", "Step", "Totals", "choose", "decide", "reviewing"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

BLOCK = 8192  # users; a multiple of the draws a Philox count yields


def reviewing(step: Step, rows: slice) -> tuple[Integers, Integers]:
    """Who adopts and who looks around this step: rows that adopt, and rows that choose (adopters among them)."""
    users, menu = step.users, step.menu
    segment, offer = users.segment[rows], users.offer[rows]
    draw = step.streams.at("users.review", step.number).uniform(rows.start, rows.stop)
    held = np.maximum(offer, 0)
    attached = offer >= 0
    # A price rise or an outage at one's own provider adds to the hazard; a provider that leaves forces a choice, and so
    # does a contract that ends. Who is bound by one has no choice, and who does not pay feels no price.
    bound = terms.is_bound(users, rows, menu)
    felt = np.where(users.free[rows], 0.0, step.settings.price_rise_review)
    trigger = felt * np.maximum(menu.rise[held], 0.0)
    trigger += step.settings.outage_review * step.months * menu.outage[segment, users.region[rows], held]
    hazard = terms.review_hazard(users, rows, step.segments, step.months)
    stays_calm = (1 - hazard) * np.exp(-np.where(attached, trigger, 0.0))
    must = (attached & ~menu.on_sale[held]) | users.due[rows]
    adopts = ~users.adopted[rows] & (
        step.streams.at("users.adoption", step.number).uniform(rows.start, rows.stop) < step.adoption[segment]
    )
    chooses = adopts | (users.adopted[rows] & ((draw < 1 - stays_calm) | must) & ~bound)
    return np.flatnonzero(adopts) + rows.start, np.flatnonzero(chooses) + rows.start


def decide(step: Step, rows: slice, chosen: Integers) -> Integers:
    """The offer each reviewing user picks, -1 for none."""
    users, menu, settings = step.users, step.menu, step.settings
    local = chosen - rows.start
    known = np.bincount(menu.brand, menu.on_sale, minlength=len(menu.providers)) > 0
    tastes = provider_tastes(step.streams, menu.providers, settings.taste_spread, rows.start, rows.stop, known)[local]
    utility = offer_utility(users, chosen, menu, tastes, settings.latency_scale)
    utility += terms.menu_price_utility(users, chosen, menu, step.segments, settings)
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


def adopt_and_choose(step: Step, rows: slice, totals: Totals) -> Flags:
    """Adoption, review and choice of one block; writes to its own rows and to the block's totals.

    returns : (n,) bool, who has come from another provider or from none
    """
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
        terms.sign(users, chosen, old, menu, step.segments, step.settings, step.task_factor)
    after = users.offer[rows]
    weight, segment = users.weight[rows], users.segment[rows]
    shape = totals.attached_before.shape
    was = before >= 0
    same = menu.provider[after] == menu.provider[before]
    left = was & ((after < 0) | ~same)
    loyal = ~routes(users, rows, step.segments)  # routers come and go as they please
    for who, target in ((was & loyal, totals.attached_before), (left & loyal, totals.leavers)):
        index = segment[who] * providers + menu.provider[before[who]]
        target += np.bincount(index, weight[who], minlength=target.size).reshape(shape)
    count = len(step.segments.names)
    totals.adopted += np.bincount(segment, weight * users.adopted[rows], minlength=count)
    totals.reviews += np.bincount(users.segment[chosen], users.weight[chosen], minlength=count)
    totals.abandonments += np.bincount(segment, weight * (left & loyal & (after < 0)), minlength=count)
    return (after >= 0) & (~was | ~same)


def _empty(step: Step) -> Totals:
    regions = step.menu.latency.shape[1]
    s, j, f = len(step.segments.names), len(step.menu.names), len(step.menu.providers)
    shapes = [(s, regions, j)] * 9 + [(s,)] * 2 + [(s, f)] * 2 + [(s,)] * 9
    return Totals(*(np.zeros(shape) for shape in shapes))


def choose(step: Step, pool: Executor | None) -> Totals:
    """One step of demand: adoption, review, choice, usage and deepening of every user; writes to `step.users`.

    pool : threads to spread the blocks over, or None
    """

    def block(start: int) -> Totals:
        rows, totals = slice(start, min(start + BLOCK, len(step.users))), _empty(step)
        price = prices_faced(step, rows, adopt_and_choose(step, rows, totals))
        use(step, rows, price, totals)
        deepen(step, rows, price)
        terms.run_down(step.users, rows, step.segments, step.streams, step.number, step.months)
        return totals

    run: Callable[..., Iterable[Totals]] = pool.map if pool else map
    return sum(run(block, range(0, len(step.users), BLOCK)), start=_empty(step))
