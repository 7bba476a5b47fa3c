"""Studies on disk for what reads them: of made-up numbers, cheap and known in advance, or small ones of the model."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aimarket.designs import points_of
from aimarket.recorder import Recorder, write
from aimarket.recording import KEYS
from aimarket.schema import TABLES
from aimarket.simulation import record_failure
from aimarket.sweep import plan, run_points

SMALL = ("users.size=300", "run.panel=60", "run.steps=26")
LABELS: dict[str, dict[str, list[str]]] = {  # what tells the rows of a step apart
    "market": {},
    "providers": {"provider": ["alpha", "beta"]},
    "statements": {"provider": ["alpha", "beta"]},
    "offers": {"provider": ["alpha", "alpha", "beta"], "offer": ["main", "mini", "main"]},
    "segments": {"segment": ["home", "work", "lab"]},
    "ledger": {
        "provider": ["alpha", "alpha", "beta"],
        "account": ["revenue", "energy", "revenue"],
        "counterparty": ["users", "utilities", "users"],
    },
    "events": {"provider": ["alpha", "alpha"], "kind": ["sale", "sale"], "subject": ["x", "x"]},
}


def write_run(
    folder: Path,
    run_id: str,
    seed: int = 1,
    replications: int = 1,
    steps: int = 3,
    per_year: int = 12,
    nan: float = 0.1,
    **groups: Any,
) -> None:
    """One run of made-up numbers, a share `nan` of which do not exist; `groups` are groups of settings."""
    draws = np.random.default_rng([seed, *run_id.encode()])
    recordings = []
    for replication in range(replications):
        recorder = Recorder(run_id)
        for step in range(1, steps + 1):
            for table, labels in LABELS.items():
                recorder.add(table, replication, step, step / per_year, _columns(table, labels, draws, nan))
        recordings.append(recorder.take())
    head = {"run_id": run_id, "seed": seed, "replications": replications, "overrides": [], "versions": {}}
    write(recordings, folder, {**head, "settings": {"run": {"seed": seed}, **groups}, "seconds": {"serve": 1.0}}, "")


def _columns(table: str, labels: dict[str, list[str]], draws: np.random.Generator, nan: float) -> dict[str, Any]:
    rows = len(next(iter(labels.values()), [""]))
    made: dict[str, Any] = dict(labels)
    for column in TABLES[table]:
        if column.name not in (*KEYS, *labels):
            numbers = np.where(draws.random(rows) < nan, np.nan, draws.normal(size=rows))
            made[column.name] = {"float64": numbers, "bool": numbers > 0, "string": [column.name] * rows}[column.kind]
    return made


def write_sweep(
    folder: Path, costs: Sequence[float] = (0.0, 2.0), seeds: Sequence[int] = (1, 2, 3), **run: Any
) -> Path:
    """A run for every switching cost and seed."""
    for i, cost in enumerate(costs):
        for seed in seeds:
            write_run(folder, f"run{i}s{seed}", seed, users={"switching": cost}, **run)
    return folder


def study(folder: Path, *overrides: str, failing: Collection[str] = ()) -> Path:
    """Run every point of a multirun in this process, as the command line would; returns the folder of the study.

    failing : points with one of these overrides do not run, but fail
    """
    points, design = points_of([*SMALL, *overrides, f"outputs={folder}", "study=small"])
    planned = plan(points)
    for point in planned:
        if set(failing) & set(point.overrides):
            record_failure(point.settings, point.overrides, OSError(f"no room\nfor seed {point.settings.run.seed}"))
    run_points(planned, processes=1, design=design, show=False)
    return folder / "small"
