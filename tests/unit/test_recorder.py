"""What the recorder refuses, what a run leaves on disk, and what it leaves when something goes wrong."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aimarket import recording
from aimarket.conditions import finished
from aimarket.dictionary import markdown
from aimarket.recorder import Recorder, RecordError, Recording, RunWriter, write
from aimarket.recording import KEYS
from aimarket.schema import TABLES, arrow_schema
from aimarket.workspaces import workspace

ROOT = Path(__file__).parents[2]


def columns(table: str, rows: int, seed: int = 0) -> dict[str, Any]:
    """Made-up values for every column of a table but the keys."""
    rng = np.random.default_rng([seed, rows])
    make = {
        "float64": lambda: rng.normal(size=rows),
        "int32": lambda: rng.integers(0, 9, rows),
        "bool": lambda: rng.random(rows) < 0.5,
        "string": lambda: rng.choice(["alpha", "beta", "γ"], rows).tolist(),
    }
    return {c.name: make[c.kind]() for c in TABLES[table] if c.name not in KEYS}


def record(run_id: str = "run", replication: int = 0, steps: int = 3, seed: int = 0) -> Recording:
    made = Recorder(run_id)
    for step in range(1, steps + 1):
        for table in TABLES:
            made.add(table, replication, step, step / 12, columns(table, 2, seed + step))
    return made.take()


def manifest(run_id: str = "run", replications: int = 1, **other: Any) -> dict[str, Any]:
    body = {"run_id": run_id, "settings": {"run": {"seed": 3}}, "overrides": [], "seed": 3, "versions": {}}
    return {**body, "replications": replications, "seconds": {"step": 1.5}, **other}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def parquet(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in everything(folder).items() if name.endswith(".parquet")}


# ── rows ──


def test_columns_come_back_with_their_keys_types_units_and_meanings() -> None:
    made = Recorder("run")
    made.add("segments", 2, 7, 7 / 12, {**columns("segments", 2), "segment": ["consumer", "developer"], "churn": 0.25})
    made.add("segments", 2, 8, 8 / 12, {**columns("segments", 1), "segment": "enterprise"})
    frame = made.take().segments
    assert list(frame.columns) == [c.name for c in TABLES["segments"]]
    assert frame["segment"].tolist() == ["consumer", "developer", "enterprise"]
    assert frame["churn"].tolist()[:2] == [0.25, 0.25]
    assert frame["step"].tolist() == [7, 7, 8]
    assert frame["replication"].dtype == np.int32
    assert set(frame["run_id"]) == {"run"}
    field = arrow_schema("segments").field("churn")
    assert (field.metadata[b"unit"], field.type, field.nullable) == (b"1/month", pa.float64(), False)
    assert field.metadata[b"meaning"].startswith(b"switches over users")


def test_scalars_alone_make_one_row_and_an_empty_array_none() -> None:
    made = Recorder("run")
    made.add("events", 0, 1, 0.1, {"kind": "exit", "provider": "alpha", "subject": "", "value": float("nan")})
    made.add("events", 0, 2, 0.2, {"kind": "exit", "provider": [], "subject": "", "value": 1})
    frame = made.take().events
    assert len(frame) == 1
    assert np.isnan(frame["value"][0])


def test_rows_are_copies() -> None:
    price = np.ones(2)
    made = Recorder("run")
    made.add("offers", 0, 1, 0.1, {**columns("offers", 2), "price": price})
    price[:] = 9
    assert made.take().offers["price"].tolist() == [1, 1]


def test_a_recorder_without_rows_has_every_table_and_type() -> None:
    empty = Recorder("run").take()
    assert empty.parts() == []
    assert all(empty.tables[table].schema.equals(arrow_schema(table)) for table in TABLES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": None}, "offers: column price is float64, got object"),
        ({"price": ["1", "2"]}, "column price is float64"),
        ({"price": [True, False]}, "column price is float64, got bool"),
        ({"price": [1.0, np.inf]}, "column price is infinite"),
        ({"price": [1.0, 2.0, 3.0]}, "column price has shape"),
        ({"price": [[1.0], [2.0]]}, "column price has shape"),
        ({"active": [1, 0]}, "column active is bool"),
        ({"model": ["a", None]}, "column model holds something that is not text"),
        ({"model": [1, 2]}, "column model holds something that is not text"),
        ({"prize": 1.0}, "unknown column prize"),
        ({"step": 1}, "unknown column step"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        Recorder("run").add("offers", 0, 1, 0.1, {**columns("offers", 2), **change})


def test_a_missing_column_an_unknown_table_and_a_wrong_key_are_refused_by_name() -> None:
    made = Recorder("run")
    short = columns("offers", 2)
    del short["lerner"]
    with pytest.raises(RecordError, match="offers: missing column lerner"):
        made.add("offers", 0, 1, 0.1, short)
    with pytest.raises(RecordError, match="no table 'offer'"):
        made.add("offer", 0, 1, 0.1, short)
    with pytest.raises(RecordError, match="step 0"):
        made.add("offers", 0, 0, 0.1, columns("offers", 2))
    with pytest.raises(RecordError, match="year nan"):
        made.add("offers", 0, 1, float("nan"), columns("offers", 2))
    with pytest.raises(RecordError, match="run id"):
        Recorder("../run")


def test_recordings_of_one_run_join_and_of_two_do_not() -> None:
    joined = Recording.join([record(replication=0), record(replication=1)])
    assert joined.parts() == [(0, 0), (1, 0)]
    pd.testing.assert_frame_equal(joined.only(1, 0).offers, record(replication=1).offers)
    with pytest.raises(RecordError, match="one run"):
        Recording.join([record("a"), record("b")])


# ── files ──


def test_a_run_leaves_its_tables_its_manifest_and_nothing_else(tmp_path: Path) -> None:
    path = write(record(), tmp_path, manifest(seconds={"step": np.float64(1.5), "n": np.int64(2)}), "run: {seed: 3}")
    assert sorted(everything(tmp_path)) == sorted(["runs/run.json", *(f"{table}/run.parquet" for table in TABLES)])
    told = json.loads(path.read_text(), parse_constant=lambda literal: pytest.fail(f"{literal} is not JSON"))
    assert (told["run_id"], told["status"], told["seed"]) == ("run", "complete", 3)
    assert told["created"].endswith("+00:00")
    for table in TABLES:
        described = told["files"][table]
        footer = pq.read_metadata(tmp_path / described["path"])
        assert footer.num_rows == described["rows"] == 6
        assert footer.metadata[b"configuration"] == b"run: {seed: 3}"
        assert footer.schema.to_arrow_schema().equals(arrow_schema(table), check_metadata=True)
    assert finished(tmp_path, "run")
    assert not finished(tmp_path, "other")


def test_each_part_of_a_replication_is_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "STEPS_IN_PART", 2)
    whole = Recording.join([record(replication=r, steps=5) for r in range(3)])
    write(whole, tmp_path, manifest(replications=3), "")
    groups = pq.ParquetFile(tmp_path / "offers/run.parquet")
    assert whole.parts() == [(r, part) for r in range(3) for part in range(3)]
    assert [groups.metadata.row_group(i).num_rows for i in range(groups.num_row_groups)] == [4, 4, 2] * 3
    pd.testing.assert_frame_equal(groups.read().to_pandas(), whole.offers)


def test_what_was_taken_is_not_kept() -> None:
    made, kept = Recorder("run"), Recorder("run")
    for step in (1, 2, 3):
        for each in (made, kept):
            each.add("offers", 0, step, step / 12, columns("offers", 2, step))
        assert made.take().offers["step"].unique().tolist() == [step]
    assert made.take().offers.empty
    assert kept.take().offers["step"].unique().tolist() == [1, 2, 3]


def test_the_same_rows_give_the_same_bytes_streamed_or_whole_wherever_and_whenever(tmp_path: Path) -> None:
    parts = [record(replication=r, seed=r) for r in range(3)]
    write(iter(parts), tmp_path / "a", manifest(replications=3, created="once"), "c")
    write(Recording.join(parts), tmp_path / "b/deeper", manifest(replications=3, seconds={"step": 99.0}), "c")
    assert parquet(tmp_path / "a") == parquet(tmp_path / "b/deeper")


def test_an_exception_publishes_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Recording]:
        yield record()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), tmp_path, manifest(), "")
    assert everything(tmp_path) == {}
    assert list((tmp_path / ".partial").iterdir()) == []


@pytest.mark.parametrize("inside", [True, False])
def test_a_failed_run_leaves_its_traceback_and_takes_an_earlier_result_back(tmp_path: Path, inside: bool) -> None:
    write(record(), tmp_path, manifest(), "")
    writer = RunWriter(tmp_path, "run", "")
    error = ZeroDivisionError("no price")
    with writer:
        writer.write_part(record())
        if inside:
            writer.fail(manifest(), error)
    if not inside:
        writer.fail(manifest(), error)
    assert list(everything(tmp_path)) == ["runs/run.json"]
    told = json.loads((tmp_path / "runs/run.json").read_text())
    assert (told["status"], told["error"]) == ("failed", "ZeroDivisionError: no price")
    assert "ZeroDivisionError" in told["traceback"]
    assert not finished(tmp_path, "run")


def test_what_another_process_has_completed_meanwhile_is_not_missing_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunWriter(tmp_path, "run", "") as writer:
        writer.write_part(record())
        rival = write(record(), tmp_path, manifest(), "")
        kept, unlink = rival.read_bytes(), Path.unlink

        def seen(path: Path, **how: bool) -> None:
            unlink(path, **how)
            assert finished(tmp_path, "run"), f"{path} was taken away"

        monkeypatch.setattr(Path, "unlink", seen)
        assert writer.complete(manifest()) == rival
    assert rival.read_bytes() == kept
    with pytest.raises(RecordError, match="is complete"):
        writer.fail(manifest(), ValueError("the summary broke"))


def test_a_failure_takes_nothing_back_that_another_process_has_completed_meanwhile(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, "run", "")
    write(record(), tmp_path, manifest(), "")
    kept = everything(tmp_path)
    writer.fail(manifest(), MemoryError("no room here"))
    assert everything(tmp_path) == kept
    assert finished(tmp_path, "run")


def test_what_goes_wrong_after_completion_does_not_take_the_run_back(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, "run", "")
    with writer:
        writer.write_part(record())
        writer.complete(manifest())
        with pytest.raises(RecordError, match="inside its `with` block"):
            writer.complete(manifest())
    with pytest.raises(RecordError, match="is complete"):
        writer.fail(manifest(), ValueError("the summary broke"))
    assert finished(tmp_path, "run")


def test_parts_out_of_order_or_of_another_run_are_refused(tmp_path: Path) -> None:
    with RunWriter(tmp_path, "run", "") as writer:
        writer.write_part(record(replication=1))
        for wrong in (record(replication=1), record(replication=0), Recording.join([record(), record(replication=2)])):
            with pytest.raises(RecordError, match=r"one \(replication, part\) after"):
                writer.write_part(wrong)
        with pytest.raises(RecordError, match="run other"):
            writer.write_part(record("other", replication=2))
        with pytest.raises(RecordError, match="says 2 replications; 1 replications were written"):
            writer.complete(manifest(replications=2))
        with pytest.raises(RecordError, match="lacks \\['settings'\\]"):
            writer.complete({key: value for key, value in manifest().items() if key != "settings"})


@pytest.mark.parametrize("wrong", [float("nan"), object()])
def test_a_manifest_that_is_not_strict_json_publishes_nothing(tmp_path: Path, wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        write(record(), tmp_path, manifest(versions={"x": wrong}), "")
    assert everything(tmp_path) == {}


@pytest.mark.parametrize("calls", range(len(TABLES) + 1))
def test_a_crash_between_two_renames_leaves_no_complete_run(
    tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(record(seed=1), tmp_path, manifest(), "")
    replace, left = Path.replace, iter(range(calls))

    def crash(partial: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise OSError("no space left on device")
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="no space"):
        write(record(seed=2), tmp_path, manifest(), "")
    assert not (tmp_path / "runs/run.json").exists()
    assert len(parquet(tmp_path)) == len(TABLES)  # replaced one by one, and none without a manifest counts
    for name in parquet(tmp_path):
        assert pq.read_table(tmp_path / name).num_rows == 6


def test_the_disk_has_every_table_before_anything_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []  # what was done, and to which inode
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        told.append(("synced", os.fstat(descriptor).st_ino))

    def moved(partial: Path, target: Path) -> Path:
        told.append(("moved", partial.stat().st_ino))
        return replace(partial, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", moved)
    write(record(), tmp_path, manifest(), "")
    tables = [(tmp_path / table / "run.parquet").stat().st_ino for table in TABLES]
    last = (tmp_path / "runs/run.json").stat().st_ino
    for file in [*tables, last]:
        assert told.index(("synced", file)) < told.index(("moved", file))
    assert max(told.index(("moved", table)) for table in tables) < told.index(("moved", last))
    assert told[-1] == ("synced", (tmp_path / "runs").stat().st_ino)


def test_partial_folders_of_the_dead_are_cleared_and_of_the_living_are_not(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()  # its number is free now
    dead = tmp_path / f".partial/old.{gone.pid}"
    with workspace(tmp_path, "other") as living:
        dead.mkdir()
        (dead / "market").write_bytes(b"PAR1")
        with RunWriter(tmp_path, "run", ""):
            assert not dead.exists()
            assert living.exists()


def test_writers_in_threads_of_one_process_leave_one_another_alone(tmp_path: Path) -> None:
    def one(run_id: str) -> None:
        write(record(run_id), tmp_path, manifest(run_id), "")

    threads = [threading.Thread(target=one, args=(f"run{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(finished(tmp_path, f"run{i}") for i in range(8))


def test_the_data_dictionary_in_docs_is_the_one_the_schema_makes() -> None:
    assert (ROOT / "docs/data_dictionary.md").read_text(encoding="utf-8") == markdown(), (
        "run `aimarket data dictionary` to write docs/data_dictionary.md again"
    )
