"""How things are measured: in one run, by turns, and the fastest of several, for the machine may be busy elsewhere."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    section: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    of: str = ""  # what the ratio is of


def fastest(
    tasks: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Seconds of each task: the least of some rounds in which all take their turn, after one that does not count."""
    seconds = dict.fromkeys(tasks, float("inf"))
    for number in range(rounds + 1):
        for name, task in tasks.items():
            started = clock()
            task()
            if number:
                seconds[name] = min(seconds[name], clock() - started)
    return seconds


@dataclass(frozen=True)
class Process:
    """What a finished process printed and cost: processor and wall time in seconds."""

    output: str
    processor: float
    wall: float


def run_process(arguments: Sequence[str], **environment: str) -> Process:
    """Run Python on its own with this checkout's source; raises RuntimeError with its complaints if it fails."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Process(done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)
