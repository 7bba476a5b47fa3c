"""Whatever is allowed runs, and whatever is not is refused in one line."""

import dataclasses
import math
import random
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pytest
from compositions import changed, composed, leaves, made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimarket import SettingsError, load, simulate
from aimarket.composition import conf_dir
from aimarket.configuration import documented, validate
from aimarket.documented import NODE_KEYS, Documented
from aimarket.settings import SHELVES, Settings, rule_class, rule_kinds

ROSTERS = ("real", "oligopoly", "duopoly", "monopoly", "textbook")
SWITCHED = ("technology", "policy", "shock", "geography")  # groups whose options are drawn as well
TINY = {"users.size": 200, "run.panel": 60, "run.steps": 3}
EXAMPLES = 1000
QUIET = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)  # the machine may be busy


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


# --- what is allowed --------------------------------------------------------------------------------------------------


def in_range(number: Documented, fraction: float) -> Any:
    """A value of the documented range: its ends at 0 and 1; by ratios where it spans more than one order of magnitude."""
    low, high = number.range
    value = low * (high / low) ** fraction if low > 0 and high > 10 * low else low + (high - low) * fraction
    value = min(max(value, low), high)
    whole = all(isinstance(x, int) for x in (number.value, low, high))
    return round(value) if whole else float(value)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What differs from a roster: groups, rules, a firm that is not there, and values at dotted keys."""

    groups: dict[str, str]
    rules: dict[str, tuple[str, str]]
    absent: str | None
    values: dict[str, Any]

    def config(self, base: dict[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = changed(base, TINY)
        for group, option in self.groups.items():
            config[group] = composed("roster=duopoly", f"{group}={option}")[group]
        for name, (shelf, kind) in self.rules.items():
            config["providers"][name][shelf] = composed("roster=duopoly", f"+{shelf}@chosen={kind}")["chosen"]
        config["providers"].pop(self.absent, None)
        return changed(config, self.values)


@st.composite
def drawn_from(draw: st.DrawFn, base: dict[str, Any]) -> Drawn:
    """Up to fifteen numbers anywhere in their documented ranges, corner cases, groups and rules."""
    names, segments = sorted(base["providers"]), sorted(base["users"]["segments"])
    sited = any(provider["fleet"]["regions"] for provider in base["providers"].values())
    groups = {
        group: draw(st.sampled_from(options(group)))
        for group in SWITCHED
        if draw(st.booleans()) and not (group == "geography" and sited)
    }
    rules = {}
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=4)):
        shelf = draw(st.sampled_from(SHELVES))
        rules[name] = (shelf, draw(st.sampled_from(rule_kinds(shelf))))
    absent = draw(st.none() | st.sampled_from(names)) if len(names) > 1 else None
    plain = Drawn(groups, rules, absent, {}).config(base)
    numbers = {key: n for key, n in documented(plain).items() if not isinstance(n.value, tuple)}
    keys = draw(st.lists(st.sampled_from(sorted(numbers)), unique=True, max_size=15)) if numbers else []
    fraction = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    values = {key: in_range(numbers[key], draw(fraction)) for key in keys}
    values |= {key: max(value, 0.01) for key, value in values.items() if ".fleet." in key}  # weights, not all 0
    segment, firm = draw(st.sampled_from(segments)), draw(st.sampled_from(sorted(plain["providers"])))
    corners: dict[str, st.SearchStrategy[Any]] = {
        "run.seed": st.integers(0, 2**63 - 1),
        "run.steps_per_year": st.sampled_from([1, 4, 12, 52]),
        "users.price_metric": st.sampled_from(["log", "linear"]),
        "users.size": st.sampled_from([1, 7, 200, 300]),
        "users.scale": st.floats(1e-3, 1e3),
        "policy.start": st.integers(0, 3),
        "shock.start": st.integers(0, 3),
        "shock.months": st.integers(0, 3),
        f"users.segments.{segment}.outside_utility": st.none() | st.floats(-20, 20),
        f"users.segments.{segment}.sample": st.sampled_from([1e-6, 1.0]),
        f"users.segments.{segment}.review": st.sampled_from([0.0, 1.0]),
        f"users.segments.{segment}.adoption.initial": st.sampled_from([0.0, 1.0]),
        f"providers.{firm}.appeal": st.sampled_from([-100.0, 100.0]),
    }
    if plain["providers"][firm]["fleet"]["mix"]:
        corners[f"providers.{firm}.fleet.gpus"] = st.none() | st.just(0) | st.floats(1, 1e7)
    for key in draw(st.lists(st.sampled_from(sorted(corners)), unique=True, max_size=6)):
        values[key] = draw(corners[key])
    return Drawn(groups, rules, absent, values)


FINITE = """potential_users adopted_users attached_users reviews switches tasks tokens_wanted tokens_served spend
tokens_unserved price_index hhi cr4 leader_share active_providers gpus gpus_on_order consumer_surplus producer_surplus
training net_income taxes capex welfare""".split()
FINITE_IF_SOLD = "price unit_cost marginal_cost lerner effective_providers mean_quality unserved_share wait".split()


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


def base_of(roster: str) -> dict[str, Any]:
    """The composed configuration of a roster."""
    textbook = ("users=textbook", "geography=single", "technology=frozen") if roster == "textbook" else ()
    return composed(f"roster={roster}", *textbook)


@pytest.mark.slow
@pytest.mark.parametrize("roster", ROSTERS)
def test_whatever_is_plausible_runs(roster: str) -> None:
    """Three steps of a market with up to fifteen numbers anywhere in their documented ranges, and groups and rules drawn."""

    base = base_of(roster)

    @settings(QUIET, max_examples=EXAMPLES // len(ROSTERS))
    @given(drawn_from(base))
    def run(drawn: Drawn) -> None:
        check_market(simulate(validate(drawn.config(base))), TINY["run.steps"])

    run()
