"""What it costs to serve: technology, GPU-hours bought, rented or owned, and the costs that rules see."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aimarket.build import by_name, electricity_price
from aimarket.experience import learning_level
from aimarket.interventions import Interventions
from aimarket.kernels.purchase import volume_effect
from aimarket.provider import Provider, capital_cost, energy_of_work, gpu_hour_cost, running_cost
from aimarket.rental import RentalMarket
from aimarket.units import HOURS_PER_MONTH

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Costs(Interventions):
    """What a Mtok and a GPU-hour cost."""

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
    def site_shares(self) -> Floats:
        """(F, R) share of each provider's GPUs that goes to its sites."""
        names, weights = self.network.names, self.network.weights
        return np.array([by_name(p.settings.fleet.regions, names, weights, p.name) for p in self.providers])

    @cached_property
    def electricity(self) -> Floats:
        """(F,) USD/kWh that each provider pays on average over its sites."""
        prices = [electricity_price(p.settings, self.network, f"providers.{p.name}") for p in self.providers]
        return np.array(prices)

    @cached_property
    def work_energy(self) -> Floats:
        """(G,) kWh that an hour of work of a reference GPU takes beyond idling."""
        return energy_of_work(self.settings.hardware, self.roadmap)

    @cached_property
    def _cost_parts(self) -> tuple[Floats, Floats]:
        """(F, G) each, USD an hour of a busy reference GPU: capital at list prices, and what it takes to run it."""
        hardware, generations = self.settings.hardware, self.roadmap
        capital = [capital_cost(hardware, generations, p.settings.cost_of_capital) for p in self.providers]
        return np.array(capital), np.array([running_cost(hardware, generations, price) for price in self.electricity])

    @cached_property
    def _training_costs(self) -> Floats:
        """(F, G) USD an hour of a reference GPU that is always busy, at list prices and the common cost of capital."""
        hardware = replace(self.settings.hardware, planned_utilisation=1.0)
        return np.array([gpu_hour_cost(hardware, self.roadmap, price) for price in self.electricity])

    def training_compute(self) -> Floats:
        """(F,) reference-GPU-hours in which outlays on training keep GPUs fully busy in the step, at long-run cost."""
        outlays = np.array([p.training_outlay for p in self.providers]) * self.settings.technology.training_compute
        on_sale = self.roadmap.on_sale(self.months_so_far)
        return np.asarray(outlays / self._training_costs[:, on_sale].min(axis=1))

    def reckon_work(self) -> Floats:
        """(S, R, J) reference GPUs that the tokens wanted would keep busy on average."""
        return self.totals.mix_tokens * self.hours_per_mtok / (HOURS_PER_MONTH * self.clock.months)

    def long_run_costs(self) -> tuple[Integers, Floats]:
        """Best generation to buy and long-run marginal cost: (F,) int, (J,) USD/Mtok of the reference mix."""
        on_sale = self.roadmap.on_sale(self.months_so_far)
        hour = self.gpu_hour_costs[:, on_sale]
        own = self.hours_per_mtok * hour.min(axis=1)[self.owner]
        return on_sale[hour.argmin(axis=1)], np.where(np.isnan(self.catalogue.wholesale), own, self.wholesale_price)

    def reckon_gpu_hour_costs(self) -> Floats:
        """Long-run cost of an hour of one busy reference GPU on each generation: (F, G) USD/hour.

        At the price that each provider pays after subsidy and the discount on what it buys to keep a fleet of its size.
        """
        hardware, (capital, running) = self.settings.hardware, self._cost_parts
        gpus = np.array([float(p.fleet.gpus[p.fleet.delivered].sum()) for p in self.providers])
        discount = hardware.volume_discount * volume_effect(gpus / hardware.service_life, hardware.volume_scale)
        return np.asarray(capital * ((1 - discount) * (1 - self.compute_subsidy))[:, None] + running)

    def owning_and_working_cost(self, p: Provider) -> tuple[float, float]:
        """An hour of a reference GPU of the best generation to buy, idle, and what work adds; USD each.

        At the planned utilisation u, owning/u + working is its long-run cost.
        """
        g = self.generation[p.index]
        working = float(self.work_energy[g] * self.electricity[p.index])
        return (float(self.gpu_hour_costs[p.index, g]) - working) * self.settings.hardware.planned_utilisation, working

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

    @property
    def ramped(self) -> Floats:
        """(G,) share of the industry's supply that may be of each generation by the end of this step."""
        hardware = self.settings.hardware
        ramp = hardware.supply_ramp if hardware.supply is not None else 0.0
        return self.roadmap.ramped(self.months_so_far + (self.clock.months if ramp > 0 else 0.0), ramp)

    def gpu_hour_value(self, p: Provider) -> float:
        """What a busy hour of one reference GPU is worth to `p`: the rental price, else what the industry asks; USD."""
        if self.rental is not None:
            return self.rental.price
        costs = self.gpu_hour_costs[p.index]
        return float(self.supply_mix(costs) @ costs)

    def merchant_cost(self) -> float:
        """Long-run cost of an hour of a reference GPU where electricity costs what users' regions pay on average."""
        return float(self._merchant_costs[self.roadmap.on_sale(self.months_so_far)].min())

    @cached_property
    def _merchant_costs(self) -> Floats:
        network = self.network
        electricity = float(network.electricity @ network.weights / network.weights.sum())
        return gpu_hour_cost(self.settings.hardware, self.roadmap, electricity)

    def open_rental_market(self) -> RentalMarket | None:
        """The rental market on the eve of the first step, at long-run cost; None if the settings have none."""
        settings = self.settings.hardware.rental
        cost = self.merchant_cost()
        return None if settings is None else RentalMarket(first_price=cost, price=cost, fleet=settings.fleet)

    @property
    def scarcity(self) -> float:
        """Rental price of a GPU-hour over its long-run cost; 1 without a rental market."""
        return 1.0 if self.rental is None else self.rental.price / self.merchant_cost()

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
