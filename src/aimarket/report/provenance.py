"""Where the numbers of a study come from: its question, settings, seeds and versions."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aimarket.complaints import ResultsError, one_line
from aimarket.configuration import load, settings_dict
from aimarket.manifests import Manifest, read_manifests
from aimarket.plans import STATES, distinguishing, standings
from aimarket.report.study import NO_POINTS, order, short_names, written
from aimarket.workspaces import read_json

_NOT_COMPARED = ("study", "outputs", "about")
_MOST_VALUES = 8
_LONGEST = 60  # characters of a value in a table; all of it stands under all settings
_LONGEST_REASON = 240
ABSENT = "—"
STATED = "about.json"  # of a study that somebody else than its runs can tell about: a claim that was put to the test


def about(manifests: Sequence[Manifest], key: str) -> list[str]:
    """What the runs of a study state as question, prediction or outcome; each statement once."""
    said = (str(manifest["settings"].get("about", {}).get(key, "")).strip() for manifest in manifests)
    return list(dict.fromkeys(text for text in said if text))


def stated(folder: Path) -> dict[str, str]:
    """Question, prediction, answer and command that were written into a study as a whole; empty if none were.

    raises : ResultsError if the file is not what was written
    """
    path = folder / STATED
    try:
        return {key: str(text) for key, text in read_json(path).items()} if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read: {one_line(str(error))}") from error


def differences(manifests: Sequence[Manifest], swept: Mapping[str, Sequence[object]]) -> list[tuple[str, str, str]]:
    """Key, default and value of every setting that is not the default one; swept ones with all their values.

    swept : values of each swept setting by its dotted name
    """
    default = settings_dict(load())
    for name in _NOT_COMPARED:
        del default[name]
    here = {key: value for key, value in manifests[0]["settings"].items() if key not in _NOT_COMPARED}
    rows = {key: (key, old, new) for key, old, new in _differences(default, here)}
    usual = dict(leaves(default))
    for name, values in swept.items():
        rows[name] = (name, usual.get(name, ABSENT), _values(values))
    whole = [key for key in rows if any(name.startswith(f"{key}.") for name in swept)]  # its parts are told apart
    return [rows[key] for key in sorted(rows) if key not in whole]


def _differences(
    default: Mapping[str, Any], here: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """A branch that only one of the two has is one row."""
    for key in {**default, **here}:
        one, other = default.get(key), here.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{prefix}{key}.")
        elif json.dumps(one) != json.dumps(other):
            yield f"{prefix}{key}", _shown(one, key in default), _shown(other, key in here)


def _shown(value: object, there: bool) -> str:
    if not there:
        return ABSENT
    text = "set" if isinstance(value, Mapping) else _text(value)
    return _cut(text, _LONGEST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(value: object) -> str:
    if isinstance(value, float):
        return written(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _values(values: Sequence[object]) -> str:
    distinct = [written(value) for value in sorted(dict.fromkeys(values), key=order)]
    if len(distinct) <= _MOST_VALUES:
        return ", ".join(distinct)
    return f"{distinct[0]} to {distinct[-1]}, {len(distinct):,} values"


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by its dotted key, as one would write it on the command line."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "{}" if isinstance(value, Mapping) else _text(value)


def labels(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Each run by the overrides that not all runs share, seeds left out: "policy = merger, base = 0.5"."""
    own = {str(m["run_id"]): dict(str(item).partition("=")[::2] for item in m["overrides"]) for m in manifests}
    keys = dict.fromkeys(key for overrides in own.values() for key in overrides if key not in NO_POINTS)
    telling = [key for key in keys if len({overrides.get(key) for overrides in own.values()}) > 1]
    words = short_names(telling)
    return {
        run: ", ".join(f"{words[key]} = {overrides[key]}" for key in telling if key in overrides)
        for run, overrides in own.items()
    }


def seeds(manifests: Sequence[Manifest]) -> str:
    """The seeds of the runs: "1 to 8", or one after another."""
    found = sorted({int(manifest["seed"]) for manifest in manifests})
    if len(found) > 2 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found[:20])) + (", …" if len(found) > 20 else "")


def replications(manifests: Sequence[Manifest]) -> str:
    """How many replications each run has."""
    found = sorted({int(manifest["replications"]) for manifest in manifests})
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


class Missing(NamedTuple):
    """What a study was to hold and does not.

    failed     : run id, what tells its point apart, and the reason of each run that failed
    unfinished : how many others there are in each state: {"to do": 3}
    """

    failed: list[tuple[str, str, str]]
    unfinished: dict[str, int]


def missing(folder: Path) -> Missing:
    """Look for runs that failed, and for those that are planned and not done."""
    manifests = read_manifests(folder)
    points = distinguishing([tuple(map(str, manifest.get("overrides", ()))) for manifest in manifests])
    failed = [
        (str(manifest["run_id"]), point or ABSENT, _cut(one_line(str(manifest.get("error", ""))), _LONGEST_REASON))
        for manifest, point in zip(manifests, points, strict=True)
        if manifest["status"] != "complete"
    ]
    states: Counter[str] = Counter(run.state for run in standings(folder))
    return Missing(failed, {state: states[state] for state in STATES[1:] if states[state] and state != "failed"})


def versions(manifests: Sequence[Manifest]) -> list[tuple[str, str]]:
    """Every package a run names and its version, or versions."""
    names = dict.fromkeys(name for manifest in manifests for name in manifest["versions"])
    return [(name, ", ".join(sorted({str(m["versions"].get(name, ABSENT)) for m in manifests}))) for name in names]
