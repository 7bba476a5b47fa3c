"""A market on the eve of its first step: users drawn, offers listed, fleets bought, books opened."""

from concurrent.futures import Executor
from dataclasses import replace
from functools import partial, reduce

import numpy as np

from aimarket import demand, innovation, procurement
from aimarket import settings as config
from aimarket.build import Clock, expected_work, panel_rows, start_fleet, starting_hours
from aimarket.catalogue import create_catalogue
from aimarket.data import list_prices
from aimarket.experience import Experience
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import Ledger
from aimarket.population import segment_columns
from aimarket.provider import Provider, roadmap
from aimarket.rng import Streams
from aimarket.serving import create_network
from aimarket.sight import Sight
from aimarket.strata import Strata


class World(Sight):
    """Builds the state.

    settings    : validated settings; see `aimarket.load`
    replication : which of the independent replications of the settings this is
    pool        : threads for the demand side; results do not depend on it
    populate    : makes the population, see `sharding.workers`; nor on this
    """

    def __init__(
        self,
        settings: config.Settings,
        replication: int = 0,
        pool: Executor | None = None,
        populate: demand.Populate | None = None,
    ) -> None:
        self.settings, self.replication, self.pool = settings, replication, pool
        self.streams = Streams(settings.run.seed, replication)
        self.clock, self.steps = Clock(settings.run.steps_per_year), 0
        self.life = max(2, self.clock.steps(settings.hardware.service_life))
        self._create_users(populate)
        self._create_offers()
        self._create_providers()
        self._open_for_business()

    def _create_users(self, populate: demand.Populate | None) -> None:
        users = self.settings.users
        self.network = create_network(self.settings.geography, [s.profile for s in users.segments.values()])
        self.segments = segment_columns(users)
        strata = Strata.of(self.segments.sample, self.network.weights)
        providers = tuple(self.settings.providers)
        draw = partial(demand.draw_population, users, self.segments, strata, providers, self.streams)
        self.population = populate(draw, strata) if populate else draw(0, strata.size)
        self.total_tastes = reduce(np.add, self.population.tastes()) @ self.segments.weight
        self.panel_rows = panel_rows(self.segments.sample, self.settings.run.panel)
        self.first_surplus_per_user = self.surplus_per_user = np.nan

    def _create_offers(self) -> None:
        settings = self.settings
        months = settings.run.steps * self.clock.months
        technology, luck = settings.technology, innovation.generation_luck(self.streams)
        self.roadmap = roadmap(settings.hardware, technology.rates.hardware, months, technology.volatility, luck)
        self.experience = Experience()
        self.rental = self.open_rental_market()
        self.technology = innovation.Technology(common=np.zeros(len(innovation.DRIVERS)))
        self.catalogue = create_catalogue(settings, list_prices())
        self.quality = self.catalogue.quality.copy()
        self.model_age = np.zeros(len(self.quality))
        self.price = self.catalogue.list_price.copy()
        self.posted_before = self.price.copy()
        self.newcomer_price = self.price.copy()
        self.price_history = [self.price.copy()]
        self.starting_hours = starting_hours(self.catalogue, settings, self.roadmap, self.network)
        shape = (len(self.segments.names), len(self.network.names), len(self.price))
        self.outage = np.zeros(shape)
        answer = self.catalogue.prefill + self.answer_time
        self.latency = np.broadcast_to(self.network.delay.diagonal()[:, None] + answer[:, None, :], shape).copy()

    def _create_providers(self) -> None:
        self.ledger = Ledger()
        self.owner = self.catalogue.provider.copy()
        self.events = []
        self.providers = []
        for index, (name, provider) in enumerate(self.settings.providers.items()):
            offers = np.flatnonzero(self.owner == index)
            self.providers.append(Provider(index, name, provider, offers))
        self.hours_per_mtok = self.reckon_hours_per_mtok()
        self.closed_frontier = []
        self.closed_frontier.append(self.best_closed_quality())
        opened = self.catalogue.quality[self.catalogue.open_weights]
        behind = self.closed_frontier[0] - self.settings.technology.open_weights_gap
        self.best_open_at_start = float(opened.max()) if opened.size else behind

    def _open_for_business(self) -> None:
        """Size the fleets for the demand expected at list prices, open the books, let the first adopters choose."""
        everyone = replace(self.segments, review=np.ones(len(self.segments.names)))
        nobody_new = np.zeros(len(self.segments.names))
        menu = self.menu()
        panel = self.survey(menu, nobody_new, everyone)
        work = expected_work(panel, self.hours_per_mtok, self.clock.months)
        for p in self.providers:
            if not p.active:
                self.ledger.open(p.name, 0.0, 0.0, 0.0)
                procurement.open_sites(self, p)
                continue
            gpus = float(ordered_sum(work[p.offers])) / self.settings.hardware.planned_utilisation
            start_fleet(p.fleet, p.settings, gpus, self.roadmap, self.network, self.life, self.clock, p.name)
            self.ledger.open(p.name, p.settings.cash, p.settings.debt, p.fleet.book_value(1, self.life))
            procurement.open_sites(self, p)
            gpus = float(p.fleet.gpus.sum())
            p.cash_cost = p.settings.overhead + gpus * self.settings.hardware.hosting
        self.totals = demand.choose(self.population, self.demand_step(menu, nobody_new, everyone), self.pool)
        self.population.stagger(self.segments, self.streams, self.clock.months)
        self.revenue = self.by_offer(self.totals.spend)
        self.rented = np.zeros(len(self.providers))
        self.work = self.reckon_work()
