"""Real processes, real signals, real disks: what a simulated mishap cannot show."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aimarket.plans import standings
from aimarket.workspaces import PARTIAL, workspace, workspaces

TINY = ["roster=duopoly", "users.size=300", "run.panel=50", "run.steps=2", "study=fire"]
LONG = ["roster=duopoly", "users.size=2000", "run.panel=50", "run.steps=150", "study=fire"]


def aimarket(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aimarket", *arguments]


def started(folder: Path, *arguments: str, before: Callable[[], object] | None = None) -> subprocess.Popen[str]:
    """A command that hears of interrupts, also where whoever started the tests does not."""

    def prepared() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if before:
            before()

    return subprocess.Popen(
        arguments,
        cwd=folder,
        preexec_fn=prepared,  # noqa: PLW1509  there are no threads
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and stderr without a traceback."""
    _, errors = process.communicate(timeout=900)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    return process.returncode, errors


def call(folder: Path, *arguments: str, before: Callable[[], object] | None = None) -> tuple[int, str]:
    return ended(started(folder, *aimarket(*arguments), before=before))


def digests(folder: Path) -> dict[str, str]:
    study = folder / "outputs" / "fire"
    return {
        path.relative_to(study).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in study.rglob("*.parquet")
    }


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal
from aimarket import cli
{how}
cli.main(["run", *{arguments}])
"""


def test_an_interrupt_where_the_compiler_cannot_be_left_is_not_lost(tmp_path, monkeypatch):
    """The compiler calls back from where nothing can be raised: the run went on, or failed for what was not done."""
    how = """
from llvmlite.binding.executionengine import ExecutionEngine
set_object_cache, left = ExecutionEngine.set_object_cache, [1]
def set_interrupted(self, notify, get):
    def interrupted(*arguments):
        while left:
            os.kill(os.getpid(), left.pop() and signal.SIGINT)
        return notify(*arguments)
    set_object_cache(self, interrupted, get)
ExecutionEngine.set_object_cache = set_interrupted"""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "empty"))
    code, errors = ended(started(tmp_path, sys.executable, "-c", INTERRUPTED.format(how=how, arguments=TINY)))
    assert (code, errors.splitlines()[-1].partition(";")[0]) == (130, "aimarket: interrupted")
    assert not list(tmp_path.rglob("runs/*.json"))


def test_an_interrupt_while_what_was_computed_is_made_into_arrays_is_not_lost(tmp_path):
    """What comes while a compiled function runs is heard there first; it ended with a SystemError and exit code 1."""
    how = """
from numba.core import serialize
left = [1]
class Interrupted(dict):
    def __getitem__(self, key):
        while left:
            os.kill(os.getpid(), left.pop() and signal.SIGINT)
        return super().__getitem__(key)
serialize._unpickled_memo = Interrupted(serialize._unpickled_memo)"""
    code, errors = ended(started(tmp_path, sys.executable, "-c", INTERRUPTED.format(how=how, arguments=TINY)))
    assert (code, errors.splitlines()[-1].partition(";")[0]) == (130, "aimarket: interrupted")
    assert not list(tmp_path.rglob("runs/*.json"))


def test_an_interrupt_while_something_is_thrown_away_is_not_lost(tmp_path):
    """Python tells of what is raised there and goes on."""
    how = """
from aimarket.market import Market
left, measure = [1], Market.measure
class Thrown:
    def __del__(self):
        while left:
            os.kill(os.getpid(), left.pop() and signal.SIGINT)
def measured(market):
    Thrown()
    measure(market)
Market.measure = measured"""
    code, errors = ended(started(tmp_path, sys.executable, "-c", INTERRUPTED.format(how=how, arguments=TINY)))
    assert (code, errors.splitlines()[-1].partition(";")[0]) == (130, "aimarket: interrupted")
    assert not list(tmp_path.rglob("runs/*.json"))


def test_an_interrupt_of_code_that_is_made_from_a_text_ends_with_130_too(tmp_path):
    """As dataclasses make it: the interpreter remembers, and would end with the signal in place of the exit code."""
    how = """
import importlib
def load(name):
    exec("os.kill(os.getpid(), signal.SIGINT)\\nfor _ in range(10**8): pass")
importlib.import_module = load"""
    code, errors = ended(started(tmp_path, sys.executable, "-c", INTERRUPTED.format(how=how, arguments=TINY)))
    assert (code, errors.count("\n")) == (130, 1)


def test_a_sweep_tells_who_interrupts_it_what_is_kept(tmp_path):
    process = started(tmp_path, *aimarket("run", "-m", *LONG, "run.seed=range(1,40)", "run.processes=2"))
    study = tmp_path / "outputs" / "fire"
    wait_for(lambda: len(list(study.glob("runs/*.json"))) >= 2, process)
    process.send_signal(signal.SIGINT)
    code, errors = ended(process)
    kept = len(list(study.glob("runs/*.json")))
    assert code == 130
    assert f"{kept} of 39 points are complete, the same command runs the others" in errors
    assert not list((study / PARTIAL).iterdir())
    assert {run.state for run in standings(study)} == {"done", "to do"}


# --- workspaces -------------------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from aimarket.workspaces import workspace
with workspace(sys.argv[1], "run"):
    print("here", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that was killed in its workspace and that nobody has asked after: its number is still its own."""
    process = started(tmp_path, sys.executable, "-c", HOLD, str(tmp_path))
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    assert workspaces(tmp_path) == {"run": True}
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process
    process.communicate()


def test_a_dead_process_that_nobody_asked_after_owns_nothing(tmp_path, dead):
    os.kill(dead.pid, 0)  # there is one of this number
    assert workspaces(tmp_path) == {"run": False}
    with workspace(tmp_path, "other") as mine:
        assert list((tmp_path / PARTIAL).iterdir()) == [mine]


def test_a_number_that_is_used_again_owns_nothing(tmp_path):
    """Of a process that lives, of this one, and of one that died before it had a lock."""
    for pid in (os.getppid(), os.getpid()):
        (tmp_path / PARTIAL / f"run.{pid}").mkdir(parents=True)
        (tmp_path / PARTIAL / f"run.{pid}" / "lock").touch()
    (tmp_path / PARTIAL / "early.1").mkdir()
    assert workspaces(tmp_path) == {"run": False, "early": False}
    with workspace(tmp_path, "run") as mine:
        assert list((tmp_path / PARTIAL).iterdir()) == [mine]
        assert workspaces(tmp_path) == {"run": True}
        with workspace(tmp_path, "run") as twin:  # as two machines that count processes alike
            assert {path.name for path in (tmp_path / PARTIAL).iterdir()} == {mine.name, twin.name}
            assert workspaces(tmp_path) == {"run": True}


def test_who_makes_workspaces_at_once_takes_none_away(tmp_path):
    script = "import sys\nfrom aimarket.workspaces import workspace\nfor n in range(300):\n"
    script += "    with workspace(sys.argv[1], f'run{n}') as mine:\n        (mine / 'file').write_text('')\n"
    script += "        assert (mine / 'file').exists()"
    several = [started(tmp_path, sys.executable, "-c", script, str(tmp_path)) for _ in range(4)]
    assert [ended(process) for process in several] == [(0, "")] * 4
    assert not list((tmp_path / PARTIAL).iterdir())


# --- a worker lost, two at one study, memory, a full disk -------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Six points that nothing befell."""
    folder = tmp_path_factory.mktemp("plain")
    assert call(folder, *SIX, "run.processes=1")[0] == 0
    return digests(folder)


SIX = ["run", "-m", *LONG, "run.seed=range(1,7)"]


def test_a_lost_worker_costs_its_point_until_that_is_run_again(tmp_path, plain):
    process = started(tmp_path, *aimarket(*SIX, "run.processes=2"))
    at_work = tmp_path / "outputs" / "fire" / PARTIAL
    wait_for(lambda: len(own := list(at_work.glob("?" * 16 + ".*"))) == 2 and all(map(_locked, own)), process)
    victim = next(at_work.glob("?" * 16 + ".*"))
    os.kill(int(victim.name.partition(".")[2]), signal.SIGKILL)
    code, errors = ended(process)
    assert code == 1
    assert "its process died (signal 9)" in errors
    assert not list(at_work.iterdir())
    lost = victim.name.partition(".")[0]
    assert digests(tmp_path) == {path: digest for path, digest in plain.items() if lost not in path}
    assert call(tmp_path, *SIX, "--retry-failed")[0] == 0
    assert digests(tmp_path) == plain


def _locked(partial: Path) -> bool:
    return (partial / "lock").exists()


def test_two_at_one_study_leave_it_whole(tmp_path, plain):
    both = [started(tmp_path, *aimarket(*SIX, "run.checkpoint_every=10", f"run.processes={n}")) for n in (1, 2)]
    ends = [ended(process) for process in both]
    assert [code for code, _ in ends] == [0, 0], ends
    assert digests(tmp_path) == plain
    assert call(tmp_path, "status", "fire")[0] == 0
    assert not list((tmp_path / "outputs" / "fire" / PARTIAL).iterdir())


def test_too_little_memory_is_one_line_and_the_run_can_be_given_more(tmp_path):
    much = ["run", *TINY, "users.size=300000000"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))

    code, errors = call(tmp_path, *much, before=limit)
    assert code == 1
    assert errors.count("\n") == 1
    assert "allocate" in errors
    (manifest,) = tmp_path.glob("outputs/fire/runs/*.json")
    assert json.loads(manifest.read_text())["status"] == "failed"
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk may be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_with_more_room_the_bytes_are_the_same(tmp_path, small_disk, plain):
    code, errors = call(small_disk, *SIX, "run.processes=2", "run.checkpoint_every=50")
    assert code == 1
    assert "No space left on device" in errors
    for path, digest in digests(small_disk).items():
        finished = small_disk / "outputs" / "fire" / "runs" / f"{Path(path).stem}.json"
        assert plain[path] == digest or not finished.exists()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert call(small_disk, *SIX, "--retry-failed", "run.checkpoint_every=50")[0] == 0
    assert digests(small_disk) == plain


def test_a_disk_that_can_only_be_read_is_one_line(tmp_path, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for command in (["run", *TINY], ["run", "-m", *TINY, "run.seed=1,2"]):
        code, errors = call(small_disk, *command)
        assert (code, errors.count("\n")) == (1, 1), errors
        assert "Read-only file system" in errors
