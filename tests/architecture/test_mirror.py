"""The house keeps its shape: conf/ mirrors src/, every number names its source, rules see only what they may."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from compositions import composed, declared, leaves, made_rule, named_firms, option
from pydantic import TypeAdapter

import aimarket
from aimarket import simulate
from aimarket.composition import conf_dir
from aimarket.configuration import documented, load, validate
from aimarket.documented import NODE_KEYS
from aimarket.settings import MARKET_SHELVES, SHELVES, rule_class, rule_kinds

CONF = conf_dir()
SOURCE = Path(aimarket.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
RULES = [(shelf, kind) for shelf in SHELVES + MARKET_SHELVES for kind in rule_kinds(shelf)]
METHOD = {"pricing": "quote", "capacity": "order", "training": "outlay", "entry": "enters"}
PLACED = {  # groups that stand inside a provider, and how one is chosen there
    "provider": "+provider@providers.extra={}",
    "provider/offer": "provider/offer@providers.alpha.offers.main={}",
    **{shelf: f"{shelf}@providers.alpha.{shelf}={{}}" for shelf in SHELVES},
}


def options(group: str) -> list[str]:
    folder = CONF / group
    files = folder.rglob("*.yaml") if group == "experiment" else folder.glob("*.yaml")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in files)


# Targets of calibrations lie in conf/ and are no group: they speak of a market, they are no part of one.
GROUPS = sorted(
    {path.parent.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")} - {".", "hydra/launcher", "calibration"}
)
PLAIN = [(group, option) for group in GROUPS if not group.startswith("experiment") for option in options(group)]
EXPERIMENTS = options("experiment")


def override(group: str, name: str) -> list[str]:
    """Overrides that choose an option in a small market, or in the default one if it names firms of that."""
    if group == "roster":
        return [f"roster={name}"]
    roster = "real" if group == "policy" and named_firms(option(group, name)) else "duopoly"
    return [f"roster={roster}", PLACED.get(group, f"{group}={{}}").format(name)]


def yaml_of(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, at the top or later; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- the mirror -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shelf", SHELVES + MARKET_SHELVES)
def test_a_rule_is_a_python_file_and_a_yaml_file_of_one_name(shelf: str) -> None:
    assert tuple(options(shelf)) == rule_kinds(shelf)


@pytest.mark.parametrize(("shelf", "kind"), RULES)
def test_a_rule_is_one_class_that_its_yaml_sets_up(shelf: str, kind: str) -> None:
    assert option(shelf, kind)["kind"] == kind
    rule = made_rule(shelf, kind)
    assert type(rule) is rule_class(shelf, kind)  # which insists on exactly one class
    assert callable(getattr(rule, METHOD[shelf]))
    assert hash(rule) == hash(made_rule(shelf, kind))  # frozen: what it learns lives elsewhere
    if shelf == "training":
        assert rule.period >= 0
    if shelf == "entry":
        assert rule.interval >= 0


def test_every_group_of_the_defaults_is_a_folder_and_every_folder_is_used() -> None:
    used = {name for entry in yaml_of(CONF / "config.yaml")["defaults"] if isinstance(entry, dict) for name in entry}
    folders = {group.split("/")[0] for group in GROUPS}
    assert folders == {name for name in used if not name.startswith("override ")} | set(SHELVES) | {"provider"}


def test_the_experiment_comes_last() -> None:
    entries = [
        entry if isinstance(entry, str) else next(iter(entry)) for entry in yaml_of(CONF / "config.yaml")["defaults"]
    ]
    assert entries.index("_self_") < entries.index("experiment")


# --- every option -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "option"), PLAIN)
def test_every_option_composes_and_its_numbers_are_plausible(group: str, option: str) -> None:
    config = composed(*override(group, option))
    validate(config)
    for key, number in documented(config).items():
        assert number.is_plausible, f"{key} = {number.value} is outside {number.range}"
        for bound in number.range:  # the bounds of the model are wider than what is plausible
            kind = declared(config, key)
            TypeAdapter(kind).validate_python([bound] * 24 if isinstance(number.value, tuple) else bound)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_two_steps(name: str) -> None:
    settings = load([f"experiment={name}", "users.size=200", "run.steps=2", "run.panel=50", "run.replications=1"])
    assert simulate(settings).market["step"].tolist() == [1, 2]


# --- every number -----------------------------------------------------------------------------------------------------

# Numbers that no source can give: file, key, and why.
CHOICES = [
    (r"run/.*", r".*", "length and resolution of a run"),
    (r"hydra/.*", r".*", "how jobs are started"),
    (r"design/.*", r".*", "which points a sweep has"),
    (r"calibration/.*", r"parameters\.\w+\.between", "where to search is a design"),
    (r"calibration/.*", r"moments\.\w+\.statistic\.years", "when to look"),
    (r"experiment/.*", r".*", "an experiment is a design: its header says what it sets and why"),
    (r"(users|provider|provider/offer|roster|hardware)/textbook", r".*", "units and zeros of a textbook market"),
    (r"users/.*", r"size|scale|segments\.\w+\.sample", "resolution"),
    (r"(policy|shock)/.*", r"start|months", "a date is chosen"),
    (r"shock/.*", r"demand|lead_time|gpu_supply", "1 is no shock; else a documented assumption"),
    (r"pricing/.*", r"span|grid", "accuracy of a search"),
    (r"pricing/forward_looking", r"respondents", "resolution"),
    (r"pricing/calendar", r"harvest_from", "a control's date is chosen"),
    (r"geography/.*", r"regions\.\w+\.(utc_offset|latitude|longitude)", "places and clocks"),
    (r"provider/.*", r"fleet\.gpus", "0 is what a reseller is"),
]


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_number_is_documented_or_a_choice_of_design(path: Path) -> None:
    name = path.relative_to(CONF).with_suffix("").as_posix()
    content = {key: value for key, value in yaml_of(path).items() if key not in ("defaults", "hydra")}
    bare = [
        key
        for key, value in leaves(content)
        if (isinstance(value, int | float) and not isinstance(value, bool)) or is_numbers(value)
        if not any(re.fullmatch(file, name) and re.fullmatch(pattern, key) for file, pattern, _ in CHOICES)
    ]
    assert bare == []


def is_numbers(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, int | float) for item in value)


def test_a_documented_number_is_whole() -> None:
    for path in CONF.rglob("*.yaml"):
        for key, value in leaves(yaml_of(path)):
            assert key.split(".")[-1] not in NODE_KEYS, f"{path}: {key} = {value} stands without the rest of its node"


# --- what code may do -------------------------------------------------------------------------------------------------


_DOORS = r"(random|secrets|numpy\.random|scipy\.stats)\b"


def test_randomness_has_one_door() -> None:
    for path in MODULES:
        if path.name != "rng.py":
            doors = r"(random|secrets|numpy\.random)\b" if "report" in path.parts else _DOORS  # intervals, no draws
            found = [name for name in imports(path) if re.match(doors, name)]
            tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found += [ast.unparse(n) for n in tree if isinstance(n, ast.Attribute) and n.attr in ("random", "rvs")]
            assert found == [], path


@pytest.mark.parametrize(("shelf", "kind"), RULES)
def test_a_rule_sees_only_its_view(shelf: str, kind: str) -> None:
    own = [name for name in imports(SOURCE / shelf / f"{kind}.py") if name.startswith("aimarket")]
    assert [n for n in own if not re.match(r"aimarket\.(views|settings|kernels|rng|units)\.", n)] == []


_RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
_RUNS_DATA = r"(pickle|marshal|shelve|dill|joblib|cloudpickle|jsonpickle|yaml\.(load|unsafe_load|full_load))\b"
_STARTS = r"(subprocess|pty|runpy|codeop|os\.(system|popen|exec\w*|spawn\w*|posix_spawn\w*)|hydra\.utils|ctypes)\b"
_ALLOWED = {"freed_memory.py": ["ctypes", "ctypes.CDLL"]}  # the C library that is loaded already, for a setting of its
_OWN_MODULES = (
    "aimarket.",
    "SALib",
    "genai_prices",
    "statsmodels",
    "scipy.",
    "{__name__}",
    "f'{__name__}'",
)  # what names of rules, commands and designs are completed to


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def test_nothing_is_run_from_data() -> None:
    """No text is run as code, and nothing is read that may be.

    Processes of one run hand plain values to one another by `multiprocessing`, which pickles; they start one another.
    """
    for path in MODULES:
        names = {node.id for node in _nodes(path) if isinstance(node, ast.Name)}
        assert not names & _RUNS_TEXT, path
        dotted = [ast.unparse(node) for node in _nodes(path) if isinstance(node, ast.Attribute)]
        assert [
            name for name in [*imports(path), *dotted] if re.match(rf"{_RUNS_DATA}|{_STARTS}|builtins\b", name)
        ] == _ALLOWED.get(path.name, []), path
        assert "_target_" not in path.read_text(encoding="utf-8"), path
    for path in CONF.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "_target_" not in text, path
        assert "!!python" not in text, path


def test_arrays_are_read_and_written_without_pickles() -> None:
    count = 0
    for path in MODULES:
        for call in (node for node in _nodes(path) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            if re.fullmatch(r"np\.(load|save|savez\w*|lib\.format\.(read|write)_array)", name):
                assert {key.arg: ast.unparse(key.value) for key in call.keywords}["allow_pickle"] == "False", path
                count += 1
    assert count >= 4


def test_only_modules_of_known_packages_are_imported_by_name() -> None:
    """A name from a configuration may complete the name of a module, and so only choose among those of a package."""
    for path in MODULES:
        for call in (node for node in _nodes(path) if isinstance(node, ast.Call) and node.args):
            if path.name == "libraries.py":  # judged by what others ask of it
                continue
            if re.search(r"\b(import_module|library)$", ast.unparse(call.func)):
                first = call.args[0].values[0] if isinstance(call.args[0], ast.JoinedStr) else call.args[0]
                named = str(first.value) if isinstance(first, ast.Constant) else ast.unparse(first)
                assert named.startswith(_OWN_MODULES), (path, named)
