"""What one firm may see: its own books and costs, posted prices, and a market-research panel of users."""

from collections.abc import MutableMapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket import terms
from aimarket.kernels.choice import price_utility_slope
from aimarket.kernels.effort import use, use_elasticities
from aimarket.kernels.profit import Demand, expected_value, usage
from aimarket.kernels.reaction import Rivalry
from aimarket.kernels.sums import ordered_sum
from aimarket.panel import Panel, survey
from aimarket.population import Menu
from aimarket.rng import Streams
from aimarket.units import HOURS_PER_MONTH

__all__ = ["CapacityRule", "Memory", "Panel", "PricingRule", "TrainingRule", "View", "survey"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Memory = MutableMapping[str, Any]

_WANTED = 1e-6  # mean share of choices below which a firm is no rival
_MOVED = 1e-9  # log points: least price change that counts as one


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
    price_cap: float  # USD/Mtok that may be asked at most; inf without a cap
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
    quality: Floats  # (M,) logits, own models as if new
    training_effort: float  # USD spent on the next model so far
    months_in_training: float  # since the last model
    quality_gain: float  # logits per log point of training
    training_scale: float  # USD of training that counts as 1
    turned_away: float  # reference GPUs wanted on average last step that own capacity did not serve
    owning_cost: float  # USD an hour of one reference GPU bought now, idle
    working_cost: float  # USD an hour more when it works

    @property
    def usable(self) -> float:
        """Share of capacity that can be worked in the peak hour; 1 without capacity of one's own."""
        hours = self.capacity * HOURS_PER_MONTH * self.months
        return self.workable * self.peak / hours if hours > 0 and np.isfinite(self.workable) else 1.0

    @property
    def held_offers(self) -> NDArray[np.bool_]:
        """(J,) whether anybody in the panel holds the offer."""
        return np.isin(np.arange(len(self.menu.price)), self.panel.offer)

    @property
    def panel_spend(self) -> Floats:
        """(J,) USD a step that the users whom the panel stands for spend on each offer at posted prices."""
        held = np.flatnonzero(self.panel.offer >= 0)
        offer = self.panel.offer[held]
        tokens = self.panel.tokens(self.menu, self.settings)[held, offer]
        return np.bincount(offer, self.panel.weight[held] * tokens, len(self.menu.price)) * self.menu.price

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
        fixed, locked = panel.unmoved(self.menu, self.settings, own)
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
            fixed=fixed,
            locked=locked,
            newcomer=panel.provider != self.provider,
            foresight=panel.foresight,
        )

    @cached_property
    def _moved(self) -> tuple[NDArray[np.bool_], Demand]:
        """(K,) whom own prices can move or whom we serve, and their demand; nobody else counts for prices."""
        counts = (self.demand.review > 0) | (self.demand.current >= 0)
        return counts, self.demand.of(counts)

    def value_of(self, prices: Floats, user_value: Floats) -> tuple[float, Floats]:
        """Expected margin of the step plus the future value of users had, and its gradient; see `expected_value`.

        A price above the cap counts as the cap, to which it will be cut.

        prices : (M,) USD/Mtok, or (2, M) for own customers and for newcomers
        """
        allowed, (counts, demand) = np.minimum(prices, self.price_cap), self._moved
        value, slope = expected_value(demand, allowed, self.costs, user_value[counts])
        return value, np.where(prices > allowed, 0.0, slope)

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

    def rivalry(self, respondents: int) -> tuple[Rivalry, Rivalry, int] | None:
        """The game of prices among the firms somebody wants, as about so many of the panel show it.

        A price rise makes holders look around, a cut does not: a firm that left its prices alone rests on that kink.

        returns : users as they are, the same at the review to be expected, own column; None without users or rivals
        """
        every = max(1, len(self.panel.weight) // respondents)
        panel = replace(self.panel, **{f.name: getattr(self.panel, f.name)[::every] for f in fields(self.panel)})
        menu, settings = self.menu, self.settings
        paid, answers = panel.price_paid(menu), terms.response(settings)
        price = np.where(panel.free[:, None], settings.reference_price, paid * panel.mix)
        _, thinking = use(
            panel.tasks[:, None], panel.depth[:, None], panel.thinking[:, None], price, panel.time_price, answers
        )
        extensive, intensive = use_elasticities(price, panel.time_price, answers)
        elasticity = extensive + intensive * thinking / (panel.tokens_per_task[:, None] + thinking)
        sensitivity = np.where(panel.free, 0.0, panel.sensitivity)[:, None]
        slope = price_utility_slope(price, sensitivity, settings.price_metric)
        utility = panel.utility + panel.price_utility
        top = np.maximum(utility.max(axis=1), panel.outside)
        by_offer, spend_by_offer = np.exp(utility - top[:, None]), panel.tokens(menu, settings) * paid
        attraction, slopes, spend, usages = np.zeros((4, len(utility), len(menu.providers)))
        for j, f in enumerate(menu.provider):  # weights of a firm's offers are those by which a user picks among them
            attraction[:, f] += by_offer[:, j]
            slopes[:, f] += by_offer[:, j] * slope[:, j]
            spend[:, f] += by_offer[:, j] * spend_by_offer[:, j]
            usages[:, f] += by_offer[:, j] * spend_by_offer[:, j] * elasticity[:, j]
        outside = np.exp(panel.outside - top)
        share = attraction / (ordered_sum(attraction) + outside)[:, None]
        wanted = np.flatnonzero(share.mean(axis=0) > _WANTED)
        if self.provider not in wanted or len(wanted) < 2:
            return None
        attraction, slopes, spend, usages = (x[:, wanted] for x in (attraction, slopes, spend, usages))
        some, bought = attraction > 0, spend > 0
        moves = np.zeros(len(menu.providers), dtype=bool)
        np.logical_or.at(moves, menu.provider, np.abs(menu.rise) > _MOVED)
        column = np.full(len(menu.providers) + 1, -1)  # the last for those without a provider
        column[wanted] = np.arange(len(wanted))
        now = Rivalry(
            weight=panel.weight,
            provider=column[panel.provider],
            review=panel.review,
            remains=np.exp(-panel.leaving_cost),
            attraction=attraction,
            outside=outside,
            slope=np.divide(slopes, attraction, where=some, out=np.zeros_like(slopes)),
            spend=np.divide(spend, attraction, where=some, out=np.zeros_like(spend)),
            elasticity=np.divide(usages, spend, where=bought, out=np.zeros_like(usages)),
            stays=~moves[wanted] & (settings.price_rise_review > 0),
            dollars=settings.price_metric == "linear",
        )
        later = replace(now, review=panel.calm_review, remains=np.exp(-panel.later_leaving_cost))
        return now, later, int(column[self.provider])

    @cached_property
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


@dataclass(frozen=True)
class Prospect(View):
    """What a provider that waits sees when it thinks of coming in: its offers on sale, all adopted users choosing."""

    overhead: float  # USD a month
    entry_cost: float  # USD that investors pay in besides the fleet
    tax_rate: float  # on profit


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


class EntryRule(Protocol):
    interval: int

    def enters(self, view: Prospect, memory: Memory, rng: Streams) -> bool:
        """Whether the provider comes into the market now."""
