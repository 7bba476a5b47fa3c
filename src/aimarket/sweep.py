"""Many runs: planned before the first begins, done once each, whatever fails or is interrupted.

    points = plan([["run.seed=1"], ["run.seed=2"]])
    outcome = run_points(points)

Complete points are never run again, and what failed is left alone until one asks for it again. Points are judged by the
files they leave, wherever they were run.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aimarket.checkpoints import discard
from aimarket.compilation import compile_ahead
from aimarket.complaints import one_line
from aimarket.composition import compose_each
from aimarket.conditions import condition, finished
from aimarket.configuration import run_id, validate
from aimarket.plans import Planned, distinguishing, write_plan
from aimarket.pool import outcomes
from aimarket.settings import Settings
from aimarket.simulation import processes_for, record_failure, run
from aimarket.workspaces import clear

Reasons = Mapping[str, str]  # {run id: why it failed}, of points that may not have been able to write it down


@dataclass(frozen=True)
class Point:
    """One run of a sweep: the overrides it was planned with, the settings they make, and its id."""

    overrides: tuple[str, ...]
    settings: Settings
    run_id: str

    @property
    def folder(self) -> Path:
        """The folder of its study."""
        return Path(self.settings.outputs) / self.settings.study


@dataclass(frozen=True)
class Outcome:
    """What became of the points of a sweep.

    done       : points run to their end now
    skipped    : points that were complete before
    failed     : "run id (overrides): reason" of each point that is not complete, whether it failed now or before; of
                 the overrides those that not all points share
    left_alone : of these, points that had failed before and were not run again
    """

    done: int
    skipped: int
    failed: list[str]
    left_alone: int = 0


def plan(points: Sequence[Sequence[str]]) -> list[Point]:
    """Compose and check every point, each a list of overrides; nothing is run or written.

    raises : SettingsError that names key, value and what is allowed
    """
    made = []
    for overrides, config in zip(points, compose_each(points), strict=True):
        settings = validate(config)
        made.append(Point(tuple(overrides), settings, run_id(settings)))
    return made


def run_points(
    points: Sequence[Point],
    processes: int = 0,
    retry_failed: bool = False,
    title: str = "",
    design: Mapping[str, Any] | None = None,
    show: bool = True,
) -> Outcome:
    """Run every point that is not complete, on processes of this machine.

    A point that fails leaves a manifest that says why, and the rest go on. One point alone is run in this process and
    its replications on others.

    processes    : how many at once; 0: one a core, or for every `run.threads` cores; 1: all in this process
    retry_failed : run those that failed before, too
    title        : what is shown beside the progress; the study if empty
    design       : what the points were drawn by, kept with the plan of the study; see `designs`
    show         : draw the progress
    """

    def here(due: Sequence[Point]) -> Reasons:
        beside = processes_for([point.settings for point in due], processes or None)
        if len(due) == 1:
            return _alone(due[0], beside, title, show)
        return _beside(due, beside, title, show)

    return carry_out(points, here, retry_failed, design)


def carry_out(
    points: Sequence[Point],
    by: Callable[[Sequence[Point]], Reasons],
    retry_failed: bool = False,
    design: Mapping[str, Any] | None = None,
) -> Outcome:
    """Plan, run what is due by the means given, and see what came of it.

    by : runs points, wherever; returns why some failed, as far as it knows
    """
    _write_plans(points, design)
    distinct = {(point.folder, point.run_id): point for point in points}
    before = {place: condition(*place) for place in distinct}
    for place, found in before.items():
        if found.state == "done":
            discard(*place)  # of a point interrupted just when it was complete
    untouched = ("done",) if retry_failed else ("done", "failed")
    due = [point for place, point in distinct.items() if before[place].state not in untouched]
    try:
        reasons = by(due) if due else {}
    finally:
        for folder in {folder for folder, _ in distinct}:
            clear(folder)  # of processes that were killed
    failed = []
    swept = distinguishing([point.overrides for point in distinct.values()])
    for (place, point), which in zip(distinct.items(), swept, strict=True):
        after = condition(*place)
        if after.state != "done":
            new = after.reason if after != before[place] else ""  # why it failed before may not be why it does now
            reason = new or reasons.get(point.run_id) or after.reason or "not complete"
            failed.append(f"{point.run_id} ({which}): {one_line(reason)}")
    skipped = sum(found.state == "done" for found in before.values())
    left_alone = len(distinct) - skipped - len(due)
    return Outcome(len(distinct) - len(failed) - skipped, skipped, failed, left_alone)


def run_point(point: Point) -> str:
    """Run one point in this process unless it is complete; returns why it failed, or nothing.

    Whatever it raises is told and not passed on: the other points are to run.
    """
    if finished(point.folder, point.run_id):  # another sweep of this study may have got here first
        return ""
    try:
        run(point.settings, point.overrides, processes=1)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _write_plans(points: Sequence[Point], design: Mapping[str, Any] | None) -> None:
    studies: dict[Path, list[Planned]] = {}
    for point in points:
        studies.setdefault(point.folder, []).append(Planned(point.run_id, point.overrides))
    for folder, runs in studies.items():
        write_plan(folder, runs, design)


def _alone(point: Point, processes: int, title: str, show: bool) -> Reasons:
    """One point, its progress in steps."""
    from aimarket.report.progress import compiling_announced, progress

    steps = point.settings.run.steps * point.settings.run.replications
    try:
        with compiling_announced() as announce:
            compile_ahead(point.settings, announce)
            with progress(steps, title or point.settings.study, show) as advance:
                run(point.settings, point.overrides, advance, processes)
    except Exception as error:
        return {point.run_id: f"{type(error).__name__}: {error}"}
    return {}


def _beside(points: Sequence[Point], processes: int, title: str, show: bool) -> Reasons:
    """Several points, as many beside each other as there are processes."""
    from aimarket.report.progress import compiling_announced, sweep_progress

    if processes > 1:
        with compiling_announced() as announce:
            compile_ahead(points[0].settings, announce)
    reasons = {}
    with (
        sweep_progress(len(points), title or points[0].settings.study, show) as advance,
        closing(_ended(points, processes)) as ended,
    ):
        for point, reason in ended:
            if reason:
                reasons[point.run_id] = reason
            advance(bool(reason))
    return reasons


def _ended(points: Sequence[Point], processes: int) -> Generator[tuple[Point, str]]:
    """Points as they end, and why they failed."""
    if processes == 1:
        yield from ((point, run_point(point)) for point in points)
        return
    with closing(outcomes(run_point, points, min(processes, len(points)))) as results:
        for position, reason in results:
            point = points[position]
            if isinstance(reason, Exception):  # it never came back
                reason = _recorded(point, reason)
            yield point, reason


def _recorded(point: Point, error: Exception) -> str:
    """Write down for a point why it failed; returns the reason, or nothing if its last act was to complete it."""
    if finished(point.folder, point.run_id):
        return ""
    with suppress(OSError):  # where nothing can be written the caller still hears it
        record_failure(point.settings, point.overrides, error)
    return str(error)
