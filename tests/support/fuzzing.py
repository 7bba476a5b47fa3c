"""The command line under input that nobody meant: what it answered, and what it touched meanwhile.

A case is drawn from its number alone: the same number is the same input anywhere.
"""

import contextlib
import io
import os
import re
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aimarket import cli
from aimarket.complaints import ResultsError, SettingsError, fail

PATIENCE = 300  # seconds after which a case counts as hung; the machine may be busy
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "shutil.rmtree",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
}
_OTHERS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class",
           "socket.connect", "socket.bind", "urllib.Request", "ctypes.dlopen"}  # fmt: skip


def _is_of_a_library(event: str, arguments: tuple[Any, ...]) -> bool:
    """Numba reads its cache of compiled functions, which is code and lies beside it; Matplotlib asks for fonts."""
    if event == "ctypes.dlopen":
        return arguments[0] is None or "site-packages" in str(arguments[0])
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_globals.get("__name__", "").startswith(("numba.", "multiprocessing.", "matplotlib.")):
            return True
    return False


# One line; of a run that went on before it came upon what is wrong, how far it was, too.
_TEMPORARY = tempfile.gettempdir()  # who asks first tries it out, which the watch would hear
_LINE = re.compile(r"(.*(steps \(|goes on from step).*\n)*aimarket: .*\n")


class HungError(BaseException):
    """No answer came in time; nothing that is tested catches it."""


@dataclass
class Box:
    """A folder in which everything happens: the commands run in `work`, and may write in `work/outputs`."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("work/outputs", "secret", "cache"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "secret" / "file.yaml").write_text("secret: 1\n")
        (self.root / "secret" / "file").write_text("secret\n")

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def secret(self) -> Path:
        return self.root / "secret"

    def put(self, name: str, content: str | bytes) -> str:
        """Write a file that a command is given; returns its path as the command is told it."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return name

    def outside(self) -> dict[str, int]:
        """Size of everything that no command may change, by path."""
        free = (self.work / "outputs", self.root / "cache")
        found = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in free]
            found |= {f"{folder}/{name}": -1 for name in folders}
            found |= {f"{folder}/{name}": Path(folder, name).lstat().st_size for name in files}
        return found

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Work in the box, with caches of its own."""
        places = {"HOME": self.root, "XDG_CACHE_HOME": self.root / "cache", "MPLCONFIGDIR": self.root / "cache"}
        before, here = dict(os.environ), Path.cwd()
        os.environ.update({name: str(place) for name, place in places.items()}, COLUMNS="200")
        os.chdir(self.work)
        try:
            yield
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)


@dataclass
class Answer:
    """What a command did: exit code, what it printed, an exception that came through, and what it touched."""

    code: Any = None
    out: str = ""
    err: str = ""
    raised: str = ""
    touched: list[str] = field(default_factory=list)
    grown: float = 0.0  # MiB of memory that the process took more than ever before

    def faults(self) -> list[str]:
        """What is wrong with it, whatever was asked."""
        found = [self.raised] if self.raised else []
        found += [f"touched {what}" for what in self.touched]
        text = self.out + self.err
        if "Traceback (most recent" in text or re.search(r"\.py\", line \d+", text):
            found.append("a traceback was shown")
        if self.code not in (None, 0, 1, 2):
            found.append(f"exit code {self.code!r}")
        if self.code == 2 and (self.out or not _LINE.fullmatch(self.err)):
            found.append("no single line")
        if any(len(line) > 1500 for line in self.err.splitlines()):
            found.append("a line too long")
        if self.code in (1, 2) and not (self.err + self.out).strip():
            found.append("not a word")
        if self.grown > 1000:
            found.append(f"{self.grown:.0f} MiB of memory")
        return found


class _Watch:
    """Hears from the interpreter of every file opened or changed and everything started; there is one a process."""

    def __init__(self) -> None:
        self.box: Box | None = None
        self.touched: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.box is None:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, str | bytes | os.PathLike):
                writes = bool(flags & _WRITING) if isinstance(flags, int) else any(x in str(mode) for x in "wax+")
                self._judge(os.fsdecode(path), "wrote" if writes else "read")
        elif event in _CHANGES and isinstance(arguments[0], str | bytes | os.PathLike):
            if (
                event not in ("os.remove", "os.rmdir", "os.mkdir") or arguments[-1] == -1
            ):  # not of a folder that is judged
                self._judge(os.fsdecode(arguments[0]), event)
        elif event in _OTHERS and not _is_of_a_library(event, arguments):
            self.touched.append(f"{event} {arguments!r:.100}")

    def _judge(self, name: str, how: str) -> None:
        assert self.box is not None
        path = os.path.realpath(name)
        if path.startswith(str(self.box.secret)):
            self.touched.append(f"{how} {path}")
        free = (f"{self.box.work}/outputs", f"{self.box.root}/cache", "/dev/", f"{_TEMPORARY}/pymp-")
        if how == "os.mkdir" and Path(path).is_dir():
            return  # it is only made sure of
        if how != "read" and not path.startswith(free) and not re.search("__pycache__|numba-", path):
            self.touched.append(f"{how} {path}")


_watch: list[_Watch] = []


def ask(box: Box, *arguments: str) -> Answer:
    """Call the command line in this process, and watch it."""
    return _watched(box, lambda: cli.main(arguments))


def called(box: Box, function: Callable[[], object]) -> Answer:
    """Call what a command calls, where the rest of the command would take long; told as it would tell."""

    def command() -> None:
        try:
            function()
        except ValueError as error:
            if type(error) not in (SettingsError, ResultsError, ValueError):
                raise
            fail(str(error))

    return _watched(box, command)


def _watched(box: Box, command: Callable[[], None]) -> Answer:
    if not _watch:
        _watch.append(_Watch())
    answer, out, err = Answer(), io.StringIO(), io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with box.entered(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        _watch[0].touched, _watch[0].box = [], box
        try:
            with patience():
                command()
        except SystemExit as end:
            answer.code = end.code
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            answer.raised = f"{type(error).__name__}: {error!s:.200} ({Path(where.filename).name}:{where.lineno})"
        finally:
            _watch[0].box = None
    answer.out, answer.err = out.getvalue(), err.getvalue()
    answer.touched = _watch[0].touched
    answer.grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return answer


@contextlib.contextmanager
def patience(seconds: float | None = None) -> Iterator[None]:
    """Break off what takes too long."""

    def hung(*_: object) -> None:
        raise HungError(f"no answer within {seconds or PATIENCE} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds or PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
