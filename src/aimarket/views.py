"""What one firm may see: its own books and costs, posted prices, and a market-research panel of users."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket import terms
from aimarket.kernels.rivalry import Rivalry
from aimarket.kernels.sums import ordered_sum
from aimarket.panel import Panel, survey
from aimarket.population import Menu
from aimarket.rng import Streams
from aimarket.units import HOURS_PER_MONTH

if TYPE_CHECKING:  # numba takes long to import: not before a firm asks what its prices are worth
    from aimarket.kernels.profit import Demand, ExpectedValue

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
    panel: Panel
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
    def menu(self) -> Menu:
        """What users see."""
        return self.panel.menu

    @property
    def settings(self) -> config.Users:
        """What is known about users."""
        return self.panel.settings

    @property
    def held_offers(self) -> NDArray[np.bool_]:
        """(J,) whether anybody in the panel holds the offer."""
        return np.isin(np.arange(len(self.menu.price)), self.panel.offer)

    @property
    def panel_spend(self) -> Floats:
        """(J,) USD a step that the users whom the panel stands for spend on each offer at posted prices."""
        held = np.flatnonzero(self.panel.offer >= 0)
        offer = self.panel.offer[held]
        tokens = self.panel.tokens[held, offer]
        return np.bincount(offer, self.panel.weight[held] * tokens, len(self.menu.price)) * self.menu.price

    def _demand(self, recognising: bool) -> "tuple[Integers, Demand]":
        """(N,) users whom prices can move, and their demand for own offers, everybody else's prices as posted.

        recognising : whether newcomers are asked for other prices, and so are groups of their own
        """
        from aimarket.kernels.profit import Demand

        standing, own, settings = self.panel.standing, self.offers, self.settings
        users, recognised = standing.movable, np.zeros(len(standing.movable.kind), dtype=bool)
        newcomer = users.provider != self.provider
        if recognising:
            users, recognised = users.parted(newcomer)
            newcomer = np.repeat(recognised, np.diff(users.first))
        offers = len(self.menu.price)
        column = np.full(offers + 1, -1)  # the last for those without an offer
        column[own] = np.arange(len(own))
        of_kinds = standing.of_kinds.reshape(len(standing.of_kinds), -1)
        return users.rows, Demand(
            first=users.first,
            current=column[users.offer],
            users=users.numbers,
            rest=users.rest[self.provider],
            utility=users.utility[own] - np.where(newcomer, users.leaving_cost, 0.0),
            groups=of_kinds.take(users.kind[:, None] * offers + own, axis=1),
            newcomer=recognised,
            response=terms.response(settings),
            metric=settings.price_metric,
            price_rise_review=settings.price_rise_review,
            previous_prices=self.prices,
            hours=self.hours,
            capacity=self.workable,
            steady_hours=float(ordered_sum(standing.steady.tokens[own] * self.hours)),
            price_cap=self.price_cap,
        )

    def expected_value(self, user_value: Floats, recognising: bool = False) -> "ExpectedValue":
        """Expected margin of the step plus the future value of users had, as a function of own prices.

        user_value  : (K,) USD of having the user after this step
        recognising : whether prices are (2, M), for own customers and for newcomers
        """
        from aimarket.kernels.profit import ExpectedValue

        users, demand = self._demand(recognising)
        steady, own = self.panel.standing.steady, self.offers
        later = float((ordered_sum(steady.chance[own], axis=0) * user_value[steady.rows]).sum())
        now = float(ordered_sum(steady.paid[own] - steady.tokens[own] * self.costs))
        return ExpectedValue.of(demand, self.costs, user_value[users], now + later)

    def value_of(self, prices: Floats, user_value: Floats) -> tuple[float, Floats]:
        """The expected value at some prices, and its gradient in their logs; see `ExpectedValue`.

        prices : (M,) USD/Mtok, or (2, M) for own customers and for newcomers
        """
        return self.expected_value(user_value, prices.ndim > 1)(prices)

    def best_prices(self, start: Floats, user_value: Floats, span: float, grid: int) -> Floats:
        """Prices within a span of present ones that maximise the expected value; see `price_search.best_prices`.

        start : (M,) USD/Mtok, or (2, M) for own customers and for newcomers
        span  : log points
        grid  : common moves tried on either side of none
        """
        from aimarket.kernels.price_search import best_prices

        value_of, tried = self.expected_value(user_value, start.ndim > 1), np.linspace(-span, span, 2 * grid + 1)
        return best_prices(value_of, start, start * np.exp(-span), start * np.exp(span), tried)

    def retention_advantage(self) -> Floats:
        """(K,) how much likelier each panel user is ours after the next step if ours now than if a rival's."""
        from aimarket.kernels.loyalty import retention_advantage

        panel, standing, firm = self.panel, self.panel.standing, self.provider
        attractions = standing.firms[firm], standing.best_rival[firm], standing.rivals[firm], standing.outside
        return np.asarray(retention_advantage(*attractions, standing.remains_later, panel.calm_review))

    def rivalry(self, respondents: int) -> tuple[Rivalry, Rivalry, int] | None:
        """See `Standing.rivalry`; with own column, None without users or rivals."""
        game = self.panel.standing.rivalry(respondents)
        if game is None or game[2][self.provider] < 0:
            return None
        return game[0], game[1], int(game[2][self.provider])

    @cached_property
    def own_spend(self) -> Floats:
        """What each panel user would pay us a step at posted prices, (K,) USD.

        Whoever is under contract pays by then what he would sign today; whoever does not pay, what he would if he did,
        times the chance that he ever does.
        """
        from aimarket.kernels.loyalty import mean_bill

        panel, own = self.panel, self.offers
        bill = (panel.tokens_by_kind[:, own] * self.prices * panel.paid[:, None]).T
        a_task = mean_bill(panel.standing.utility, own, np.ascontiguousarray(bill), panel.kind)
        return np.asarray(a_task * panel.size * panel.pays_some_day)


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
