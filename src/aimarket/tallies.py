"""Sums over users that several tables start from, each made once a step."""

from typing import TYPE_CHECKING

import numpy as np

from aimarket.kernels.sums import ordered_sum
from aimarket.population import Floats

if TYPE_CHECKING:
    from aimarket.market import Market

Sums = dict[str, Floats]

_SUMMED = (  # of the totals, by segment already
    *("adopted", "reviews", "abandonments", "depth", "tenure", "switching_cost", "free", "routed", "contracted"),
    *("task_elasticity", "thinking_elasticity"),
)


def sums_by_segment(market: "Market") -> Sums:
    """Sums over users, (S,) each; flows are of the step."""
    totals, served = market.totals, market.service.served
    cubes = {
        "attached": totals.users,
        "tasks": totals.tasks,
        "tasks_served": totals.tasks * served,
        "tokens": totals.tokens,
        "tokens_served": totals.tokens * served,
        "wanted": totals.wanted,
        "declined": totals.declined,
        "payments": market.payments,
        "shortfall": totals.shortfall * served,  # nobody pays for what he could not have had
    }
    stacked = np.stack(list(cubes.values()))
    sums = dict(zip(cubes, ordered_sum(stacked.reshape(*stacked.shape[:2], -1)), strict=True))
    potential = np.where(market.segments.sample > 0, market.segments.population, 0.0)
    sums |= {"potential": potential, "attached_before": ordered_sum(totals.attached_before)}
    return sums | {"leavers": ordered_sum(totals.leavers)} | {name: getattr(totals, name) for name in _SUMMED}


def sums_by_offer(market: "Market") -> Sums:
    """Sums over segments and regions, (J,) each; flows are of the step."""
    totals, service = market.totals, market.service
    served = totals.tokens * service.served
    cubes = {
        "users": totals.users,
        "latency": totals.users * service.latency,
        "first_token": totals.users * service.first_token,
        "tokens": totals.tokens,
        "thinking": totals.thinking,
        "wanted": totals.wanted,
        "served": served,
        "waited": served * service.wait[:, :, market.owner],
        "mix_served": market.served,
    }
    stacked = np.stack(list(cubes.values()))
    return dict(zip(cubes, ordered_sum(stacked.reshape(len(cubes), -1, stacked.shape[-1]), 1), strict=True))
