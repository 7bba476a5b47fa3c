"""What the reader gives back, what it leaves out, and what it says about files that are not what a run wrote."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tampering

from aimarket import collection
from aimarket.recorder import Recorder, RunWriter, write
from aimarket.recording import KEYS
from aimarket.results import ResultsError, collect, list_runs, open_results
from aimarket.schema import TABLES, arrow_schema
from aimarket.workspaces import as_json


def columns(table: str, value: float) -> dict[str, Any]:
    """Two rows of made-up values for every column of a table but the keys."""
    make = {"float64": [value, float("nan")], "int32": [1, 2], "bool": [True, False], "string": ["alpha", "beta"]}
    return {c.name: make[c.kind] for c in TABLES[table] if c.name not in KEYS}


def run(
    folder: Path,
    run_id: str,
    value: float = 1.0,
    replications: int = 1,
    overrides: Sequence[str] = (),
    **settings: Any,
) -> Path:
    recordings = []
    for replication in range(replications):
        made = Recorder(run_id)
        for table in TABLES:
            if table != "events":  # a table may be empty
                made.add(table, replication, 1, 1 / 12, columns(table, value))
        recordings.append(made.take())
    manifest = {"run_id": run_id, "settings": {"run": {"seed": 3}, **settings}, "overrides": [*overrides], "seed": 3}
    rest = {"versions": {}, "seconds": {"build": 0.5, "step": 1.0}, "replications": replications}
    return write(recordings, folder, {**manifest, **rest}, "")


def sweep(study: Path) -> Path:
    for i, cost in enumerate([0.0, 1.0, 2.0]):
        run(study, f"run{i}", value=10.0 * i, replications=2, users={"switching": cost, "size": 100}, policy="none")
    return study


def collected(study: Path, table: str = "market") -> Path:
    return study / "collected" / f"{table}.parquet"


# ── frames ──


def test_one_run_reads_back_as_it_was_recorded(tmp_path: Path) -> None:
    run(tmp_path / "base", "run0", replications=2)
    study = open_results("base", tmp_path)
    frame = study.offers
    assert list(frame.columns) == [c.name for c in TABLES["offers"]]
    assert frame["replication"].tolist() == [0, 0, 1, 1]
    assert frame["price"].iloc[0] == 1.0
    assert np.isnan(frame["price"].iloc[1])
    assert study.events.empty
    assert study.swept == []
    assert not (tmp_path / "base/collected").exists()
    pd.testing.assert_frame_equal(open_results(tmp_path / "base").offers, frame)


def test_a_sweep_has_its_swept_parameters_as_columns(tmp_path: Path) -> None:
    study = open_results(sweep(tmp_path / "sweep"))
    assert study.swept == ["users.switching"]
    frame = study.market
    assert list(frame.columns)[:5] == [*KEYS, "users.switching"]
    assert frame.groupby("users.switching")["price"].max().to_dict() == {0.0: 0.0, 1.0: 10.0, 2.0: 20.0}
    assert len(frame) == 3 * 2 * 2
    assert study.runs["users.switching"].tolist() == [0.0, 1.0, 2.0]
    assert list(study.runs.columns) == ["run_id", "status", "seed", "replications", "users.switching", "seconds"]
    assert study.runs["seconds"].tolist() == [1.5] * 3
    assert list(study.events.columns)[4] == "users.switching"


def test_a_setting_that_one_run_lacks_is_missing_there(tmp_path: Path) -> None:
    run(tmp_path, "a", providers={"alpha": {"rule": "cost_plus", "list": [1, 2]}}, price=True, study="x")
    run(tmp_path, "b", providers={"alpha": {"rule": "undercut", "list": [1, 3]}, "beta": {"fee": 2}}, price=False)
    runs = open_results(tmp_path).runs.set_index("run_id")
    assert runs["providers.alpha.rule"].tolist() == ["cost_plus", "undercut"]
    assert runs["providers.alpha.list"].tolist() == ["[1, 2]", "[1, 3]"]
    assert runs["settings.price"].tolist() == [True, False]  # `price` alone is a recorded column
    assert runs["providers.beta.fee"].isna().tolist() == [True, False]
    assert "study" not in runs


def test_files_that_were_swept_are_a_column_in_place_of_the_settings_in_them(tmp_path: Path) -> None:
    def told(name: str, cash: int, seed: int, *overrides: str, **more: Any) -> None:
        settings = {"providers": {"alpha": {"cash": cash, **more}}, "users": {"size": seed}, "run": {"seed": seed}}
        run(tmp_path, name, overrides=[*overrides, "policy=none", f"run.seed={seed}"], **settings)

    told("a", 1, 1, "roster=monopoly", "roster=duopoly")  # the last word counts
    told("b", 1, 2, "roster=duopoly")
    told("c", 2, 1, "roster=oligopoly", fee=3)
    assert open_results(tmp_path).swept == ["roster", "run.seed", "users.size"]
    assert open_results(tmp_path).runs["roster"].tolist() == ["duopoly", "duopoly", "oligopoly"]
    told("d", 7, 1, "providers.alpha.cash=7", fee=3)  # told by name, and nothing of the roster
    study = open_results(tmp_path)
    assert study.swept == ["roster", "run.seed", "providers.alpha.cash", "users.size"]
    assert study.where({"roster": None}).runs["run_id"].tolist() == ["d"]


def test_a_file_that_is_named_and_changes_nothing_is_not_swept(tmp_path: Path) -> None:
    for seed, named in ((1, ["roster=real"]), (2, [])):
        run(tmp_path, f"run{seed}", overrides=[*named, f"run.seed={seed}"], run={"seed": seed})
    assert open_results(tmp_path).swept == ["run.seed"]


def test_columns_limit_what_is_read(tmp_path: Path) -> None:
    study = open_results(sweep(tmp_path))
    assert list(study.frame("offers", columns=["price"]).columns) == [*KEYS, "users.switching", "price"]
    with pytest.raises(ResultsError, match="offers has no column prize"):
        study.frame("offers", columns=["prize"])
    with pytest.raises(ResultsError, match="no table 'offer'"):
        study.frame("offer")


# ── which runs, which studies ──


def test_failed_and_unfinished_runs_are_left_out_and_listed(tmp_path: Path) -> None:
    sweep(tmp_path)
    settings = {"users": {"switching": 9.0}}
    RunWriter(tmp_path, "bad", "").fail({"settings": settings}, ZeroDivisionError("no price"))
    for table in TABLES:  # a crash between the last table and the manifest
        (tmp_path / table / "orphan.parquet").write_bytes((tmp_path / table / "run0.parquet").read_bytes())
    study = open_results(tmp_path)
    assert set(study.market["run_id"]) == set(study.runs["run_id"]) == {"run0", "run1", "run2"}
    listed = list_runs(tmp_path).set_index("run_id")
    assert listed["status"].to_dict() == {"bad": "failed", "run0": "complete", "run1": "complete", "run2": "complete"}
    assert listed.loc["bad", "error"] == "ZeroDivisionError: no price"
    assert listed.loc["bad", "users.switching"] == 9.0


def test_a_study_that_is_not_there_is_one_line_with_near_misses(tmp_path: Path) -> None:
    run(tmp_path / "baseline", "run0")
    with pytest.raises(ResultsError, match=r"^no study 'basline' in .*; did you mean 'baseline'\?$"):
        open_results("basline", tmp_path)
    with pytest.raises(ResultsError, match=r"did you mean 'baseline'\?$"):
        open_results(tmp_path / "base_line")
    with pytest.raises(ResultsError, match=r"^no study 'zzz' in [^;]*$"):
        open_results("zzz", tmp_path)


def test_a_study_without_a_complete_run_says_so(tmp_path: Path) -> None:
    RunWriter(tmp_path / "a", "bad", "").fail({}, ValueError("x"))
    with pytest.raises(ResultsError, match=r"holds no complete run \(1 failed\)"):
        open_results("a", tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(ResultsError, match="b holds no complete run"):
        open_results("b", tmp_path)


# ── files that are not what a run wrote ──


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def flip_footer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize(
    ("harm", "says"),
    [(Path.unlink, "is missing"), (cut, "is torn"), (flip, "not the file"), (flip_footer, "not the file")],
)
def test_a_harmed_file_is_named(tmp_path: Path, runs: int, harm: Any, says: str) -> None:
    for i in range(runs):
        run(tmp_path, f"run{i}", users={"switching": i})
    harm(tmp_path / "offers/run0.parquet")
    study = open_results(tmp_path)
    with pytest.raises(ResultsError, match=rf"offers/run0\.parquet.* {says}"):
        _ = study.offers
    assert len(study.market) == 2 * runs


def rewrite(study: Path, table: str, schema: pa.Schema, run_id: str = "run0") -> None:
    """Replace a file by a whole one of another schema or run, and let the manifest agree with it."""
    rows = pq.read_table(study / table / "run0.parquet").select(schema.names).cast(schema)
    tampering.rewrite(study, "run0", table, rows, run_id=run_id)


def test_a_file_of_another_schema_or_run_is_named(tmp_path: Path) -> None:
    run(tmp_path, "run0")
    schema = arrow_schema("offers")
    rewrite(tmp_path, "offers", pa.schema([field for field in schema if field.name != "latency"]))
    rewrite(tmp_path, "market", arrow_schema("market"), run_id="run1")
    study = open_results(tmp_path)
    for table in ("offers", "market"):
        with pytest.raises(ResultsError, match=rf"{table}/run0\.parquet is not the {table} of run run0"):
            study.frame(table)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "0"}, "is of schema 0"),
        ({"run_id": "run1"}, "not the manifest of run run0"),
        ({"files": {}}, "names no file for market"),
        ({"settings": None, "seed": None}, "lacks settings, seed"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_manifest_is_named(tmp_path: Path, change: dict[str, Any] | None, says: str) -> None:
    path = run(tmp_path, "run0")
    manifest = {**tampering.manifest_of(tmp_path, "run0"), **(change or {})}
    path.write_text(as_json({key: value for key, value in manifest.items() if value is not None}) if change else "{")
    with pytest.raises(ResultsError, match=rf"run0\.json.*{says}"):
        open_results(tmp_path)


# ── collecting ──


def test_reading_collects_the_table_that_is_asked_for_once(tmp_path: Path) -> None:
    sweep(tmp_path)
    _ = open_results(tmp_path).market
    first = collected(tmp_path).stat()
    assert pq.read_metadata(collected(tmp_path)).num_row_groups == 1
    assert not collected(tmp_path, "offers").exists()
    assert collect(tmp_path) == [collected(tmp_path, table) for table in TABLES]
    collect(tmp_path)
    assert collected(tmp_path).stat().st_mtime_ns == first.st_mtime_ns
    assert pq.read_table(collected(tmp_path, "events")).num_rows == 0
    assert list((tmp_path / ".partial").iterdir()) == []


def test_a_stale_collection_is_refreshed(tmp_path: Path) -> None:
    sweep(tmp_path)
    collect(tmp_path)
    run(tmp_path, "run3", value=77.0, users={"switching": 3.0, "size": 100}, policy="none")  # one more
    assert open_results(tmp_path).market["price"].max() == 77.0
    run(tmp_path, "run3", value=88.0, users={"switching": 3.0, "size": 100}, policy="none")  # run again
    assert open_results(tmp_path).market["price"].max() == 88.0
    RunWriter(tmp_path, "run3", "").fail({}, ValueError("x"))  # and now it failed
    assert set(open_results(tmp_path).market["run_id"]) == {"run0", "run1", "run2"}
    collected(tmp_path).write_bytes(b"PAR1 torn")
    assert len(open_results(tmp_path).market) == 12


def test_a_fresh_collection_is_what_is_read(tmp_path: Path) -> None:
    assert len(open_results(sweep(tmp_path)).market) == 12
    stats = {path: path.stat() for path in (tmp_path / "market").glob("*.parquet")}
    for path, stat in stats.items():  # the same size and time: only someone who reads it would notice
        flip(path)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert len(open_results(tmp_path).market) == 12


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(tmp_path)

    @contextmanager
    def read_only(folder: Path, name: str) -> Iterator[Path]:
        raise PermissionError(f"read-only file system: {folder / name}")
        yield folder

    monkeypatch.setattr(collection, "workspace", read_only)
    frame = open_results(tmp_path).market
    assert not (tmp_path / "collected").exists()
    monkeypatch.undo()
    pd.testing.assert_frame_equal(open_results(tmp_path).market, frame)
    assert collected(tmp_path).exists()


# ── datasets and parts ──


def test_a_dataset_is_scanned_by_polars_and_duckdb_with_swept_parameters(tmp_path: Path) -> None:
    study = open_results(sweep(tmp_path))
    dataset = study.dataset("market")
    scanned = pl.scan_pyarrow_dataset(dataset).filter(pl.col("users.switching") >= 1).select("run_id", "price")
    expected = study.market.loc[study.market["users.switching"] >= 1, ["run_id", "price"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(scanned.collect().to_pandas(), expected)
    found = duckdb.sql('select run_id, price from dataset where "users.switching" >= 1').df()
    pd.testing.assert_frame_equal(found, expected)
    read = pq.read_schema(collected(tmp_path))  # and whoever opens the collected file sees them too
    assert read.names == list(study.market.columns)


def test_a_filter_on_a_setting_skips_the_files_of_other_runs(tmp_path: Path) -> None:
    study = open_results(sweep(tmp_path))
    paths = [tmp_path / f"market/run{i}.parquet" for i in range(3)]
    dataset = collection._of_runs(paths, study._swept, "market")
    flip(paths[0])
    flip(paths[2])
    rows = dataset.to_table(filter=pc.field("users.switching") == 1.0)
    assert set(rows["run_id"].to_pylist()) == {"run1"}


def test_a_part_of_a_study_has_its_runs_and_their_rows(tmp_path: Path) -> None:
    study = open_results(sweep(tmp_path))
    part = study.where({"users.switching": [0.0, 2.0], "seed": 3})
    assert part.runs["run_id"].tolist() == ["run0", "run2"]
    expected = study.offers[study.offers["run_id"] != "run1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.offers, expected)
    assert part.where({"users.switching": 2.0}).runs["run_id"].tolist() == ["run2"]
    stamp = collected(tmp_path, "offers").stat().st_mtime_ns
    assert not open_results(tmp_path).offers.empty
    assert collected(tmp_path, "offers").stat().st_mtime_ns == stamp  # a part is no reason to collect again


def test_a_part_that_is_empty_or_not_there_is_told(tmp_path: Path) -> None:
    study = open_results(sweep(tmp_path))
    with pytest.raises(ResultsError, match=r"users\.switch is not swept .*did you mean users\.switching\?"):
        study.where({"users.switch": 1.0})
    with pytest.raises(ResultsError, match=r"no run of .* with users\.switching = 9; there is 0\.0, 1\.0, 2\.0"):
        study.where({"users.switching": 9})
    with pytest.raises(ResultsError, match=r"no run of .* with users\.switching = 1.0; there is 0\.0$"):
        study.where({"users.switching": 0.0}).where({"users.switching": 1.0})


def test_a_setting_of_several_kinds_is_text(tmp_path: Path) -> None:
    for i, value in enumerate([1, "free", None, [1, 2]]):
        run(tmp_path, f"run{i}", users={"limit": value})
    study = open_results(tmp_path)
    assert study.runs["users.limit"].fillna("").tolist() == ["1", "free", "", "[1, 2]"]
    assert set(study.market["users.limit"].fillna("")) == {"1", "free", "", "[1, 2]"}
    assert study.where({"users.limit": None}).runs["run_id"].tolist() == ["run2"]
