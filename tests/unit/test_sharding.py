"""A population in pieces on Ray: the same bytes however many pieces and threads there are, and whoever dies."""

import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from everything import everything
from invariance import written
from stepping import trial

from aimarket import Market, Settings, demand
from aimarket.configuration import load, run_id, validate
from aimarket.schema import TABLES
from aimarket.settings import Run
from aimarket.sharding import Shards, Worker, workers
from aimarket.simulation import run as run_settings
from aimarket.step_tables import step_tables
from aimarket.strata import SMALLEST

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.ray

SIZE = 3 * SMALLEST + 500  # three chunks of unequal size


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Ray on this machine for all tests of this file, with as many cores as they ask for."""
    ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=2**28, logging_level="ERROR")
    yield
    ray.shutdown()


def by(settings: Settings, **who: int) -> Settings:
    """The same run by other hands."""
    return dataclasses.replace(settings, run=dataclasses.replace(settings.run, **who))


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Every mechanism is on."""
    return validate(everything(users__size=SIZE, run__steps=6, run__shard_checkpoint_every=2))


@pytest.fixture(scope="module")
def alone(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return written(settings, tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize(("shards", "threads"), [(0, 2), (0, 4), (1, 4), (2, 2), (3, 1)])
def test_neither_shards_nor_threads_change_a_byte(settings, alone, tmp_path, shards, threads):
    assert len(alone) == len(TABLES)
    assert written(by(settings, shards=shards, threads=threads), tmp_path) == alone


@pytest.mark.parametrize("checkpoint", [0, 2])
def test_workers_that_are_killed_are_replaced_and_change_no_byte(settings, alone, tmp_path, monkeypatch, checkpoint):
    """Between two steps, with a step under way, and while a checkpoint is written; before the first and after it."""
    seen: list[Shards] = []

    @contextmanager
    def watched(run: Run, folder: Path) -> Iterator[Callable[..., Shards]]:
        with workers(run, folder) as populate:
            yield lambda draw, strata: seen.append(populate(draw, strata)) or seen[-1]

    killed = []

    def kill(step: int, replication: int) -> None:
        worker = seen[-1]._workers[step % 2]
        if step in (1, 2, 5):
            killed.append(ray.get(worker.__ray_call__.remote(lambda _: os.getpid())))
            os.kill(killed[-1], signal.SIGKILL)
        elif step == 4:  # dies when the next order stands behind this in its queue
            worker.__ray_call__.remote(lambda _: os.kill(os.getpid(), signal.SIGKILL))

    monkeypatch.setattr(sys.modules["aimarket.simulation"], "workers", watched)
    there = dataclasses.replace(settings, outputs=str(tmp_path))
    run_settings(by(there, shards=2, shard_checkpoint_every=checkpoint), (), kill)
    assert len(set(killed)) == 3
    tables = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert tables == alone
    assert not list(tmp_path.rglob("users-*"))  # checkpoints go with the run


def test_a_shard_that_loses_every_worker_ends_the_run(settings, tmp_path):
    with workers(by(settings, shards=2).run, tmp_path) as populate:
        market = Market(settings, 0, None, populate)
        with pytest.raises(ConnectionError, match="shard 0 lost its worker"):
            market.population._answers(
                lambda worker: worker.__ray_call__.remote(lambda _: os.kill(os.getpid(), signal.SIGKILL))
            )


def test_the_next_replication_finds_the_workers_of_the_last_gone(settings, tmp_path):
    with workers(by(settings, shards=1).run, tmp_path) as populate:
        first, second = (Market(settings, replication, None, populate).population for replication in (0, 1))
        with pytest.raises(ValueError, match="dismissed"):
            first.census()
        assert (second.census() == Market(settings, 1).population.census()).all()


def test_shards_that_find_too_few_cores_say_so(settings, tmp_path):
    run = by(settings, shards=4, threads=4).run
    with pytest.raises(ValueError, match="4 shards of 4 threads"), workers(run, tmp_path):
        pass


# --- without Ray ------------------------------------------------------------------------------------------------------


def worker_of(settings: Settings, file: Path) -> Worker:
    """The middle one of three chunks, as its process would hold it."""
    market = Market(settings)
    strata, providers = market.population.strata, tuple(settings.providers)
    draw = partial(demand.draw_population, settings.users, market.segments, strata, providers, market.streams)
    return Worker(draw, *strata.chunks[1], 1, file)


def test_a_checkpoint_takes_up_where_it_was_written(settings, tmp_path):
    market, file = Market(settings), tmp_path / "deep" / "users-8192.npz"
    orders = [("take", step_tables(trial(market, number).step)) for number in range(1, 5)]
    first = worker_of(settings, file)
    for order in orders[:2]:
        first.order(order)
    first.save()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    file.with_suffix(".123").write_bytes(b"half a checkpoint")  # of a worker that died over it
    second = worker_of(settings, file)
    assert second.resume() == 2
    for order in orders[2:]:
        for ours, theirs in zip(first.order(order)[0], second.order(order)[0], strict=True):
            assert ours.tobytes() == theirs.tobytes()
    for name, column in first._piece.users._asdict().items():
        assert column.tobytes() == second._piece.users._asdict()[name].tobytes(), name
    assert worker_of(settings, tmp_path / "none.npz").resume() == 0


def test_who_does_the_work_is_no_part_of_the_run_id():
    who = ("threads=1", "threads=8", "shards=3", "shard_checkpoint_every=5")
    assert len({run_id(load(["roster=duopoly", f"run.{key}"])) for key in who}) == 1
