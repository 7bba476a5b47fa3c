"""What a study was to hold, and what became of it.

Each multirun leaves a plan, `<study>/plans/<plan>.json`, before its first point runs; the plans of a study add up.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aimarket.complaints import ResultsError, one_line
from aimarket.conditions import RUNS, condition
from aimarket.workspaces import CHECKPOINTS, HEADER, read_json, workspaces, write_json

PLANS = "plans"
_RUN_ID = re.compile("[0-9a-f]{16}")
STATES = ("done", "running", "failed", "stale", "to do")


class Planned(NamedTuple):
    """One run that a study is to hold."""

    run_id: str
    overrides: tuple[str, ...]


class Standing(NamedTuple):
    """How a run of a study stands.

    overrides : as it was planned; empty for a run that no plan mentions
    reason    : why it failed, or is stale, in one line; what is kept of it by checkpoints
    """

    run_id: str
    overrides: tuple[str, ...]
    state: Literal["done", "running", "failed", "stale", "to do"]
    reason: str


def write_plan(folder: Path, runs: Iterable[Planned], design: Mapping[str, Any] | None = None) -> Path:
    """Write down what is going to be run, and the design it follows; the same plan is written once."""
    points = [{"run_id": run.run_id, "overrides": list(run.overrides)} for run in runs]
    plan = {"design": design, "points": points}
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]
    path = f"{PLANS}/{digest}.json"
    with suppress(OSError, ValueError):  # there is none, or one that is torn
        if read_json(Path(folder) / path) == plan:
            return Path(folder) / path
    return write_json(folder, path, plan)


def read_plans(folder: Path) -> list[dict[str, Any]]:
    """Every plan of a study, by name; ResultsError names one that cannot be read."""
    plans = []
    for path in sorted((Path(folder) / PLANS).glob("*.json")):
        try:
            plan = read_json(path)
            plans.append({"design": plan["design"], "points": _points(plan)})
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ResultsError(f"{path} is not a plan: {one_line(str(error))}") from error
    return plans


def _points(plan: Mapping[str, Any]) -> list[Planned]:
    points = [Planned(str(point["run_id"]), tuple(map(str, point["overrides"]))) for point in plan["points"]]
    if strange := next((point.run_id for point in points if not _RUN_ID.fullmatch(point.run_id)), None):
        raise ValueError(f"{strange!r:.80} is no run")
    return points


def standings(folder: Path) -> list[Standing]:
    """Every run that a study holds or is to hold, the planned ones first and in their order.

    Running is what a living process, here or on any machine that shares the disk and its locks, has a workspace for;
    stale is what was interrupted, is of another schema, or lacks a file.
    """
    overrides = {run.run_id: run.overrides for plan in read_plans(folder) for run in plan["points"]}
    at_work = workspaces(folder)
    here = sorted(path.stem for path in (Path(folder) / RUNS).glob("*.json"))
    kept = (path.name for path in (Path(folder) / CHECKPOINTS).glob("*/"))
    begun = sorted(filter(_RUN_ID.fullmatch, {*at_work, *kept}))
    runs = dict.fromkeys([*overrides, *here, *begun])
    return [_standing(Path(folder), run_id, overrides.get(run_id, ()), at_work) for run_id in runs]


def _standing(folder: Path, run_id: str, overrides: tuple[str, ...], at_work: Mapping[str, bool]) -> Standing:
    found, reason = condition(folder, run_id)
    if found == "done":
        return Standing(run_id, overrides, "done", "")
    kept = _kept(folder, run_id)
    if at_work.get(run_id):
        return Standing(run_id, overrides, "running", kept)
    if found == "absent":
        interrupted = run_id in at_work or bool(kept)
        why = "; ".join(filter(None, ["interrupted" * interrupted, kept]))
        return Standing(run_id, overrides, "stale" if interrupted else "to do", why)
    return Standing(run_id, overrides, found, one_line(reason))


def _kept(folder: Path, run_id: str) -> str:
    """How far the checkpoints of a run have come, in words; nothing if there are none that can be read."""
    steps = []
    for path in sorted((folder / CHECKPOINTS / run_id).glob(f"*/{HEADER}")):
        with suppress(OSError, ValueError, LookupError):
            steps.append(str(read_json(path)["step"]))
    return f"kept up to step {', '.join(steps)}" if steps else ""


def distinguishing(overrides: Sequence[tuple[str, ...]]) -> list[str]:
    """Of each point the overrides that not all points share, in one line."""
    common = set.intersection(*map(set, overrides)) if len(overrides) > 1 else set()
    return [" ".join(item for item in point if item not in common) for point in overrides]
