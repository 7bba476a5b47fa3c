"""Configurations drawn at random: whatever the documentation allows, from whoever picks - Hypothesis or a seed."""

import dataclasses
import functools
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from compositions import changed, composed, named_firms, option
from hypothesis import strategies as st

from aimarket.composition import conf_dir
from aimarket.configuration import documented
from aimarket.documented import Documented
from aimarket.schema import TABLES
from aimarket.settings import SHELVES, nested_rules, rule_class, rule_kinds

SWITCHED = ("technology", "policy", "shock", "geography", "hardware", "entry")  # groups whose options are drawn as well
TINY = {"users.size": 200, "run.panel": 60, "run.steps": 3}


class Picker(Protocol):
    """Where the draws come from."""

    def one(self, options: Sequence[Any]) -> Any: ...
    def some(self, options: Sequence[Any], most: int) -> list[Any]: ...
    def number(self, low: float, high: float) -> float: ...
    def whole(self, low: int, high: int) -> int: ...


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """Draws that Hypothesis makes, and makes simpler when a test fails."""

    draw: st.DrawFn

    def one(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def some(self, options: Sequence[Any], most: int) -> list[Any]:
        return self.draw(st.lists(st.sampled_from(options), unique=True, max_size=most)) if options else []

    def number(self, low: float, high: float) -> float:
        return self.draw(st.floats(low, high))

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


class Keyed:
    """Draws that follow from a number: the same case is the same configuration anywhere."""

    def __init__(self, case: int) -> None:
        self.random = random.Random(f"configuration {case}")

    def one(self, options: Sequence[Any]) -> Any:
        return self.random.choice(options)

    def some(self, options: Sequence[Any], most: int) -> list[Any]:
        return self.random.sample(options, self.random.randint(0, min(most, len(options))))

    def number(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        return self.random.randint(low, high)


def options(group: str) -> list[str]:
    """Files of a group of the configuration."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def base_of(roster: str) -> dict[str, Any]:
    """The composed configuration of a roster."""
    textbook = ("users=textbook", "geography=single", "technology=frozen") if roster == "textbook" else ()
    return composed(f"roster={roster}", *textbook)


def in_range(number: Documented, fraction: float) -> Any:
    """A value of the documented range, its ends at 0 and 1; by ratios where it spans an order of magnitude or more."""
    low, high = number.range
    value = low * (high / low) ** fraction if low > 0 and high > 10 * low else low + (high - low) * fraction
    value = min(max(value, low), high)
    whole = all(isinstance(x, int) for x in (number.value, low, high))
    return round(value) if whole else float(value)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What differs from a roster: groups, rules, a firm that is not there, and values at dotted keys."""

    groups: dict[str, str]
    rules: dict[tuple[str, str], tuple[str, ...]]  # (firm, shelf): kind, and that of the rule it holds
    absent: str | None
    values: dict[str, Any]

    def config(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration as the command line would compose it."""
        config: dict[str, Any] = changed(base, TINY)
        for group, name in self.groups.items():
            config[group] = option(group, name)
        for (name, shelf), (kind, *inner) in self.rules.items():
            config["providers"][name][shelf] = node = option(shelf, kind)
            for held in inner:
                node["rule"] = option(shelf, held)
        config["providers"].pop(self.absent, None)
        return changed(config, self.values)

    def overrides(self) -> list[str]:
        """What one would write on the command line."""
        groups = [f"{group}={name}" for group, name in self.groups.items()]
        rules = [
            f"{shelf}@providers.{name}.{place}={kind}"
            for (name, shelf), kinds in self.rules.items()
            if name != self.absent
            for place, kind in zip((shelf, f"{shelf}.rule"), kinds, strict=False)
        ]
        values = [f"{key}={_written(value)}" for key, value in (TINY | self.values).items()]
        return [*groups, *rules, *([f"~providers.{self.absent}"] if self.absent else []), *values]


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def fits(policy: str, base: Mapping[str, Any]) -> bool:
    """Whether a roster has the firms that a policy names."""
    return named_firms(option("policy", policy)) <= base["providers"].keys()


def draw_from(pick: Picker, base: Mapping[str, Any], most: int = 15) -> Drawn:
    """Groups and rules; switches on and off; up to `most` numbers anywhere in their documented ranges; corner cases."""
    names = sorted(base["providers"])
    sited = any(provider["fleet"]["regions"] for provider in base["providers"].values())
    groups = {
        group: pick.one([o for o in options(group) if group != "policy" or fits(o, base)])
        for group in SWITCHED
        if pick.one([False, True]) and not (group == "geography" and sited)
    }
    if groups.get("policy") == "export_limit" and not sited:  # it names regions
        groups["geography"] = "default"
    rules = {}
    for name in pick.some(names, 6):
        shelf = pick.one(SHELVES)
        kind = pick.one(rule_kinds(shelf))
        held = [pick.one([k for k in rule_kinds(shelf) if k != kind]) for _ in nested_rules(rule_class(shelf, kind))]
        rules[name, shelf] = (kind, *held)
    needed = named_firms(option("policy", groups.get("policy", "none")))
    absent = pick.one([None, *sorted({*names} - needed)]) if len(names) > 1 and pick.one([False, True]) else None
    plain = Drawn(groups, {k: v for k, v in rules.items() if k[0] != absent}, absent, {})
    config = plain.config(base)
    switches = _switches(pick, config)
    policy = _policy(pick, changed(config, switches), switches)
    numbers = {
        key: number
        for key, number in documented(changed(config, switches | policy)).items()
        if not isinstance(number.value, tuple)
    }
    keys = pick.some(sorted(numbers), most)
    values = {key: in_range(numbers[key], pick.one([0.0, 1.0, pick.number(0, 1)])) for key in keys}
    values |= {key: max(value, 0.01) for key, value in values.items() if ".fleet." in key}  # weights, not all 0
    for key in [key for key in values if key.startswith("users.correlation.")][1:]:  # three may contradict one another
        del values[key]
    return dataclasses.replace(plain, values=switches | policy | values | _corners(pick, config))


# The default roster is three to eight times as slow as the others, and takes a tenth of the cases.
ROSTERS = ("real", *("oligopoly",) * 4, *("duopoly",) * 3, "monopoly", "textbook")
NUMBERS = 40  # drawn at once, at most


def drawn_case(case: int) -> tuple[str, Drawn]:
    """The roster of a case, and what differs from it."""
    pick = Keyed(case)
    roster = pick.one(ROSTERS)
    return roster, draw_from(pick, base_of(roster), NUMBERS)


def drawn_market(case: int) -> dict[str, Any]:
    """The configuration of a case."""
    roster, drawn = drawn_case(case)
    return drawn.config(base_of(roster))


NULLABLE = ("hardware.rental", "hardware.headroom", "hardware.supply", "hardware.batch_half", "finance.equity")
EXAMPLES = {"contract": "enterprise", "free": "consumer"}  # the segment that documents what others may have as well


def _switches(pick: Picker, config: Mapping[str, Any]) -> dict[str, Any]:
    """Mechanisms turned off, and on with numbers from the range of the default ones."""
    ranges = documented(composed("roster=oligopoly"))
    places = {key: key for key in (*NULLABLE, "users.difficulty.ceiling")}
    for segment in config["users"]["segments"]:
        places |= {f"users.segments.{segment}.{k}": f"users.segments.{s}.{k}" for k, s in EXAMPLES.items()}
    for name in config["providers"]:
        places[f"providers.{name}.cost_of_capital"] = "providers.alpha.cost_of_capital"
    values: dict[str, Any] = {}
    for key in pick.some(sorted(places), 6):
        example = places[key]
        parts = {k.removeprefix(f"{example}."): n for k, n in ranges.items() if k.startswith(f"{example}.")}
        drawn = {part: in_range(number, pick.number(0, 1)) for part, number in parts.items()}
        if key == "hardware.rental":
            drawn["lease_or_buy"] = pick.one([False, True])
        values[key] = pick.one([None, drawn or in_range(ranges[example], pick.number(0, 1))])
    flags = ["hardware.scrapping", "hardware.load_balancing", "policy.open_weights_release"]
    for key in pick.some(flags, len(flags)):
        values[key] = pick.one([False, True])
    for name, provider in config["providers"].items():
        for offer in pick.some(sorted(provider["offers"]), 1):
            if provider["offers"][offer] is not None and pick.one([False, False, True]):
                values[f"providers.{name}.offers.{offer}.free_allowance"] = pick.number(0, 1e7)
    return values


@functools.cache
def _documented_in(group: str, key: str) -> Documented:
    """The number under a key in the one option of a group that documents it."""
    (number,) = (n for name in options(group) for k, n in documented(option(group, name)).items() if k == key)
    return number


def _policy(pick: Picker, config: Mapping[str, Any], switches: Mapping[str, Any]) -> dict[str, Any]:
    """Several policies at once, mergers of any two firms and break-ups of any firm with two offers among them."""
    values: dict[str, Any] = {}
    for key in pick.some(["portability", "multihoming", "tax_rate", "price_cap", "compute_subsidy"], 3):
        (number,) = (
            n for policy in options("policy") for k, n in documented(option("policy", policy)).items() if k == key
        )
        values[f"policy.{key}"] = pick.one([None, in_range(number, pick.number(0, 1))])
    for key in pick.some(["demand", "lead_time", "gpu_supply"], 2):
        values[f"shock.{key}"] = in_range(_documented_in("shock", key), pick.number(0, 1))
    firms = config["providers"]
    names = sorted(firms)
    regions = sorted(config["geography"]["regions"])
    if pick.one([False, False, True]):
        values["policy.export_limit"] = pick.some(regions, len(regions))
    if len(names) > 1 and pick.one([False, False, True]):
        acquirer = pick.one(names)
        target = pick.one([name for name in names if name != acquirer])
        values["policy.merger"] = {"acquirer": acquirer, "target": target}
        values["policy.merger_allowed"] = pick.one([True, True, False])
    running = [name for name in names if firms[name]["active"]]
    giving = [name for name in names if sum(offer is not None for offer in firms[name]["offers"].values()) > 1]
    if len(running) > 1 and giving and pick.one([False, False, True]):
        giver = pick.one(giving)
        taker = pick.one([name for name in names if name != giver])
        if not firms[taker]["active"] or len(running) > 2:
            offers = sorted(name for name, offer in firms[giver]["offers"].items() if offer is not None)
            given = sorted(pick.some(offers, len(offers) - 1)) or offers[:1]
            values["policy.break_up"] = {"provider": giver, "offers": given, "into": taker}
            values[f"providers.{taker}.active"] = False
    return values


def _corners(pick: Picker, config: Mapping[str, Any]) -> dict[str, Any]:
    """Values far from what is usual."""
    segment, firm = pick.one(sorted(config["users"]["segments"])), pick.one(sorted(config["providers"]))
    corners = {
        "run.seed": lambda: pick.whole(0, 2**63 - 1),
        "run.steps_per_year": lambda: pick.one([1, 4, 12, 52]),
        "users.price_metric": lambda: pick.one(["log", "linear"]),
        "users.size": lambda: pick.one([1, 7, 200, 300]),
        "users.scale": lambda: pick.number(1e-3, 1e3),
        "policy.start": lambda: pick.whole(0, 3),
        "shock.start": lambda: pick.whole(0, 3),
        "shock.months": lambda: pick.whole(0, 3),
        "record.attribution": lambda: pick.one(["lmdi", "shapley"]),
        f"users.segments.{segment}.outside_utility": lambda: pick.one([None, pick.number(-20, 20)]),
        f"users.segments.{segment}.sample": lambda: pick.one([1e-6, 1.0]),
        f"users.segments.{segment}.review": lambda: pick.one([0.0, 1.0]),
        f"users.segments.{segment}.adoption.initial": lambda: pick.one([0.0, 1.0]),
        f"providers.{firm}.appeal": lambda: pick.one([-100.0, 100.0]),
    }
    if config["providers"][firm]["fleet"]["mix"]:
        corners[f"providers.{firm}.fleet.gpus"] = lambda: pick.one([None, 0, pick.number(1, 1e7)])
    return {key: corners[key]() for key in pick.some(sorted(corners), 6)}


# --- what must hold of any of them ------------------------------------------------------------------------------------

FINITE = [
    column.name
    for column in TABLES["market"]
    if column.unit.split("/")[0] in ("users", "tasks", "Mtok", "GPU")
    and column.name not in ("tokens_per_task", "gpu_supply")
]
FINITE += ["spend", "price_index", "hhi", "cr4", "leader_share", "active_providers", "producer_surplus"]
FINITE += ["training", "net_income", "taxes", "capex"]
FINITE_IF_SOLD = ["price", "unit_cost", "marginal_cost", "lerner", "effective_providers", "mean_quality", "wait"]
FINITE_IF_SOLD += ["unserved_share", "tokens_per_task", "consumer_surplus", "welfare", "depth", "tenure"]


def check_market(recording: Any, steps: int) -> None:
    """Nothing that must exist is missing; identities were checked by the run itself."""
    market, offers, providers = recording.market, recording.offers, recording.providers
    assert len(market) == steps
    assert np.isfinite(market[FINITE].to_numpy()).all(), market[FINITE].T
    sold = market[market["spend"] > 0]
    assert np.isfinite(sold[FINITE_IF_SOLD].to_numpy()).all(), sold[FINITE_IF_SOLD].T
    assert (market[["potential_users", "adopted_users", "tokens_served", "spend"]] >= 0).all(axis=None)
    assert (offers["price"] > 0).all()
    assert np.isfinite(offers[["price", "marginal_cost", "quality", "users", "revenue"]].to_numpy()).all()
    assert np.isfinite(providers[["revenue", "net_income", "cash", "debt", "equity", "gpus"]].to_numpy()).all()
    assert (providers["tokens_served"] <= providers["tokens_wanted"] * (1 + 1e-9)).all()
