"""A run that is interrupted goes on, with the bytes it would have had; and what cannot be gone on from says so."""

import dataclasses
import hashlib
import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from everything import everything
from invariance import written

from aimarket import checkpoints, recording
from aimarket.checkpoints import claimed, home, read
from aimarket.complaints import ResultsError
from aimarket.conditions import manifest_path
from aimarket.configuration import load, run_id, validate
from aimarket.plans import standings
from aimarket.settings import Settings
from aimarket.simulation import run
from aimarket.strata import SMALLEST
from aimarket.workspaces import CHECKPOINTS, HEADER, as_json, read_json

STEPS, REPLICATIONS = 10, 2


class Interrupted(BaseException):
    """What a power cut is to those who clean up after themselves: no exception that anybody handles."""


def in_folder(settings: Settings, folder: Path, **who: int) -> Settings:
    """The same run elsewhere, by other hands."""
    return dataclasses.replace(settings, outputs=str(folder), run=dataclasses.replace(settings.run, **who))


def interrupt(settings: Settings, replication: int, step: int) -> Path:
    """Run until just before something is kept of a step; the folder of the run's checkpoints."""

    def stop(done: int, of: int) -> None:
        if (of, done) == (replication, step):
            raise Interrupted

    with pytest.raises(Interrupted):
        run(settings, ["of=a test"], stop, processes=1)
    return home(Path(settings.outputs) / settings.study, run_id(settings))


def tables(settings: Settings) -> dict[str, bytes]:
    folder = Path(settings.outputs)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Every mechanism is on."""
    return validate(everything(run__steps=STEPS, run__replications=REPLICATIONS, run__checkpoint_every=3))


@pytest.fixture(scope="module")
def whole(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is written if nothing happens, and no checkpoints are."""
    folder = tmp_path_factory.mktemp("whole")
    return written(in_folder(settings, folder, checkpoint_every=0), folder)


# --- the same bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "replication", "step"), [(1, 0, 2), (3, 0, 4), (3, 0, 10), (3, 1, 1), (3, 1, 9), (7, 1, 8), (12, 1, 10)]
)
def test_interrupted_and_gone_on_the_bytes_are_those_of_the_run_that_was_not(
    settings, whole, tmp_path, capsys, every, replication, step
):
    again = in_folder(settings, tmp_path, checkpoint_every=every)
    place = interrupt(again, replication, step)
    kept = {int(header["replication"]): header["step"] for header in map(read, sorted(place.glob("[0-9]*")))}
    last = (step - 1) // every * every
    assert kept.get(replication, 0) == last
    assert all(kept[earlier] == STEPS for earlier in range(replication))
    told = [(run.run_id, run.state, run.reason) for run in standings(tmp_path / again.study)]
    steps = ", ".join(map(str, kept.values()))
    assert told == ([(place.name, "stale", f"interrupted; kept up to step {steps}")] if kept else [])
    run(in_folder(settings, tmp_path, checkpoint_every=every, threads=2), processes=1)
    assert tables(again) == whole
    assert (f"replication {replication}: goes on from step {last} of {STEPS}" in capsys.readouterr().err) == (last > 0)
    assert not (tmp_path / again.study / CHECKPOINTS).exists()


def test_parts_of_the_recording_that_are_whole_are_kept_as_one_file(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "STEPS_IN_PART", 4)
    plain = in_folder(settings, tmp_path / "plain", checkpoint_every=0)
    run(plain, processes=1)
    for step in (4, 5, 6, 10):
        again = in_folder(settings, tmp_path / str(step), checkpoint_every=1)
        place = interrupt(again, 1, step)
        parts, rest = divmod(step - 1, 4)
        rows = [row["step"] for row in read(place / "1")["rows"]]
        assert rows == [4 * (part + 1) for part in range(parts)] + [4 * parts + more + 1 for more in range(rest)]
        run(again, processes=1)
        assert tables(again) == tables(plain)


def test_replications_beside_each_other_have_checkpoints_of_their_own(settings, whole, tmp_path):
    again = in_folder(settings, tmp_path)
    interrupt(again, 1, 9)
    run(again, processes=2)
    assert tables(again) == whole
    assert not list(tmp_path.rglob(CHECKPOINTS))


def test_a_run_that_failed_goes_on_too(settings, whole, tmp_path):
    """Whoever ran out of memory or disk may have more of it now."""
    again = in_folder(settings, tmp_path)

    def fail(step: int, replication: int) -> None:
        if step == 8:
            raise MemoryError("no more")

    with pytest.raises(MemoryError):
        run(again, (), fail, processes=1)
    assert json.loads(manifest_path(tmp_path / again.study, run_id(again)).read_text())["status"] == "failed"
    begun = []
    run(again, (), lambda step, replication: begun.append(step), processes=1)
    assert tables(again) == whole
    assert begun == [*range(1, STEPS + 1)] * REPLICATIONS


@pytest.mark.ray
@pytest.mark.parametrize(("before", "after"), [(2, 0), (0, 3), (3, 1)])
def test_shards_come_and_go(settings, tmp_path, before, after):
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    large = dataclasses.replace(settings, users=dataclasses.replace(settings.users, size=3 * SMALLEST + 500))
    small_run = {"replications": 1, "steps": 5, "checkpoint_every": 2}
    plain = in_folder(large, tmp_path / "plain", **small_run)
    run(plain)
    ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=2**28, logging_level="ERROR")
    try:
        again = in_folder(large, tmp_path / "again", **small_run)
        interrupt(in_folder(again, tmp_path / "again", shards=before), 0, 5)
        run(in_folder(again, tmp_path / "again", shards=after))
    finally:
        ray.shutdown()
    assert tables(again) == tables(plain)


def test_who_comes_second_leaves_the_checkpoints_alone(settings, whole, tmp_path, capsys):
    again = in_folder(settings, tmp_path)
    place = interrupt(again, 0, 8)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    name = run_id(again)
    with claimed(again, name) as mine, claimed(again, name) as theirs:
        assert (mine, theirs) == (place, None)
    assert "another process is at it" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.name != "lock"} == {
        path: when for path, when in before.items() if path.name != "lock"
    }
    run(again, processes=1)
    assert tables(again) == whole


def test_checkpoints_are_no_part_of_the_run_id_nor_of_what_is_swept():
    assert len({run_id(load(["roster=duopoly", f"run.checkpoint_every={every}"])) for every in (0, 1, 50)}) == 1


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(settings: Settings, tmp_path: Path) -> tuple[Settings, Path]:
    """A run interrupted in its eighth step, and the folder of the checkpoint of its first replication."""
    again = in_folder(settings, tmp_path)
    return again, interrupt(again, 0, 8) / "0"


def refusal(settings: Settings) -> str:
    """What a run says to the checkpoint it finds; nothing is run or written."""
    before = {path: path.read_bytes() for path in Path(settings.outputs).rglob("*") if path.is_file()}
    with pytest.raises(ResultsError) as refused:
        run(settings, processes=1)
    assert {path: path.read_bytes() for path in Path(settings.outputs).rglob("*") if path.is_file()} == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_any_byte_that_is_another_is_found(interrupted):
    settings, folder = interrupted
    draws = random.Random(1)
    files = sorted(path for path in folder.iterdir())
    assert [path.suffix for path in files] == [".json", ".arrows", ".arrows", ".npz"]
    for _ in range(120):
        path = draws.choice(files)
        good = path.read_bytes()
        at = draws.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ draws.randrange(1, 256)]) + good[at + 1 :])
        with pytest.raises(ResultsError, match="not what was written"):
            read(folder)
        path.write_bytes(good[:at])
        with pytest.raises(ResultsError, match="not what was written"):
            read(folder)
        path.write_bytes(good)
    assert read(folder)["step"] == 6
    files[-1].unlink()
    assert f"{files[-1]} is missing; delete {folder} to begin the run at its first step" in refusal(settings)


@pytest.mark.parametrize("package", ["numpy", "numba", "aimarket", "python", "schema"])
def test_another_version_is_refused_by_its_name(interrupted, package):
    settings, folder = interrupted
    change(folder, lambda header: header["made_by"].update({package: "0.0.7"}))
    assert f"was written with {package} 0.0.7, this is {package} " in refusal(settings)


def test_changed_code_is_refused_by_the_file(interrupted):
    settings, folder = interrupted
    change(folder, lambda header: header["made_by"]["code"].update({"kernels/cost.py": "0" * 16}))
    assert "was written before kernels/cost.py was changed" in refusal(settings)


def test_another_run_is_refused_by_what_differs(interrupted):
    settings, folder = interrupted
    other = dataclasses.replace(settings, finance=dataclasses.replace(settings.finance, covenant=0.123))
    there = home(folder.parents[2], run_id(other))
    folder.parent.rename(there)
    said = refusal(other)
    assert f"is of run {run_id(settings)}, in which finance.covenant is " in said
    assert "instead of 0.123" in said
    (there / "0").rename(there / "1")
    assert "is of run" in refusal(other)
    there.rename(folder.parent)
    assert "is of replication 0" in refusal(settings)


def change(folder: Path, how: Callable[[checkpoints.Header], object]) -> None:
    """Change a header, and seal it anew."""
    header = read_json(folder / HEADER)
    how(header)
    (folder / HEADER).write_text(as_json(header))


def test_nothing_in_a_checkpoint_is_code(interrupted):
    _, folder = interrupted
    (state,) = folder.glob("*.npz")
    with np.load(state, allow_pickle=False) as archive:
        assert {archive[name].dtype.kind for name in archive} <= set("biuf")
        tree = json.loads(archive["tree"].tobytes())
    assert set(tree) == {"state", "objects"}


# --- where nothing can be written -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_cannot_be_written_costs_a_line_and_no_checkpoint(settings, whole, tmp_path, capsys):
    again = in_folder(settings, tmp_path)
    folder = home(tmp_path / again.study, run_id(again)) / "0"

    def lock_up(step: int, replication: int) -> None:
        if (replication, step) == (0, 5):
            folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        if (replication, step) == (0, 9):
            assert read(folder)["step"] == 3
            folder.chmod(stat.S_IRWXU)

    run(again, (), lock_up, processes=1)
    assert "no checkpoint at step 6" in capsys.readouterr().err
    assert tables(again) == whole


def test_a_full_disk_costs_a_line_and_no_checkpoint(settings, whole, tmp_path, capsys):
    """Files that grow too large, as far as a process can bring that upon itself."""
    again, ignored = in_folder(settings, tmp_path), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    folder, limits = home(tmp_path / again.study, run_id(again)) / "0", resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step: int, replication: int) -> None:
        if (replication, step) == (0, 5):
            least = min(path.stat().st_size for path in folder.iterdir() if path.suffix != ".json")
            resource.setrlimit(resource.RLIMIT_FSIZE, (least // 2, limits[1]))
        if (replication, step) == (0, 8):
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert read(folder)["step"] == 3
            assert not list(folder.glob("*.partial"))
        if (replication, step) == (0, 10):
            assert read(folder)["step"] == 9
            assert [row["step"] for row in read(folder)["rows"]] == [3, 6, 9]

    try:
        run(again, (), fill, processes=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    (line,) = capsys.readouterr().err.splitlines()
    assert "replication 0: no checkpoint at step 6 (" in line
    assert line.endswith("File too large); the last one is of step 3")
    assert tables(again) == whole


# --- the command line -------------------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "aimarket"]
NIGHT = ["roster=duopoly", "users.size=3000", "run.panel=100", "run.steps=200", "study=night", "run.checkpoint_every=5"]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every table of a study."""
    found = (folder / "outputs" / "night").rglob("*.parquet")
    return {path.name + path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_night_of_power_cuts(tmp_path):
    """Killed at four moments of chance, gone on with by either command, with other threads: the same hashes."""
    draws = random.Random(7)
    folders = [tmp_path / name for name in ("killed", "left_alone")]
    for folder in folders:
        folder.mkdir()
    reached, place = 0, folders[0] / "outputs" / "night" / CHECKPOINTS
    for cut, command in enumerate(
        [["run", *NIGHT], ["resume", "night"], ["run", *NIGHT, "run.threads=2"], ["resume", "night"]]
    ):
        process = subprocess.Popen([*COMMAND, *command], cwd=folders[0], stderr=subprocess.PIPE, text=True)
        due = reached + draws.randint(5, 35)
        while step_of(place) < due and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.05 * draws.random())
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert (f"goes on from step {reached} of 200" in errors) == (cut > 0)
        reached = step_of(place)
        assert reached >= due
    last = call(folders[0], "resume", "outputs/night", "run.threads=2", "run.checkpoint_every=50")
    assert last.returncode == 0, last.stderr
    assert f"goes on from step {reached} of 200" in last.stderr
    assert last.stdout.splitlines()[-1].startswith("outputs/night/runs/")
    assert not place.exists()
    assert call(folders[1], "run", *NIGHT, "run.checkpoint_every=0").returncode == 0
    assert digests(folders[0]) == digests(folders[1])
    nothing = call(folders[0], "resume", "night")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    assert "no checkpoint" in nothing.stderr


def step_of(place: Path) -> int:
    """The step of the one checkpoint below a folder; 0 where there is none."""
    steps = [read_json(path)["step"] for path in place.rglob(HEADER)]
    return max(steps, default=0)


def test_a_sweep_goes_on_in_the_middle_of_its_points(tmp_path):
    sweep = ["run", "-m", *NIGHT, "run.seed=1,2", "run.processes=2"]
    place = tmp_path / "outputs" / "night" / CHECKPOINTS
    process = subprocess.Popen([*COMMAND, *sweep], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    while len(list(place.rglob(HEADER))) < 2 and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    one, other = sorted(place.iterdir())
    refused = call(tmp_path, "resume", str(one), "run.seed=3")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "run.seed=3: a run goes on as it began; allowed: run.threads" in refused.stderr
    assert call(tmp_path, "resume", str(one)).returncode == 0
    assert sorted(place.iterdir()) == [other]
    done = call(tmp_path, *sweep)
    assert "1 run, 1 already complete, 0 failed" in done.stdout
    assert f"run {other.name}, replication 0: goes on from step " in done.stderr
    assert not place.exists()


def test_a_torn_checkpoint_is_one_line_on_the_command_line(tmp_path):
    duopoly = load([*NIGHT, "run.steps=9", "users.size=300"])
    folder = interrupt(in_folder(duopoly, tmp_path / "outputs"), 0, 8) / "0"
    (folder / HEADER).write_text("{")
    for command in (["run", *NIGHT, "run.steps=9", "users.size=300"], ["resume", "night"]):
        done = call(tmp_path, *command)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"{HEADER} is not what was written" in done.stderr
        assert "Traceback" not in done.stderr
