"""The users' step as the market takes it, against the kernels' race in the same process and by turns."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import Row, fastest
from benchmarks.month import OFFERS, crowd
from benchmarks.peers import compiled

if TYPE_CHECKING:
    from aimarket import Market
    from aimarket.kernels.tables import StepTables

USERS, STEPS, ROUNDS = 1_000_000, 6, 7
NO_CONTRACTS = [f"users.segments.{segment}.contract=null" for segment in ("consumer", "developer", "enterprise")]
BY_OFFER = ("provider", "brand", "on_sale", "price", "newcomer_price", "outlook", "allowance", "rise", "quality")
BY_OFFER += ("appeal", "speed", "mix", "latency", "outage")
Take = Callable[[], object]


def lived(users: int, overrides: Sequence[str] = NO_CONTRACTS) -> "Market":
    """The default market after some steps; without contracts anybody may review at any time."""
    from aimarket import Market, load

    market = Market(load([f"users.size={users}", *overrides]))
    for _ in range(STEPS):
        market.step()
    return market


def tables(market: "Market", review: float | None = None, offers: int | None = None) -> "StepTables":
    """What the next step would say to users.

    review : probability with which everybody chooses, or adopts; None: as it is
    offers : only the first so many
    """
    from aimarket.step_tables import step_tables

    step = market.demand_step(market.menu(), np.zeros(len(market.segments.names)))
    if offers:
        columns = {name: getattr(step.menu, name)[..., :offers].copy() for name in BY_OFFER}
        step = replace(step, menu=replace(step.menu, names=step.menu.names[:offers], **columns))
    said = step_tables(step)
    if review is None:
        return said
    now = said.reviewing
    hazard, zero = np.float32(np.inf if review == 1 else -np.log1p(-review)), np.float32(0)
    same = {"review": np.full_like(now.review, hazard), "adoption": np.full_like(now.adoption, hazard)}
    others = {"router": hazard, "outage": zero * now.outage, "rise": zero * now.rise}
    return said._replace(reviewing=now._replace(**same, **others))


def taking(market: "Market", review: float | None, offers: int | None = None) -> Take:
    """The same step again and again, by users of its own."""
    population, said = copy.deepcopy(market.population), tables(market, review, offers)
    if offers:
        population.users.offer[population.users.offer >= offers] = -1
    return partial(population.take, said)


def race(users: int) -> Take:
    """Month after month of the kernels' race against peers."""
    month, number = compiled.kernel(crowd(users)), count(1)
    return lambda: month(next(number))


def rows(say: Callable[[str], None], users: int = USERS) -> list[Row]:
    """Millions of user-months a second of the users' step by how many review, and how that compares to the race."""
    say(f"users' step of the default market without contracts, {users:,} users")
    market = lived(users)
    steps: dict[str, Take] = {
        "the race: twelve offers, all review": race(users),
        "twelve offers, all review": taking(market, 1.0, OFFERS),
        "27 offers, all review": taking(market, 1.0),
        "27 offers, a tenth reviews": taking(market, 0.1),
        "27 offers, nobody reviews": taking(market, 0.0),
    }
    seconds = fastest(steps, ROUNDS)
    first = next(iter(seconds.values()))
    unit, of = "million user-months/s", "of the race's speed"
    return [Row("users' step, by who reviews", k, users / s / 1e6, unit, first / s, of) for k, s in seconds.items()]
