"""Sweeps survive: every point once, whatever is killed; failures are told; nobody who computes changes a byte."""

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tasks import sleep, square, told_to_end

from aimarket import open_results, pool, sweep
from aimarket.complaints import SettingsError
from aimarket.conditions import manifest_path
from aimarket.plans import read_plans, standings
from aimarket.sweep import Outcome, plan, run_points
from aimarket.workspaces import workspace, workspaces

TINY = ["roster=duopoly", "users.size=300", "run.panel=50", "run.steps=2"]


def overrides(folder: Path, *more: str) -> list[str]:
    return [f"outputs={folder}", "study=sweep", *TINY, *more]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aimarket", *arguments]


def call(folder: Path, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=folder, preexec_fn=before, capture_output=True, text=True, check=False, timeout=600
    )


def digests(study: Path) -> dict[str, str]:
    """{table/run: SHA-256} of all that runs wrote."""
    files = [path for path in study.rglob("*.parquet") if path.parent.name not in ("collected", ".partial")]
    return {str(path.relative_to(study)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def complete(study: Path) -> dict[str, int]:
    """When each complete run was completed, in nanoseconds."""
    found = {}
    for path in (study / "runs").glob("*.json"):
        assert json.loads(path.read_text())["status"] == "complete"
        found[path.stem] = path.stat().st_mtime_ns
    return found


# --- one process or many ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("one")
    points = plan([overrides(folder, f"run.seed={seed}") for seed in range(1, 5)])
    assert run_points(points, processes=1, show=False) == Outcome(done=4, skipped=0, failed=[])
    return digests(folder / "sweep")


def test_processes_change_no_byte_and_nothing_is_run_twice(tmp_path, in_one_process):
    points = plan([overrides(tmp_path, f"run.seed={seed}") for seed in range(1, 5)])
    assert run_points(points[:1], processes=2, show=False) == Outcome(1, 0, [])
    first = complete(tmp_path / "sweep")
    assert run_points(points, processes=3, show=False) == Outcome(3, 1, [])
    assert digests(tmp_path / "sweep") == in_one_process
    assert complete(tmp_path / "sweep").items() >= first.items()
    assert run_points(points + points, processes=2, show=False) == Outcome(0, 4, [])


def test_all_points_are_checked_before_the_first_is_run(tmp_path):
    with pytest.raises(SettingsError, match=r"run\.seed"):
        plan([overrides(tmp_path), overrides(tmp_path, "run.seed=-1")])
    assert not list(tmp_path.iterdir())


def test_plans_add_up_and_a_study_tells_what_it_lacks(tmp_path):
    points = plan([overrides(tmp_path, f"run.seed={seed}") for seed in range(1, 6)])
    run_points(points[:2], processes=1, show=False)
    study = tmp_path / "sweep"
    for _ in range(2):  # the same plan is written once
        run_points(points[1:2], processes=1, show=False)
    assert sorted(len(made["points"]) for made in read_plans(study)) == [1, 2]
    next((study / "market").iterdir()).write_bytes(b"torn")
    stale = next((study / "market").iterdir()).stem
    with workspace(study, points[3].run_id):
        left = study / ".partial" / f"{points[2].run_id}.1"  # by a process that was killed, on another machine
        left.mkdir()
        (left / "lock").touch()
        found = {run.run_id: run for run in standings(study)}
    assert len(found) == 4
    assert (found[stale].state, found[stale].reason) == ("stale", f"market/{stale}.parquet is torn")
    assert (found[points[2].run_id].state, found[points[2].run_id].reason) == ("stale", "interrupted")
    assert found[points[3].run_id].state == "running"
    assert [run.state for run in standings(study)].count("done") == 1


def test_points_of_one_seed_share_their_users_and_their_luck():
    """Common random numbers: what differs between points is what the parameters do."""
    from aimarket import Market

    one, other = (
        Market(point.settings) for point in plan([[*TINY, f"users.usage_elasticity={e}"] for e in (0.5, 1.5)])
    )
    for name in ("segment", "region", "quality", "price", "latency", "tasks"):
        ours, theirs = (getattr(market.population.users, name) for market in (one, other))
        assert ours.tobytes() == theirs.tobytes(), name
    draws = (market.streams.at("some.stream", step=3, owner="alpha").uniform(0, 9) for market in (one, other))
    assert next(draws).tolist() == next(draws).tolist()


# --- replications -----------------------------------------------------------------------------------------------------


def test_replications_beside_each_other_change_no_byte(tmp_path):
    made = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        (point,) = plan([overrides(folder, "run.replications=5", "run.steps=3")])
        assert run_points([point], processes=processes, show=False).done == 1
        made.append(digests(folder / "sweep"))
        assert not list((folder / "sweep" / ".partial").iterdir())
    assert made[0] == made[1]
    assert open_results(tmp_path / "2" / "sweep").market["replication"].unique().tolist() == [0, 1, 2, 3, 4]


def test_a_replication_that_fails_elsewhere_fails_the_run_and_says_where(tmp_path):
    (point,) = plan([overrides(tmp_path, "run.replications=3", "users.segments.consumer.contract=null")])
    study = tmp_path / "sweep"
    study.mkdir()
    (study / "ledger").write_text("no folder can be made here")
    outcome = run_points([point], processes=2, show=False)
    assert outcome.done == 0
    assert "ledger" in outcome.failed[0]
    assert not list(study.rglob("*.parquet"))
    assert not list((study / ".partial").iterdir())


# --- processes that die -----------------------------------------------------------------------------------------------


def test_a_process_that_dies_takes_only_its_own_task_with_it():
    found = dict(pool.outcomes(square, range(9), 2))
    assert {n: found[n] for n in found if n not in (3, 5)} == {n: n * n for n in (0, 1, 2, 4, 6, 7, 8)}
    assert isinstance(found[3], ArithmeticError)
    assert 'raise ArithmeticError("three")' in found[3].__notes__[0]
    assert isinstance(found[5], pool.WorkerDiedError)
    assert "signal 9" in str(found[5])


def test_a_process_that_is_told_to_end_where_it_cannot_ends_a_moment_later():
    """It made a failure of the order, which the point then was recorded with."""
    ((_, outcome),) = pool.outcomes(told_to_end, [3], 1)
    assert isinstance(outcome, pool.WorkerDiedError), repr(outcome)
    assert "exit code 1" in str(outcome)


def test_a_point_whose_process_died_as_soon_as_it_was_complete_is_complete(tmp_path, monkeypatch):
    def struck_at_the_end(task, points, processes):
        for position, point in enumerate(points):
            assert not task(point)
            yield position, pool.WorkerDiedError("signal 9")

    monkeypatch.setattr(sweep, "outcomes", struck_at_the_end)
    points = plan([overrides(tmp_path, f"run.seed={seed}") for seed in (1, 2)])
    assert run_points(points, processes=2, show=False) == Outcome(done=2, skipped=0, failed=[])
    assert len(complete(tmp_path / "sweep")) == 2


def test_leaving_early_ends_the_processes():
    results = pool.outcomes(sleep, [0.0, 600.0, 600.0], 2)
    _, worker = next(results)
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [24, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_sweep_killed_three_times_is_the_sweep_that_was_not(tmp_path, size):
    """Every point once, none torn, the same bytes; what was complete when it was killed is not run again."""
    moments = random.Random(size)
    arguments = ["run", "-m", "study=sweep", *TINY, "run.processes=2", f"run.seed=range(1,{size + 1})"]
    folders = [tmp_path / name for name in ("killed", "left_alone")]
    for folder in folders:
        folder.mkdir()
    study, repeated, before = folders[0] / "outputs" / "sweep", 0, {}
    for kill in range(3):
        due = size * (kill + moments.random()) / 3  # points that may be complete by then
        process = subprocess.Popen(command(*arguments), cwd=folders[0], stderr=subprocess.DEVNULL)
        while len(list((study / "runs").glob("*.json"))) < due and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.2 * moments.random())
        process.kill()
        process.wait()
        wait_until_idle(study)
        now = complete(study)
        repeated += sum(now[run] != when for run, when in before.items())
        interrupted = [run for run in standings(study) if run.state == "stale"]
        assert len(interrupted) <= 2  # those that were running
        before = now
    last = call(folders[0], *arguments)
    assert last.returncode == 0, last.stderr
    now = complete(study)
    repeated += sum(now[run] != when for run, when in before.items())
    assert repeated == 0
    assert len(now) == size
    assert workspaces(study) == {}
    assert call(folders[1], *arguments).returncode == 0
    assert digests(study) == digests(folders[1] / "outputs" / "sweep")
    assert call(folders[0], "status", "sweep").stdout == f"outputs/sweep: {size} runs: {size} done\n"


def wait_until_idle(study: Path) -> None:
    """Until the processes of a sweep have seen that the one that hired them is gone."""
    deadline = time.monotonic() + 30
    while any(run.state == "running" for run in standings(study)):
        assert time.monotonic() < deadline, "processes outlive the one that hired them"
        time.sleep(0.02)


# --- failures ---------------------------------------------------------------------------------------------------------


def small_files() -> None:
    """A disk that is full at 200 kB a file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def test_points_that_fail_are_told_and_the_rest_run(tmp_path):
    """One point in twenty writes more than the disk takes."""
    small = ["run", "-m", "study=sweep", *TINY, "run.processes=2"]
    failing = [*small, "design=paired"]
    values = "{run.seed: [" + ",".join(map(str, range(1, 21))) + "], run.replications: [60" + 19 * ",1" + "]}"
    failing.append(f"design.parameters={values}")
    done = call(tmp_path, *failing, before=small_files)
    assert done.returncode == 1
    assert done.stdout == "outputs/sweep: 19 run, 0 already complete, 1 failed\n"
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("aimarket: run ")]
    assert "(run.seed=1 run.replications=60): OSError" in told
    assert "too large" in told
    assert "Traceback" not in done.stderr
    status = call(tmp_path, "status", "sweep")
    assert status.returncode == 1
    assert "20 runs: 19 done, 1 failed" in status.stdout
    assert "File too large" in status.stdout
    study = tmp_path / "outputs" / "sweep"
    (failed,) = [run.run_id for run in standings(study) if run.state == "failed"]
    manifest = json.loads(manifest_path(study, failed).read_text())
    assert "Traceback" in manifest["traceback"]
    assert (manifest["seed"], manifest["overrides"][-1]) == (1, "run.replications=60")
    assert not list((study / ".partial").iterdir())
    again = call(tmp_path, *failing)  # left alone, although the disk is large now
    assert again.returncode == 1
    assert "0 run, 19 already complete, 1 failed" in again.stdout
    retried = call(tmp_path, *failing, "--retry-failed")
    assert retried.returncode == 0, retried.stderr
    assert "1 run, 19 already complete, 0 failed" in retried.stdout
    assert call(tmp_path, "status", "sweep").returncode == 0


def test_retrying_is_for_sweeps(tmp_path):
    alone = call(tmp_path, "run", "--retry-failed", *TINY)
    assert (alone.returncode, alone.stderr.count("\n")) == (2, 1)
    assert "--retry-failed" in alone.stderr


def test_status_of_nothing_is_one_line(tmp_path):
    done = call(tmp_path, "status", "nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "nowhere" in done.stderr


def test_an_interrupt_ends_the_processes_and_leaves_nothing_half_done(tmp_path):
    call(tmp_path, "run", "users.size=300", "run.steps=2")  # who compiles hears no signal and is killed
    arguments = ["run", "-m", "study=sweep", "run.seed=range(1,9)", "users.size=20000", "run.steps=2000"]
    process = subprocess.Popen(
        command(*arguments, "run.processes=2"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    study = tmp_path / "outputs" / "sweep"
    deadline = time.monotonic() + 120
    while sum(run.state == "running" for run in standings(study)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list(study.rglob("*.parquet"))
    assert {run.state for run in standings(study)} == {"to do"}
    assert not list((study / ".partial").iterdir())
