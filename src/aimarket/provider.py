"""A provider: a firm with a fleet, offers, rules and what they have learnt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.experience import Experience
from aimarket.kernels.cost import capital_recovery
from aimarket.units import HOURS_PER_MONTH, MONTHS_PER_YEAR, months_between

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Roadmap:
    """GPU generations, released and to come, by date of release; (G,) each."""

    names: tuple[str, ...]
    release: Floats  # months after the start of the run
    price: Floats  # USD/GPU
    power: Floats  # kW
    throughput: Floats  # reference GPUs

    def on_sale(self, month: float) -> Integers:
        """Generations one can order; the first one before any release."""
        released = np.flatnonzero(self.release <= month)
        return released if len(released) else np.array([0])

    def ramped(self, month: float, ramp: float) -> Floats:
        """Share of the industry's supply that may be of each generation; the first one has no ramp; (G,)."""
        since = np.maximum(month - self.release, 0.0)
        share = np.clip(since / ramp, 0.0, 1.0) if ramp > 0 else (self.release <= month).astype(float)
        share[0] = 1.0
        return share


def no_luck(generation: str) -> float:
    """Every generation is what the trend says."""
    return 0.0


def roadmap(
    hardware: config.Hardware,
    growth: float,
    months: float,
    volatility: float = 0.0,
    luck: Callable[[str], float] = no_luck,
) -> Roadmap:
    """The generations of the settings, then one every `cadence` years, `growth` log points a year better per USD.

    Those to come are a random walk about the trend: a leap is kept by the generations after it.

    growth     : float, 1/year
    months     : float, length of the run
    volatility : float, log points per square root of a year
    luck       : from the name of a generation to a standard normal
    """
    rows = sorted((months_between(hardware.start, g.release), name, g) for name, g in hardware.generations.items())
    listed = [(float(month), name, g.price, g.power, g.throughput) for month, name, g in rows]
    month, _, price, power, throughput = listed[-1]
    number, strayed = 1, 0.0
    while (later := month + number * hardware.cadence * MONTHS_PER_YEAR) <= months:
        years = number * hardware.cadence
        strayed += volatility * np.sqrt(hardware.cadence) * luck(f"next-{number}")
        gain, draw = np.exp(growth * years + strayed), np.exp(hardware.power_growth * years)
        listed.append((later, f"next-{number}", price, power * draw, throughput * gain))
        number += 1
    release, names, prices, powers, throughputs = zip(*listed, strict=True)
    return Roadmap(tuple(names), *(np.array(column) for column in (release, prices, powers, throughputs)))


def gpu_hour_cost(
    hardware: config.Hardware, generations: Roadmap, electricity: float, cost_of_capital: float | None = None
) -> Floats:
    """Long-run cost of an hour of one busy reference GPU on each generation, bought new: (G,) USD/hour.

    Capital, hosting and energy, see `capital_cost` and `running_cost`.

    electricity     : float, USD/kWh
    cost_of_capital : float, 1/year; None: the discount rate common to all
    """
    return capital_cost(hardware, generations, cost_of_capital) + running_cost(hardware, generations, electricity)


def capital_cost(hardware: config.Hardware, generations: Roadmap, cost_of_capital: float | None = None) -> Floats:
    """Rental of the capital in an hour of one busy reference GPU, (G,) USD/hour, spread over the planned utilisation.

    What a GPU earns is expected to fall with obsolescence, so its rental when new is that of an annuity discounted by
    both.

    cost_of_capital : float, 1/year; None: the discount rate common to all
    """
    years = hardware.service_life / MONTHS_PER_YEAR
    rate = hardware.discount_rate if cost_of_capital is None else cost_of_capital
    discount = (1 + rate) * np.exp(hardware.obsolescence) - 1
    rental = generations.price * capital_recovery(discount, years) / MONTHS_PER_YEAR
    return np.asarray(rental / HOURS_PER_MONTH / (generations.throughput * hardware.planned_utilisation))


def running_cost(hardware: config.Hardware, generations: Roadmap, electricity: float) -> Floats:
    """Hosting and energy in an hour of one busy reference GPU, (G,) USD/hour, spread over the planned utilisation.

    electricity : float, USD/kWh
    """
    busy = hardware.planned_utilisation
    energy = energy_per_hour(hardware, generations.power, busy) * electricity
    return np.asarray((hardware.hosting / HOURS_PER_MONTH + energy) / (generations.throughput * busy))


def energy_of_work(hardware: config.Hardware, generations: Roadmap) -> Floats:
    """Electricity an hour of work takes beyond idling, by generation: (G,) kWh per reference-GPU-hour."""
    idling = energy_per_hour(hardware, generations.power, 0.0)
    return np.asarray((energy_per_hour(hardware, generations.power, 1.0) - idling) / generations.throughput)


def energy_per_hour(hardware: config.Hardware, power: Floats, utilisation: Floats | float) -> Floats:
    """Electricity drawn by one GPU, cooling included; kWh an hour."""
    return power * hardware.power_usage_effectiveness * (utilisation + (1 - utilisation) * hardware.idle_power)


COHORT = np.dtype(
    [
        ("generation", np.int64),
        ("region", np.int64),
        ("gpus", np.float64),
        ("arrival", np.int64),  # step of delivery, negative for cohorts older than the run
        ("unit_cost", np.float64),  # USD/GPU
        ("delivered", np.bool_),  # else on order
        ("new_site", np.bool_),  # on order for a site that is being built
    ],
    align=True,
)


def _column(name: str) -> Any:
    """A column of a fleet's cohorts, (N,): a view, so that what is written into it stays."""
    return property(lambda fleet: fleet.rows[name])


class Fleet:
    """GPUs by cohort: what was bought together, for one region. A cohort on order has not arrived yet.

    rows : (N,) of COHORT
    """

    generation: Integers = _column("generation")
    region: Integers = _column("region")
    gpus: Floats = _column("gpus")
    arrival: Integers = _column("arrival")
    unit_cost: Floats = _column("unit_cost")
    delivered: NDArray[np.bool_] = _column("delivered")
    new_site: NDArray[np.bool_] = _column("new_site")

    def __init__(self, rows: NDArray[np.void] | None = None) -> None:
        self.rows = np.zeros(0, COHORT) if rows is None else rows

    def add(
        self,
        generation: int,
        regions: Floats,
        arrival: int,
        unit_cost: float,
        delivered: bool,
        new_site: bool = False,
    ) -> None:
        """Add a cohort in each region that gets any; regions : (R,) GPUs."""
        new = [
            (generation, region, gpus, arrival, unit_cost, delivered, new_site)
            for region, gpus in enumerate(regions.tolist())
            if gpus > 0
        ]
        self.rows = np.concatenate([self.rows, np.array(new, COHORT)], dtype=COHORT)

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget the other cohorts."""
        self.rows = self.rows[which]

    def hand_over(self, share: float, to: "Fleet") -> None:
        """Hand a share of every cohort over, orders included."""
        to.take_over(self, share * self.gpus, self.unit_cost)
        self.gpus[:] *= 1 - share
        self.keep(self.gpus > 0)

    def take_over(self, other: "Fleet", gpus: Floats, unit_cost: Floats) -> None:
        """Add some GPUs of each cohort of another fleet, (N,), at another cost; they keep their age and place."""
        taken = other.rows.copy()
        taken["gpus"], taken["unit_cost"] = gpus, unit_cost
        self.rows = np.concatenate([self.rows, taken[gpus > 0]], dtype=COHORT)

    def installed(self, generations: int, regions: int, delivered: bool = True) -> Floats:
        """GPUs installed, or on order, (G, R)."""
        return self.count(self.delivered == delivered, generations, regions)

    def count(self, which: NDArray[np.bool_], generations: int, regions: int) -> Floats:
        """GPUs of some cohorts, (G, R)."""
        if not which.any():
            return np.zeros((generations, regions))
        rows = self.rows[which]
        index = rows["generation"] * regions + rows["region"]
        return np.bincount(index, rows["gpus"], minlength=generations * regions).reshape(generations, regions)

    def remaining(self, step: int, life: int) -> Floats:
        """Share of each cohort's cost not yet depreciated when `step` starts, straight-line over `life` steps; (N,)."""
        age = np.where(self.delivered, step - self.arrival, 0)
        return np.minimum(np.maximum(1 - age / life, 0.0), 1.0)

    def book_value(self, step: int, life: int) -> float:
        """Cost less accumulated depreciation of what is installed, USD."""
        value = self.gpus * self.unit_cost * self.remaining(step, life)
        return float(value[self.delivered].sum())

    def power(self, which: NDArray[np.bool_], generations: Roadmap, regions: int) -> Floats:
        """What some cohorts draw at full load, (R,) kW."""
        drawn = self.gpus * generations.power[self.generation]
        return np.bincount(self.region[which], drawn[which], minlength=regions)


class Provider:
    """One firm of the market. Its money is in the ledger, its offers are columns of the menu."""

    def __init__(self, index: int, name: str, settings: config.Provider, offers: Integers) -> None:
        self.index = index
        self.name = name
        self.settings = settings
        self.offers = offers  # (M,) columns of the menu that it owns
        self.fleet = Fleet()
        self.room = np.zeros(0)  # kW its live sites can feed, (R,)
        self.unmet = 0.0  # reference GPUs wanted, affordable and not to be had last step
        self.active = settings.active
        self.waiting = not settings.active  # has not been in business yet
        self.memory: dict[str, dict[str, Any]] = {shelf: {} for shelf in ("pricing", "capacity", "training", "entry")}
        self.memory["finance"] = {}
        self.overhead = settings.overhead  # USD a month; goes along in mergers and break-ups
        self.training_effort = 0.0  # USD since the last launch
        self.training_outlay = 0.0  # USD last paid for a step of training
        self.months_in_training = 0.0
        # log tokens per GPU-hour above the common trend: software, distillation, architecture
        self.private_technology = np.array([settings.efficiency, 0.0, 0.0])
        self.experience = Experience()
        self.burn = 0.0  # USD a month lost by operations last step
        self.cash_cost = 0.0  # USD a month of cash expenses last step
        self.tax_losses = 0.0  # USD of losses to set against later profit

    @property
    def efficiency(self) -> float:
        """Log tokens per GPU-hour above the common trend."""
        return float(self.private_technology.sum())
