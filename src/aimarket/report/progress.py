"""Progress of a run or a sweep on stderr: a bar on a terminal, plain lines elsewhere; stdout stays clean."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
Show = Callable[[str, str], None]


@contextmanager
def progress(total_steps: int, description: str, enabled: bool = True) -> Iterator[Advance]:
    """Show how far a run is; call the yielded `advance(step, replication)` after every step, from any thread.

    total_steps : how often `advance` will be called: steps × replications, less what a resumed run has done
    """
    with _shown(total_steps, description, "steps", enabled) as show:
        yield lambda step, replication: show(f"replication {replication}", "")


@contextmanager
def sweep_progress(total_points: int, description: str, enabled: bool = True) -> Iterator[Callable[[bool], None]]:
    """Show how far a sweep is; call the yielded `advance(failed)` when a point has ended, from any thread."""
    failures = 0

    def advance(failed: bool) -> None:
        nonlocal failures
        failures += failed
        said = f"{failures} failed" if failures else ""
        show(said, said)

    with _shown(total_points, description, "points", enabled) as show:
        yield advance


@contextmanager
def _shown(total: int, description: str, unit: str, enabled: bool) -> Iterator[Show]:
    """Counts calls of what it yields: `show(beside the bar, in a plain line)`."""
    if not enabled or total <= 0:
        yield lambda beside, within: None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        yield from _bar(total, description, unit)
    else:
        yield _Lines(total, description, unit).advance


def _bar(total: int, description: str, unit: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[where]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        task = bar.add_task(description, total=total, where="")
        yield lambda beside, within: bar.update(task, advance=1, where=beside)


class _Lines:
    """A line after every tenth of the work."""

    def __init__(self, total: int, description: str, unit: str) -> None:
        self._total, self._description, self._unit = total, description, unit
        self._done, self._tenths = 0, 0
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, beside: str, within: str) -> None:
        """Count one; what stands beside a bar is left out."""
        with self._lock:
            self._done += 1
            tenths = 10 * self._done // self._total
            if tenths > self._tenths:
                self._tenths = tenths
                sys.stderr.write(f"{self._line(within)}\n")
                sys.stderr.flush()

    def _line(self, within: str) -> str:
        spent = time.monotonic() - self._start
        left = spent / self._done * (self._total - self._done)
        when = f"{duration(left)} left" if self._done < self._total else f"done in {duration(spent)}"
        share = 100 * self._done // self._total
        counted = f"{self._done} of {self._total} {self._unit} ({share} %)"
        return f"{self._description}: {', '.join(filter(None, [counted, within, when]))}"


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
