"""Who made unit cost fall: the market's attribution against two independent methods, and against what was put in."""

import math
from collections.abc import Mapping

import numpy as np

from aimarket.kernels.cost import attribute_log_change, shapley_log_change
from aimarket.theory.cost_accounting import lmdi_unit_cost, shapley_attribution
from aimarket.theory.learning import wright_cost_ratio, wright_exponent, wright_output_ratio
from aimarket.validation.check import CLOSED_FORM, FIXED_POINT, Check, compare, relative
from aimarket.validation.limits import everyone, limit_settings, run

_PARTS = ("capital", "energy")
_BEFORE = {"capital": 2.0, "energy": 0.3, "hardware": 1.0, "software": 1.0, "distillation": 1.0, "architecture": 1.0,
           "utilisation": 0.5}  # fmt: skip
_AFTER = {"capital": 2.6, "energy": 0.27, "hardware": 2.0, "software": 1.35, "distillation": 1.57, "architecture": 1.42,
          "utilisation": 0.6}  # fmt: skip


def _log_cost(levels: Mapping[str, float]) -> float:
    parts = math.fsum(levels[name] for name in _PARTS)
    return math.log(parts) - sum(math.log(level) for name, level in levels.items() if name not in _PARTS)


def attribution() -> list[Check]:
    """The two parts and five divisors of the known answer, through the market's own attribution."""
    old, new = (np.array(list(levels.values())) for levels in (_BEFORE, _AFTER))  # parts first
    parts, divisors = slice(None, len(_PARTS)), slice(len(_PARTS), None)
    levels = new[parts], old[parts], new[divisors], old[divisors]
    found, by_orders = (np.concatenate(method(*levels)) for method in (attribute_log_change, shapley_log_change))
    exact = np.concatenate(lmdi_unit_cost(old[parts], new[parts], old[divisors], new[divisors]))
    shapley = np.array(list(shapley_attribution(_log_cost, _BEFORE, _AFTER).values()))
    change = _log_cost(_AFTER) - _log_cost(_BEFORE)
    how = "component: kernels.cost"
    return [
        Check("change in log unit cost, by LMDI", change, float(found.sum()), CLOSED_FORM, how),
        Check("change in log unit cost, by Shapley", change, float(by_orders.sum()), CLOSED_FORM, how),
        compare("attribution, by LMDI", exact, found, CLOSED_FORM, how),
        compare("attribution, by Shapley", shapley, by_orders, CLOSED_FORM, how),
    ]


def drivers(years: int = 2) -> list[Check]:
    """Trends put into the market come out of its books: a provider with a fleet, its technology without luck."""
    rates = {"software": 0.30, "distillation": 0.45, "architecture": 0.35}
    changes: dict[str, float] = {"run.steps": 12 * years + 1, "users.size": 500, "hardware.service_life": 60}
    changes |= {f"technology.rates.{name}": rate for name, rate in rates.items()}
    providers = run(limit_settings("queue", changes)).market.tables["providers"]
    found = [float(providers[f"cost_{name}"][0]) for name in rates]
    known = [-rate * years for rate in rates.values()]
    return [compare(f"drivers put in, {years} years: log points", known, found, FIXED_POINT, "market: one provider")]


def experience(rate: float = 0.2) -> list[Check]:
    """Wright's law in a market that only learns: cost after ten times the tokens, and what -90 % would take.

    rate : fall of unit cost at each doubling of all that was ever served
    """
    exponent = wright_exponent(rate)
    changes = {
        "technology.learning": exponent,
        "technology.learning_private": 0.0,
        "technology.prior_experience": 1 / 3,  # years: four steps' tokens
        everyone("outside_utility"): None,  # so that demand does not move
        "users.size": 100,
        "run.steps": 37,  # the first tells what came before it, nine times four follow
    }
    market = run(limit_settings("bertrand", changes)).market
    grown = float(np.exp(market.experience.log_growth))
    cost = float(market.tables["offers"]["marginal_cost"][0])
    found = -np.log(cost) / np.log(grown)
    how = f"market: learning by doing, {grown:.6g} times the tokens"
    return [
        Check("Wright: exponent", exponent, float(found), CLOSED_FORM, how),
        Check("Wright: unit cost after 10 times the tokens", wright_cost_ratio(10.0, rate), cost, CLOSED_FORM, how),
        relative("Wright: tokens that -90 % takes, times", wright_output_ratio(0.1, rate), 0.1 ** (-1 / found),
                 FIXED_POINT, f"{how}; in a year, if learning alone were to give it"),
    ]  # fmt: skip


TASKS = (attribution, drivers, experience)
