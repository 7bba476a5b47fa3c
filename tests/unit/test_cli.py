"""The command line as a user meets it, in a folder of its own; in a process of its own where more counts than words."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aimarket
from aimarket import cli

RUN = [sys.executable, "-m", "aimarket"]
SMALL = ["roster=duopoly", "users.size=400", "run.panel=100", "run.steps=3"]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [*RUN, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Calls a command in this process, in the folder of the test: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def tell(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        return end.value.code, *capsys.readouterr()

    return tell


def test_a_run_its_figures_and_its_second_call(tmp_path):
    first = call(tmp_path, "run", "study=first", *SMALL)
    assert first.returncode == 0, first.stderr
    manifest = tmp_path / first.stdout.strip().splitlines()[-1]
    assert json.loads(manifest.read_text())["status"] == "complete"
    assert "Lerner index" in first.stdout
    assert "3 of 3 steps" in first.stderr
    assert "steps (" not in first.stdout
    again = call(tmp_path, "run", "study=first", *SMALL)
    assert again.returncode == 0
    assert "already complete" in again.stdout
    drawn = call(tmp_path, "figures", "first")
    paths = [tmp_path / line for line in drawn.stdout.splitlines()]
    assert drawn.returncode == 0
    assert {"price_and_cost", "shares", "volumes", "switching"} < {path.stem for path in paths}
    assert all(path.stat().st_size > 1000 for path in paths)
    told = call(tmp_path, "report", "first", "--to", "told.html")
    assert (told.returncode, told.stdout) == (0, "told.html\n"), told.stderr
    assert (tmp_path / "told.html").read_text().startswith("<!DOCTYPE html>")


def test_a_multirun_is_one_study_with_the_swept_column(tmp_path):
    done = call(tmp_path, "run", "-m", "study=sweep", "run.seed=1,2,3", *SMALL)
    assert done.returncode == 0, done.stderr
    study = aimarket.open_results(tmp_path / "outputs" / "sweep")
    assert study.swept == ["run.seed"]
    assert study.market.groupby("run.seed").size().to_dict() == {1: 3, 2: 3, 3: 3}
    collected = call(tmp_path, "collect", "sweep")
    assert collected.returncode == 0
    assert (tmp_path / "outputs/sweep/collected/market.parquet").is_file()


def test_with_hydra_and_without_it_the_same_is_run(tmp_path):
    """A setting under `hydra` hands the multirun to it; without one, points are run one after another."""
    point = ["run.seed=1,2", "run.steps=9", *SMALL]  # the last word on the steps counts
    made = []
    for study, more in (("plain", []), ("hydra", ["hydra/launcher=basic"])):
        done = call(tmp_path, "run", "-m", f"study={study}", *point, *more)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "outputs" / study
        assert (folder / ".hydra").is_dir() == bool(more)
        manifests = [json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.json"))]
        made.append([(m["run_id"], m["overrides"][1:], m["files"]) for m in manifests])
    assert made[0] == made[1]
    assert len(made[0]) == 2


BAD = [
    (["run.sed=3"], "run.sed: unknown key (got 3); did you mean run.seed?"),
    (["run.steps=0"], "run.steps"),
    (["users.size=many"], "users.size"),
    (["~run.seed"], "run.seed: missing"),
    (["roster=duopol"], "did you mean duopoly?"),
    (["pricing@providers.openai.pricing=cost_plu"], "did you mean cost_plus?"),
    (["run.steps=="], "run.steps=="),
    (["-m", "run.seed=1,2,-3"], "run.seed"),
    (["--no-such-flag"], "--no-such-flag"),
    (["-m", "hydra/launcher=basic", "--cfg", "hydra"], "-m: runs points"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_input_is_one_line_exit_2_and_nothing_written(tmp_path, told, arguments, said):
    code, out, err = told("run", *arguments)
    assert (code, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["figures", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["collect", "nowhere"], "nowhere"),
        (["walk"], "no such command"),
    ],
)
def test_other_commands_say_what_is_wrong(tmp_path, told, arguments, said):
    code, _, err = told(*arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing_that_looks_complete(tmp_path):
    call(tmp_path, "run", "outputs=compiled", "users.size=300", "run.steps=2")  # who compiles hears no signal
    process = subprocess.Popen(
        [*RUN, "run", "study=long", "users.size=20000", "run.steps=1000"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  the tests may be deaf to it
    )  # fmt: skip
    partial = tmp_path / "outputs" / "long" / ".partial"
    deadline = time.monotonic() + 60
    while not (partial.is_dir() and list(partial.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "outputs").rglob("*.parquet"))
    assert not list((tmp_path / "outputs").rglob("*.json"))


def test_hydra_shows_the_configuration_without_running(tmp_path):
    done = call(tmp_path, "run", "--cfg", "job", "run.seed=77")
    assert done.returncode == 0
    assert "seed: 77" in done.stdout
    assert not list(tmp_path.iterdir())


def test_data_shows_where_numbers_come_from(tmp_path):
    shown = call(tmp_path, "data", "show")
    assert shown.returncode == 0
    assert "Arena" in shown.stdout
    assert "hardware.generations.H100.price" in shown.stdout
    assert "assumption" in shown.stdout
    words = call(tmp_path, "data", "dictionary")
    assert words.returncode == 0
    assert "effective_providers" in words.stdout
    assert not list(tmp_path.iterdir())


FAILS_ONCE = """
from aimarket import cli, sweep
def run(settings, *rest, sound=sweep.run, **more):
    if settings.run.seed == 1:
        raise ArithmeticError("the books do not balance")
    return sound(settings, *rest, **more)
sweep.run = run
cli.main()
"""


def test_a_point_that_fails_is_told_and_the_rest_run(tmp_path):
    command = [sys.executable, "-c", FAILS_ONCE, "run", "-m", "study=sweep", "run.seed=1,2", "run.processes=1", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert "ArithmeticError: the books do not balance" in done.stderr
    assert "Traceback" not in done.stderr
    assert aimarket.open_results(tmp_path / "outputs" / "sweep").runs["seed"].tolist() == [2]
