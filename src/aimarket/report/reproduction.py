"""The commands that make a study again, each tried before it is shown."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aimarket.complaints import SettingsError
from aimarket.composition import read_yaml
from aimarket.composition_cache import conf_dir
from aimarket.configuration import load, run_id
from aimarket.designs import as_override, points_of
from aimarket.manifests import Manifest
from aimarket.plans import Planned, read_plans
from aimarket.report.study import order

_Overrides = Sequence[tuple[str, ...]]
_Design = Mapping[str, Any] | None
_RANGE = 4  # whole numbers in a row that are written as a range


def commands(folder: Path, manifests: Sequence[Manifest], stated: str | None = None) -> tuple[list[str], bool]:
    """The commands that make the study again, one a multirun; and whether they make these very runs.

    stated : the one command that made all of it, if the study says so

    Runs that no plan of the study mentions are one multirun, too, if there is one that has just these points. Not these
    very runs are those of another version, and those started from Python with settings that no override names.
    """
    asked: list[tuple[_Design, list[Planned]]] = []
    told: set[str] = set()
    for plan in sorted(read_plans(folder), key=lambda plan: -len(plan["points"])):
        runs = {point.run_id for point in plan["points"]}
        if not runs <= told:
            asked.append((plan["design"], plan["points"]))
            told |= runs
    rest = [Planned(str(m["run_id"]), tuple(map(str, m["overrides"]))) for m in manifests if m["run_id"] not in told]
    if rest:
        asked.append((None, sorted(rest, key=_order)))
    made = (line for design, points in asked for line in _lines(design, [point.overrides for point in points]))
    return [stated] if stated else list(made), all(_makes(point) for _, points in asked for point in _sample(points))


def _order(point: Planned) -> list[tuple[float, str]]:
    return [_number(override.partition("=")[2]) for override in point.overrides]


def _number(text: str) -> tuple[float, str]:
    try:
        return order(float(text))
    except ValueError:
        return order(text)


def _sample(points: Sequence[Planned]) -> list[Planned]:
    return [points[0], points[len(points) // 2], points[-1]]


def _makes(point: Planned) -> bool:
    """Whether the overrides of a run still make it."""
    try:
        return run_id(load(list(point.overrides))) == point.run_id
    except SettingsError:
        return False


def _lines(design: _Design, points: _Overrides) -> list[str]:
    """One command for all points if it can be, otherwise one for each."""
    if len(points) > 1:
        ways: list[Callable[[], list[str] | None]] = [lambda: _product(points), lambda: _paired(points)]
        if design:
            ways = [lambda: _drawn(design, points)]
        for arguments in (way() for way in ways):
            if arguments and _made(arguments) == sorted(map(sorted, points)):
                return [shlex.join(["aimarket", "run", "-m", *arguments])]
    return [shlex.join(["aimarket", "run", *point]) for point in points]


def _made(arguments: list[str]) -> list[list[str]]:
    """The points of a multirun, sorted; none if it is refused."""
    try:
        return sorted(map(sorted, points_of(arguments)[0]))
    except SettingsError:
        return []


def _product(points: _Overrides) -> list[str] | None:
    """Every combination of the values of each key, in the order in which they come; None for more than the points."""
    values: dict[str, list[str]] = {}
    for override in (override for point in points for override in point):
        key, _, value = override.partition("=")
        if value not in values.setdefault(key, []):
            values[key].append(value)
    if math.prod(map(len, values.values())) != len(points):
        return None
    return [key if some == [""] else f"{key}={_listed(some)}" for key, some in values.items()]


def _listed(values: Sequence[str]) -> str:
    """Values as a multirun takes them: 1,2 and range(1,21)."""
    if len(values) >= _RANGE and all(value.isdecimal() for value in values):
        whole = [int(value) for value in values]
        if whole == list(range(whole[0], whole[-1] + 1)):
            return f"range({whole[0]},{whole[-1] + 1})"
    return ",".join(values)


def _paired(points: _Overrides) -> list[str] | None:
    """The values of each key walked together; None if the points do not have the same keys."""
    rows = [dict(override.partition("=")[::2] for override in point) for point in points]
    if any(row.keys() != rows[0].keys() for row in rows):
        return None
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    common = [f"{key}={values[0]}" for key, values in columns.items() if len(set(values)) == 1]
    walked = [f"{key}:[{','.join(values)}]" for key, values in columns.items() if len(set(values)) > 1]
    return [*common, "design=paired", f"design.parameters={{{','.join(walked)}}}"]


def _drawn(design: Mapping[str, Any], points: _Overrides) -> list[str] | None:
    """A design as it was asked for, and what was combined with each of its rows."""
    keys = tuple(f"{key}=" for key in design["parameters"])
    first = [point for point, row in zip(points, design["rows"], strict=True) if row == 0]
    base = _product([tuple(override for override in point if not override.startswith(keys)) for point in first])
    usual = read_yaml(conf_dir() / "design" / f"{design['kind']}.yaml")
    asked = [f"design.{key}={as_override(design[key])}" for key in usual if design.get(key) != usual[key]]
    return None if base is None else [*base, f"design={design['kind']}", *asked]
