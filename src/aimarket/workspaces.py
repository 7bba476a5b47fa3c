"""Where files are made, and how they get to their place: whole or not at all, even if the power fails.

A file is made in `<study>/.partial/<name>.<pid>/`, synced, then renamed. What a dead process left there is
cleared by the next.
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

PARTIAL = ".partial"
_DEEPEST = 100  # levels of a JSON file

_CLAIMING = threading.Lock()


@contextmanager
def workspace(folder: Path, name: str) -> Iterator[Path]:
    """A private folder `<folder>/.partial/<name>.<pid>`, removed afterwards; those of dead processes are cleared first.

    Its owner holds a file lock: on a shared disk a process of another machine looks dead by its number but is not.
    """
    home = Path(folder) / PARTIAL
    partial = home / f"{name}.{os.getpid()}"
    with _CLAIMING:
        make_folder(home)
        for other in home.iterdir():
            _clear_if_dead(other)
        partial.mkdir()
        lock = (partial / "lock").open("w")
        with suppress(OSError):  # a disk without locks: others cannot lock either, and so never clear
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever asks after its owner holds it for a moment
    with lock:
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def workspaces(folder: Path) -> dict[str, bool]:
    """The names under which something is, or was, at work in a study, and whether it still is."""
    found: dict[str, bool] = {}
    with suppress(FileNotFoundError):
        for partial in (Path(folder) / PARTIAL).iterdir():
            name = partial.name.rpartition(".")[0]
            found[name] = found.get(name, False) or _is_owned(partial)
    return found


def _is_owned(partial: Path) -> bool:
    """Whether somebody holds the lock of a workspace; on a disk without locks, whether its process is alive here."""
    pid = partial.name.rpartition(".")[2]
    try:
        with (partial / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return pid.isdigit() and _alive(int(pid))


def _clear_if_dead(partial: Path) -> None:
    pid = partial.name.rpartition(".")[2]
    if not pid.isdigit() or (int(pid) != os.getpid() and _alive(int(pid))):
        return
    with suppress(OSError), (partial / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(partial, ignore_errors=True)


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
    sync(partial)
    make_folder(target.parent)
    partial.replace(target)
    sync(target.parent)
    return target


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
    """A mapping as the text of a JSON file, a line a key: indenting all of it takes five times as long to write."""
    lines = (f" {json.dumps(key)}: {json.dumps(value[key], allow_nan=False, default=_plain)}" for key in value)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds, if it is a mapping that one can walk through.

    raises : OSError, and ValueError if it is none
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if "\\ud" in text:  # half a letter could be read, and not be written again
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        value = None
    if not isinstance(value, dict) or is_deep(value):
        raise ValueError("it is no mapping, or one that is nested too deeply")
    return value


def is_deep(value: Any) -> bool:
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
    given = Path(str(path))
    if given.is_absolute() or ".." in given.parts or "\0" in str(path):
        raise ValueError(f"{path!r:.80} is no file of {folder}")
    return folder / given


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a JSON file holds plain values only, got {value!r}")
