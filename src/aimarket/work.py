"""GPUs at work: which of them, what an hour of theirs earns, and what one more would cost."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aimarket.costs import Costs
from aimarket.kernels.rationing import merit_order
from aimarket.provider import Provider, energy_per_hour
from aimarket.units import HOURS_PER_MONTH

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Work(Costs):
    """What the GPUs that are there do, earn and cost."""

    def merit_order(self, installed: Floats) -> Floats:
        """Reference GPUs of each generation at work on average, own load and what is let; the cheapest first.

        installed : (F, G, R) GPUs
        returns   : (F, G, R)
        """
        capacity = self.roadmap.throughput[:, None] * installed
        idle = np.maximum(capacity.sum(axis=1) - self.service.busy, 0.0)
        whole = idle.sum(axis=1)
        share = np.divide(self.let, whole, out=np.zeros(len(whole)), where=whole > 0)
        return merit_order(self.service.busy + share[:, None] * idle, capacity, self.work_energy)

    def marginal_energy(self, installed: Floats) -> Floats:
        """USD an hour of work on the dearest generation at work takes; of the cheapest one installed if none works.

        installed : (F, G, R) GPUs
        returns   : (F,), 0 without GPUs
        """
        works, there = ((gpus > 0).any(axis=2) for gpus in (self.merit_order(installed), installed))
        dearest = np.where(works, self.work_energy, 0.0).max(axis=1)
        cheapest = np.where(there, self.work_energy, np.inf).min(axis=1)
        idle = np.where(there.any(axis=1), cheapest, 0.0)
        return np.where(works.any(axis=1), dearest, idle) * self.electricity

    def short_run_costs(self, installed: Floats) -> Floats:
        """(J,) USD/Mtok: energy on the marginal generation plus the shadow price of capacity, or the wholesale price.

        In hours when it is full a firm gives up the rental price for an hour more of work, or what the work turned away
        would have brought if there is no rental market.

        installed : (F, G, R) GPUs
        """
        energy = self.marginal_energy(installed)
        scarce = self.worth_of_work() if self.rental is None else self.rental.price
        hour = energy + self.service.tight * np.maximum(0.0, scarce - energy)
        return np.where(
            np.isnan(self.catalogue.wholesale), self.hours_per_mtok * hour[self.owner], self.wholesale_price
        )

    def worth_of_work(self) -> Floats:
        """(F,) USD an hour of a reference GPU brings at posted prices, over the work users want done; 0 without any."""
        work, hours = self.by_offer(self.work), self.hours_per_mtok
        per_hour = np.divide(self.price, hours, out=np.zeros(len(hours)), where=hours > 0)
        worth, whole = self.by_provider(work * per_hour), self.by_provider(work)
        return np.divide(worth, whole, out=np.zeros(len(whole)), where=whole > 0)

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

    def workable_hours(self, installed: Floats, peak: Floats) -> Floats:
        """(F,) reference-GPU-hours a step that can be worked if load keeps its daily shape; inf if capacity is bought.

        installed : (F, G, R) GPUs
        peak      : (F,) float, 1    highest hourly load over the mean of the day
        """
        hours = HOURS_PER_MONTH * self.clock.months
        usable = (self.roadmap.throughput @ installed).sum(axis=1) * self.settings.hardware.maximum_utilisation
        owns = self.by_provider(self.hours_per_mtok) > 0
        return np.where(owns, usable * hours / peak, np.inf)
