"""The moments of a process at which something can befall it: each phase of a step, and each change to a folder.

Moments are counted, so that the same moment of the same run is struck again. What changes a folder is seen by an audit
hook of the interpreter and by standing in for `os.fsync`; nothing in the package knows of it.
"""

import errno
import functools
import json
import os
import random
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aimarket.market import Market
from aimarket.recorder import RunWriter
from aimarket.stopwatch import PHASES
from faults.cases import Strike
from faults.disk import Disk

_CHANGES = {"os.mkdir": -1, "os.rmdir": -1, "os.remove": -1, "os.rename": 2}  # events, and where the folder stands
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_REFUSED = {"full": errno.ENOSPC, "read-only": errno.EROFS, "broken": errno.EIO}


class Moments:
    """Counts the moments of this process from now on, and strikes at some of them. There is no way back.

    folder : changes within it count
    due    : what is to happen at which moment, {(kind, number): strike}; kinds are "phase" and "write"
    tell   : says something to whoever started this process and waits for the answer
    cut    : where to leave what a power cut leaves of the folder
    """

    def __init__(
        self, folder: Path, due: dict[tuple[str, int], Strike], tell: Callable[[str], None], cut: Path, case: int
    ) -> None:
        self._folder, self._due, self._tell, self._cut = f"{folder.absolute()}/", due, tell, cut
        self._draws = random.Random(f"what is left {case}")
        self._counts: Counter[str] = Counter()
        self._refused = 0  # the error that every change meets from now on
        self._busy = False  # what is done here is no moment
        self._disk = Disk(folder) if any(strike.fault == "power" for strike in due.values()) else None
        for phase in PHASES:
            setattr(Market, phase, self._before("phase", getattr(Market, phase)))
        RunWriter.write_part = self._before("write", RunWriter.write_part)  # Arrow's own writing is not heard of
        self._fsync, os.fsync = os.fsync, self._synced
        sys.addaudithook(self._heard)

    def counted(self) -> str:
        """How many moments there were, as JSON {kind: number}."""
        return json.dumps(self._counts)

    def reach(self, kind: str, what: str = "", path: str = "") -> None:
        """A moment: it may be the last."""
        if self._busy:
            return
        self._busy = True
        try:
            self._counts[kind] += 1
            if strike := self._due.get((kind, self._counts[kind])):
                self._strike(strike)
            if self._refused and kind == "write" and (self._refused != errno.ENOSPC or what not in ("remove", "rmdir")):
                raise OSError(self._refused, os.strerror(self._refused), path)
        finally:
            self._busy = False

    def _strike(self, strike: Strike) -> None:
        self._tell(f"struck {strike.fault}")
        match strike.fault:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "power":
                assert self._disk
                self._disk.cut(self._cut, self._draws)
                os.kill(os.getpid(), signal.SIGKILL)
            case "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            case "memory":
                raise MemoryError
            case "rival":
                self._tell("rival")
                self._disk = self._disk and Disk(Path(self._folder))  # what others wrote is sure
            case _:
                self._refused = _REFUSED[strike.fault]

    def _before(self, kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def reached(*arguments: Any, **named: Any) -> Any:
            self.reach(kind)
            return method(*arguments, **named)

        return reached

    def _synced(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        within = f"{path}/".startswith(self._folder)
        if within:
            self.reach("write", "fsync", path)
        self._fsync(descriptor)
        if within and self._disk and not self._busy:
            self._busy = True
            self._disk.sync(Path(path))
            self._busy = False

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or not (set(mode) & set("wax+") if mode else flags & _WRITING):
                return
            folder = -1
        elif event in _CHANGES:
            path, folder = arguments[0], arguments[_CHANGES[event]]
        else:
            return
        where = os.readlink(f"/proc/self/fd/{folder}") if folder != -1 else ""
        whole = os.path.abspath(os.path.join(where, os.fsdecode(path)))
        if f"{whole}/".startswith(self._folder):
            self.reach("write", event.removeprefix("os."), whole)


def limit_files(size: int, kill: bool) -> None:
    """No file of this process grows beyond a size in bytes: it gets an error, or dies with the file half written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if kill else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
