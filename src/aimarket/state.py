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
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import Ledger
from aimarket.population import Menu, Segments, Users
from aimarket.provider import Provider, Roadmap, energy_per_hour, gpu_hour_cost
from aimarket.rng import Streams
from aimarket.serving import Network, Service, peak_over_mean
from aimarket.units import HOURS_PER_MONTH
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
    ledger: Ledger
    technology: Technology
    experience: Experience  # of the industry
    quality: Floats  # (J,) logits
    model_age: Floats  # (J,) years since the model was new
    closed_frontier: list[float]  # logits, one entry a step
    price: Floats  # (J,) USD/Mtok, posted
    posted_before: Floats  # (J,) USD/Mtok
    latency: Floats  # (S, R, J) s, last step
    outage: Floats  # (S, R, J) share unserved last step
    first_surplus_per_user: float  # USD/month, measured from the first step on
    surplus_per_user: float  # USD/month

    # This step
    events: list[Event]
    gpus_retired: Floats  # (F, G, R)
    gpus_delivered: Floats
    gpus_ordered: Floats
    hours_per_mtok: Floats  # (J,) reference-GPU-hours
    generation: Integers  # (F,) best to buy
    marginal_cost: Floats  # (J,) USD/Mtok
    adoption: Floats  # (S,) probability
    panel_menu: Menu
    panel: Panel
    totals: demand.Totals
    work: Floats  # (S, R, J) reference GPUs wanted on average
    capacity_used: Floats  # (F, R) reference GPUs installed while serving
    service: Service
    served: Floats  # (S, R, J) Mtok of the reference mix
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
            provider=catalogue.provider,
            on_sale=active[catalogue.provider],
            price=self.price,
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
            segments or self.segments,
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
            segments=segments or self.segments,
            settings=self.settings.users,
            streams=self.streams,
            number=self.steps,
            months=self.clock.months,
            adoption=adoption,
            task_factor=self.task_factor,
            portability=self.settings.users.portability if mandate is None else mandate,
        )

    @property
    def shocked(self) -> bool:
        """Whether the shock of the settings is on in this step."""
        shock = self.settings.shock
        return self.steps > 0 and shock.start <= self.months_so_far < shock.start + shock.months

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

    def adoption_probability(self) -> Floats:
        """(S,) of adopting in this step, for those who have not: Bass, faster when users gain more than at first."""
        potential = self.segments.population
        before = self.totals.adopted / potential
        first, now = self.first_surplus_per_user, self.surplus_per_user
        factor = (now / first) ** self.settings.users.surplus_feedback if first > 0 and now > 0 else 1.0
        return bass_adoption(before, self.segments.innovation, self.segments.imitation, self.clock.years * factor)

    def best_closed_quality(self) -> float:
        """Best quality of offers that are not open weights, logits; of all offers if there is no other."""
        active = np.array([p.active for p in self.providers], dtype=bool)[self.catalogue.provider]
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
            electricity = electricity_price(p.settings, self.network, f"providers.{p.name}")
            cost = gpu_hour_cost(self.settings.hardware, self.roadmap, electricity)[on_sale]
            best.append(on_sale[cost.argmin()])
            hour.append(cost.min())
        own = self.hours_per_mtok * np.array(hour)[self.catalogue.provider]
        return np.array(best), np.where(np.isnan(self.catalogue.wholesale), own, self.wholesale_price)

    def short_run_costs(self) -> Floats:
        """(J,) USD/Mtok: energy on the least efficient GPUs installed, or the wholesale price."""
        costs = np.zeros(len(self.providers))
        for p in self.providers:
            used = p.fleet.installed(*self.gpu_shape).sum(axis=1) > 0
            energy = energy_per_hour(self.settings.hardware, self.roadmap.power, 1.0) / self.roadmap.throughput
            electricity = electricity_price(p.settings, self.network, f"providers.{p.name}")
            costs[p.index] = energy[used].max() * electricity if used.any() else 0.0
        own = self.hours_per_mtok * costs[self.catalogue.provider]
        return np.where(np.isnan(self.catalogue.wholesale), own, self.wholesale_price)

    @property
    def wholesale_price(self) -> Floats:
        """(J,) USD/Mtok: falls with the technology common to all who sell capacity by the token; nan: own capacity."""
        dearer = self.settings.technology.quality_cost * (self.quality - self.catalogue.quality)
        learnt = learning_level(0.0, self.experience.log_growth, self.settings.technology)
        return np.asarray(self.catalogue.wholesale * np.exp(dearer - self.technology.common.sum() - learnt))

    def view(self, p: Provider) -> View:
        """What provider `p` may see now."""
        books, fleet, throughput = self.ledger.books[p.name], p.fleet, self.roadmap.throughput
        lead = self.lead_time
        ends = fleet.delivered & (fleet.arrival + self.life <= self.steps + lead)
        reference = fleet.gpus * throughput[fleet.generation]
        return View(
            step=self.steps,
            months=self.clock.months,
            provider=p.index,
            offers=p.offers,
            menu=self.panel_menu,
            panel=self.panel,
            settings=self.settings.users,
            costs=self.marginal_cost[p.offers],
            prices=self.price[p.offers],
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
        )

    @property
    def lead_time(self) -> int:
        """Steps from ordering a GPU to its delivery, at least one."""
        months = self.settings.hardware.lead_time * (self.settings.shock.lead_time if self.shocked else 1.0)
        return max(1, self.clock.steps(months))
