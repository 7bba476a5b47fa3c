"""The market: `Market.step` tells one step in order."""

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from aimarket import (
    demand,
    disposal,
    equity,
    finance,
    industry,
    innovation,
    metrics,
    procurement,
    rental,
    serving,
)
from aimarket import settings as config
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import INCOME
from aimarket.panel import asked_again
from aimarket.provider import Provider, energy_per_hour
from aimarket.state import Event, Floats
from aimarket.units import HOURS_PER_MONTH, MONTHS_PER_YEAR
from aimarket.views import PricingRule, TrainingRule, View
from aimarket.world import World

_NOTABLE_PRICE_CHANGE = 0.1  # log points
_NOTABLE_OUTAGE = 0.01  # share of work turned away


class Market(World):
    """Providers and users of AI inference; one call of `step` is one step of the market.

    `tables` holds what the last step measured of `record.tables`: {table: {column: values}}, see `schema.TABLES`.
    """

    def __init__(
        self,
        settings: config.Settings,
        replication: int = 0,
        pool: Executor | None = None,
        populate: demand.Populate | None = None,
    ) -> None:
        super().__init__(settings, replication, pool, populate)
        self.history = metrics.History.of(self)
        self.tables: metrics.Tables = {}

    def step(self) -> None:
        """One step: who does what, in order."""
        self.steps += 1
        self.deliver()
        self.research()
        self.invest()
        self.quote()
        self.choose()
        self.serve()
        self.settle()
        self.turn_over()
        self.measure()

    def deliver(self) -> None:
        """Technology advances, models are launched, firms merge or break up, GPUs arrive and retire."""
        self.events = []
        self.ledger.close_step()
        self._advance_technology()
        self._launch_models()
        self.hours_per_mtok = self.reckon_hours_per_mtok()
        procurement.count_anew(self)
        industry.restructure(self)
        for p in self.providers:
            procurement.redirect_orders(self, p)
            delivered = procurement.deliver(self, p)
            if delivered > 0:
                self.events.append(Event("delivery", p.name, "", delivered))
        self.gpu_hour_costs = self.reckon_gpu_hour_costs()
        for p in self.providers:
            disposal.scrap(self, p)

    def research(self) -> None:
        """Costs are reckoned, and market research asks its panel about the offers posted."""
        self.gpu_hour_costs = self.reckon_gpu_hour_costs()
        self.generation, self.marginal_cost = self.long_run_costs()
        self.opportunity_cost = self.opportunity_costs()
        self.adoption = self.adoption_probability()
        self.panel_menu = self.menu()
        self.panel = self.survey(self.panel_menu, self.adoption)

    def invest(self) -> None:
        """Providers train models and order GPUs, as far as money goes."""
        views = self.views(self.active_providers)
        procurement.order_gpus(self, views)
        for p, view in views.items():
            self._train(p, view, self.settings.finance.cash_buffer * p.cash_cost)

    def quote(self) -> None:
        """Providers post prices, all at once."""
        quotes = np.stack([self.price, self.newcomer_price])  # for own customers, and for everybody else
        for p, view in self.views(self.active_providers).items():
            rule: PricingRule = p.settings.pricing
            quotes[:, p.offers] = rule.quote(view, p.memory["pricing"], self.streams)
        self.posted_before, (self.price, self.newcomer_price) = self.price, np.minimum(quotes, self.price_cap)
        change = np.log(self.price / self.posted_before)
        for j in np.flatnonzero(np.abs(change) > _NOTABLE_PRICE_CHANGE):
            name = self.catalogue.providers[self.catalogue.provider[j]]
            self.events.append(Event("price_change", name, self.catalogue.offers[j], float(change[j])))

    def choose(self) -> None:
        """Users adopt, review, choose and use."""
        self.panel_menu = self.menu()
        step = self.demand_step(self.panel_menu, self.adoption)
        if self.steps == 1:
            demand.lock_first_quotes(self.population, step)
            self.panel = self.survey(self.panel_menu, self.adoption)
        else:  # nothing but prices has changed since research
            self.panel = asked_again(self.panel, self.panel_menu, step.segments)
        self.totals = demand.choose(self.population, step, self.pool)

    def serve(self) -> None:
        """Load meets capacity: queues, rented capacity, outages, latency."""
        self.work = self.reckon_work()
        self.installed, _ = self.count_gpus()
        self.capacity_used = self.roadmap.throughput @ self.installed
        self.service = serving.serve(
            self.work,
            self.capacity_used,
            self.owner,
            self.catalogue.prefill,
            self.answer_time,
            self.network,
            self.settings.hardware,
            ~np.isnan(self.catalogue.wholesale),
        )
        self._clear_rental_market()
        self.served = self.totals.mix_tokens * self.service.served
        self.latency, self.outage = self.service.latency, 1 - self.service.served
        wanted, lost = (self.by_provider(self.by_offer(work)) for work in (self.work, self.work * self.outage))
        for p in self.active_providers:
            share = lost[p.index] / max(wanted[p.index], 1e-300)
            if share > _NOTABLE_OUTAGE:
                self.events.append(Event("outage", p.name, "", float(share)))

    def settle(self) -> None:
        """Users pay; providers pay for energy, hosting, capacity, staff, interest and tax, and square their cash."""
        self.payments = (self.totals.spend + self.totals.shortfall) * self.service.served
        self.revenue = self.by_offer(self.payments)
        wholesale = self.by_offer(self.served) * np.nan_to_num(self.wholesale_price)
        hosting = self.installed.sum(axis=(1, 2)) * self.settings.hardware.hosting * self.clock.months
        flows = (self.by_provider(self.revenue), self._energy_bills(), hosting, self.by_provider(wholesale))
        left, _ = self.book_values(self.steps + 1)
        running = np.stack([*flows, left], axis=1).tolist()
        for p in self.active_providers:
            self._operate(p, *running[p.index])
            months, books = self.clock.months, self.ledger.books[p.name]
            p.tax_losses = finance.pay_interest_and_tax(
                self.ledger, p.name, p.settings.interest_rate, self.tax_rate, p.tax_losses, months
            )
            p.cash_cost = finance.monthly_cash_cost(books, months)
            p.burn = max(0.0, p.cash_cost - books.moved(*INCOME) / months)
            finance.balance_cash(self.ledger, p.name, self.settings.finance, months)
            raised = equity.raise_or_pay_out(self.ledger, p, self.settings, months)
            if raised > 0:
                self.events.append(Event("equity_round", p.name, "", raised))

    def turn_over(self) -> None:
        """Providers that cannot pay leave, and their users must choose again; others come."""
        failed = [p for p in self.active_providers if finance.is_insolvent(self.ledger.books[p.name])]
        for p in failed:
            p.active = False
        for p in failed:
            lost = float(p.fleet.gpus[p.fleet.delivered].sum())
            for buyer, gpus in disposal.clear_out(self, p):
                self.events.append(Event("sale", p.name, buyer, gpus))
            finance.wind_up(self.ledger, p.name)
            self.events.append(Event("exit", p.name, "", lost))
        industry.let_enter(self)

    def measure(self) -> None:
        """Everything is counted, and the books must balance."""
        self.closed_frontier.append(self.best_closed_quality())
        self.price_history = [*self.price_history, self.price][-1 - max(1, self.clock.steps(MONTHS_PER_YEAR)) :]
        self.tables = metrics.measure(self, self.history)

    def _advance_technology(self) -> None:
        settings, years = self.settings.technology, self.clock.years
        self.technology.advance(settings, self.streams, self.steps, years)
        own = self.revenue * np.isnan(self.catalogue.wholesale)  # who buys tokens has no technology to copy
        own = own * np.array([p.active for p in self.providers])[self.owner]
        sales = np.bincount(self.catalogue.provider, own, len(self.providers))  # of brands, whoever owns them
        shocks = np.array([innovation.private_shocks(self.streams, self.steps, p.name) for p in self.providers])
        levels = np.array([p.private_technology for p in self.providers])
        levels = innovation.advance_private(levels, shocks, sales, settings, years)
        for p, level in zip(self.providers, levels, strict=True):
            p.private_technology = level
            p.training_outlay *= p.active  # those who left train no more
        if settings.learning > 0:
            self._learn_by_doing()
        released = np.ceil(self.roadmap.release / self.clock.months) == self.steps - 1
        for g in np.flatnonzero(released):
            event = Event("generation_released", "", self.roadmap.names[g], float(self.roadmap.throughput[g]))
            self.events.append(event)

    def _learn_by_doing(self) -> None:
        """Last step's tokens become experience."""
        served, years = self.by_offer(self.totals.tokens * (1 - self.outage)), self.clock.years
        prior = self.settings.technology.prior_experience
        for p in self.providers:
            of_brand = served[self.catalogue.provider == p.index]
            p.experience.gain(float(ordered_sum(of_brand)), years, prior)
        self.experience.gain(float(ordered_sum(served)), years, prior)

    def _launch_models(self) -> None:
        """Finished training runs raise the quality of their provider's offers; open weights follow the frontier."""
        settings = self.settings.technology
        self.model_age += self.clock.years
        for p in self.active_providers:
            period = p.settings.training.period
            if period and p.months_in_training >= period:
                shock = self.streams.at("technology.model", self.steps, p.name).one_normal()
                self.quality[p.offers] = innovation.trained_quality(
                    self.quality[p.offers], p.training_effort, shock, settings
                )
                self.events.append(Event("model_launched", p.name, "", float(self.quality[p.offers].max())))
                p.training_effort = p.months_in_training = 0.0
                self.model_age[p.offers] = 0.0
        lag, gap = self.open_weights_terms
        followed = innovation.followed_quality(
            self.catalogue.quality, self.best_open_at_start, self.closed_frontier, lag, gap, self.clock.months
        )
        self.model_age[followed > self.quality] = 0.0
        self.quality = np.maximum(self.quality, followed)  # nobody sells less than open weights would give

    def _clear_rental_market(self) -> None:
        """Firms rent what they are short of and let what is idle; load on rented capacity is served after all."""
        self.rented, self.let = np.zeros((2, len(self.providers)))
        self.merchants_let = self.world_rented = 0.0
        if self.rental is None:
            return
        hardware, shock = self.settings.hardware, self.settings.shock
        supply = shock.gpu_supply / shock.lead_time if self.shocked else 1.0
        rental.build(self.rental, hardware, self.merchant_cost(), self.clock.years, supply)
        active = np.array([p.active for p in self.providers])
        usable = self.capacity_used.sum(axis=1) * hardware.maximum_utilisation
        overflow = active * self.by_provider(self.by_offer(self.work * (1 - self.service.served)))
        idle = active * np.maximum(0.0, usable - self.service.busy.sum(axis=1))
        worth, energy = active * self.worth_of_work(), active * self.marginal_energy(self.installed)
        outlays = np.array([p.training_outlay for p in self.providers]) * self.settings.technology.training_compute
        training = float(ordered_sum(outlays)) / self.rental.first_price / (HOURS_PER_MONTH * self.clock.months)
        cleared = rental.clear(self.rental, hardware, overflow, worth, idle, energy, training, self.years)
        self.rented, self.let = cleared.rented, cleared.let
        self.merchants_let, self.world_rented = cleared.merchants, cleared.outside
        granted = np.divide(self.rented, overflow, out=np.zeros_like(overflow), where=overflow > 0)
        unserved = (1 - self.service.served) * (1 - granted[self.owner])
        self.service = replace(self.service, served=1 - unserved)

    def _train(self, p: Provider, view: View, keep: float) -> None:
        rule: TrainingRule = p.settings.training
        outlay = rule.outlay(view, p.memory["training"], self.streams)
        spent = finance.spend(self.ledger, p.name, "laboratories", outlay, "training", self.settings.finance, keep)
        p.training_outlay = spent
        p.training_effort += spent
        p.months_in_training += self.clock.months

    def _energy_bills(self) -> Floats:
        """(F,) USD that the electricity of the step costs: GPUs that are there idle or work."""
        idling = energy_per_hour(self.settings.hardware, self.roadmap.power, 0.0)[:, None] * self.installed
        working = self.work_energy[:, None] * self.merit_order(self.installed)
        cost = ((idling + working) * self.network.electricity).sum(axis=(1, 2))
        return np.asarray(cost * HOURS_PER_MONTH * self.clock.months)

    def _operate(
        self, p: Provider, revenue: float, energy: float, hosting: float, wholesale: float, left: float
    ) -> None:
        """Revenue and the running costs of one provider, depreciation to what is left of its fleet's cost included."""
        ledger, months = self.ledger, self.clock.months
        ledger.pay("users", p.name, revenue, "revenue")
        ledger.pay(p.name, "utilities", energy, "energy")
        if self.rental is not None:
            price = self.rental.price * HOURS_PER_MONTH * months
            ledger.pay(p.name, "merchants", float(self.rented[p.index]) * price, "rental")
            ledger.pay("merchants", p.name, float(self.let[p.index]) * price, "rental_income")
        ledger.pay(p.name, "landlords", hosting, "hosting")
        ledger.pay(p.name, "wholesalers", wholesale, "wholesale")
        ledger.pay(p.name, "staff", p.overhead * months, "overhead")
        ledger.depreciate(p.name, ledger.books[p.name].balance["fleet"] - left)
