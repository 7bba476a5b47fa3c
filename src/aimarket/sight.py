"""What users and firms see when they decide."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aimarket import demand
from aimarket.finance import credit
from aimarket.kernels.sums import ordered_sum
from aimarket.population import Menu, Segments
from aimarket.provider import Provider
from aimarket.serving import peaks_over_mean
from aimarket.units import MONTHS_PER_YEAR, TOKENS_PER_MTOK
from aimarket.views import Panel, View, survey
from aimarket.work import Work

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Sight(Work):
    """The menu that users see, the panel that market research asks, and the view of one firm."""

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

    def survey(self, menu: Menu, adoption: Floats, segments: Segments | None = None) -> Panel:
        """What the research panel answers about a menu."""
        return survey(
            self.population.sample(self.panel_rows),
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

    def view(self, p: Provider) -> View:
        """What provider `p` may see now."""
        return self.views([p])[p]

    def views(self, providers: Iterable[Provider]) -> dict[Provider, View]:
        """What each of some providers may see now; sums are taken for all of them at once."""
        load, (installed, _) = self.by_offer(self.work), self.count_gpus()
        peak = peaks_over_mean(self.work, self.owner, len(self.providers), self.network)
        of_offers = (self.revenue, self.by_offer(self.totals.users), load, self.by_offer(self.work * self.outage))
        columns = (*map(self.by_provider, of_offers), peak, self.workable_hours(installed, peak))
        figures = np.stack(columns, axis=1).tolist()
        return {p: self._view(p, *figures[p.index]) for p in providers}

    def _view(
        self, p: Provider, revenue: float, users: float, load: float, turned_away: float, peak: float, workable: float
    ) -> View:
        """What `p` may see, given what was reckoned for all."""
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
            panel=self.panel,
            costs=self.opportunity_cost[p.offers],
            prices=self.price[p.offers],
            price_cap=self.price_cap,
            newcomer_prices=self.newcomer_price[p.offers],
            revenue=revenue,
            users=users,
            cash=books.balance["cash"],
            credit=credit(books, self.settings.finance.covenant),
            burn=p.burn,
            load=load,
            capacity=float(reference[fleet.delivered].sum()),
            workable=workable,
            hours=self.hours_per_mtok[p.offers],
            arriving=float(reference[~fleet.delivered].sum()),
            retiring=float(reference[ends].sum()),
            peak=peak,
            lead_time=lead,
            gpu_throughput=float(throughput[self.generation[p.index]]),
            quality=self.quality[p.offers],
            training_effort=p.training_effort,
            months_in_training=p.months_in_training,
            quality_gain=self.settings.technology.quality_gain,
            training_scale=self.settings.technology.training_scale,
            turned_away=turned_away + float(self.rented[p.index]),
            owning_cost=owning,
            working_cost=working,
        )
