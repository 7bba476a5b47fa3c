"""The state of the market, and the questions one may ask of it; what changes it is in `market.py`."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import demand
from aimarket import settings as config
from aimarket.build import Clock
from aimarket.catalogue import Catalogue
from aimarket.experience import Experience
from aimarket.innovation import Technology
from aimarket.kernels.diffusion import bass_adoption
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import Ledger
from aimarket.population import Menu, Segments
from aimarket.provider import COHORT, Fleet, Provider, Roadmap
from aimarket.rental import RentalMarket
from aimarket.rng import Streams
from aimarket.serving import Network, Service
from aimarket.views import Panel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Event:
    """Something worth a row in the table of events."""

    kind: str
    provider: str
    subject: str
    value: float


class State:
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
    total_tastes: Floats  # (2,) summed over all users, for quality and for price
    panel_rows: Integers  # (K,) numbers of the users in the research panel
    starting_hours: Floats  # (J,) reference-GPU-hours/Mtok
    best_open_at_start: float  # logits, of open weights

    # Carried from step to step
    steps: int  # begun so far
    population: demand.People
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
    gpu_hour_costs: Floats  # (F, G) USD/hour of a busy reference GPU in the long run
    generation: Integers  # (F,) best to buy
    marginal_cost: Floats  # (J,) USD/Mtok
    opportunity_cost: Floats  # (J,) USD/Mtok
    adoption: Floats  # (S,) probability
    panel_menu: Menu
    panel: Panel
    totals: demand.Totals
    work: Floats  # (S, R, J) reference GPUs wanted on average
    installed: Floats  # (F, G, R) GPUs installed while serving
    capacity_used: Floats  # (F, R) the same in reference GPUs
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
        return ordered_sum(values.reshape(-1, values.shape[-1]), 0)

    def by_provider(self, values: Floats) -> Floats:
        """(J,) summed to (F,) over the offers that each provider owns, in their order."""
        return np.bincount(self.owner, values, len(self.providers))

    def cohorts(self) -> tuple[Fleet, Integers]:
        """The cohorts of all providers, one provider after another: (N,) rows, and whose each is, (N,) int."""
        fleets = [p.fleet.rows for p in self.providers]
        return Fleet(np.concatenate(fleets, dtype=COHORT)), np.repeat(np.arange(len(fleets)), [len(f) for f in fleets])

    def count_gpus(self) -> tuple[Floats, Floats]:
        """(F, G, R) each: GPUs that providers have installed, and on order."""
        every, firm = self.cohorts()
        shape = (2, len(self.providers), *self.gpu_shape)
        cell = ((~every.delivered * shape[1] + firm) * shape[2] + every.generation) * shape[3] + every.region
        installed, ordered = np.bincount(cell, every.gpus, int(np.prod(shape))).reshape(shape)
        return installed, ordered

    def book_values(self, step: int) -> tuple[Floats, Floats]:
        """(F,) USD each: GPUs installed at cost less depreciation when `step` starts, and orders at cost."""
        every, firm = self.cohorts()
        cost, firms = every.gpus * every.unit_cost, len(self.providers)
        left = np.where(every.delivered, cost * every.remaining(step, self.life), 0.0)
        return np.bincount(firm, left, firms), np.bincount(firm, np.where(every.delivered, 0.0, cost), firms)

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
