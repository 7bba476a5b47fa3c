"""Whatever is allowed runs, and whatever is not is refused in one line."""

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

import pytest
from compositions import changed, composed, declared, leaves
from drawing import (
    NULLABLE,
    SWITCHED,
    TINY,
    Drawn,
    Hypothesis,
    Keyed,
    base_of,
    check_market,
    draw_from,
    fits,
    options,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aimarket import SettingsError, load, simulate
from aimarket.complaints import words
from aimarket.composition import compose_plain
from aimarket.configuration import documented, validate
from aimarket.multirun import expand
from aimarket.settings import SHELVES, rule_kinds

ROSTERS = {"real": 120, "oligopoly": 200, "duopoly": 240, "monopoly": 220, "textbook": 220}  # and how many examples
QUIET = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)  # the machine may be busy


# --- what is allowed --------------------------------------------------------------------------------------------------


@st.composite
def drawn_from(draw: st.DrawFn, base: dict[str, Any]) -> Drawn:
    return draw_from(Hypothesis(draw), base)


def test_there_are_a_thousand() -> None:
    assert sum(ROSTERS.values()) == 1000


@pytest.mark.parametrize("roster", ROSTERS)
def test_whatever_is_plausible_runs(roster: str) -> None:
    """Three steps of a market: groups, rules, switches, policies and up to fifteen numbers in their documented ranges.

    benchmarks/random_markets.py runs as many more as one likes, for longer.
    """
    base = base_of(roster)

    @settings(QUIET, max_examples=ROSTERS[roster])
    @given(drawn_from(base))
    def run(drawn: Drawn) -> None:
        check_market(simulate(validate(drawn.config(base))), TINY["run.steps"])

    run()


def test_every_key_is_drawn_sooner_or_later() -> None:
    """Every documented number, and every switch, rule, policy and shock."""
    base = base_of("oligopoly")
    drawn = [draw_from(Keyed(case), base, 200) for case in range(250)]
    keys = {key for case in drawn for key in case.values}
    numbers = {key for key, number in documented(base).items() if not isinstance(number.value, tuple)}
    assert numbers - keys == set()
    switched = {key.split(".", 1)[1] for key in keys if key.startswith("policy.")}
    assert switched | {"break_up"} == set(base["policy"])  # for that a firm must have two offers
    assert any("policy.break_up" in draw_from(Keyed(case), base_of("real")).values for case in range(20))
    assert {"start", "months", "demand", "lead_time", "gpu_supply"} <= {k.split(".")[1] for k in keys if "shock." in k}
    kinds = {(shelf, kind) for case in drawn for (_, shelf), kinds in case.rules.items() for kind in kinds}
    assert kinds == {(shelf, kind) for shelf in SHELVES for kind in rule_kinds(shelf)}
    nulls = {key for case in drawn for key, value in case.values.items() if value is None}
    assert set(NULLABLE) <= nulls
    assert {key.split(".")[-1] for key in nulls} >= {"contract", "free", "cost_of_capital", "ceiling", "gpus"}
    for group in SWITCHED:
        fitting = {o for o in options(group) if group != "policy" or fits(o, base)}
        assert {case.groups[group] for case in drawn if group in case.groups} == fitting


def test_the_command_line_says_the_same() -> None:
    """Real override strings through Hydra make the very settings that the dictionaries above make."""
    base = base_of("duopoly")  # Hydra takes the longer, the more firms there are

    @settings(QUIET, max_examples=25)
    @given(drawn_from(base))
    def run(drawn: Drawn) -> None:
        assert load(["roster=duopoly", *drawn.overrides()]) == validate(drawn.config(base))

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
SKIPPED = ("providers.beta", "design.")  # like the first provider; of a sweep, and no run knows of it
KEYS = [key for key, _ in leaves(composed("roster=duopoly")) if not key.startswith(SKIPPED)]
NOT_SCALAR = ("geography.profiles", "record", "policy.export_limit", "policy.merger", "policy.break_up")
SCALARS = [
    key
    for key in KEYS
    if not key.endswith((".kind", ".contract", ".free"))
    and (not key.startswith(NOT_SCALAR) or key == "policy.merger_allowed")
]
FREE = (
    *("outputs", "study", "question", "prediction", "profile", "active", "open_weights", "open_weights_release"),
    *("merger_allowed", "load_balancing", "scrapping", "lease_or_buy"),
)
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


def test_the_points_of_a_multirun_are_every_combination() -> None:
    sweep = [
        "roster=glob(*opoly,exclude=olig*)",
        "users.size=100,200",
        "run.seed=range(1,3)",
        "policy.start=3",
        "~users.foo",
    ]
    points = expand(sweep[:-1])
    assert len(points) == 8
    assert len({tuple(point) for point in points}) == 8
    composed = [compose_plain(point) for point in points]
    assert [(c["users"]["size"], c["run"]["seed"]) for c in composed] == 2 * [(100, 1), (100, 2), (200, 1), (200, 2)]
    assert [len(c["providers"]) for c in composed] == [2] * 4 + [1] * 4
    assert expand(["run.seed=1,2", "run.steps=3", "run.seed=4,5,6"]) == [
        [f"run.seed={n}", "run.steps=3"] for n in (4, 5, 6)
    ]
    with pytest.raises(SettingsError, match=r"users\.foo: unknown key"):
        compose_plain(expand(sweep)[0])
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
    "users=[1]": ("users", "no such option (got [1])"),
    "run=[default,[x]]": ("run", "no such option"),
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
