"""Where files are made, and how they get to their place: whole or not at all, even if the power fails.

A file is made in `<study>/.partial/<name>.<pid>/`, synced, then renamed. Its owner holds a lock there, which goes with
the process however it ends; what has none is cleared by the next. Numbers of processes decide nothing where there are
locks: one is used again, a dead process that nobody asked after keeps its own, and another machine has others.
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

PARTIAL = ".partial"
CHECKPOINTS = ".checkpoints"
HEADER = "checkpoint.json"  # STUDY/.checkpoints/RUN_ID/REPLICATION/checkpoint.json
_SEAL = ',\n "sha256": "'  # before the hash of a JSON file, which is of all that stands before this
_DEEPEST = 100  # levels of a JSON file

_CLAIMING = threading.Lock()
_PATIENCE = 3.0  # seconds; others are in there for milliseconds


@contextmanager
def workspace(folder: Path, name: str) -> Iterator[Path]:
    """A private folder in `<folder>/.partial/`, removed afterwards; those of dead processes are cleared first."""
    home = Path(folder) / PARTIAL
    make_folder(home)
    with _claiming(home) as alone:
        _clear(home, alone)
        mine = (home / f"{name}.{os.getpid()}{twin}" for twin in chain([""], map("-{}".format, count(2))))
        partial = next(place for place in mine if not place.exists())  # of a process with this number elsewhere
        partial.mkdir()
        lock = (partial / "lock").open("w")
        with suppress(OSError):  # a disk without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def workspaces(folder: Path) -> dict[str, bool]:
    """The names under which something is, or was, at work in a study, and whether it still is."""
    home = Path(folder) / PARTIAL
    found: dict[str, bool] = {}
    if home.is_dir():
        with _claiming(home) as alone:
            for partial in home.iterdir():
                name = partial.name.rpartition(".")[0]
                found[name] = found.get(name, False) or _is_owned(partial, alone)
    return found


def clear(folder: Path) -> None:
    """Remove what dead processes left half made in a study."""
    home = Path(folder) / PARTIAL
    with suppress(OSError), _claiming(home) as alone:  # there may be nothing, or what cannot be changed
        _clear(home, alone)


@contextmanager
def _claiming(home: Path) -> Iterator[bool]:
    """Nobody else makes or clears workspaces meanwhile: one that is just being made has no lock yet.

    Yields whether that is sure: some disks lock files, but no folders, and who was stopped in here keeps the lock.
    """
    with _CLAIMING:
        descriptor = os.open(home, os.O_RDONLY)
        try:
            yield _locked(descriptor)
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock a file; whether that was possible within some time."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        except OSError:
            return False
        else:
            return True


def _clear(home: Path, alone: bool) -> None:
    for partial in home.iterdir():
        if not _is_owned(partial, alone):
            shutil.rmtree(partial, ignore_errors=True)


def _is_owned(partial: Path, alone: bool) -> bool:
    """Whether somebody holds the lock of a workspace; on a disk without locks, whether its process is alive here."""
    pid = partial.name.rpartition(".")[2].partition("-")[0]
    living = pid.isdigit() and _alive(int(pid))
    try:
        with (partial / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # whoever made it died before there was one, or is about to make it
        pass
    except OSError:
        return living
    return not alone and living and int(pid) != os.getpid()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, and someone else's
    return True


def publish(partial: Path, target: Path) -> Path:
    """Move a finished file to its place so that it is there whole or not at all, even if the power fails."""
    publish_each({partial: target})
    return target


def publish_each(files: Mapping[Path, Path]) -> None:
    """Move finished files, {where it was made: its place}, to where each is whole, or not at all, even if power fails.

    When this returns all are there to stay: what names them may be published.
    """
    for partial in files:
        sync(partial)
    for partial, target in files.items():
        make_folder(target.parent)
        partial.replace(target)
    for folder in dict.fromkeys(target.parent for target in files.values()):
        sync(folder)


def make_folder(folder: Path) -> None:
    """Make a folder, and those it is in, so that they are there even if the power fails."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def described(file: Path, path: str) -> dict[str, Any]:
    """What there is to know of a file: where it is to stand, its size and its hash."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"path": path, "bytes": file.stat().st_size, "sha256": digest}


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(folder: Path, path: str, value: Mapping[str, Any]) -> Path:
    """Put a JSON file of some name into a study: it is there whole or not at all."""
    with workspace(folder, Path(path).stem) as partial:
        (partial / "json").write_text(as_json(value), encoding="utf-8")
        return publish(partial / "json", Path(folder) / path)


def as_json(value: Mapping[str, Any]) -> str:
    """A mapping as the text of a JSON file, a line a key; the last is the hash of those before it, see `read_json`.

    A line a key, because indenting all of it takes five times as long to write.
    """
    lines = (f" {json.dumps(key)}: {json.dumps(value[key], allow_nan=False, default=_plain)}" for key in value)
    return _sealed("{\n" + ",\n".join(lines))


def _sealed(body: str) -> str:
    """The text of a JSON file: all but its end, and the hash of that."""
    return f'{body}{_SEAL}{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


def read_json(path: Path) -> dict[str, Any]:
    """What `as_json` made the text of a file from; a single byte that is another is enough to refuse it.

    raises : OSError, and ValueError if the file is not, to the byte, what was written
    """
    text = path.read_bytes().decode()
    if text != _sealed(text.rpartition(_SEAL)[0]):
        raise ValueError("it is not, to the byte, what was written")
    try:
        value = json.loads(text)
        if "\\ud" in text:  # half a letter could be read, and not be written again
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        value = None
    if not isinstance(value, dict) or _is_deep(value):
        raise ValueError("it is no mapping, or one that is nested too deeply")
    del value["sha256"]
    return value


def _is_deep(value: Any) -> bool:
    """Whether mappings and lists lie in one another further down than anybody needs; looks level by level."""
    level = [value]
    for _ in range(_DEEPEST):
        parts = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [part for some in parts for part in some]
        if not level:
            return False
    return True


def within(folder: Path, path: object) -> Path:
    """A file of a folder by the path that another file gives.

    raises : ValueError if that leads out of it
    """
    if not isinstance(path, str) or Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise ValueError(f"{path!r:.80} is no file of {folder}")
    return folder / path


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a JSON file holds plain values only, got {value!r}")
