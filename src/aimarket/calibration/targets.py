"""What a calibration is to meet and what it may move, from a YAML file of `conf/calibration/` or anywhere.

question: what the fit is for
overrides: [roster=duopoly, run.steps=36]     # the market, as on the command line
parameters:
  NAME: {keys: [a.b, c.d], between: [low, high], scale: linear}    # all keys get the value; null: documented range
moments:
  NAME:
    target: {value: 0.4, unit: "1", range: [0.3, 0.5], source: "who says so"}    # range: the 95 % interval
    statistic: {kind: average, table: market, column: lerner, years: [1, 1]}
    fit: true     # false: only checked
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aimarket.calibration.statistics import STATISTICS, Tables, numbers, owner
from aimarket.complaints import SettingsError, near, shown
from aimarket.composition import compose_plain, read_yaml
from aimarket.composition_cache import conf_dir
from aimarket.configuration import documented, validate
from aimarket.documented import Documented, parse
from aimarket.overrides import key_of
from aimarket.schema import TABLES
from aimarket.settings import Settings

_HALF_WIDTHS = 2 * 1.959963984540054  # a 95 % interval is so many standard errors wide
_FORMS = {  # what stands in each mapping, and what it may be without
    "": (("question", "overrides", "parameters", "moments"), ()),
    "parameters": (("keys",), ("between", "scale")),
    "moments": (("target", "statistic", "fit"), ()),
}


@dataclass(frozen=True)
class Parameter:
    """What may be moved: one value for one key or several."""

    name: str
    keys: tuple[str, ...]
    low: float
    high: float
    log: bool  # searched by ratios
    start: float  # the first key's value as configured, within the bounds

    def overrides(self, value: float) -> list[str]:
        """The overrides that set it."""
        return [f"{key}={value!r}" for key in self.keys]


@dataclass(frozen=True)
class Moment:
    """What is to be met, or only checked."""

    name: str
    target: Documented
    kind: str
    arguments: dict[str, Any]
    fit: bool

    @property
    def value(self) -> float:
        """The target."""
        return float(self.target.value)  # type: ignore[arg-type]  # checked: one number

    @property
    def error(self) -> float:
        """Its standard error: the range is a 95 % interval."""
        return (self.target.range[1] - self.target.range[0]) / _HALF_WIDTHS

    def measure(self, tables: Tables) -> float:
        """The statistic in recorded tables."""
        return STATISTICS[self.kind](tables, **self.arguments)


@dataclass(frozen=True)
class Targets:
    """A calibration, checked."""

    name: str
    question: str
    overrides: tuple[str, ...]  # the market, parameters apart
    settings: Settings  # at the start
    parameters: tuple[Parameter, ...]
    moments: tuple[Moment, ...]

    @property
    def fitted(self) -> list[int]:
        """Positions of the moments that are fitted; the others are only checked."""
        return [position for position, moment in enumerate(self.moments) if moment.fit]

    def at(self, values: Sequence[float]) -> list[str]:
        """The overrides of the market with parameters at some values."""
        moved = [item for p, value in zip(self.parameters, values, strict=True) for item in p.overrides(value)]
        return [*self.overrides, *moved]


def read_targets(name: str, overrides: Sequence[str] = ()) -> Targets:
    """A calibration from a file of `conf/calibration/` by name, or from any other by path.

    overrides : of the market, after those of the file
    raises    : SettingsError naming file, key and what is allowed
    """
    content = read_yaml(_find(name))
    _formed(content, "", name)
    own = list(map(str, content["overrides"]))
    if elsewhere := next((item for item in own if key_of(item) == "outputs" or "hydra" in item), None):
        raise SettingsError(f"{name}: overrides: {shown(elsewhere)} belongs on the command line")
    base = [*own, *overrides]
    parameters, moments = (
        {str(key): node for key, node in content[part].items()} for part in ("parameters", "moments")
    )
    config = compose_plain(base)
    settings = validate(config)
    targets = Targets(
        Path(name).stem,
        str(content["question"]),
        tuple(base),
        settings,
        tuple(_parameter(str(key), node, config, name, base) for key, node in parameters.items()),
        tuple(_moment(str(key), node, settings, name) for key, node in moments.items()),
    )
    for bound in ("low", "high"):  # what the search may try has to be allowed
        validate(compose_plain(targets.at([getattr(parameter, bound) for parameter in targets.parameters])))
    if len(targets.fitted) < len(targets.parameters):
        counts = f"{len(targets.fitted)} moments cannot fit {len(targets.parameters)} parameters"
        raise SettingsError(f"{name}: {counts}; fit more, or move less")
    return targets


def names() -> list[str]:
    """Calibrations that come with the package."""
    return sorted(path.stem for path in (conf_dir() / "calibration").glob("*.yaml"))


def _find(name: str) -> Path:
    for path in (conf_dir() / "calibration" / f"{name}.yaml", Path(name)):
        if path.is_file():
            return path
    raise SettingsError(f"{name}: no such calibration, and no file{near(name, names())}")


def _formed(node: Any, part: str, where: str) -> None:
    """Complain if a mapping lacks a key or has one too many."""
    needed, optional = _FORMS[part]
    if not isinstance(node, Mapping):
        raise SettingsError(f"{where}: should be a mapping with {', '.join(needed)} (got {shown(node)})")
    for key in needed:
        if key not in node:
            raise SettingsError(f"{where}: {key} is missing; needed: {', '.join(needed)}")
    for key in node:
        if key not in needed + optional:
            raise SettingsError(f"{where}: {key} is unknown{near(str(key), needed + optional)}")
    for key in ("parameters", "moments"):
        if key in needed and not (isinstance(node[key], Mapping) and node[key]):
            raise SettingsError(f"{where}: {key} should be a mapping, not empty (got {shown(node[key])})")


def _parameter(name: str, node: Any, config: Mapping[str, Any], file: str, overrides: Sequence[str]) -> Parameter:
    where = f"{file}: parameters.{name}"
    _formed(node, "parameters", where)
    keys = tuple(map(str, node["keys"]))
    values = [_number(config, key, where) for key in keys]
    if set(keys) & {override.partition("=")[0] for override in overrides}:
        raise SettingsError(f"{where}: is fitted, and cannot be set too; leave out {', '.join(keys)}=...")
    low, high = _bounds(node.get("between"), keys, config, where)
    scale = node.get("scale", "linear")
    if scale not in ("linear", "log") or (scale == "log" and low <= 0):
        raise SettingsError(f"{where}.scale: should be linear, or log if all is above 0 (got {shown(scale)})")
    return Parameter(name, keys, low, high, scale == "log", min(max(values[0], low), high))


def _number(config: Mapping[str, Any], key: str, where: str) -> float:
    """The value at a key of a composed configuration, documented or plain."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    value = node.get("value") if isinstance(node, Mapping) else node
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{where}: {key} is no number of this market (got {shown(node)})")
    return float(value)


def _bounds(between: Any, keys: Sequence[str], config: Mapping[str, Any], where: str) -> tuple[float, float]:
    """The bounds given, or those in which all the keys are documented to lie."""
    if between is None:
        ranges = documented(config)
        if bare := [key for key in keys if key not in ranges]:
            raise SettingsError(f"{where}.between: needed, for {bare[0]} has no documented range")
        between = [max(ranges[key].range[0] for key in keys), min(ranges[key].range[1] for key in keys)]
    if not (isinstance(between, list) and len(between) == 2 and all(isinstance(x, int | float) for x in between)):
        raise SettingsError(f"{where}.between: should be [low, high] or null (got {shown(between)})")
    if not between[0] < between[1]:
        raise SettingsError(f"{where}.between: low should be below high (got {shown(between)})")
    return float(between[0]), float(between[1])


def _moment(name: str, node: Any, settings: Settings, file: str) -> Moment:
    where = f"{file}: moments.{name}"
    _formed(node, "moments", where)
    if not isinstance(node["target"], Mapping):
        raise SettingsError(f"{where}.target: should be a documented number (got {shown(node['target'])})")
    try:
        target = parse(node["target"], f"{where}.target")
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from None
    if isinstance(target.value, tuple) or not target.is_plausible or target.range[0] >= target.range[1]:
        raise SettingsError(
            f"{where}.target: should be one number within its 95 % interval (got {shown(target.value)})"
        )
    if not isinstance(node["fit"], bool):
        raise SettingsError(f"{where}.fit: should be true or false (got {shown(node['fit'])})")
    kind, arguments = _statistic(node["statistic"], settings, f"{where}.statistic")
    return Moment(name, target, kind, arguments, node["fit"])


def _statistic(node: Any, settings: Settings, where: str) -> tuple[str, dict[str, Any]]:
    """A statistic and its arguments, checked against the tables and the market."""
    arguments = dict(node) if isinstance(node, Mapping) else {}
    kind = arguments.pop("kind", None)
    if kind not in STATISTICS:
        raise SettingsError(f"{where}.kind: no such statistic (got {shown(kind)}){near(str(kind), list(STATISTICS))}")
    try:
        inspect.signature(STATISTICS[kind]).bind(None, **arguments)
    except TypeError as error:
        raise SettingsError(f"{where}: {error}") from None
    table, of, years = arguments["table"], arguments.get("of", ()), arguments["years"]
    if table not in TABLES or not numbers(table):
        raise SettingsError(f"{where}.table: no such table (got {shown(table)}){near(str(table), list(TABLES))}")
    for part in {"column", "over"} & arguments.keys():
        if arguments[part] not in numbers(table):
            raise SettingsError(f"{where}.{part}: not in {table} (got {shown(arguments[part])})"
                                f"{near(str(arguments[part]), numbers(table))}")  # fmt: skip
    last = settings.run.steps // settings.run.steps_per_year
    whole = isinstance(years, list) and len(years) == 2 and all(isinstance(year, int) for year in years)
    if not (whole and 1 <= years[0] <= years[1] <= last and (kind != "growth" or years[0] < years[1])):
        raise SettingsError(f"{where}.years: should be [first, last] of years 1 to {last} (got {shown(years)})")
    known = _known(owner(table), settings)
    if not isinstance(of, list | tuple) or (of and not known):
        raise SettingsError(f"{where}.of: should be a list of names of a table that has any (got {shown(of)})")
    for item in of:
        if item not in known:
            raise SettingsError(f"{where}.of: no such {owner(table)} (got {shown(item)}){near(str(item), known)}")
    return kind, arguments


def _known(kind: str, settings: Settings) -> list[str]:
    """Names that may stand in the column of owners."""
    return {"provider": list(settings.providers), "segment": list(settings.users.segments)}.get(kind, [])
