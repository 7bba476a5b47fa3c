"""Multiruns elsewhere: the same files as at home, wherever workers stand, and points that fail are told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SMALL = ["roster=duopoly", "users.size=400", "run.panel=100", "run.steps=3"]
SWEEP = ["run", "-m", "study=sweep", "run.seed=1,2,3", *SMALL]
DRAWN = ["design=latin_hypercube", "design.size=4", "design.parameters={users.usage_elasticity: [0.6, 1.4]}"]
DESIGN = ["run", "-m", "study=sweep", *SMALL, *DRAWN]


def call(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aimarket", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )


def tables(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*.parquet") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("home")
    done = call(folder, *SWEEP)
    assert done.returncode == 0, done.stderr
    return tables(folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two machines with a core each, started from elsewhere; its address."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()
    assert not list(elsewhere.iterdir())


@pytest.mark.ray
def test_ray_on_this_machine_writes_the_same_bytes(tmp_path, at_home):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the extra `ray` is not installed")
    done = call(tmp_path, *SWEEP, "hydra/launcher=on_ray", "hydra.launcher.ray.init.num_cpus=2")
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path) == at_home


@pytest.mark.ray
def test_a_ray_cluster_writes_where_the_command_was_given_and_failures_are_told(tmp_path, at_home, cluster):
    here = tmp_path / "here"
    here.mkdir()
    (here / "outputs" / "sweep" / "runs").mkdir(parents=True)
    in_the_way = here / "outputs" / "sweep" / "ledger"
    in_the_way.write_text("no folder can be made here")
    failed = call(here, *SWEEP, "hydra/launcher=on_ray", RAY_ADDRESS=cluster)
    assert failed.returncode == 1
    assert "outputs/sweep: 0 run, 0 already complete, 3 failed" in failed.stdout
    assert "Traceback" not in failed.stderr
    in_the_way.unlink()
    done = call(here, *SWEEP, "hydra/launcher=on_ray", "--retry-failed", RAY_ADDRESS=cluster)
    assert done.returncode == 0, done.stderr
    assert tables(here) == at_home


@pytest.fixture(scope="module")
def design_at_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("SALib", reason="the extra `studies` is not installed")
    folder = tmp_path_factory.mktemp("design")
    done = call(folder, *DESIGN)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("launcher", ["basic", pytest.param("on_ray", marks=pytest.mark.ray)])
def test_a_design_is_the_same_elsewhere_and_a_point_that_fails_leaves_the_rest_whole(
    tmp_path, design_at_home, launcher, request
):
    design, where = [*DESIGN, f"hydra/launcher={launcher}"], {}
    if launcher == "on_ray":
        pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the extra `ray` is not installed")
        where = {"RAY_ADDRESS": request.getfixturevalue("cluster")}
    study, expected = tmp_path / "outputs" / "sweep", tables(design_at_home)
    plan = next((design_at_home / "outputs" / "sweep" / "plans").iterdir())
    failing = json.loads(plan.read_text())["points"][1]["run_id"]
    in_the_way = study / "market" / f"{failing}.parquet"
    in_the_way.mkdir(parents=True)
    done = call(tmp_path, *design, **where)
    assert done.returncode == 1
    assert "3 run, 0 already complete, 1 failed" in done.stdout
    (told,) = [line for line in done.stderr.splitlines() if line.startswith(f"aimarket: run {failing} (")]
    assert "users.usage_elasticity=" in told  # which point, and why
    assert in_the_way.name in told
    assert done.stderr.splitlines()[-1].endswith("the same command with --retry-failed runs them again")
    assert "Traceback" not in done.stderr
    assert tables(tmp_path) == {name: text for name, text in expected.items() if failing not in name}
    assert (study / "plans" / plan.name).read_bytes() == plan.read_bytes()
    again = call(tmp_path, *design, **where)
    assert (again.returncode, "0 run, 3 already complete, 1 failed" in again.stdout) == (1, True)
    assert "1 failed before and were not run again" in again.stderr
    in_the_way.rmdir()
    done = call(tmp_path, *design, "--retry-failed", **where)
    assert done.returncode == 0, done.stderr
    assert "1 run, 3 already complete, 0 failed" in done.stdout
    assert tables(tmp_path) == expected


def test_submitit_writes_the_same_bytes(tmp_path, at_home):
    """SLURM itself needs a cluster; its launcher differs from the local one in who starts the processes."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra `slurm` is not installed")
    done = call(tmp_path, *SWEEP, "hydra/launcher=submitit_local")
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path) == at_home


def test_slurm_gets_a_job_array_of_the_right_size(tmp_path):
    """What would be given to sbatch, with an sbatch that only keeps it."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra `slurm` is not installed")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("srun", "sbatch"):
        (commands / name).write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/submitted; exit 1\n')
        (commands / name).chmod(0o755)
    call(tmp_path, *SWEEP, "hydra/launcher=on_slurm", "run.threads=4", PATH=f"{commands}:{os.environ['PATH']}")
    script = (tmp_path / "submitted").read_text()
    for line in ("--array=0-2%3", "--cpus-per-task=4", "--job-name=sweep", "--mem=4GB", "--time=240"):
        assert f"#SBATCH {line}\n" in script


def test_a_launcher_that_breaks_off_is_told_and_what_is_complete_counts(tmp_path, monkeypatch, capsys):
    from aimarket import cli, launchers

    def one_and_no_more(points, overrides):
        give(points[:1], overrides)
        raise ConnectionError("the cluster does not answer")

    give = launchers._give
    monkeypatch.setattr(launchers, "_give", one_and_no_more)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main([*SWEEP, "hydra/launcher=basic"])
    told = capsys.readouterr()
    assert end.value.code == 1
    assert "1 run, 0 already complete, 2 failed" in told.out
    assert told.err.count("ConnectionError: the cluster does not answer") == 2


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("on_ray", "pip install 'aimarket[ray]'"),
        ("on_slurm", "pip install 'aimarket[slurm]'"),
    ],
)
def test_a_launcher_without_its_extra_says_what_to_install(monkeypatch, capsys, launcher, said):
    from aimarket import cli

    monkeypatch.setattr("importlib.metadata.distributions", lambda name: [])
    with pytest.raises(SystemExit) as end:
        cli.main([*SWEEP, f"hydra/launcher={launcher}"])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
