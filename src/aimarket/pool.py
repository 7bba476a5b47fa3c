"""Tasks on processes of this machine, which end when the process that hired them does, however that happens."""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from aimarket.freed_memory import keep_freed_memory
from aimarket.interrupts import heard

_PATIENCE = 10.0  # seconds for a process to tidy up before it is killed


class WorkerDiedError(RuntimeError):
    """The process of a task ended before the task did: killed, or out of memory."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def outcomes[Task, Outcome](
    function: Callable[[Task], Outcome], tasks: Sequence[Task], processes: int
) -> Generator[tuple[int, Outcome | Exception]]:
    """What `function` gives for each task, or the exception it raises, as (position, outcome) in the order they end.

    Tasks begin in their order. A process that dies takes only its own task with it, and another is hired. Leaving the
    loop early ends the processes.

    function  : defined in a module, like all that is handed to another process
    processes : how many work at once, at least 1
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    waiting = deque(enumerate(tasks))
    hired: dict[Any, _Worker] = {}  # by their lines
    try:
        while waiting or hired:
            while waiting and len(hired) < processes:
                worker = _hire(context, function)
                hired[worker.connection] = worker
                worker.give(*waiting.popleft())
            for ready in wait(list(hired)):
                worker = hired[ready]
                position, outcome = worker.position, worker.outcome()
                if isinstance(outcome, WorkerDiedError) or not waiting:
                    del hired[worker.connection]
                    worker.connection.close()
                else:
                    worker.give(*waiting.popleft())
                yield position, outcome
    finally:
        _dismiss(hired.values())


@dataclass
class _Worker:
    """A process, this end of the line to it, and the task it has."""

    process: BaseProcess
    connection: "Connection[Any, Any]"
    position: int = field(default=-1, init=False)

    def give(self, position: int, task: Any) -> None:
        self.position = position
        with suppress(OSError):  # it is dead: `outcome` will tell
            self.connection.send(task)

    def outcome(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join(_PATIENCE)
            code = self.process.exitcode
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            return WorkerDiedError(f"its process died ({how}); out of memory?")


def _hire(context: Any, function: Callable[[Any], Any]) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, theirs), daemon=False)
    process.start()
    theirs.close()  # so that the line breaks if the process does
    return _Worker(process, ours)


def _dismiss(workers: Any) -> None:
    """End processes that may be at work; each has a moment to tidy up."""
    left = list(workers)
    for worker in left:
        worker.process.terminate()
    for worker in left:
        worker.process.join(_PATIENCE)
        worker.process.kill()
        worker.process.join()
        worker.connection.close()


def _work(function: Callable[[Any], Any], connection: "Connection[Any, Any]") -> None:
    """The life of a process: one task after another until the line is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who hired us will say what to do
    leave = heard(_leave)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGALRM, leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    with suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            try:
                outcome = function(task)
            except Exception as error:
                outcome = _told(error)
            connection.send(outcome)


def _leave() -> NoReturn:
    sys.exit(1)  # by the door, so that half-written files are removed


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _told(error: Exception) -> Exception:
    """An exception that can travel, with where it was raised as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        multiprocessing.reduction.ForkingPickler.dumps(error)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
