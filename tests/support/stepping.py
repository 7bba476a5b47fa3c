"""Steps of demand on users of one's own, so that one market serves many trials."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aimarket import Market, demand
from aimarket.demand import Population
from aimarket.kernels.tables import STRATUM_COLUMNS, Users
from aimarket.population import Menu, Segments
from aimarket.step_tables import step_tables


@dataclass
class Trial:
    """A step as the market would take it, and a population to take it on."""

    population: Population
    step: demand.Step

    @property
    def users(self) -> Users:
        return self.population.users

    @property
    def menu(self) -> Menu:
        return self.step.menu

    @property
    def segments(self) -> Segments:
        return self.step.segments

    def but(self, **changes: Any) -> "Trial":
        """The same with another menu, other segments, ..., on the same users."""
        return Trial(self.population, replace(self.step, **changes))

    def run(self, pool: Any = None) -> demand.Totals:
        return demand.choose(self.population, self.step, pool)

    def reviewers(self) -> np.ndarray:
        """Rows that would choose now, adopters among them; nothing changes."""
        from aimarket.kernels.reviewing import hazards, who_acts

        population, tables = copy.deepcopy(self.population), step_tables(self.step).reviewing
        strata, rows = population.strata, []
        for g, (low, high) in enumerate(zip(strata.bounds[:-1], strata.bounds[1:], strict=True)):
            s, r = divmod(g, strata.regions)
            acting, place, table = (
                np.empty(high - low, np.int64),
                np.empty(high - low, np.uint16),
                hazards(tables, s, r),
            )
            counts = np.zeros(len(table), np.int64), acting, np.zeros(STRATUM_COLUMNS)
            n = who_acts(population.users, table, tables.multihoming[s], low, high, place, *counts)
            rows.append(acting[:n])
        return np.concatenate(rows)


def trial(market: Market, number: int, adoption: float = 0.2, **changes: Any) -> Trial:
    """The step `number` of a market, with the same probability of adoption everywhere, on users of its own.

    Whatever has happened, what is left of users' patience is exponential: so each trial draws it anew.
    """
    step = market.demand_step(market.menu(), np.full(len(market.segments.names), adoption))
    population = copy.deepcopy(market.population)
    patience = population.users.patience
    patience[:] = -np.log(market.streams.at("test.patience", number).uniform(0, len(patience)))
    return Trial(population, replace(step, number=number, **changes))


def weights(market: Market) -> np.ndarray:
    """(U,) users that each simulated one stands for."""
    return market.segments.weight[market.population.users.segment]


def freeze(users: Users) -> dict[str, np.ndarray]:
    """Columns as they are now."""
    return {name: column.copy() for name, column in users._asdict().items()}
