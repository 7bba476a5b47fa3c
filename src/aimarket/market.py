"""The market: `Market.step` tells one step in order."""

from concurrent.futures import Executor

import numpy as np

from aimarket import demand, finance, innovation, metrics, serving
from aimarket import settings as config
from aimarket.build import by_name, retire_and_deliver
from aimarket.identities import Stocks
from aimarket.kernels.sums import ordered_sum
from aimarket.provider import Provider, energy_per_hour
from aimarket.state import Event
from aimarket.units import HOURS_PER_MONTH
from aimarket.views import CapacityRule, PricingRule, TrainingRule, View
from aimarket.world import World

_NOTABLE_PRICE_CHANGE = 0.1  # log points
_NOTABLE_OUTAGE = 0.01  # share of work turned away


class Market(World):
    """Providers and users of AI inference; one call of `step` is one step of the market.

    `tables` holds what the last step measured: {table: {column: values}}, see `schema.TABLES`.
    """

    def __init__(self, settings: config.Settings, replication: int = 0, pool: Executor | None = None) -> None:
        super().__init__(settings, replication, pool)
        self.history = metrics.History(stocks=Stocks.of(self))
        self.tables: metrics.Tables = {}

    def step(self) -> None:
        """One step: who does what, in order."""
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
        """Technology advances, models are launched, GPUs arrive and retire."""
        self.events = []
        self.ledger.close_step()
        self._advance_technology()
        self._launch_models()
        self.hours_per_mtok = self.reckon_hours_per_mtok()
        self.gpus_retired, self.gpus_delivered, self.gpus_ordered = np.zeros((3, len(self.providers), *self.gpu_shape))
        for p in self.providers:
            retired, delivered, cost = retire_and_deliver(p.fleet, self.steps, self.life, self.gpu_shape)
            self.gpus_retired[p.index], self.gpus_delivered[p.index] = retired, delivered
            self.ledger.transfer(p.name, "orders", "fleet", cost)
            if cost > 0:
                self.events.append(Event("delivery", p.name, "", float(delivered.sum())))

    def research(self) -> None:
        """Costs are reckoned, and market research asks its panel about the offers posted."""
        self.generation, self.marginal_cost = self.long_run_costs()
        self.adoption = self.adoption_probability()
        self.panel_menu = self.menu()
        self.panel = self.survey(self.panel_menu, self.adoption)

    def invest(self) -> None:
        """Providers train models and order GPUs, as far as money goes."""
        for p in self.active_providers:
            view = self.view(p)
            keep = self.settings.finance.cash_buffer * p.cash_cost
            self._order_gpus(p, view, keep)
            self._train(p, view, keep)

    def quote(self) -> None:
        """Providers post prices, all at once."""
        quotes = self.price.copy()
        for p in self.active_providers:
            rule: PricingRule = p.settings.pricing
            quotes[p.offers] = rule.quote(self.view(p), p.memory["pricing"], self.streams)
        self.posted_before, self.price = self.price, quotes
        change = np.log(self.price / self.posted_before)
        for j in np.flatnonzero(np.abs(change) > _NOTABLE_PRICE_CHANGE):
            name = self.catalogue.providers[self.catalogue.provider[j]]
            self.events.append(Event("price_change", name, self.catalogue.offers[j], float(change[j])))

    def choose(self) -> None:
        """Users adopt, review, choose and use."""
        self.panel_menu = self.menu()
        self.panel = self.survey(self.panel_menu, self.adoption)
        self.totals = demand.choose(self.demand_step(self.panel_menu, self.adoption), self.pool)

    def serve(self) -> None:
        """Load meets capacity: queues, outages, latency."""
        self.work = self.reckon_work()
        self.capacity_used = np.array([self.capacity(p) for p in self.providers])
        self.service = serving.serve(
            self.work,
            self.capacity_used,
            self.catalogue.provider,
            self.catalogue.prefill,
            self.answer_time,
            self.network,
            self.settings.hardware,
            ~np.isnan(self.catalogue.wholesale),
        )
        self.served = self.totals.mix_tokens * self.service.served
        self.latency, self.outage = self.service.latency, 1 - self.service.served
        wanted, lost = self.by_offer(self.work), self.by_offer(self.work * self.outage)
        for p in self.active_providers:
            share = lost[p.offers].sum() / max(wanted[p.offers].sum(), 1e-300)
            if share > _NOTABLE_OUTAGE:
                self.events.append(Event("outage", p.name, "", float(share)))

    def settle(self) -> None:
        """Users pay; providers pay for energy, hosting, capacity, staff, interest and tax, and square their cash."""
        quantity = self.by_offer(self.served)
        self.revenue = quantity * self.price
        wholesale = quantity * np.nan_to_num(self.wholesale_price)
        for p in self.active_providers:
            self._operate(p, float(self.revenue[p.offers].sum()), float(wholesale[p.offers].sum()))
            months, books = self.clock.months, self.ledger.books[p.name]
            p.tax_losses = finance.pay_interest_and_tax(
                self.ledger, p.name, p.settings.interest_rate, self.tax_rate, p.tax_losses, months
            )
            p.cash_cost = finance.monthly_cash_cost(books, months)
            p.burn = max(0.0, p.cash_cost - books.moved("revenue") / months)
            finance.balance_cash(self.ledger, p.name, self.settings.finance, months)

    def turn_over(self) -> None:
        """Providers that cannot pay leave; their users must choose again."""
        for p in self.active_providers:
            if finance.is_insolvent(self.ledger.books[p.name]):
                lost = p.fleet.installed(*self.gpu_shape)
                self.gpus_retired[p.index] += lost
                self.gpus_ordered[p.index] -= p.fleet.installed(*self.gpu_shape, delivered=False)
                p.fleet.keep(np.zeros(len(p.fleet.gpus), dtype=bool))
                finance.wind_up(self.ledger, p.name)
                p.active = False
                self.events.append(Event("exit", p.name, "", float(lost.sum())))

    def measure(self) -> None:
        """Everything is counted, and the books must balance."""
        self.closed_frontier.append(self.best_closed_quality())
        self.tables = metrics.measure(self, self.history)

    def _advance_technology(self) -> None:
        settings, years = self.settings.technology, self.clock.years
        self.technology.advance(settings, self.streams, self.steps, years)
        own = self.revenue * np.isnan(self.catalogue.wholesale)  # who buys tokens has no technology to copy
        sales = np.array([float(ordered_sum(own[p.offers])) * p.active for p in self.providers])
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
            p.experience.gain(float(ordered_sum(served[p.offers])), years, prior)
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

    def _order_gpus(self, p: Provider, view: View, keep: float) -> None:
        rule: CapacityRule = p.settings.capacity
        wanted = rule.order(view, p.memory["capacity"], self.streams)
        generation = int(self.generation[p.index])
        price = float(self.roadmap.price[generation])
        paid = finance.spend(self.ledger, p.name, "vendors", wanted * price, "capex", self.settings.finance, keep)
        sites = by_name(p.settings.fleet.regions, self.network.names, self.network.weights, p.name)
        ordered = paid / price * sites
        p.fleet.add(generation, ordered, self.steps + self.lead_time, price, delivered=False)
        self.gpus_ordered[p.index, generation] += ordered

    def _train(self, p: Provider, view: View, keep: float) -> None:
        rule: TrainingRule = p.settings.training
        outlay = rule.outlay(view, p.memory["training"], self.streams)
        spent = finance.spend(self.ledger, p.name, "laboratories", outlay, "training", self.settings.finance, keep)
        p.training_outlay = spent
        p.training_effort += spent
        p.months_in_training += self.clock.months

    def _operate(self, p: Provider, revenue: float, wholesale: float) -> None:
        """Revenue and the running costs of one provider, depreciation included."""
        ledger, hardware, months = self.ledger, self.settings.hardware, self.clock.months
        gpus = p.fleet.installed(*self.gpu_shape)  # (G, R)
        capacity = self.capacity(p)
        utilisation = np.divide(self.service.busy[p.index], capacity, out=np.zeros_like(capacity), where=capacity > 0)
        energy = energy_per_hour(hardware, self.roadmap.power[:, None], utilisation) * gpus
        ledger.pay("users", p.name, revenue, "revenue")
        ledger.pay(
            p.name,
            "utilities",
            float((energy @ self.network.electricity).sum()) * HOURS_PER_MONTH * months,
            "energy",
        )
        ledger.pay(p.name, "landlords", float(gpus.sum()) * hardware.hosting * months, "hosting")
        ledger.pay(p.name, "wholesalers", wholesale, "wholesale")
        ledger.pay(p.name, "staff", p.settings.overhead * months, "overhead")
        left = p.fleet.book_value(self.steps + 1, self.life)
        ledger.depreciate(p.name, ledger.books[p.name].balance["fleet"] - left)
