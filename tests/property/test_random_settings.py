"""Whatever is allowed runs, and whatever is not is refused in one line."""

import dataclasses
import functools
import math
import random
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compositions import changed, composed, declared, leaves, named_firms, option
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aimarket import SettingsError, load, simulate
from aimarket.complaints import words
from aimarket.composition import compose_plain, compose_points, conf_dir, expand
from aimarket.configuration import documented, validate
from aimarket.documented import Documented
from aimarket.schema import TABLES
from aimarket.settings import SHELVES, rule_kinds

ROSTERS = {"real": 120, "oligopoly": 200, "duopoly": 240, "monopoly": 220, "textbook": 220}  # and how many examples
SWITCHED = ("technology", "policy", "shock", "geography", "hardware", "entry")  # groups whose options are drawn as well
TINY = {"users.size": 200, "run.panel": 60, "run.steps": 3}
QUIET = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)  # the machine may be busy


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


# --- what is allowed --------------------------------------------------------------------------------------------------


def fits(policy: str, base: dict[str, Any]) -> bool:
    """Whether a roster has the firms that a policy names."""
    return named_firms(option("policy", policy)) <= base["providers"].keys()


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
    rules: dict[str, tuple[str, str]]
    absent: str | None
    values: dict[str, Any]

    def config(self, base: dict[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = changed(base, TINY)
        for group, name in self.groups.items():
            config[group] = option(group, name)
        for name, (shelf, kind) in self.rules.items():
            config["providers"][name][shelf] = option(shelf, kind)
        config["providers"].pop(self.absent, None)
        return changed(config, self.values)


@st.composite
def drawn_from(draw: st.DrawFn, base: dict[str, Any]) -> Drawn:
    """Up to fifteen numbers anywhere in their documented ranges, corner cases, groups and rules."""
    names, segments = sorted(base["providers"]), sorted(base["users"]["segments"])
    sited = any(provider["fleet"]["regions"] for provider in base["providers"].values())
    groups = {
        group: draw(st.sampled_from([o for o in options(group) if group != "policy" or fits(o, base)]))
        for group in SWITCHED
        if draw(st.booleans()) and not (group == "geography" and sited)
    }
    if groups.get("policy") == "export_limit" and not sited:  # it names regions
        groups["geography"] = "default"
    rules = {}
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=4)):
        shelf = draw(st.sampled_from(SHELVES))
        rules[name] = (shelf, draw(st.sampled_from(rule_kinds(shelf))))
    needed = named_firms(option("policy", groups.get("policy", "none")))
    absent = draw(st.none() | st.sampled_from(sorted({*names} - needed))) if len(names) > 1 else None
    plain = Drawn(groups, rules, absent, {}).config(base)
    numbers = {key: n for key, n in documented(plain).items() if not isinstance(n.value, tuple)}
    keys = draw(st.lists(st.sampled_from(sorted(numbers)), unique=True, max_size=15)) if numbers else []
    fraction = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    values = {key: in_range(numbers[key], draw(fraction)) for key in keys}
    values |= {key: max(value, 0.01) for key, value in values.items() if ".fleet." in key}  # weights, not all 0
    for key in [key for key in values if key.startswith("users.correlation.")][1:]:  # three may contradict one another
        del values[key]
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


def base_of(roster: str) -> dict[str, Any]:
    """The composed configuration of a roster."""
    textbook = ("users=textbook", "geography=single", "technology=frozen") if roster == "textbook" else ()
    return composed(f"roster={roster}", *textbook)


def test_there_are_a_thousand() -> None:
    assert sum(ROSTERS.values()) == 1000


@pytest.mark.parametrize("roster", ROSTERS)
def test_whatever_is_plausible_runs(roster: str) -> None:
    """Three steps of a market: up to fifteen numbers anywhere in their documented ranges, groups and rules drawn."""
    base = base_of(roster)

    @settings(QUIET, max_examples=ROSTERS[roster])
    @given(drawn_from(base))
    def run(drawn: Drawn) -> None:
        check_market(simulate(validate(drawn.config(base))), TINY["run.steps"])

    run()


def as_overrides(drawn: Drawn) -> list[str]:
    """What one would write on the command line."""
    groups = [f"{group}={name}" for group, name in drawn.groups.items()]
    rules = [
        f"{shelf}@providers.{name}.{shelf}={kind}"
        for name, (shelf, kind) in drawn.rules.items()
        if name != drawn.absent
    ]
    values = [f"{key}={'null' if value is None else value}" for key, value in (TINY | drawn.values).items()]
    return [*groups, *rules, *([f"~providers.{drawn.absent}"] if drawn.absent else []), *values]


def test_the_command_line_says_the_same() -> None:
    """Real override strings through Hydra make the very settings that the dictionaries above make."""
    base = base_of("oligopoly")

    @settings(QUIET, max_examples=25)
    @given(drawn_from(base))
    def run(drawn: Drawn) -> None:
        assert load(["roster=oligopoly", *as_overrides(drawn)]) == validate(drawn.config(base))

    run()


# --- what is not ------------------------------------------------------------------------------------------------------

SAYS_WHAT_IS_ALLOWED = re.compile(
    r"should be|allowed|write |needed|must|missing|is there already|not in the config|set exactly|nterpolation|flags"
)


def refused(config: dict[str, Any], key: str) -> str:
    """The one line that says what is wrong with a key."""
    with pytest.raises(SettingsError) as error:
        validate(config)
    return told(str(error.value), key)


def told(line: str, key: str) -> str:
    assert key in line, f"{line!r} does not name {key}"
    assert "\n" not in line
    assert len(line) < 1500
    assert SAYS_WHAT_IS_ALLOWED.search(line), line
    return line


BASE = functools.partial(composed, "roster=duopoly")
KEYS = [key for key, _ in leaves(composed("roster=duopoly")) if not key.startswith("providers.beta")]
NOT_SCALAR = ("geography.profiles", "record", "policy.export_limit", "policy.merger", "policy.break_up")
SCALARS = [
    key
    for key in KEYS
    if not key.endswith(".kind") and (not key.startswith(NOT_SCALAR) or key == "policy.merger_allowed")
]
FREE = ("outputs", "study", "profile", "open_weights", "open_weights_release", "merger_allowed", "load_balancing")
WRONG = {"text": "'plenty'", "list": "[1]", "mapping": "{'a': 1}", "flag": "true", "nothing": "null"}
VALUES = {"text": "plenty", "list": [1], "mapping": {"a": 1}, "flag": True, "nothing": None}


def bounds(kind: Any) -> dict[str, float]:
    """Limits of a declared number, as pydantic has them."""
    schema = TypeAdapter(kind).json_schema()
    numeric = next((s for s in schema.get("anyOf", [schema]) if s.get("type") in ("number", "integer")), {})
    return {name: numeric[name] for name in numeric if name.endswith(("inimum", "aximum"))}


def test_every_limit_of_every_number_is_kept_and_told() -> None:
    count = 0
    for key in SCALARS:
        limits = bounds(declared(BASE(), key))
        for name, limit in limits.items():
            step = 0 if name.startswith("exclusive") else max(1, abs(limit))
            beyond = limit - step if name.endswith("inimum") else limit + step
            line = refused(changed(BASE(), {key: beyond}), f"{key}: should be ")
            assert "(got " in line
            if abs(limit) < 1e17:
                assert f"{limit:,}" in line or f"{float(limit):,}" in line, line
            count += 1
    assert count > 200


@pytest.mark.parametrize("wrong", VALUES)
def test_every_wrong_type_is_told(wrong: str) -> None:
    count = 0
    for key in SCALARS:
        if VALUES[wrong] is None and "or null" in words(declared(BASE(), key)):
            continue
        if wrong in ("text", "flag") and key.split(".")[-1] in FREE:
            continue
        line = refused(changed(BASE(), {key: VALUES[wrong]}), key)
        assert WRONG[wrong] in line, line
        count += 1
    assert count > 100


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_infinite_or_none_at_all(value: float) -> None:
    for key in SCALARS:
        if bounds(declared(BASE(), key)):
            assert repr(value) in refused(changed(BASE(), {key: value}), key)


def test_every_missing_key_is_told() -> None:
    """Nothing has a default in code but what an offer may leave out."""
    count = 0
    for key in KEYS:
        parent, _, last = key.rpartition(".")
        config = BASE()
        node = functools.reduce(lambda inner, part: inner[part], parent.split(".") if parent else [], config)
        del node[last]
        if not re.search(r"\.(offers\.main|fleet\.mix|profiles)\.", key):
            assert "missing" in refused(config, key)
            count += 1
    assert count > 100


def typos(key: str, draws: random.Random) -> Iterator[str]:
    """A key with one slip of the finger in its last part."""
    parent, _, last = key.rpartition(".")
    for slip in ("drop", "double", "swap", "wrong"):
        at = draws.randrange(len(last))
        slipped = {
            "drop": last[:at] + last[at + 1 :],
            "double": last[: at + 1] + last[at:],
            "swap": last[:at] + last[at : at + 2][::-1] + last[at + 2 :],
            "wrong": last[:at] + draws.choice(string.ascii_lowercase) + last[at + 1 :],
        }[slip]
        if slipped and slipped != last:
            yield f"{parent}.{slipped}" if parent else slipped


def test_every_typo_is_told_and_what_was_meant_is_guessed() -> None:
    draws = random.Random(1)
    guessed = count = 0
    for key in KEYS:
        if re.search(r"\.(fleet\.mix|profiles)\.", key) or key.endswith(".kind"):
            continue  # names of one's own choosing
        for typo in typos(key, draws):
            line = refused(changed(BASE(), {typo: 0.5}), f"{typo}: unknown")
            guessed += key in line
            count += 1
    assert count > 200
    assert guessed > 0.9 * count


NONSENSE = ["", " ", "a b", "a/b", "../up", "-x", ".hidden", "naïve", "x" * 101, "a\nb", "a\tb", "$(x)", "{}", "a:b"]


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_names_are_told(name: str) -> None:
    base = BASE()
    for path in ("users.segments", "geography.regions", "hardware.generations", "providers", "providers.alpha.offers"):
        node = functools.reduce(lambda inner, part: inner[part], path.split("."), base)
        line = refused(
            changed(base, {path: {**node, name: next(iter(node.values()))}}), f"{path}.{' '.join(name.split())}"
        )
        assert "should be a name of letters" in line
    assert "should be a name" in refused(changed(base, {"study": name}), "study")


def test_the_points_of_a_multirun_are_what_each_alone_would_be() -> None:
    sweep = [
        "roster=glob(*opoly,exclude=olig*)",
        "users.size=100,200",
        "run.seed=range(1,3)",
        "policy.start=3",
        "~users.foo",
    ]
    points = expand(sweep[:-1])
    assert len(points) == 8
    assert list(compose_points(points)) == [compose_plain(point) for point in points]
    with pytest.raises(SettingsError, match=r"users\.foo: unknown key"):
        list(compose_points(expand(sweep)))
    with pytest.raises(SettingsError, match="cannot be swept"):
        expand(["users.size=interval(1,3)"])


ONE = "roster=monopoly"
COMMANDS = {  # overrides: the key and the hint their line must hold
    "users.siz=3": ("users.siz", "did you mean users.size?"),
    "user.size=3": ("user.size", "did you mean users.size?"),
    "segments.consumer.review=.2": ("segments.consumer.review", "did you mean users.segments.consumer.review?"),
    "hardware.generations.h100.price=3": ("hardware.generations.h100.price", "did you mean hardware.generations.H100"),
    "providers.alhpa.cash=3": ("providers.alhpa.cash", "did you mean providers.alpha"),
    "providers.alpha.pricing.markup=.3": (
        "providers.alpha.pricing.markup",
        "allowed under providers.alpha.pricing: kind",
    ),
    "+users.size=3": ("users.size", "is there already"),
    "~users.foo": ("users.foo", "allowed under users"),
    "~users.size": ("users.size", "missing; should be a whole number"),
    "rosterr=duopoly": ("rosterr", "did you mean roster?"),
    "roster=duoply": ("roster", "did you mean duopoly?"),
    "experiment=limit/bertrandd": ("experiment", "did you mean limit/bertrand?"),
    "pricing@providers.alpha.pricing=calender": ("pricing@providers.alpha.pricing", "did you mean calendar?"),
    "pricing@providers.alhpa.pricing=calendar": ("pricing@providers.alhpa.pricing", "pricing@providers.alpha.pricing?"),
    "pricing=cost_plus": ("pricing", "pricing@providers.alpha.pricing"),
    "+provider@providers.zero=resellerr": ("provider@providers.zero", "did you mean reseller?"),
    "+provider=reseller": ("provider", "allowed"),
    "+providers.zero.cash=3": ("providers.zero", "missing"),
    "users.size": ("users.size", "write key=value"),
    "=3": ("=3", "write key=value"),
    "users.size=[1": ("users.size=[1", "write key=value"),
    "users.size=!!3": ("users.size=!!3", "write key=value"),
    "a b=3": ("a b=3", "write key=value"),
    "users.size=": ("users.size", "(got '')"),
    "users.size=1,2": ("users.size", "with -m"),
    "users.size=range(1,3)": ("users.size", "with -m"),
    "users.size=1e3": ("users.size", "a whole number from 1 to 1,000,000,000 (got 1000.0)"),
    "users.size=-3": ("users.size", "from 1 to 1,000,000,000 (got -3)"),
    "users.size=nan": ("users.size", "(got nan)"),
    "users.size=true": ("users.size", "(got true)"),
    "users.size={a: 1}": ("users.size", "(got {'a': 1})"),
    "users=null": ("users", "(got null)"),
    "users.segments.consumer.review=1.5": ("users.segments.consumer.review", "from 0 to 1 (got 1.5)"),
    "users.segments.consumer.review.value=abc": ("users.segments.consumer.review", "value should be a number"),
    "users.segments.consumer.profile=night": ("users.segments.consumer.profile", "allowed: conversation"),
    "users.correlation.quality_price=-1": ("users.correlation.quality_price", "above -1 and below 1 (got -1)"),
    "users.price_metric=cubic": ("users.price_metric", "one of log, linear (got 'cubic')"),
    "finance.tax_rate=1": ("finance.tax_rate", "at least 0 and below 1 (got 1)"),
    "hardware.start=2026": ("hardware.start", "a month as YYYY-MM (got 2026)"),
    "geography.profiles.code.value=[1,2]": ("geography.profiles.code", "24 figures"),
    "geography.profiles.code=[1,2]": ("geography.profiles.code", "write geography.profiles.code.value=[...]"),
    "+providers.alpha.fleet.mix.X100=1": ("providers.alpha.fleet.mix.X100", "allowed: A100"),
    "providers.alpha.pricing.kind=magic": ("providers.alpha.pricing.kind", "allowed: calendar, cost_plus"),
    "providers.alpha.offers.main.margin=null": ("providers.alpha.offers.main", "exactly one of throughput, margin"),
    "record.tables=[market,markets]": ("record.tables.1", "one of market, providers"),
    "run.seed=-1": ("run.seed", "at least 0"),
    "study='a/b'": ("study", "a name of letters"),
    "study=null": ("study", "(got null)"),
    "outputs=''": ("outputs", "not empty"),
    "outputs='${nowhere}'": ("outputs", "nowhere"),
    "study='${study}'": ("study", "nterpolation"),
    "hydra.foo=1": ("hydra.foo", "not in the configuration"),
}


@pytest.mark.parametrize("override", COMMANDS)
def test_an_override_that_cannot_be_is_told(override: str) -> None:
    with pytest.raises(SettingsError) as error:
        load([ONE, override])
    key, hint = COMMANDS[override]
    assert hint in told(str(error.value), key)


def test_the_override_at_fault_is_found_among_many() -> None:
    several = ["run.steps=3", "+provider@providers.zero=reseller", "providers.zero.cash=0", "users.siz=3", "run.seed=2"]
    with pytest.raises(SettingsError, match=r"^users\.siz: unknown key \(got 3\); did you mean users\.size\?"):
        load([ONE, *several])
    assert load([ONE, *several[:3]]).providers["zero"].cash == 0


# --- at the command line ----------------------------------------------------------------------------------------------

LAUNCHES = [  # more in unit/test_cli.py
    (["run", "users.size=1,2"], "users.size", "with -m"),
    (["run", "users.segments.consumer.review=1.5"], "users.segments.consumer.review", "from 0 to 1"),
    (["run", "-m", "roster=duopoly,monopoly,oligopolis", "users.size=100"], "roster", "did you mean oligopoly?"),
    (["run", "-m", "users.size=100,200", "run.steps=2", "users.siz=3"], "users.siz", "did you mean users.size?"),
]


@pytest.mark.parametrize(("arguments", "key", "hint"), LAUNCHES)
def test_a_launch_that_cannot_be_says_so_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], key: str, hint: str
) -> None:
    """One line, exit code 2, no traceback, no folder; of a multirun with one bad point nothing runs."""
    done = subprocess.run(
        [sys.executable, "-c", "from aimarket.cli import main; main()", *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("aimarket: ")
    assert hint in told(done.stderr.strip(), key)
    assert list(tmp_path.iterdir()) == []
