"""Many runs of one or several studies: planned and checked together, run by a few processes."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from aimarket.configuration import load, run_id
from aimarket.recorder import finished
from aimarket.settings import Settings
from aimarket.simulation import run


@dataclass(frozen=True)
class Point:
    """One run of a study."""

    overrides: tuple[str, ...]
    settings: Settings
    run_id: str


@dataclass(frozen=True)
class Outcome:
    """How many points ran, how many were complete before, and the ids of those that failed."""

    done: int
    skipped: int
    failed: list[str]


def plan(points: Sequence[Sequence[str]]) -> list[Point]:
    """Compose and check every point before any runs.

    raises : SettingsError naming key, value and what is allowed
    """
    planned = []
    for overrides in points:
        settings = load(overrides)
        planned.append(Point(tuple(overrides), settings, run_id(settings)))
    return planned


def run_points(points: Sequence[Point], processes: int = 0, retry_failed: bool = False, title: str = "") -> Outcome:
    """Run them, skipping complete ones; a failed point is recorded and the rest go on.

    processes : 0 is one a core
    """
    todo = [p for p in points if not finished(Path(p.settings.outputs) / p.settings.study, p.run_id)]
    failed: list[str] = []
    if processes == 1 or len(todo) < 2:
        failed = [point.run_id for point in todo if not _run(point)]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes or os.cpu_count() or 1, context) as pool:
            jobs = {pool.submit(_run, point): point for point in todo}
            failed = [jobs[job].run_id for job in as_completed(jobs) if not job.result()]
    return Outcome(len(todo) - len(failed), len(points) - len(todo), failed)


def _run(point: Point) -> bool:
    try:
        run(point.settings, point.overrides)
    except (ArithmeticError, OSError, MemoryError, ValueError):
        return False
    return True
