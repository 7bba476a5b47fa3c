"""What a point of a sweep costs beside its market, in one process: planned, checked, recorded, written, judged."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from aimarket import Market, simulate
from aimarket.recorder import parquet_writer
from aimarket.schema import TABLES, arrow_schema
from aimarket.sweep import plan, run_points
from benchmarks.measuring import Row, fastest

POINTS, ROUNDS = 10, 5


def sweep(folder: Path, points: int = POINTS) -> None:
    """A whole sweep in this process, from overrides to judged files; the default roster, one step, few users."""
    fresh = tempfile.mkdtemp(dir=folder)
    made = plan([_overrides(fresh, seed) for seed in range(1, points + 1)])
    outcome = run_points(made, processes=1, show=False)
    if outcome.failed:
        raise RuntimeError(outcome.failed[0])


def markets(points: int = POINTS) -> None:
    """The same markets, and nothing else."""
    for point in plan([_overrides("nowhere", 1)]) * points:
        Market(point.settings).step()


def write(folder: Path, tables: dict[str, pa.Table], times: int = POINTS) -> None:
    """The files of a point, written by Arrow and no more."""
    for _ in range(times):
        for table in TABLES:
            with parquet_writer(folder / table, arrow_schema(table)) as writer:
                writer.write_table(tables[table])


def rows(say: Callable[[str], None]) -> list[Row]:
    """Processor time of a point besides its market, and how many bare writings of its tables that is."""
    say(f"{POINTS} points of one step in one process, {ROUNDS} times")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = dict(simulate(plan([_overrides(name, 1)])[0].settings).tables)
        tasks = {"sweep": lambda: sweep(folder), "markets": markets, "tables": lambda: write(folder, tables)}
        seconds = fastest(tasks, ROUNDS)
    beside = seconds["sweep"] - seconds["markets"]
    ratio = beside / seconds["tables"]
    return [Row("sweep", "a point besides its market", 1e3 * beside / POINTS, "ms", ratio, "writing its tables")]


def _overrides(folder: str, seed: int) -> list[str]:
    return [f"outputs={folder}", "study=sweep", "users.size=500", "run.steps=1", f"run.seed={seed}"]
