"""Which drivers moved the booked unit cost, of each provider and of the market, cumulated from step to step; exact."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aimarket.identities import Identity
from aimarket.innovation import DRIVERS
from aimarket.kernels.cost import attribute_log_change, attribute_mean_change, shapley_log_change
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import Accounts
from aimarket.population import Floats, Integers
from aimarket.units import HOURS_PER_MONTH, TRACE

if TYPE_CHECKING:
    from aimarket.market import Market

# Accounts of each. Hosting stands with capital: a GPU-month of it costs what the settings say, and moves nothing alone.
PARTS = {"capital": ("depreciation", "hosting"), "rental": ("rental",), "energy": ("energy",)}
DIVISORS = ("hardware", *DRIVERS, "learning", "quality", "utilisation")
COLUMNS = tuple(f"cost_{name}" for name in (*PARTS, *DIVISORS))
MARKET_COLUMNS = (*COLUMNS, "cost_mix")


@dataclass(frozen=True)
class Factors:
    """Unit cost of the N providers that served in a step: sum(parts) / product(divisors)."""

    rows: Integers  # (N,) which providers
    parts: Floats  # (N, 3) USD a GPU-hour installed
    divisors: Floats  # (N, 7) see DIVISORS
    tokens: Floats  # (N,) Mtok
    unit_cost: Floats  # (N,) USD/Mtok, straight from the books


class Attribution:
    """Cumulated contributions to the log of each of F providers' unit cost since it first served; nan before."""

    def __init__(self, firms: int) -> None:
        self.total = np.full((firms, len(COLUMNS)), np.nan)  # log points
        self.first_unit_cost = np.full(firms, np.nan)  # USD/Mtok
        self.parts = np.full((firms, len(PARTS)), np.nan)  # as in `Factors`, of the last step in which it served
        self.divisors = np.full((firms, len(DIVISORS)), np.nan)


class MarketAttribution:
    """The same for the unit cost of all tokens served from the providers' own GPUs."""

    def __init__(self, firms: int) -> None:
        self.total = np.full(len(MARKET_COLUMNS), np.nan)  # log points
        self.first_unit_cost = np.nan  # USD/Mtok
        self.tokens = np.zeros(firms)  # Mtok, in the last step in which anybody served
        self.unit_cost = np.zeros(firms)  # USD/Mtok


def factors(market: "Market", accounts: Accounts, gpus: Floats) -> Factors:
    """What unit cost was made of, for the providers that have GPUs and serve tokens.

    Divisors are hardware in reference GPUs a GPU, software, distillation and architecture in levels, common and
    private, learning likewise, quality as what is left of Mtok a reference-GPU-hour, and utilisation.

    gpus : (F, G, R) GPUs installed at the end of the step
    """
    hours = HOURS_PER_MONTH * market.clock.months
    gpu_hours = gpus.sum(axis=(1, 2)) * hours
    own = np.isnan(market.catalogue.wholesale)
    tokens = market.by_provider(market.by_offer(market.totals.tokens * market.service.served) * own)
    worked = (market.service.busy.sum(axis=1) + market.rented) * hours  # reference-GPU-hours
    capacity = market.capacity_used.sum(axis=1) * hours  # not of what it has bought since it served
    costs = np.stack([accounts.spent(*names) for names in PARTS.values()], axis=1)
    cost = costs.sum(axis=1)
    rows = np.flatnonzero(np.min([gpu_hours, capacity, tokens, worked, cost], axis=0) > TRACE)
    gpu_hours, capacity, tokens, worked = gpu_hours[rows], capacity[rows], tokens[rows], worked[rows]
    private = np.array([p.private_technology for p in market.providers])[rows]
    levels = np.exp(np.column_stack([market.technology.common + private, market.learning_levels()[rows]]))
    quality = tokens / worked / levels.prod(axis=1)
    divisors = np.column_stack([capacity / gpu_hours, levels, quality, worked / capacity])
    return Factors(rows, costs[rows] / gpu_hours[:, None], divisors, tokens, cost[rows] / tokens)


def attribute(market: "Market", accounts: Accounts, gpus: Floats, firms: Attribution, whole: MarketAttribution) -> None:
    """Add this step's contributions, and check that they sum to the change in log unit cost.

    gpus   : (F, G, R) GPUs installed at the end of the step
    raises : IdentityBreach
    """
    now = factors(market, accounts, gpus)
    if len(now.rows):
        _of_market(market, whole, now, _of_providers(market, firms, now))


def _of_providers(market: "Market", so_far: Attribution, now: Factors) -> Floats:
    """Contributions of the step to the unit costs of those that served, (N, 10) log points."""
    rows, moved = now.rows, np.zeros((len(now.rows), len(COLUMNS)))
    known = ~np.isnan(so_far.first_unit_cost[rows])
    was, new = rows[known], rows[~known]
    method = shapley_log_change if market.settings.record.attribution == "shapley" else attribute_log_change
    changes = method(now.parts[known], so_far.parts[was], now.divisors[known], so_far.divisors[was])
    moved[known] = np.concatenate(changes, axis=1)
    so_far.total[new], so_far.first_unit_cost[new] = 0.0, now.unit_cost[~known]
    so_far.total[rows] += moved
    so_far.parts[rows], so_far.divisors[rows] = now.parts, now.divisors
    names = tuple(market.providers[f].name for f in rows)
    total, change = so_far.total[rows], np.log(now.unit_cost / so_far.first_unit_cost[rows])
    _agree("cost drivers = change in log unit cost", total, change, names).check(market.steps)
    return moved


def _of_market(market: "Market", so_far: MarketAttribution, now: Factors, moved: Floats) -> None:
    """Contributions of the step to the unit cost of everybody's tokens together.

    moved : (N, 10) log points, contributions to the unit costs of those that served
    """
    tokens, unit_cost = np.zeros((2, len(so_far.tokens)))
    tokens[now.rows], unit_cost[now.rows] = now.tokens, now.unit_cost
    mean = float(ordered_sum(now.tokens * now.unit_cost) / ordered_sum(now.tokens))
    if np.isnan(so_far.first_unit_cost):
        so_far.total, so_far.first_unit_cost = np.zeros(len(MARKET_COLUMNS)), mean
    else:
        drivers = np.zeros((len(tokens), len(COLUMNS)))
        drivers[now.rows] = moved
        some = (tokens > 0) | (so_far.tokens > 0)  # whom nobody wants leaves no trace, not even in the last digit
        changes, mix = attribute_mean_change(
            tokens[some], unit_cost[some], so_far.tokens[some], so_far.unit_cost[some], drivers[some]
        )
        so_far.total = so_far.total + np.append(changes, mix)
    so_far.tokens, so_far.unit_cost = tokens, unit_cost
    change = np.log(mean / so_far.first_unit_cost)
    _agree("cost drivers and mix = change in log unit cost", so_far.total, change).check(market.steps)


def _agree(name: str, total: Floats, change: Floats, of: tuple[str, ...] = ()) -> Identity:
    """Contributions (..., columns) sum to a change; rounding in logs is of the order of one, not of the change."""
    return Identity(name, total.sum(axis=-1), change, np.maximum(1.0, np.abs(total).max(axis=-1)), of)
