"""Which drivers moved the booked unit cost, of each provider and of the market, cumulated from step to step; exact."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aimarket.identities import Identity
from aimarket.innovation import DRIVERS
from aimarket.kernels.cost import attribute_log_change, attribute_mean_change, shapley_log_change
from aimarket.kernels.sums import ordered_sum
from aimarket.population import Floats
from aimarket.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from aimarket.market import Market
    from aimarket.provider import Provider

# Accounts of each. Hosting stands with capital: a GPU-month of it costs what the settings say, and moves nothing alone.
PARTS = {"capital": ("depreciation", "hosting"), "rental": ("rental",), "energy": ("energy",)}
DIVISORS = ("hardware", *DRIVERS, "learning", "quality", "utilisation")
COLUMNS = tuple(f"cost_{name}" for name in (*PARTS, *DIVISORS))
MARKET_COLUMNS = (*COLUMNS, "cost_mix")


@dataclass(frozen=True)
class Factors:
    """Unit cost of one provider in one step: sum(parts) / product(divisors)."""

    parts: Floats  # (3,) USD a GPU-hour installed
    divisors: Floats  # (7,) see DIVISORS
    tokens: float  # Mtok
    unit_cost: float  # USD/Mtok, straight from the books


@dataclass
class Attribution:
    """Cumulated contributions to the log of one provider's unit cost since it first served; nan before."""

    total: Floats = field(default_factory=lambda: np.full(len(COLUMNS), np.nan))  # log points
    first_unit_cost: float = np.nan  # USD/Mtok
    before: Factors | None = None  # of the last step in which it served


@dataclass
class MarketAttribution:
    """The same for the unit cost of all tokens served from the providers' own GPUs."""

    total: Floats = field(default_factory=lambda: np.full(len(MARKET_COLUMNS), np.nan))  # log points
    first_unit_cost: float = np.nan  # USD/Mtok
    before: dict[str, tuple[float, float]] = field(default_factory=dict)  # provider: Mtok, USD/Mtok


def factors(market: "Market", p: "Provider") -> Factors | None:
    """What a provider's unit cost was made of; None in a step without GPUs or tokens.

    Divisors are hardware in reference GPUs a GPU, software, distillation and architecture in levels, common and
    private, learning likewise, quality as what is left of Mtok a reference-GPU-hour, and utilisation.
    """
    hours = HOURS_PER_MONTH * market.clock.months
    gpu_hours = float(p.fleet.gpus[p.fleet.delivered].sum()) * hours
    tokens = _tokens(market, p)
    worked = (float(market.service.busy[p.index].sum()) + float(market.rented[p.index])) * hours  # reference-GPU-hours
    books = market.ledger.books[p.name]
    costs = np.array([books.spent(*accounts) for accounts in PARTS.values()])
    capacity = float(market.capacity_used[p.index].sum()) * hours  # not of what it has bought since it served
    if min(gpu_hours, capacity, tokens, worked, float(costs.sum())) <= 0:
        return None
    levels = np.exp([*(market.technology.common + p.private_technology), market.learning_levels()[p.index]])
    per_hour = tokens / worked
    divisors = np.array([capacity / gpu_hours, *levels, per_hour / levels.prod(), worked / capacity])
    return Factors(costs / gpu_hours, divisors, tokens, float(costs.sum()) / tokens)


def _tokens(market: "Market", p: "Provider") -> float:
    """Tokens the provider served from its own GPUs in the step, as users count them, Mtok."""
    own = np.isnan(market.catalogue.wholesale)[p.offers]
    return float(ordered_sum(market.by_offer(market.totals.tokens * market.service.served)[p.offers] * own))


def attribute(market: "Market", costs: dict[str, Attribution], whole: MarketAttribution) -> None:
    """Add this step's contributions, and check that they sum to the change in log unit cost.

    raises : IdentityBreach
    """
    now, moved = {}, {}
    for p in market.providers:
        seen = factors(market, p)
        if seen is not None:
            now[p.name], moved[p.name] = seen, _of_provider(market, p, costs.setdefault(p.name, Attribution()), seen)
        else:
            costs.setdefault(p.name, Attribution())
    if now:
        _of_market(market, whole, now, moved)


def _of_provider(market: "Market", p: "Provider", so_far: Attribution, now: Factors) -> Floats:
    """Contributions of the step to one provider's unit cost, (10,) log points."""
    moved = np.zeros(len(COLUMNS))
    if so_far.before is None:
        so_far.total, so_far.first_unit_cost = moved, now.unit_cost
    else:
        before = so_far.before
        method = shapley_log_change if market.settings.record.attribution == "shapley" else attribute_log_change
        moved = np.concatenate(method(now.parts, before.parts, now.divisors, before.divisors))
        so_far.total = so_far.total + moved
    so_far.before = now
    _check(f"cost drivers = change in log unit cost ({p.name})", so_far.total, so_far.first_unit_cost, now, market)
    return moved


def _of_market(market: "Market", so_far: MarketAttribution, now: dict[str, Factors], moved: dict[str, Floats]) -> None:
    """Contributions of the step to the unit cost of everybody's tokens together."""
    tokens = float(ordered_sum(np.array([f.tokens for f in now.values()])))
    cost = float(ordered_sum(np.array([f.tokens * f.unit_cost for f in now.values()])))
    if not so_far.before:
        so_far.total, so_far.first_unit_cost = np.zeros(len(MARKET_COLUMNS)), cost / tokens
    else:
        names = [*so_far.before, *(name for name in now if name not in so_far.before)]
        nothing = Factors(np.zeros(0), np.zeros(0), 0.0, 0.0)
        after = [now.get(name, nothing) for name in names]
        rows = [moved.get(name, np.zeros(len(COLUMNS))) for name in names]
        before = np.array([so_far.before.get(name, (0.0, 0.0)) for name in names])
        drivers, mix = attribute_mean_change(
            np.array([f.tokens for f in after]),
            np.array([f.unit_cost for f in after]),
            before[:, 0],
            before[:, 1],
            np.array(rows),
        )
        so_far.total = so_far.total + np.append(drivers, mix)
    so_far.before = {name: (f.tokens, f.unit_cost) for name, f in now.items()}
    everybody = Factors(np.zeros(0), np.zeros(0), tokens, cost / tokens)
    _check("cost drivers and mix = change in log unit cost", so_far.total, so_far.first_unit_cost, everybody, market)


def _check(name: str, total: Floats, first: float, now: Factors, market: "Market") -> None:
    change = float(np.log(now.unit_cost / first))
    scale = max(1.0, float(np.abs(total).max()))  # logs: rounding is of the order of one, not of the change
    Identity(name, float(total.sum()), change, scale).check(market.steps)
