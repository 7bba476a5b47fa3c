"""Multiruns elsewhere: the same files as at home, wherever workers stand, and points that fail are told."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SMALL = ["roster=duopoly", "users.size=400", "run.panel=100", "run.steps=3"]
SWEEP = ["run", "-m", "study=sweep", "run.seed=1,2,3", *SMALL]


def call(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aimarket", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )


def tables(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("home")
    done = call(folder, *SWEEP)
    assert done.returncode == 0, done.stderr
    return tables(folder)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A cluster of two machines with a core each, started from elsewhere; its address."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
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
    done = call(here, *SWEEP, "hydra/launcher=on_ray", RAY_ADDRESS=cluster)
    assert done.returncode == 0, done.stderr
    assert tables(here) == at_home


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
