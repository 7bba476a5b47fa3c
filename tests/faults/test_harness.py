"""Random markets under random mishaps, and whether that would be seen if the package broke its promises."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = 60


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]  # a process of its own: it forks, which takes one without threads
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=3600)


def test_whatever_befalls_a_study_its_bytes_are_those_of_the_plain_run() -> None:
    done = python("-m", "faults", "--cases", str(CASES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"0 of {CASES} cases failed" in done.stdout


@pytest.mark.parametrize("fault", ["power", "kill"])
def test_whatever_moment_it_befalls_a_run_at(fault: str) -> None:
    done = python("-m", "faults", "--moments", fault)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of " in done.stdout


BROKEN = {  # what breaks a promise, the fault that brings it to light, and what is seen
    "nothing is synced": ("power", "workspaces.sync = recorder.sync = lambda path: None", "torn"),
    "manifests come first": (
        "kill",
        """
publish, publish_each, late = workspaces.publish, workspaces.publish_each, {}
def hasty(partial, target):
    publish(partial, target)
    publish_each(late)
    return target
recorder.publish_each = late.update
recorder.publish = hasty""",
        "came before",
    ),
    "a market is not brought to where it was": (
        "kill",
        "checkpoints.Keeper.restore = lambda self, market: None",
        "other bytes",
    ),
    "a checkpoint is not whole when its header stands": (
        "kill",
        "checkpoints.Keeper._write_state = lambda self, *_: {'path': 'state', 'bytes': 0, 'sha256': ''}",
        "exit code 2",
    ),
    "what the dead leave stays": ("kill", "workspaces._clear = lambda home, alone: None", "left in .partial"),
    "an interrupt ends in a failure": (
        "interrupt",
        """
def failing():
    raise RuntimeError("lost")
interrupts._interrupt = failing""",
        "exit code 1",
    ),
    "a full disk ends in a traceback": ("full", "simulation.RunWriter.fail = lambda *_: {}['lost']", "a traceback"),
}


@pytest.mark.parametrize("promise", BROKEN)
def test_what_breaks_a_promise_is_seen(promise: str) -> None:
    fault, change, seen = BROKEN[promise]
    script = f"""
import sys
sys.path[:0] = [".", "tests/support"]
from aimarket import checkpoints, interrupts, recorder, simulation, workspaces
from faults.examining import examine_moments
{change}
for examined in examine_moments({fault!r}):
    if {seen!r} in str(examined.wrong):
        sys.exit(0)
sys.exit("nothing was seen")"""
    done = python("-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
