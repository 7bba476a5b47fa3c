"""Files on their way to their place: who owns what is half made, and JSON that is to the byte what was written."""

import os
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from aimarket.workspaces import PARTIAL, as_json, clear, read_json, within, workspace, workspaces, write_json

VALUE = {"whole": np.int64(3), "part": 0.1, "place": Path("a/b"), "held": MappingProxyType({"é": [1, None]})}


def dead_process() -> int:
    """The number of a process that has ended."""
    return int(
        subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True).stdout
    )


def test_a_workspace_is_there_as_long_as_somebody_is_at_work(tmp_path: Path) -> None:
    with workspace(tmp_path, "some") as partial:
        assert workspaces(tmp_path) == {"some": True}
        clear(tmp_path)
        assert partial.is_dir()
        with workspace(tmp_path, "some") as twin:  # the same process, at the same under the same name
            assert twin != partial
            assert workspaces(tmp_path) == {"some": True}
    assert workspaces(tmp_path) == {}
    assert workspaces(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("with_lock", [True, False])
def test_what_the_dead_left_is_cleared(with_lock: bool, tmp_path: Path) -> None:
    left = tmp_path / PARTIAL / f"some.{dead_process()}"
    left.mkdir(parents=True)
    if with_lock:
        (left / "lock").touch()
    assert workspaces(tmp_path) == {"some": False}
    clear(tmp_path)
    assert workspaces(tmp_path) == {}
    clear(tmp_path / "nowhere")  # there is nothing to clear


def _nobody_can_lock(*_: Any) -> None:
    raise OSError("no locks on this disk")


@pytest.mark.parametrize("owner", [1, os.getpid()], ids=["somebody", "this"])
def test_on_a_disk_without_locks_a_process_that_lives_owns_its_workspace(
    owner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PARTIAL / f"theirs.{owner}").mkdir(parents=True)
    (tmp_path / PARTIAL / f"theirs.{owner}" / "lock").touch()
    (tmp_path / PARTIAL / f"dead.{dead_process()}").mkdir()
    monkeypatch.setattr("fcntl.flock", _nobody_can_lock)
    assert workspaces(tmp_path) == {"theirs": True, "dead": False}
    with workspace(tmp_path, "mine") as partial:  # made all the same
        assert partial.is_dir()
        assert workspaces(tmp_path) == {"theirs": True, "mine": True}


def test_json_comes_back_as_plain_values(tmp_path: Path) -> None:
    path = write_json(tmp_path, "runs.json", VALUE)
    assert path == tmp_path / "runs.json"
    assert read_json(path) == {"whole": 3, "part": 0.1, "place": "a/b", "held": {"é": [1, None]}}
    assert [place.name for place in tmp_path.rglob("*") if place.is_file()] == ["runs.json"]
    with pytest.raises(TypeError, match="plain values only"):
        as_json({"set": {1}})
    with pytest.raises(ValueError, match="Out of range"):
        as_json({"nan": float("nan")})


def test_a_byte_more_less_or_other_is_refused(tmp_path: Path) -> None:
    path = write_json(tmp_path, "runs.json", VALUE)
    whole = path.read_bytes()
    for spoiled in (whole + b" ", whole[:-1], whole.replace(b"3", b"4", 1), b"", b"\xff", b"{}"):
        path.write_bytes(spoiled)
        with pytest.raises(ValueError):
            read_json(path)


def test_a_mapping_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    deep: Any = 0
    for _ in range(98):
        deep = [deep]
    assert read_json(write_json(tmp_path, "deep.json", {"a": deep})) == {"a": deep}
    path = write_json(tmp_path, "deeper.json", {"a": [deep]})
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(path)


def test_a_path_leads_nowhere_else(tmp_path: Path) -> None:
    assert within(tmp_path, "a/b.json") == tmp_path / "a" / "b.json"
    for path in ("../a", "/etc/passwd", "a/../../b", "a\0b"):
        with pytest.raises(ValueError, match="is no file of"):
            within(tmp_path, path)
