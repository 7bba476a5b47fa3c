"""Which drivers moved each provider's booked unit cost, cumulated from step to step; exact."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aimarket.identities import Identity
from aimarket.innovation import DRIVERS
from aimarket.kernels.cost import attribute_log_change
from aimarket.kernels.sums import ordered_sum
from aimarket.population import Floats
from aimarket.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from aimarket.market import Market
    from aimarket.provider import Provider

PARTS = ("capital", "energy", "rental")
DIVISORS = ("hardware", *DRIVERS, "quality", "utilisation")
COLUMNS = tuple(f"cost_{name}" for name in PARTS + DIVISORS)


@dataclass
class Attribution:
    """Cumulated contributions to the log of one provider's unit cost since it first served; nan before."""

    total: Floats = field(default_factory=lambda: np.full(len(COLUMNS), np.nan))  # log points
    first_unit_cost: float = np.nan  # USD/Mtok
    before: tuple[Floats, Floats] | None = None  # parts and divisors of the last step in which it served


def factors(market: "Market", p: "Provider") -> tuple[Floats, Floats] | None:
    """Unit cost as sum(parts) / product(divisors); None in a step without GPUs or tokens.

    returns : (3,) USD a GPU-hour installed; (6,) hardware in reference GPUs a GPU, software, distillation and
              architecture in levels, quality as what is left of Mtok a reference-GPU-hour, utilisation
    """
    hours = HOURS_PER_MONTH * market.clock.months
    gpu_hours = float(p.fleet.gpus[p.fleet.delivered].sum()) * hours
    tokens = _tokens(market, p)
    # reference-GPU-hours, on rented GPUs too: what they cost is a part, net of what own GPUs let to others bring
    worked = (float(market.service.busy[p.index].sum()) + float(market.rented[p.index])) * hours
    if gpu_hours <= 0 or tokens <= 0 or worked <= 0:
        return None
    books = market.ledger.books[p.name]
    spent = (books.spent("depreciation", "hosting"), books.spent("energy"), books.spent("rental", "rental_income"))
    parts = np.array(spent) / gpu_hours
    capacity = float(market.capacity_used[p.index].sum()) * hours
    levels = np.exp(market.technology.common)
    per_hour = tokens / worked
    return parts, np.array([capacity / gpu_hours, *levels, per_hour / levels.prod(), worked / capacity])


def _tokens(market: "Market", p: "Provider") -> float:
    """Tokens the provider served in the step as users count them, Mtok."""
    return float(ordered_sum(market.by_offer(market.totals.tokens * market.service.served)[p.offers]))


def attribute(market: "Market", p: "Provider", so_far: Attribution) -> None:
    """Add this step's contributions, and check that they sum to the change in log unit cost.

    raises : IdentityBreach
    """
    now = factors(market, p)
    if now is None:
        return
    books = market.ledger.books[p.name]
    unit_cost = books.spent("depreciation", "hosting", "energy", "rental", "rental_income") / _tokens(market, p)
    if so_far.before is None:
        so_far.total, so_far.first_unit_cost = np.zeros(len(COLUMNS)), unit_cost
    elif unit_cost > 0:
        from_parts, from_divisors = attribute_log_change(now[0], so_far.before[0], now[1], so_far.before[1])
        so_far.total = so_far.total + np.concatenate([from_parts, from_divisors])
        change = float(np.log(unit_cost / so_far.first_unit_cost))
        scale = max(1.0, float(np.abs(so_far.total).max()))  # logs: rounding is of the order of one, not of the change
        Identity(f"cost drivers = change in log unit cost ({p.name})", float(so_far.total.sum()), change, scale).check(
            market.steps
        )
    so_far.before = now
