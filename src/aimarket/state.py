"""The state of the market, and the questions one may ask of it; what changes it is in `market.py`."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property

import mesa
import numpy as np
from numpy.typing import NDArray

from aimarket import demand
from aimarket import settings as config
from aimarket.build import Clock, electricity_price
from aimarket.catalogue import Catalogue
from aimarket.experience import Experience, learning_level
from aimarket.finance import credit
from aimarket.innovation import Technology
from aimarket.kernels.diffusion import bass_adoption
from aimarket.kernels.purchase import volume_effect
from aimarket.kernels.rationing import merit_order
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import Ledger
from aimarket.population import Menu, Segments, Users
from aimarket.provider import Provider, Roadmap, energy_of_work, energy_per_hour, gpu_hour_cost
from aimarket.rental import RentalMarket
from aimarket.rng import Streams
from aimarket.serving import Network, Service, peak_over_mean
from aimarket.units import HOURS_PER_MONTH, MONTHS_PER_YEAR, TOKENS_PER_MTOK
from aimarket.views import Panel, View, survey

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Event:
    """Something worth a row in the table of events."""

    kind: str
    provider: str
    subject: str
    value: float


class State(mesa.Model):  # type: ignore[type-arg]
    """F providers with J offers, S segments of users in R regions, G generations of GPUs, K users in the panel.

    `World` builds it, `Market` moves it on. What "this step" holds is written by the step and missing before the first.
    """

    # Fixed for the run
    settings: config.Settings
    replication: int
    pool: Executor | None
    streams: Streams
    clock: Clock
    life: int  # steps a GPU serves
    network: Network
    segments: Segments
    catalogue: Catalogue
    roadmap: Roadmap
    panel_rows: Integers  # (K,) rows of `users` in the research panel
    panel_tastes: Floats  # (K, F) utils
    starting_hours: Floats  # (J,) reference-GPU-hours/Mtok
    best_open_at_start: float  # logits, of open weights

    # Carried from step to step
    users: Users
    providers: list[Provider]
    owner: Integers  # (J,) provider that owns the offer; its brand is `catalogue.provider`
    ledger: Ledger
    technology: Technology
    rental: RentalMarket | None
    experience: Experience  # of the industry
    quality: Floats  # (J,) logits
    model_age: Floats  # (J,) years since the model was new
    closed_frontier: list[float]  # logits, one entry a step
    price: Floats  # (J,) USD/Mtok, posted
    posted_before: Floats  # (J,) USD/Mtok
    newcomer_price: Floats  # (J,) USD/Mtok, posted to those who are customers of another provider or of none
    price_history: list[Floats]  # (J,) USD/Mtok, one entry a step of the past year, the oldest first
    latency: Floats  # (S, R, J) s, last step
    outage: Floats  # (S, R, J) share unserved last step
    first_surplus_per_user: float  # USD/month, measured from the first step on
    surplus_per_user: float  # USD/month

    # This step
    events: list[Event]
    gpus_retired: Floats  # (F, G, R)
    gpus_delivered: Floats
    gpus_ordered: Floats
    gpus_scrapped: Floats  # of those retired, before the end of their life
    gpus_bought: Floats  # used, from providers that failed
    gpus_sold: Floats
    condemned: NDArray[np.bool_]  # (F, G, R) whose hours are not worth their cash cost
    gpus_wanted: Floats  # (F,) that providers meant to order and could pay for
    gpus_unmet: Floats  # (F,) of them, not to be had
    gpus_transferred: Floats  # installed ones handed over among providers
    orders_transferred: Floats
    hours_per_mtok: Floats  # (J,) reference-GPU-hours
    generation: Integers  # (F,) best to buy
    marginal_cost: Floats  # (J,) USD/Mtok
    opportunity_cost: Floats  # (J,) USD/Mtok
    adoption: Floats  # (S,) probability
    panel_menu: Menu
    panel: Panel
    totals: demand.Totals
    work: Floats  # (S, R, J) reference GPUs wanted on average
    capacity_used: Floats  # (F, R) reference GPUs installed while serving
    rented: Floats  # (F,) reference GPUs kept at work on capacity of others
    let: Floats  # (F,) own reference GPUs kept at work for others
    merchants_let: float  # reference GPUs of merchants at work
    world_rented: float  # reference GPUs the rest of the world keeps at work
    service: Service
    served: Floats  # (S, R, J) Mtok of the reference mix
    payments: Floats  # (S, R, J) USD, for tokens served and for what was committed to
    revenue: Floats  # (J,) USD

    @property
    def years(self) -> float:
        """Years from the start of the run to the end of this step."""
        return float(self.steps * self.clock.years)

    @property
    def months_so_far(self) -> float:
        """Months from the start of the run to the beginning of this step."""
        return max(0.0, (self.steps - 1) * self.clock.months)

    @property
    def gpu_shape(self) -> tuple[int, int]:
        """Generations and regions."""
        return len(self.roadmap.names), len(self.network.names)

    @property
    def active_providers(self) -> list[Provider]:
        """Providers in business, in the order of the roster."""
        return [p for p in self.providers if p.active]

    @property
    def answer_time(self) -> Floats:
        """(S, J) s to generate an answer without thinking."""
        return np.asarray(self.segments.output[:, None] / self.catalogue.speed)

    def by_offer(self, values: Floats) -> Floats:
        """(S, R, J) summed to (J,)."""
        return ordered_sum(ordered_sum(values, 0), 0)

    def menu(self) -> Menu:
        """What users see now."""
        catalogue = self.catalogue
        active = np.array([p.active for p in self.providers], dtype=bool)
        return Menu(
            providers=catalogue.providers,
            names=catalogue.names,
            provider=self.owner,
            brand=catalogue.provider,
            on_sale=active[self.owner],
            price=self.price,
            newcomer_price=self.newcomer_price,
            outlook=self.price_outlook(),
            allowance=catalogue.free_allowance / TOKENS_PER_MTOK * self.clock.months,
            rise=np.log(self.price / self.posted_before),
            quality=self.perceived_quality,
            appeal=catalogue.appeal,
            speed=catalogue.speed,
            mix=catalogue.mix,
            latency=self.latency,
            outage=self.outage,
        )

    @property
    def perceived_quality(self) -> Floats:
        """(J,) logits: what a model is to users who expect ever more of one."""
        return self.quality - self.settings.technology.ageing * self.model_age

    def survey(self, menu: Menu, adoption: Floats, segments: Segments | None = None) -> Panel:
        """What the research panel answers about a menu."""
        return survey(
            self.users,
            self.panel_rows,
            self.panel_tastes,
            menu,
            self.under_policy(segments or self.segments),
            self.settings.users,
            adoption,
            self.clock.months,
            self.task_factor,
        )

    def demand_step(self, menu: Menu, adoption: Floats, segments: Segments | None = None) -> demand.Step:
        """What the demand side needs to know about this step."""
        policy = self.settings.policy
        mandate = policy.portability if self.months_so_far >= policy.start else None
        return demand.Step(
            users=self.users,
            menu=menu,
            segments=self.under_policy(segments or self.segments),
            settings=self.settings.users,
            streams=self.streams,
            number=self.steps,
            months=self.clock.months,
            adoption=adoption,
            task_factor=self.task_factor,
            portability=self.settings.users.portability if mandate is None else mandate,
        )

    def under_policy(self, segments: Segments) -> Segments:
        """The segments as the policy of the settings has them: a mandate lets at least some users use routers."""
        policy = self.settings.policy
        if policy.multihoming is None or self.months_so_far < policy.start:
            return segments
        return replace(segments, multihoming=np.maximum(segments.multihoming, policy.multihoming))

    def price_outlook(self) -> Floats:
        """(J,) mean price expected over a stay over the price now, if the trend of the past year goes on.

        What counts is the trend relative to the market, weighted by tokens: nobody need stay to gain from the latter.
        """
        horizon = self.settings.users.foresight.horizon / MONTHS_PER_YEAR
        if len(self.price_history) < 2 or horizon == 0 or self.settings.users.foresight.weight == 0:
            return np.ones(len(self.price))
        trend = np.log(self.price_history[-1] / self.price_history[0])
        weight = self.by_offer(self.totals.mix_tokens)
        total = float(ordered_sum(weight))
        market = float(ordered_sum(weight * trend)) / total if total > 0 else 0.0
        return np.asarray(np.exp((trend - market) * horizon / 2))

    @property
    def shocked(self) -> bool:
        """Whether the shock of the settings is on in this step."""
        shock = self.settings.shock
        return self.steps > 0 and shock.start <= self.months_so_far < shock.start + shock.months

    @property
    def policy_on(self) -> bool:
        """Whether the policy of the settings holds in this step."""
        return self.months_so_far >= self.settings.policy.start

    @property
    def price_cap(self) -> float:
        """Highest price allowed, USD/Mtok of the reference mix; inf without a cap."""
        cap = self.settings.policy.price_cap
        return cap if cap is not None and self.policy_on else np.inf

    @property
    def task_factor(self) -> float:
        return self.settings.shock.demand if self.shocked else 1.0

    @property
    def tax_rate(self) -> float:
        policy = self.settings.policy
        if policy.tax_rate is not None and self.months_so_far >= policy.start:
            return policy.tax_rate
        return self.settings.finance.tax_rate

    @property
    def open_weights_terms(self) -> tuple[float, float]:
        """By how many months and logits the best open weights trail the closed frontier."""
        policy, settings = self.settings.policy, self.settings.technology
        if policy.open_weights_release and self.months_so_far >= policy.start:
            return 0.0, 0.0
        return float(settings.open_weights_lag), settings.open_weights_gap

    @property
    def compute_subsidy(self) -> float:
        """Share of the price of GPUs that the treasury pays."""
        policy = self.settings.policy
        return policy.compute_subsidy or 0.0 if self.months_so_far >= policy.start else 0.0

    @property
    def barred_regions(self) -> NDArray[np.bool_]:
        """(R,) where no new GPUs may be delivered."""
        policy = self.settings.policy
        limited = policy.export_limit if self.months_so_far >= policy.start else ()
        return np.array([name in limited for name in self.network.names], dtype=bool)

    def adoption_probability(self) -> Floats:
        """(S,) of adopting in this step, for those who have not: Bass, faster when users gain more than at first."""
        potential = self.segments.population
        before = self.totals.adopted / potential
        first, now = self.first_surplus_per_user, self.surplus_per_user
        factor = (now / first) ** self.settings.users.surplus_feedback if first > 0 and now > 0 else 1.0
        return bass_adoption(before, self.segments.innovation, self.segments.imitation, self.clock.years * factor)

    def best_closed_quality(self) -> float:
        """Best quality of offers that are not open weights, logits; of all offers if there is no other."""
        active = np.array([p.active for p in self.providers], dtype=bool)[self.owner]
        for which in (active & ~self.catalogue.open_weights, active):
            if which.any():
                return float(self.quality[which].max())
        return self.closed_frontier[-1] if self.closed_frontier else 0.0

    def reckon_hours_per_mtok(self) -> Floats:
        """(J,) reference-GPU-hours a Mtok of the reference mix takes with today's technology and models."""
        efficiency = np.array([p.efficiency for p in self.providers]) + self.learning_levels()
        efficiency = efficiency[self.catalogue.provider]
        dearer = self.settings.technology.quality_cost * (self.quality - self.catalogue.quality)
        return np.asarray(self.starting_hours * np.exp(dearer - self.technology.common.sum() - efficiency))

    def learning_levels(self) -> Floats:
        """(F,) log tokens per GPU-hour that each provider has from learning by doing."""
        settings, everybody = self.settings.technology, self.experience.log_growth
        return np.array([learning_level(p.experience.log_growth, everybody, settings) for p in self.providers])

    @cached_property
    def _always_busy(self) -> config.Hardware:
        return replace(self.settings.hardware, planned_utilisation=1.0)

    def training_compute(self, p: Provider) -> float:
        """Reference-GPU-hours in which the step's outlay on training keeps GPUs fully busy, at long-run cost."""
        outlay = p.training_outlay * self.settings.technology.training_compute
        if outlay <= 0:
            return 0.0
        electricity = electricity_price(p.settings, self.network, f"providers.{p.name}")
        hours = gpu_hour_cost(self._always_busy, self.roadmap, electricity)
        return float(outlay / hours[self.roadmap.on_sale(self.months_so_far)].min())

    def reckon_work(self) -> Floats:
        """(S, R, J) reference GPUs that the tokens wanted would keep busy on average."""
        return self.totals.mix_tokens * self.hours_per_mtok / (HOURS_PER_MONTH * self.clock.months)

    def capacity(self, p: Provider) -> Floats:
        """(R,) reference GPUs installed."""
        return np.asarray(self.roadmap.throughput @ p.fleet.installed(*self.gpu_shape))

    def workable_hours(self, p: Provider) -> float:
        """Reference-GPU-hours a step that can be worked if load keeps its daily shape; inf if capacity is bought."""
        if not self.hours_per_mtok[p.offers].any():
            return np.inf
        hours = HOURS_PER_MONTH * self.clock.months
        usable = float(self.capacity(p).sum()) * self.settings.hardware.maximum_utilisation
        return usable * hours / peak_over_mean(self.work[:, :, p.offers], self.network)

    def long_run_costs(self) -> tuple[Integers, Floats]:
        """Best generation to buy and long-run marginal cost: (F,) int, (J,) USD/Mtok of the reference mix."""
        on_sale = self.roadmap.on_sale(self.months_so_far)
        best, hour = [], []
        for p in self.providers:
            cost = self.gpu_hour_costs(p)[on_sale]
            best.append(on_sale[cost.argmin()])
            hour.append(cost.min())
        own = self.hours_per_mtok * np.array(hour)[self.owner]
        return np.array(best), np.where(np.isnan(self.catalogue.wholesale), own, self.wholesale_price)

    def merit_order(self, p: Provider) -> Floats:
        """(G, R) reference GPUs of each generation at work on average, own load and what is let; the cheapest first."""
        capacity = self.roadmap.throughput[:, None] * p.fleet.installed(*self.gpu_shape)
        busy, installed = self.service.busy[p.index], capacity.sum(axis=0)
        idle = np.maximum(installed - busy, 0.0)
        share = self.let[p.index] / idle.sum() if idle.sum() > 0 else 0.0
        return merit_order(busy + share * idle, capacity, energy_of_work(self.settings.hardware, self.roadmap))

    def marginal_energy(self, p: Provider) -> float:
        """USD an hour of work on the dearest generation at work takes; of the cheapest one installed if none works."""
        energy = energy_of_work(self.settings.hardware, self.roadmap)
        working = (self.merit_order(p) > 0).any(axis=1)
        installed = p.fleet.installed(*self.gpu_shape).any(axis=1)
        used = working if working.any() else installed
        if not used.any():
            return 0.0
        hour = energy[used].max() if working.any() else energy[used].min()
        return float(hour * electricity_price(p.settings, self.network, f"providers.{p.name}"))

    def gpu_hour_costs(self, p: Provider) -> Floats:
        """Long-run cost of an hour of one busy reference GPU on each generation: (G,) USD/hour.

        At the price that `p` pays after subsidy and the discount on what it buys to keep a fleet of its size.
        """
        hardware = self.settings.hardware
        a_month = float(p.fleet.gpus[p.fleet.delivered].sum()) / hardware.service_life
        discount = hardware.volume_discount * volume_effect(a_month, hardware.volume_scale)
        price = self.roadmap.price * (1 - discount) * (1 - self.compute_subsidy)
        electricity = electricity_price(p.settings, self.network, f"providers.{p.name}")
        return gpu_hour_cost(hardware, replace(self.roadmap, price=price), electricity, p.settings.cost_of_capital)

    def owning_and_working_cost(self, p: Provider) -> tuple[float, float]:
        """An hour of a reference GPU of the best generation to buy, idle, and what work adds; USD each.

        At the planned utilisation u, owning/u + working is its long-run cost.
        """
        hardware, g = self.settings.hardware, self.generation[p.index]
        electricity = electricity_price(p.settings, self.network, f"providers.{p.name}")
        working = float(energy_of_work(hardware, self.roadmap)[g] * electricity)
        return float(self.gpu_hour_costs(p)[g] - working) * hardware.planned_utilisation, working

    def supply_mix(self, costs: Floats) -> Floats:
        """Where the industry could take one more GPU from: cheapest generations first, as far as they ramped.

        costs   : (G,) float, USD/hour, see `gpu_hour_costs`
        returns : (G,) float, 1, sum 1
        """
        on_sale, mix, left = self.roadmap.on_sale(self.months_so_far), np.zeros(self.gpu_shape[0]), 1.0
        ramped = self.ramped
        for g in on_sale[np.argsort(costs[on_sale], kind="stable")]:
            mix[g] = min(left, ramped[g])
            left -= mix[g]
            if left <= 0:
                break
        return mix / mix.sum()

    def gpu_hour_value(self, p: Provider) -> float:
        """What a busy hour of one reference GPU is worth to `p`: the rental price, else what the industry asks; USD."""
        if self.rental is not None:
            return self.rental.price
        costs = self.gpu_hour_costs(p)
        return float(self.supply_mix(costs) @ costs)

    @property
    def ramped(self) -> Floats:
        """(G,) share of the industry's supply that may be of each generation by the end of this step."""
        hardware = self.settings.hardware
        ramp = hardware.supply_ramp if hardware.supply is not None else 0.0
        return self.roadmap.ramped(self.months_so_far + (self.clock.months if ramp > 0 else 0.0), ramp)

    @property
    def gpu_supply(self) -> float:
        """GPUs of which the industry takes orders in this step; inf without limit."""
        hardware = self.settings.hardware
        if hardware.supply is None:
            return np.inf
        growth = np.exp(hardware.supply_growth * self.months_so_far / MONTHS_PER_YEAR)
        left = self.settings.shock.gpu_supply if self.shocked else 1.0
        return float(hardware.supply * growth * left * self.clock.months)

    def hour_earned(self, p: Provider) -> float:
        """The most that a busy hour of a reference GPU earns on one of `p`'s offers at posted prices, USD."""
        hours = self.hours_per_mtok[p.offers]
        own = hours > 0
        return float((self.price[p.offers][own] / hours[own]).max(initial=0.0))

    def uneconomic(self, p: Provider) -> NDArray[np.bool_]:
        """(G, R) where the hours of `p`'s GPUs are worth less than hosting and energy; nowhere if nobody looks."""
        if not self.settings.hardware.scrapping:
            return np.zeros(self.gpu_shape, dtype=bool)
        return self.earnings_of_gpus(self.gpu_hour_value(p)) < self.cash_costs_of_gpus

    def earnings_of_gpus(self, hour: float) -> Floats:
        """(G, 1) USD an hour that GPUs earn at the planned utilisation if a busy reference-GPU-hour earns `hour`."""
        return np.asarray(hour * self.settings.hardware.planned_utilisation * self.roadmap.throughput[:, None])

    @cached_property
    def cash_costs_of_gpus(self) -> Floats:
        """(G, R) USD an hour of hosting and energy at the planned utilisation."""
        hardware = self.settings.hardware
        energy = energy_per_hour(hardware, self.roadmap.power[:, None], hardware.planned_utilisation)
        return np.asarray(hardware.hosting / HOURS_PER_MONTH + energy * self.network.electricity)

    def short_run_costs(self) -> Floats:
        """(J,) USD/Mtok: energy on the marginal generation plus the shadow price of capacity, or the wholesale price.

        In hours when it is full a firm gives up the rental price for an hour more of work, or what the work turned away
        would have brought if there is no rental market.
        """
        hour = np.zeros(len(self.providers))
        for p in self.providers:
            energy, tight = self.marginal_energy(p), self.service.tight[p.index]
            scarce = self.worth_of_work(p) if self.rental is None else self.rental.price
            hour[p.index] = energy + tight * max(0.0, scarce - energy)
        own = self.hours_per_mtok * hour[self.owner]
        return np.where(np.isnan(self.catalogue.wholesale), own, self.wholesale_price)

    def worth_of_work(self, p: Provider) -> float:
        """USD an hour of a reference GPU brings at posted prices, over the work users want done; 0 without any."""
        work = self.by_offer(self.work)[p.offers]
        hours = self.hours_per_mtok[p.offers]
        if not work.any():
            return 0.0
        per_hour = np.divide(self.price[p.offers], hours, out=np.zeros_like(hours), where=hours > 0)
        return float(ordered_sum(work * per_hour) / ordered_sum(work))

    @property
    def scarcity(self) -> float:
        """Rental price of a GPU-hour over its long-run cost; 1 without a rental market."""
        return 1.0 if self.rental is None else self.rental.price / self.merchant_cost()

    def merchant_cost(self) -> float:
        """Long-run cost of an hour of a reference GPU where electricity costs what users' regions pay on average."""
        network = self.network
        electricity = float(network.electricity @ network.weights / network.weights.sum())
        costs = gpu_hour_cost(self.settings.hardware, self.roadmap, electricity)
        return float(costs[self.roadmap.on_sale(self.months_so_far)].min())

    def open_rental_market(self) -> RentalMarket | None:
        """The rental market on the eve of the first step, at long-run cost; None if the settings have none."""
        settings = self.settings.hardware.rental
        cost = self.merchant_cost()
        return None if settings is None else RentalMarket(first_price=cost, price=cost, fleet=settings.fleet)

    @property
    def wholesale_price(self) -> Floats:
        """(J,) USD/Mtok: falls with the technology common to all who sell capacity by the token; nan: own capacity."""
        dearer = self.settings.technology.quality_cost * (self.quality - self.catalogue.quality)
        learnt = learning_level(0.0, self.experience.log_growth, self.settings.technology)
        return np.asarray(self.catalogue.wholesale * np.exp(dearer - self.technology.common.sum() - learnt))

    def opportunity_costs(self) -> Floats:
        """(J,) USD/Mtok that rules see: long-run cost times the scarcity of GPU-hours, or the wholesale price."""
        own = np.isnan(self.catalogue.wholesale)
        return np.where(own, self.marginal_cost * self.scarcity, self.marginal_cost)

    def view(self, p: Provider) -> View:
        """What provider `p` may see now."""
        books, fleet, throughput = self.ledger.books[p.name], p.fleet, self.roadmap.throughput
        owning, working = self.owning_and_working_cost(p)
        lead = self.lead_time
        ends = fleet.arrival + self.life <= self.steps + lead
        ends = fleet.delivered & (ends | self.condemned[p.index, fleet.generation, fleet.region])
        reference = fleet.gpus * throughput[fleet.generation]
        return View(
            step=self.steps,
            months=self.clock.months,
            provider=p.index,
            offers=p.offers,
            menu=self.panel_menu,
            panel=self.panel,
            settings=self.settings.users,
            costs=self.opportunity_cost[p.offers],
            prices=self.price[p.offers],
            price_cap=self.price_cap,
            newcomer_prices=self.newcomer_price[p.offers],
            revenue=float(ordered_sum(self.revenue[p.offers])),
            users=float(ordered_sum(self.by_offer(self.totals.users)[p.offers])),
            cash=books.balance["cash"],
            credit=credit(books, self.settings.finance.covenant),
            burn=p.burn,
            load=float(ordered_sum(self.by_offer(self.work)[p.offers])),
            capacity=float(reference[fleet.delivered].sum()),
            workable=self.workable_hours(p),
            hours=self.hours_per_mtok[p.offers],
            arriving=float(reference[~fleet.delivered].sum()),
            retiring=float(reference[ends].sum()),
            peak=peak_over_mean(self.work[:, :, p.offers], self.network),
            lead_time=lead,
            gpu_throughput=float(throughput[self.generation[p.index]]),
            quality=self.quality[p.offers],
            training_effort=p.training_effort,
            months_in_training=p.months_in_training,
            quality_gain=self.settings.technology.quality_gain,
            training_scale=self.settings.technology.training_scale,
            turned_away=float(ordered_sum(self.by_offer(self.work * self.outage)[p.offers]) + self.rented[p.index]),
            owning_cost=owning,
            working_cost=working,
        )

    @property
    def lead_time(self) -> int:
        """Steps from ordering a GPU for a live site to its delivery, at least one."""
        return self.delivery_steps(self.settings.hardware.lead_time)

    def delivery_steps(self, months: float) -> int:
        """Steps that a lead time of some months takes now, at least one."""
        return max(1, self.clock.steps(months * (self.settings.shock.lead_time if self.shocked else 1.0)))
