"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere; stdout stays clean."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]


@contextmanager
def progress(total_steps: int, description: str, enabled: bool = True) -> Iterator[Advance]:
    """Show how far a run is; call the yielded `advance(step, replication)` after every step, from any thread.

    total_steps : how often `advance` will be called: steps × replications, less what a resumed run has done
    """
    if not enabled or total_steps <= 0:
        yield lambda step, replication: None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        yield from _bar(total_steps, description)
    else:
        yield _Lines(total_steps, description).advance


def _bar(total: int, description: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[where]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        task = bar.add_task(description, total=total, where="")

        def advance(step: int, replication: int) -> None:
            bar.update(task, advance=1, where=f"replication {replication}")

        yield advance


class _Lines:
    """A line after every tenth of the work."""

    def __init__(self, total: int, description: str) -> None:
        self._total, self._description = total, description
        self._done, self._tenths = 0, 0
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, step: int, replication: int) -> None:
        """Count one step; the arguments say where, which plain lines leave out."""
        with self._lock:
            self._done += 1
            tenths = 10 * self._done // self._total
            if tenths > self._tenths:
                self._tenths = tenths
                sys.stderr.write(f"{self._line()}\n")
                sys.stderr.flush()

    def _line(self) -> str:
        spent = time.monotonic() - self._start
        left = spent / self._done * (self._total - self._done)
        when = f"{duration(left)} left" if self._done < self._total else f"done in {duration(spent)}"
        share = 100 * self._done // self._total
        return f"{self._description}: {self._done} of {self._total} steps ({share} %), {when}"


@contextmanager
def compiling_announced() -> Iterator[None]:
    """Say once that functions are being compiled, should it come to that: nothing moves for a while then."""
    from numba.core import event

    class Announcement(event.Listener):  # type: ignore[misc]  # numba says nothing of types
        made = False

        def on_start(self, event: object) -> None:
            if not self.made:
                sys.stderr.write("aimarket: compiling for the first time, up to a minute; kept for later runs\n")
                sys.stderr.flush()
            self.made = True

        def on_end(self, event: object) -> None:
            pass

    with event.install_listener("numba:compile", Announcement()):
        yield


def duration(seconds: float) -> str:
    """Write a time as people say it: 8 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
