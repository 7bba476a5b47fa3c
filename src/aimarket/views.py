"""What one firm may see: its own books and costs, posted prices, and a market-research panel of users."""

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.profit import Demand, expected_value, usage
from aimarket.kernels.sums import ordered_sum
from aimarket.panel import Panel, survey
from aimarket.population import Menu
from aimarket.rng import Streams

__all__ = ["CapacityRule", "Memory", "Panel", "PricingRule", "TrainingRule", "View", "survey"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Memory = MutableMapping[str, Any]


@dataclass(frozen=True)
class View:
    """One firm's view when it decides; M own offers."""

    step: int
    months: float  # length of the step
    provider: int
    offers: Integers  # (M,) own columns of the menu
    menu: Menu
    panel: Panel
    settings: config.Users
    costs: Floats  # (M,) USD/Mtok, long-run marginal cost
    prices: Floats  # (M,) USD/Mtok, posted last step
    newcomer_prices: Floats  # (M,) USD/Mtok, posted last step to those who were customers of others, or of nobody
    revenue: float  # USD, last step
    users: float  # attached last step
    cash: float  # USD
    credit: float  # USD that may still be borrowed
    burn: float  # USD a month lost by operations last step, 0 if they earned cash
    load: float  # reference GPUs wanted on average last step
    capacity: float  # reference GPUs installed
    workable: float  # reference-GPU-hours a step that can be worked, given the daily peak; inf without own GPUs
    hours: Floats  # (M,) reference-GPU-hours/Mtok
    arriving: float  # reference GPUs on order
    retiring: float  # reference GPUs that reach the end of their life within the lead time
    peak: float  # highest hourly load over mean load last step
    lead_time: float  # steps
    gpu_throughput: float  # reference GPUs per GPU that can be bought now

    @cached_property
    def demand(self) -> Demand:
        """The panel's demand for own offers, everybody else's prices as posted."""
        panel, own = self.panel, self.offers
        utility, outside = panel.utility_now(self.menu), panel.outside_now
        others = np.delete(utility, own, axis=1)
        top = np.maximum(others.max(axis=1, initial=-np.inf), outside)
        shift = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            rest = np.log(ordered_sum(np.exp(others - shift[:, None])) + np.exp(outside - shift)) + shift
        held = panel.offer[:, None] == own
        difficulty = self.settings.difficulty
        fixed, locked = panel.unmoved(self.menu, self.settings)
        return Demand(
            weight=panel.weight,
            review=panel.review,
            current=np.where(held.any(axis=1), held.argmax(axis=1), -1),
            rest=rest,
            utility=(utility - panel.price_utility)[:, own],
            sensitivity=np.where(panel.free, 0.0, panel.sensitivity),
            mix=panel.mix[:, own],
            tasks_at_reference=panel.tasks,
            depth=panel.depth,
            tokens_per_task=panel.tokens_per_task,
            thinking_reference=panel.thinking,
            time_price=panel.time_price[:, own],
            metric=self.settings.price_metric,
            reference_price=self.settings.reference_price,
            usage_elasticity=self.settings.usage_elasticity,
            effort_curvature=self.settings.effort_curvature,
            price_rise_review=panel.price_rise_review,
            previous_prices=self.prices,
            hours=self.hours,
            capacity=self.workable,
            ceiling=np.inf if difficulty.ceiling is None else difficulty.ceiling,
            difficulty=difficulty.thinking,
            paid=np.where(panel.free | panel.bound, 0.0, panel.paid),
            felt=panel.felt[:, own],
            fixed=None if fixed is None else fixed[:, own],
            locked=locked,
            newcomer=panel.provider != self.provider,
            foresight=panel.foresight,
        )

    def value_of(self, prices: Floats, user_value: Floats) -> tuple[float, Floats]:
        """Expected margin of the step plus the future value of users had, and its gradient; see `expected_value`.

        prices : (M,) USD/Mtok, or (2, M) for own customers and for newcomers
        """
        return expected_value(self.demand, prices, self.costs, user_value)

    def retention_advantage(self) -> Floats:
        """How much likelier each panel user is ours after the next step if ours now than if a rival's.

        The rival is the one the user likes best; without rivals, the alternative is having no provider.

        returns : (K,) float, 1
        """
        panel = self.panel
        utility = panel.utility + panel.price_utility
        top = np.maximum(utility.max(axis=1), panel.outside)
        weight = np.zeros((len(utility), len(self.menu.providers)))  # (K, F)
        for offer, provider in enumerate(self.menu.provider):
            weight[:, provider] += np.exp(utility[:, offer] - top)
        outside = np.exp(panel.outside - top)
        ours = weight[:, self.provider]
        rival = np.delete(weight, self.provider, axis=1).max(axis=1, initial=0.0)
        others = ordered_sum(weight) - ours + outside
        left = np.exp(-panel.later_leaving_cost)
        stay = ours / (ours + left * others)
        without_rival = ours / (ours + others)
        join = np.where(rival > 0, left * ours / (left * (ours + others - rival) + rival), without_rival)
        return 1 - panel.calm_review + panel.calm_review * (stay - join)

    def own_spend(self) -> Floats:
        """What each panel user would pay us a step at posted prices, (K,) USD.

        Whoever is under contract pays by then what he would sign today; whoever does not pay, what he would if he did,
        times the chance that he ever does.
        """
        panel = self.panel
        tokens, _ = usage(replace(self.demand, fixed=None, paid=panel.paid), self.prices)
        utility = (panel.utility + panel.price_utility)[:, self.offers]
        top = utility.max(axis=1, keepdims=True)
        weight = np.exp(utility - np.where(np.isfinite(top), top, 0.0))
        total = weight.sum(axis=1)
        spend = (weight * tokens * self.prices).sum(axis=1) * panel.paid * panel.pays_some_day
        return np.divide(spend, total, out=np.zeros(len(total)), where=total > 0)


class PricingRule(Protocol):
    def quote(self, view: View, memory: Memory, rng: Streams) -> Floats:
        """Prices of own offers, USD/Mtok: (M,); or (2, M), first for own customers, then for newcomers."""


class CapacityRule(Protocol):
    def order(self, view: View, memory: Memory, rng: Streams) -> float:
        """GPUs of the newest generation to order now."""


class TrainingRule(Protocol):
    period: int

    def outlay(self, view: View, memory: Memory, rng: Streams) -> float:
        """USD to spend on training this step."""
