"""Queues, pools, the cost of capital goods, and competition of firms whose capacity is built."""

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from aimarket.configuration import load
from aimarket.kernels import queueing as market_queue
from aimarket.kernels.cost import capital_recovery
from aimarket.market import Market
from aimarket.provider import Roadmap, gpu_hour_cost, roadmap
from aimarket.serving import create_network, peak_over_mean, serve
from aimarket.settings import Geography, Hardware, Region
from aimarket.theory import capital, queueing
from aimarket.theory.quantity_competition import capacity_then_price, cournot
from aimarket.units import MONTHS_PER_YEAR
from aimarket.validation.capacity_game import cournot_quantities, edgeworth, game, mixed_mean_prices, rest_price
from aimarket.validation.check import CLOSED_FORM, Check, compare, relative
from aimarket.validation.limits import everyone, limit_settings, run

_CALENDAR = 1e-3  # relative: the market's year has 8,766 hours, that of the known answer 8,760


def erlang() -> list[Check]:
    """The wait of the market's providers, and the chance of waiting by the kernel it uses."""
    checks = []
    for servers, load_ in ((10, 8.0), (100, 90.0)):
        known = queueing.erlang_c(servers, load_)
        found = float(market_queue.erlang_c(servers, load_))
        name = f"{servers} servers, load {load_:g}"
        changes = {"providers.anna.fleet.gpus": float(servers), everyone("population"): load_, "users.size": 500}
        market = run(limit_settings("queue", changes)).market
        wait = float(market.tables["providers"]["wait"][0])
        checks += [
            Check(f"chance of waiting, {name}", known, found, CLOSED_FORM, "component: kernels.queueing"),
            Check(f"mean wait, {name}", queueing.mean_wait(servers, load_), wait, CLOSED_FORM, "market: one provider"),
        ]
    return checks


def highest_utilisation(wait: float = 0.2) -> list[Check]:
    checks = []
    for servers in (1, 10, 100, 1000, 5000):
        busy = brentq(
            lambda load_, c=servers: float(market_queue.erlang_c(c, load_)) - wait, 1e-9, servers * (1 - 1e-12)
        )
        known = queueing.highest_utilisation(servers, wait)
        name = f"highest utilisation of {servers} servers, chance of waiting {wait:g}"
        checks.append(Check(name, known, float(busy) / servers, CLOSED_FORM, "component: kernels.queueing"))
    return checks


def regions(amplitude: float = 0.6) -> list[Check]:
    """Equal sinusoidal loads in regions that share the clock between them; load is sent where there is room."""
    checks = []
    for count in (1, 3):
        offsets = [24 / count * r if 24 / count * r <= 12 else 24 / count * r - 24 for r in range(count)]
        known = queueing.utilisation_ceiling(amplitude, [14 + offset for offset in offsets])
        profile = tuple(queueing.sinusoidal_load(amplitude, 14))
        places = {
            f"region{r}": Region(users=1.0, utc_offset=offset, latitude=0.0, longitude=0.0, electricity=0.1)
            for r, offset in enumerate(offsets)
        }
        geography = Geography(regions=places, profiles={"sine": profile}, network_base=0.0, network_per_km=0.0)
        network = create_network(geography, ["sine"])
        work = np.ones((1, count, 1))
        found = 1 / peak_over_mean(work, network)
        name = f"{count} region{'s' * (count > 1)}, amplitude {amplitude:g}"
        checks.append(Check(f"ceiling of utilisation, {name}", known, found, CLOSED_FORM, "component: serving"))
        room = np.full((1, count), 1 / known)  # GPUs in each region: just enough at the peak of the whole
        hardware = replace(load(["experiment=limit/queue"]).hardware, maximum_utilisation=0.999)
        service = serve(work / 1.0 * 0.999, room, np.zeros(1, int), np.zeros(1), np.ones((1, 1)), network, hardware)
        served = float((service.served * work).sum() / work.sum())
        checks.append(Check(f"share served at that ceiling, {name}", 1.0, served, CLOSED_FORM, "component: serving"))
    return checks


def textbook_hardware(interest: float, life: float, utilisation: float, overhead: float, price: float = 50_000.0,
                      power: float = 1.275, maintenance: float = 0.05) -> tuple[Hardware, Roadmap]:  # fmt: skip
    """Hardware settings of one generation and full power at all times; maintenance is paid as hosting."""
    hardware = load(["experiment=limit/queue"]).hardware
    generation = replace(next(iter(hardware.generations.values())), price=price, power=power, throughput=1.0)
    hardware = replace(
        hardware,
        generations={"only": generation},
        discount_rate=interest,
        obsolescence=0.0,
        service_life=round(life * MONTHS_PER_YEAR),
        planned_utilisation=utilisation,
        power_usage_effectiveness=overhead,
        idle_power=1.0,
        hosting=maintenance * price / MONTHS_PER_YEAR,
    )
    return hardware, roadmap(hardware, 0.0, 0.0)


def gpu_hours() -> list[Check]:
    cases = ((0.05, 5.0, 0.85, 1.1, 0.06), (0.12, 4.0, 0.5, 1.5, 0.09))
    known = [capital.gpu_hour_cost(*case) for case in cases]
    found = [float(gpu_hour_cost(*textbook_hardware(*case[:4]), case[4])[0]) for case in cases]
    # Used alike, the two differ by everything but utilisation.
    alike = [float(gpu_hour_cost(*textbook_hardware(*case[:2], 0.85, case[3]), case[4])[0]) for case in cases]
    by_use = 1 - np.log(alike[1] / alike[0]) / np.log(found[1] / found[0])
    known_use = np.log(0.85 / 0.5) / np.log(known[1] / known[0])
    how = "component: provider.gpu_hour_cost; a year of 8,766 hours, known: of 8,760"
    return [
        *(relative(f"GPU-hour at {c[0]:.0%}, {c[1]:g} years, USD", k, f, _CALENDAR, how)
          for c, k, f in zip(cases, known, found, strict=True)),
        Check("share of the log gap owed to utilisation", float(known_use), float(by_use), _CALENDAR, how),
    ]  # fmt: skip


def vintage_life(share: float = 0.2, decline: float = 0.357) -> list[Check]:
    """A provider that nobody needs GPUs of scraps them when their hours no longer pay hosting: Solow's vintages.

    Ten times a year a generation of the same price and more throughput is released, and nothing but its price and
    hosting is paid. A GPU goes when its rent has fallen to the cash cost: at the next generation, and the next step.

    share   : cash cost over rent when new
    decline : of the rent of a given vintage, 1/year
    """
    interest, life, price = 0.1, 50.0, 10_000.0
    hosting = share / (1 - share) * price * capital_recovery(interest, life) / MONTHS_PER_YEAR
    known, months, cadence = capital.vintage_life(share, decline), 1 / MONTHS_PER_YEAR, 0.1
    offer = "providers.anna.offers.main"
    changes = {
        "hardware.generations": {"first": {"release": "2026-10", "price": price, "power": 1.0, "throughput": 1.0}},
        "hardware.cadence": cadence,
        "hardware.power_growth": 0.0,
        "hardware.obsolescence": 0.0,
        "hardware.scrapping": True,
        "hardware.service_life": round(life * MONTHS_PER_YEAR),
        "hardware.discount_rate": interest,
        "hardware.hosting": hosting,
        "technology.rates.hardware": decline,
        "geography.regions.world.electricity": 0.0,
        "providers.anna.fleet.mix": {"first": 1.0},
        "providers.anna.cash": 1e12,
        f"{offer}.wholesale": 0.1,
        f"{offer}.throughput": None,
        "run.steps": round(MONTHS_PER_YEAR * (known + 0.5)),
        "users.size": 50,
    }
    owned: list[float] = []  # GPUs after each step

    def look(market: Market) -> None:
        owned.append(float(market.providers[0].fleet.gpus.sum()))

    run(limit_settings("queue", changes), look)
    gone = np.flatnonzero(np.array(owned) <= 0)
    lived = (gone[0] - 1) * months if len(gone) else np.nan  # scrapped at the beginning of that step
    how = "market: one provider scraps; late by a generation and a step at most"
    return [Check("life of a vintage, years", known, float(lived), cadence + months, how)]


def loan() -> list[Check]:
    known = capital.annuity_payment(1e9, 0.1 / 12, 48)
    found = 1e9 * capital_recovery(0.1 / 12, 48)
    return [relative("payment on a loan, USD/month", known, found, CLOSED_FORM, "component: kernels.cost")]


# ── competition of firms with capacity ──


def quantities() -> list[Check]:
    """Cournot, P = 100 - Q, cost 10; best replies in quantities, and capacities of those quantities sold at a price."""
    checks = []
    how = "component: best_prices, best replies in quantities"
    for firms in (2, 5, 10):
        found = cournot_quantities(game([np.inf] * firms, 10.0, intercept=100.0))
        known = cournot(100.0, 1.0, [10.0] * firms)
        checks.append(Check(f"Cournot, {firms} firms: price", known.price, float(100 - found.sum()), 1e-5, how))
    known = cournot(100.0, 1.0, [10.0, 10.0])
    built = cournot_quantities(game([np.inf] * 2, 10.0, intercept=100.0))
    price = rest_price(game(built, intercept=100.0), 50.0)
    how = "component: best_prices and rationing, best replies in prices"
    return [*checks, compare("Cournot capacities, 2 firms: price", [known.price] * 2, price, 1e-2, how)]


def prices_given_capacity(small: tuple[float, float] = (0.20, 0.25), large: tuple[float, float] = (0.5, 0.5),
                          cost: float = 0.0, intercept: float = 1.0, slope: float = 1.0) -> list[Check]:  # fmt: skip
    """Kreps and Scheinkman: small capacities sell out; large ones set off Edgeworth's cycle."""
    how = "component: best_prices and rationing, best replies in prices"
    tick, unit = 0.02, intercept - cost
    of_small, of_large = (game(built, cost, intercept=intercept, slope=slope) for built in (small, large))
    sold_out = capacity_then_price(small, intercept, slope, cost)
    mixed = capacity_then_price(large, intercept, slope, cost)
    low, high = edgeworth(of_large, tick)
    of = f"capacities {large[0]:g}, {large[1]:g}"
    at_rest = rest_price(of_small, cost + 0.6 * unit)
    return [
        compare(f"capacities {small[0]:g}, {small[1]:g}: price", sold_out.mean_prices, at_rest, 1e-4 * unit, how),
        Check(f"{of}: foot of the cycle", mixed.lowest, low, tick * mixed.lowest, how),
        Check(f"{of}: top of the cycle", mixed.highest, high, 1e-4 * unit, how),
        compare(f"{of}: mean price", mixed.mean_prices, mixed_mean_prices(of_large, high), 1e-3 * unit,
                "component: rationing, chances that leave the rival indifferent"),
    ]  # fmt: skip


TASKS = (
    erlang,
    highest_utilisation,
    regions,
    gpu_hours,
    vintage_life,
    loan,
    quantities,
    prices_given_capacity,
)
