"""One object a user, in pure Python: Mesa and AgentPy."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from benchmarks import month as given
from benchmarks.month import Crowd, Month, Totals


class Tables:
    """The tables of the month as lists, which pure Python reads fastest, and its totals."""

    def __init__(self, crowd: Crowd) -> None:
        self.offered, self.firm = crowd.offered.tolist(), crowd.firm.tolist()
        self.delay, self.unit_price, self.use = crowd.delay.tolist(), crowd.unit_price.tolist(), crowd.use.tolist()
        self.clear()

    def clear(self) -> None:
        self.users = [[0.0] * given.OFFERS for _ in range(given.REGIONS)]
        self.used = [[0.0] * given.OFFERS for _ in range(given.REGIONS)]

    def totals(self) -> Totals:
        return np.array(self.users), np.array(self.used)


def equip(user: Any, crowd: Crowd, row: int) -> None:
    """Give a user the attributes of a row."""
    user.region = int(np.searchsorted(crowd.starts, row, side="right")) - 1
    user.quality, user.latency = float(crowd.quality[row]), float(crowd.latency[row])
    user.price, user.size = float(crowd.price[row]), float(crowd.size[row])
    user.tastes = [given.TASTE_STEP * float(crowd.tastes[firm, row]) for firm in range(given.FIRMS)]
    user.tenure, user.depth, user.offer = float(crowd.tenure[row]), float(crowd.depth[row]), int(crowd.offer[row])


def act(user: Any, tables: Tables, random: Random) -> None:
    """A month of one user."""
    held = tables.firm[user.offer] if user.offer >= 0 else -1
    leaving = 0.0
    if held >= 0:
        leaving = (
            given.BASE
            - given.MAXIMUM * math.expm1(-user.tenure / given.HORIZON)
            + given.PER_LOG_DEPTH * math.log1p(user.depth)
        )
    delay, unit_price = tables.delay[user.region], tables.unit_price[user.region]
    weights = []
    for j in range(given.OFFERS):
        firm = tables.firm[j]
        utility = user.quality * tables.offered[j] - user.latency * delay[j] + user.price * unit_price[j]
        utility += user.tastes[firm] - (0.0 if firm == held else leaving)
        weights.append(math.exp(utility))
    left = random.random() * (sum(weights) + math.exp(given.OUTSIDE - leaving))
    choice = -1
    for j, weight in enumerate(weights):
        left -= weight
        if left <= 0:
            choice = j
            break
    stays = choice >= 0 and tables.firm[choice] == held
    user.tenure = user.tenure + 1 if stays else 0.0
    user.offer = choice
    if choice >= 0:
        user.depth += given.GROWTH * (given.CEILING - user.depth)
        tables.users[user.region][choice] += 1
        tables.used[user.region][choice] += user.size * user.depth * tables.use[user.region][choice]


def _months(tables: Tables, everybody: Callable[[], Any]) -> Month:
    def month(number: int) -> Totals:
        tables.clear()
        everybody()
        return tables.totals()

    return month


def mesa(crowd: Crowd) -> Month:
    """Mesa: agents of a model, activated by its AgentSet."""
    from mesa import Agent, Model

    class User(Agent):
        def step(self) -> None:
            act(self, tables, self.random)

    tables, model = Tables(crowd), Model(rng=1)
    for row in range(len(crowd)):
        equip(User(model), crowd, row)
    return _months(tables, lambda: model.agents.do("step"))


def agentpy(crowd: Crowd) -> Month:
    """AgentPy: agents in an AgentList."""
    import agentpy as ap

    class User(ap.Agent):
        def act(self) -> None:
            act(self, tables, self.model.random)

    tables, model = Tables(crowd), ap.Model({"seed": 1})
    model.sim_setup()
    users = ap.AgentList(model, len(crowd), User)
    for row, user in enumerate(users):
        equip(user, crowd, row)
    return _months(tables, users.act)
