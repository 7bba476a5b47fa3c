"""Attempts to finish a study, each in a process of its own, and what is seen of them from outside.

The process is forked from one in which everything is imported and compiled, and says what `aimarket` says.
"""

import atexit
import copy
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from compositions import changed
from everything import everything

import aimarket.designs
import aimarket.overrides
import aimarket.sweep
from aimarket import Market, cli, recording, strata
from aimarket.configuration import validate
from faults.cases import SMALLEST_CHUNK, Attempt, Case
from faults.cluster import cluster
from faults.moments import Moments, limit_files

_IMPORTED = (
    *("aimarket.commands.run", "aimarket.commands.resume", "aimarket.multirun", "aimarket.results", "aimarket.sweep"),
    *("aimarket.report.summary", "aimarket.report.progress", "rich.console", "rich.table", "rich.progress"),
)  # when they are needed, elsewhere
_PATIENCE = 900  # seconds until a process is taken for hanging; the machine may be crowded


@dataclass
class Ended:
    """How a process ended.

    code   : as `subprocess` has it, negative for a signal
    said   : on stdout and on stderr
    struck : what befell it
    counts : its moments by kind, if it lived to tell
    """

    code: int = 0
    said: tuple[str, str] = ("", "")
    struck: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def warm() -> None:
    """Import and compile what markets take; from here on processes are forked."""
    for module in _IMPORTED:
        importlib.import_module(module)
    strata.SMALLEST = SMALLEST_CHUNK
    market = Market(validate(everything(run__steps=3)))
    for _ in range(3):
        market.step()
    gc.freeze()


def perform(
    case: Case, attempt: Attempt, folder: Path, counts: Mapping[str, int], meanwhile: Callable[[], None] | None = None
) -> Ended:
    """Give a command in a folder, and wait until its process has ended.

    counts    : moments by kind of the run when nothing happens, which the strikes have shares of
    meanwhile : what a rival does, if one comes
    """
    due = {(strike.kind, 1 + int(strike.share * counts.get(strike.kind, 0))): strike for strike in attempt.strikes}
    ours, theirs = zip(*(os.pipe() for _ in range(3)), strict=True)
    heard, answer = os.pipe()
    process = os.fork()
    if process == 0:
        for descriptor in (*ours, answer):
            os.close(descriptor)
        _live(case, attempt, folder, due, theirs, heard)
    for descriptor in (*theirs, heard):
        os.close(descriptor)
    texts = dict.fromkeys(ours, b"")
    ended = Ended()
    try:
        for descriptor, text in _texts(ours, process):
            texts[descriptor] += text
            while descriptor == ours[2] and b"\n" in texts[descriptor]:
                line, _, texts[descriptor] = texts[descriptor].partition(b"\n")
                what, _, rest = line.decode().partition(" ")
                match what:
                    case "struck":
                        ended.struck.append(rest)
                    case "counts":
                        ended.counts = json.loads(rest)
                    case "rival" if meanwhile:
                        meanwhile()
                os.write(answer, b".")
    finally:
        for descriptor in (*ours, answer):
            os.close(descriptor)
        ended.code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    ended.said = (texts[ours[0]].decode(), texts[ours[1]].decode())
    return ended


def _texts(descriptors: tuple[int, ...], process: int) -> Iterator[tuple[int, bytes]]:
    """What comes from a process by each of some descriptors, until all are closed; it is killed if it hangs."""
    left, deadline = list(descriptors), time.monotonic() + _PATIENCE
    while left:
        ready, _, _ = select.select(left, [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(process, signal.SIGKILL)
            raise TimeoutError(f"hangs for {_PATIENCE} seconds")
        for descriptor in ready:
            if text := os.read(descriptor, 2**16):
                yield descriptor, text
            else:
                left.remove(descriptor)


def _live(
    case: Case, attempt: Attempt, folder: Path, due: dict[Any, Any], out: tuple[int, ...], heard: int
) -> NoReturn:
    """The life of a process; it is over at the end of this."""
    code = 1
    try:
        atexit._clear()  # that is for who forked this
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, descriptor in enumerate(out[:2], 1):
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        os.chdir(folder)

        def tell(line: str) -> None:
            os.write(out[2], f"{line}\n".encode())
            os.read(heard, 1)

        moments = Moments(folder / "outputs", due, tell, folder / "cut", case.number)
        sys.modules |= cluster(cores=64, lost_at=attempt.lost)
        recording.STEPS_IN_PART = case.part
        if attempt.file_limit:
            limit_files(attempt.file_limit, attempt.torn)
        _compose_as(case)
        code = _ended(case.command(attempt))
        tell(f"counts {moments.counted()}")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(arguments: list[str]) -> int:
    """The exit code of a command, and a traceback on stderr where the interpreter would leave one."""
    try:
        cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _compose_as(case: Case) -> None:
    """The market of a case is what the configuration says: composing it would take longer than all else."""

    def compose(overrides: Sequence[str]) -> dict[str, Any]:
        values = {key: int(value) for key, _, value in (override.partition("=") for override in overrides)}
        return changed(copy.deepcopy(case.config), values)

    def points(overrides: Sequence[str]) -> tuple[list[list[str]], None]:
        common = [override for override in overrides if not override.startswith("run.seed=")]
        return [[seed, *common] for seed in case.seeds()], None

    aimarket.overrides.compose_plain = compose
    aimarket.designs.points_of = points
    aimarket.sweep.compose_each = lambda points: map(compose, points)
