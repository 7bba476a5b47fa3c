"""Running markets for their moments, here or in processes that end with this one."""

import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aimarket.calibration.targets import Moment
from aimarket.configuration import load
from aimarket.simulation import simulate

Simulate = Callable[[Sequence[tuple[list[str], int]]], Iterator["Sample"]]
_FAILURES = (ArithmeticError, MemoryError, OSError, ValueError)


@dataclass(frozen=True)
class Sample:
    """Moments of one run, or why there are none."""

    moments: list[float]
    fault: str = ""


def measure(moments: Sequence[Moment], point: Sequence[str], seed: int) -> Sample:
    """Run a market in memory and measure it; a market that breaks off, or has no such moment, is said to."""
    needed = sorted({str(moment.arguments["table"]) for moment in moments})
    try:
        recording = simulate(load([*point, f"run.seed={seed}", f"record.tables=[{','.join(needed)}]"]))
    except _FAILURES as error:
        return Sample([], f"{type(error).__name__}: {error}")
    tables = {name: recording.frame(name) for name in needed}
    values = [moment.measure(tables) for moment in moments]
    missing = [moment.name for moment, value in zip(moments, values, strict=True) if not math.isfinite(value)]
    return Sample([], f"no value of {', '.join(missing)}") if missing else Sample(values)


@contextmanager
def workers(moments: Sequence[Moment], processes: int, advance: Callable[[], None]) -> Iterator[Simulate]:
    """What runs markets, in so many processes, and gives moments in the order asked for.

    processes : 0 is one a core
    advance   : called after every run
    """

    def in_turn(done: Iterator[Sample]) -> Iterator[Sample]:
        for sample in done:
            advance()
            yield sample

    count = processes or os.cpu_count() or 1
    if count == 1:
        yield lambda tasks: in_turn(measure(moments, *task) for task in tasks)
        return
    # A fresh interpreter for each process: a fork of one with threads may hang.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _end_with_parent) as pool:

        def simulate_all(tasks: Sequence[tuple[list[str], int]]) -> Iterator[Sample]:
            points, seeds = zip(*tasks, strict=True)
            return in_turn(pool.map(measure, [moments] * len(tasks), points, seeds))

        yield simulate_all


def _end_with_parent() -> None:
    """Let a worker end when its parent does, however that came about."""
    parent: Any = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
