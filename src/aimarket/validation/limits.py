"""Limiting markets: ordinary configurations, run step by step, and what they measured."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.composition import compose_plain
from aimarket.configuration import load, validate
from aimarket.demand import Population
from aimarket.market import Market
from aimarket.settings import Settings
from aimarket.theory.price_competition import LogitMarket

Floats = NDArray[np.float64]
Changes = Mapping[str, Any]


@dataclass
class Limit:
    """A market that has been run, with its series."""

    market: Market
    price: Floats  # (T, J) USD/Mtok
    shares: Floats  # (T, J) of adopted users
    outside: Floats  # (T,)
    churn: Floats  # (T,) a step
    adopted: Floats  # (T,) of potential users


def run(settings: Settings, before_step: Callable[[Market], None] | None = None, replication: int = 0) -> Limit:
    """Run a market of given settings.

    before_step : what to do to the market before each step, such as holding users where they are
    """
    market, rows = Market(settings, replication), []
    for _ in range(settings.run.steps):
        if before_step:
            before_step(market)
        market.step()
        m, o = market.tables["market"], market.tables["offers"]
        adopted = m["adopted_users"] / m["potential_users"]
        rows.append((o["price"], o["user_share"], m["outside_share"], m["churn"] * market.clock.months, adopted))
    return Limit(market, *(np.array(column) for column in zip(*rows, strict=True)))


def run_limit(experiment: str, *overrides: str) -> Limit:
    """Run `experiment=limit/<experiment>` with overrides as on the command line."""
    return run(load([f"experiment=limit/{experiment}", *overrides]))


def changed(config: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A copy of a composed configuration with values put at dotted keys, as overrides on the command line would."""
    result = copy.deepcopy(dict(config))
    for key, value in changes.items():
        *path, last = key.split(".")
        functools.reduce(lambda node, part: node[part], path, result)[last] = value
    return result


@functools.cache
def _composed(experiment: str) -> dict[str, Any]:
    return compose_plain([f"experiment=limit/{experiment}"])


def limit_settings(experiment: str, changes: Changes | None = None, firms: int | None = None) -> Settings:
    """Settings of a limiting market, values at dotted keys changed; composed once, so a hundred variants are cheap.

    firms : copies of the first provider instead of the roster of the experiment, named firm0, firm1, ...
    """
    config = copy.deepcopy(_composed(experiment))
    if firms is not None:
        first = next(iter(config["providers"].values()))
        config["providers"] = {f"firm{f}": copy.deepcopy(first) for f in range(firms)}
    return validate(changed(config, changes or {}))


def everyone(key: str) -> str:
    """A dotted key of the only segment of a textbook market."""
    return f"users.segments.everyone.{key}"


def logit_settings(market: LogitMarket, changes: Changes | None = None, experiment: str = "bertrand") -> Settings:
    """The oracle's logit market as a configuration: a segment for each type, an offer for each product.

    Products of one owner are offers of one provider, in the oracle's order if owners' labels rise. Qualities of the
    types must be multiples of one another plus a constant, for a segment has one taste for quality and one outside
    option.
    raises : ValueError if they are not, or if types use different amounts
    """
    config = copy.deepcopy(_composed(experiment))
    quality, tastes, constants = _tastes(market)
    sensitivity, usage, scale = market.price_sensitivities, market.usage_elasticities, market.usage_scales
    if (sensitivity != sensitivity[:, :1]).any() or (usage != usage[0]).any() or (np.diff(market.owners) < 0).any():
        raise ValueError("a type has one price sensitivity, all have one usage elasticity, and owners' labels rise")
    first = next(iter(config["providers"].values()))
    offer = first.pop("offers")["main"]
    config["providers"] = {}
    for j, owner in enumerate(market.owners):
        firm = config["providers"].setdefault(f"firm{owner}", copy.deepcopy(first) | {"offers": {}})
        start = 2.0 * float(market.marginal_costs[j])
        prices = dict.fromkeys(("input_price", "cached_price", "output_price"), start)
        own = {"quality": float(quality[j]), "wholesale": float(market.marginal_costs[j])}
        firm["offers"][f"offer{j}"] = copy.deepcopy(offer) | prices | own
    template = config["users"]["segments"].pop("everyone")
    config["users"] |= {"price_metric": market.price_metric, "usage_elasticity": float(usage[0])}
    for i, weight in enumerate(market.type_weights):
        preferences = {"quality": float(tastes[i]), "price": float(sensitivity[i, 0]), "latency": 0.0}
        config["users"]["segments"][f"type{i}"] = copy.deepcopy(template) | {
            "population": float(weight) * template["population"],
            "sample": float(weight),
            "outside_utility": float(-constants[i]) if market.outside_option else None,
            "preferences": preferences,
            "tasks": float(scale[i]),
        }
    return validate(changed(config, changes or {}))


def _tastes(market: LogitMarket) -> tuple[Floats, Floats, Floats]:
    """Qualities (J,), and tastes and constants (I,) such that type i's qualities are taste_i quality + constant_i."""
    utility = market.qualities
    quality = utility[0]
    if np.ptp(quality) == 0:
        tastes, constants = np.ones(len(utility)), utility[:, 0] - quality[0]
    else:
        high, low = int(quality.argmax()), int(quality.argmin())
        tastes = (utility[:, high] - utility[:, low]) / (quality[high] - quality[low])
        constants = utility[:, low] - tastes * quality[low]
    if (tastes < 0).any() or not np.allclose(np.outer(tastes, quality) + constants[:, None], utility, atol=1e-9):
        raise ValueError("qualities of the types must be multiples of one another plus a constant")
    return quality, tastes, constants


def prices_at(settings: Settings, base: Sequence[float]) -> Limit:
    """Run a market whose users are put back before each step, so that prices come to rest at one state of the market.

    base : (J,) share of the users that hold each offer; the rest hold none
    """

    def put_back(market: Market) -> None:
        assert isinstance(market.population, Population)  # in one piece
        users = market.population.users
        edges = np.cumsum(np.round(np.asarray(base) * len(users.offer))).astype(int)
        order = np.searchsorted(edges, np.arange(len(users.offer)), side="right")
        users.offer[:] = np.where(order < len(base), order, -1)
        users.tenure[:] = 0.0

    return run(settings, put_back)
