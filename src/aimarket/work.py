"""GPUs at work: which of them, what an hour of theirs earns, and what one more would cost."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aimarket.build import electricity_price
from aimarket.costs import Costs
from aimarket.kernels.rationing import merit_order
from aimarket.kernels.sums import ordered_sum
from aimarket.provider import Provider, energy_of_work, energy_per_hour
from aimarket.units import HOURS_PER_MONTH

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Work(Costs):
    """What the GPUs that are there do, earn and cost."""

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

    def workable_hours(self, p: Provider, peak: float) -> float:
        """Reference-GPU-hours a step that can be worked if load keeps its daily shape; inf if capacity is bought.

        peak : float, 1    highest hourly load over the mean of the day
        """
        if not self.hours_per_mtok[p.offers].any():
            return np.inf
        hours = HOURS_PER_MONTH * self.clock.months
        usable = float(self.capacity(p).sum()) * self.settings.hardware.maximum_utilisation
        return usable * hours / peak
