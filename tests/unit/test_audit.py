"""What `aimarket check` finds: any byte that is another, any row out of place, any number that contradicts the rest."""

import dataclasses
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from everything import everything
from tampering import flip, manifest_of, material_error, numbers, rewrite, seal, with_value

from aimarket import cli
from aimarket.audit import study as audit
from aimarket.audit.frame import Frame
from aimarket.audit.run import check_checkpoints, check_run, examine
from aimarket.checkpoints import home
from aimarket.complaints import ResultsError
from aimarket.conditions import condition, manifest_path
from aimarket.configuration import run_id, settings_dict, validate
from aimarket.plans import Planned, write_plan
from aimarket.results import collect, open_results
from aimarket.schema import TABLES
from aimarket.settings import Settings
from aimarket.simulation import record_failure, run, simulate
from aimarket.workspaces import CHECKPOINTS

# Numbers that nothing else in the tables contradicts within bounds; docs/checking.md says which.
TOLD_ONCE = {
    "market": {"thinking_share", "price_index", "quality_adjusted_index"},  # the indices within bounds
    "providers": {"continuation_value", "retention", "peak_utilisation", "gpus_retired", "gpus_bought", "gpus_sold"},
    "offers": {"short_run_cost", "newcomer_price", "latency", "time_to_first_token", "quality"},
    "events": {"value"},
}


def settings_in(folder: Path, **values: Any) -> Settings:
    return dataclasses.replace(validate(everything(**values)), outputs=str(folder), study="audited")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one run in which something of everything happens."""
    folder = tmp_path_factory.mktemp("recorded")
    run(settings_in(folder), processes=1)
    return folder / "audited"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a run that was interrupted."""
    folder = tmp_path_factory.mktemp("kept")
    settings = settings_in(folder, run__checkpoint_every=3)

    def stop(step: int, _: int) -> None:
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, advance=stop, processes=1)
    return home(folder / "audited", run_id(settings))


@pytest.fixture
def copied(recorded: Path, tmp_path: Path) -> Path:
    """A study to be tampered with."""
    return Path(shutil.copytree(recorded, tmp_path / "study"))


def only_run(study: Path) -> str:
    return next((study / "runs").glob("*.json")).stem


def lines(study: Path) -> str:
    return "\n".join(map(str, check_run(study, only_run(study)).faults))


def framed(study: Path) -> tuple[Frame, dict[str, pa.Table]]:
    """What the run was to record, and what it did."""
    name = only_run(study)
    settings = manifest_of(study, name)["settings"]
    steps, replications = settings["run"]["steps"], range(settings["run"]["replications"])
    tables = {table: pq.read_table(study / table / f"{name}.parquet") for table in TABLES}
    return Frame.of(name, settings, replications, steps), tables


# --- what is clean ----------------------------------------------------------------------------------------------------


def test_what_was_written_is_clean(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(recorded), "--nonsense"])
    assert ended.value.code == 2
    cli.main(["check", str(recorded)])
    assert capsys.readouterr().out == f"{recorded}: 1 run: 1 clean; 0 faults found\n"
    cli.main(["check", str(manifest_path(recorded, only_run(recorded)))])


@pytest.mark.parametrize(
    "values",
    [
        {"run__steps_per_year": 4, "run__replications": 2},
        {"run__steps_per_year": 52, "run__steps": 14},
        {"hardware__rental": None},
        {"hardware__supply": None},
        {"record__tables": ["market", "statements", "ledger"]},
        {"record__tables": ["providers", "offers"]},
    ],
    ids=",".join,
)
def test_no_setting_makes_clean_tables_look_faulty(values: dict[str, Any]) -> None:
    config = everything(**{key: value for key, value in values.items() if value is not None})
    for group, name in (key.split("__") for key, value in values.items() if value is None):
        config[group][name] = None
    settings = validate(config)
    plain = json.loads(json.dumps(settings_dict(settings)))
    frame = Frame.of(run_id(settings), plain, range(settings.run.replications), settings.run.steps)
    assert examine(frame, simulate(settings).tables) == []


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_every_one_of_five_hundred_changed_bytes_is_found(copied: Path, kept: Path, tmp_path: Path) -> None:
    """In a manifest, in seven tables and in checkpoints; file by file, so that the small ones have their share."""
    draws, name = random.Random(7), only_run(copied)
    checkpoints = Path(shutil.copytree(kept, tmp_path / CHECKPOINTS / kept.name))
    files = [path for folder in (copied, checkpoints) for path in sorted(folder.rglob("*.*")) if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".parquet", ".arrows", ".npz"}
    missed = []
    for _ in range(500):
        path = draws.choice(files)
        with flip(path, draws) as where:
            found = check_run(copied, name) if path.is_relative_to(copied) else check_checkpoints(checkpoints)
            if found.state != "faulty":
                missed.append((path.name, where))
    assert missed == []
    assert audit.check(copied).clean


def test_a_manifest_or_plan_that_was_touched_is_not_read(copied: Path) -> None:
    name = only_run(copied)
    path = manifest_path(copied, name)
    text = path.read_text()
    path.write_text(text.replace('"seed": 1', '"seed": 2'))
    assert condition(copied, name).state == "stale"
    with pytest.raises(ResultsError, match="not, to the byte, what was written"):
        open_results(copied)
    path.write_text(text[: text.rindex(",")] + "\n}\n")  # without its hash
    with pytest.raises(ResultsError, match="not, to the byte, what was written"):
        open_results(copied)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path: Path) -> None:
    rewrite(path.parents[1], path.stem, "market", pa.table({"run_id": [path.stem], "price": [1.0]}))


HARM = {
    "cut": (cut, r"market/\w+\.parquet: .*torn"),
    "gone": (Path.unlink, r"market/\w+\.parquet: .*missing"),
    "foreign": (foreign, r"market/\w+\.parquet: .*not the market of run"),
    "extra": (lambda path: shutil.copy(path, path.with_stem("more")), r"market/more\.parquet: no complete run"),
    "empty": (lambda path: path.write_bytes(b""), r"market/\w+\.parquet: .*torn"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_file_that_is_not_whole_or_nobodys_is_told(copied: Path, capsys: Any, harm: str) -> None:
    does, says = HARM[harm]
    does(copied / "market" / f"{only_run(copied)}.parquet")
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(copied)])
    assert ended.value.code == 1
    assert any(re.search(says, line) for line in capsys.readouterr().out.splitlines())


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_that_are_missing_or_out_of_place_are_told(recorded: Path) -> None:
    frame, tables = framed(recorded)

    def said(table: str, rows: pa.Table) -> str:
        return "\n".join(map(str, examine(frame, {**tables, table: rows})))

    order = np.arange(len(tables["providers"]))
    order[[3, 4]] = order[[4, 3]]
    assert "providers.provider, row 4: " in said("providers", tables["providers"].take(order))
    assert "market: 9 rows found, 10 expected" in said("market", tables["market"].slice(1))
    assert "ledger, row " in said("ledger", pa.concat_tables([tables["ledger"], tables["ledger"].slice(0, 1)]))
    twice = pa.concat_tables([tables["ledger"].slice(0, 1), tables["ledger"]])
    assert "stands there twice" in said("ledger", twice)
    events = tables["events"]
    renamed = events.set_column(
        events.column_names.index("kind"), events.schema.field("kind"), pa.array(["miracle"] * len(events))
    )
    assert "events.kind, row 1: 'miracle' found" in said("events", renamed)
    for column, value in (("year", 7.0), ("price", np.inf), ("spend", np.nan)):
        assert f"market.{column}, " in said("market", with_value(tables["market"], column, 4, value))


def test_an_entry_of_one_side_only_is_told(recorded: Path) -> None:
    frame, tables = framed(recorded)
    ledger = tables["ledger"]
    firms = set(frame.rows("providers"))
    paid = [row for row, other in enumerate(ledger["counterparty"].to_pylist()) if other in firms]
    found = examine(frame, {**tables, "ledger": with_value(ledger, "amount", paid[0], 1.0)})
    assert any("in the books of the other side" in str(fault) for fault in found)


# --- numbers ----------------------------------------------------------------------------------------------------------


def covered() -> Iterator[tuple[str, str]]:
    """Every column of numbers that the laws hold against others."""
    for table in TABLES:
        yield from ((table, column) for column in numbers(table) if column not in TOLD_ONCE.get(table, ()))


def test_a_hundred_seeded_errors_with_every_hash_made_right_again_are_found(recorded: Path, tmp_path: Path) -> None:
    """Of any kind, in any row, in any column that the laws hold against others."""
    draws = random.Random(100)
    name, columns, missed, seeded = only_run(recorded), list(covered()), [], 0
    _, tables = framed(recorded)
    study = Path(shutil.copytree(recorded, tmp_path / "study"))
    while seeded < 100:
        table, column = draws.choice(columns)
        if (error := material_error(tables, table, column, draws)) is None:
            continue
        what, row, value = error
        seeded += 1
        rewrite(study, name, table, with_value(tables[table], column, row, value))
        if not check_run(study, name).faults:
            missed.append((table, column, what, row))
        rewrite(study, name, table, tables[table])
    assert missed == []
    assert check_run(study, name).state == "clean"


def test_every_column_is_held_against_others(recorded: Path) -> None:
    """One error at least in each of them, and more where a first one may be a stroke of luck."""
    draws = random.Random(3)
    frame, tables = framed(recorded)
    missed, silent = [], []
    for table, column in covered():
        for _ in range(2):
            if (error := material_error(tables, table, column, draws)) is None:
                silent.append((table, column))
                break
            what, row, value = error
            if not examine(frame, {**tables, table: with_value(tables[table], column, row, value)}):
                missed.append((table, column, what, row))
    assert missed == []
    assert set(silent) <= {("market", "wait"), ("providers", "wait")}


def test_a_fault_says_where_it_is_and_what_was_expected(copied: Path) -> None:
    _, tables = framed(copied)
    row = 4 * len({*tables["statements"]["provider"].to_pylist()}) + 1
    cash = tables["statements"]["cash"][row].as_py()
    rewrite(copied, only_run(copied), "statements", with_value(tables["statements"], "cash", row, cash + 1e9))
    firm = tables["statements"]["provider"][row].as_py()
    told = lines(copied)
    assert f"statements.cash, step 5, {firm}: {cash + 1e9!r} found, " in told
    assert "(last balance + change in cash)" in told
    assert f"statements.assets, step 5, {firm}: " in told
    assert "statements.cash, step 6" in told  # what follows from it is wrong, too


def test_settings_that_are_not_those_the_tables_were_made_from_are_told(copied: Path) -> None:
    manifest = manifest_of(copied, only_run(copied))
    manifest["settings"]["users"]["reference_price"] = 7.0
    seal(copied, manifest)
    assert "made from other settings than the manifest has: users.reference_price" in lines(copied)
    manifest["settings"]["providers"] = None
    seal(copied, manifest)
    assert "its settings are those of no run" in lines(copied)


def test_no_file_is_read_that_is_not_the_runs_own(copied: Path, tmp_path: Path) -> None:
    name = only_run(copied)
    outside = shutil.move(copied / "market" / f"{name}.parquet", tmp_path / "market.parquet")
    manifest = manifest_of(copied, name)
    manifest["files"]["market"]["path"] = f"../{Path(outside).name}"
    seal(copied, manifest)
    assert "'../market.parquet' is no file of" in lines(copied)


# --- studies ----------------------------------------------------------------------------------------------------------


def sweep(folder: Path, seeds: int) -> Path:
    for seed in range(1, seeds + 1):
        run(settings_in(folder, run__seed=seed, run__steps=2), processes=1)
    return folder / "audited"


def test_of_a_study_each_run_that_is_not_clean_is_told_in_a_line(tmp_path, capsys, monkeypatch) -> None:
    study = sweep(tmp_path, 3)
    failed = settings_in(tmp_path, run__seed=9)
    record_failure(failed, [], OSError("no\nroom"))
    harmed = sorted(path.stem for path in (study / "runs").glob("*.json") if path.stem != run_id(failed))[1]
    price = pq.read_table(study / "market" / f"{harmed}.parquet")
    rewrite(study, harmed, "market", with_value(price, "spend", 1, 1.0))
    for processes, many in ((1, 16), (2, 2)):
        monkeypatch.setattr(audit, "_MANY", many)
        report = audit.check(study, processes=processes)
        assert [run.run_id for run in report.runs] == sorted(path.stem for path in (study / "runs").glob("*.json"))
        assert {run.run_id: run.state for run in report.runs if run.state != "clean"} == {
            harmed: "faulty",
            run_id(failed): "not complete",
        }
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(study)])
    assert ended.value.code == 1
    *told, summary = capsys.readouterr().out.splitlines()
    assert len(told) == 2
    assert f"run {run_id(failed)}: not complete (failed: OSError: no room)" in told
    assert any(line.startswith(f"run {harmed}: ") and " faults; market." in line for line in told)
    assert summary.startswith(f"{study}: 4 runs: 2 clean, 1 faulty, 1 not complete; ")


def test_a_collected_file_holds_what_the_runs_hold(tmp_path: Path) -> None:
    study = sweep(tmp_path, 2)
    collect(study)
    assert audit.check(study).clean
    path = study / "collected" / "market.parquet"
    rows, metadata = pq.read_table(path), pq.read_metadata(path).metadata
    with pq.ParquetWriter(path, rows.schema) as writer:
        writer.write_table(with_value(rows, "price", 1, 7.0))
        writer.add_key_value_metadata({"stamp": metadata[b"stamp"].decode()})
    (told,) = audit.check(study).faults
    assert str(told).startswith("collected/market.parquet: does not hold what the runs do; delete it")
    path.write_bytes(b"no Parquet")
    assert "cannot be read" in str(audit.check(study).faults[0])


def test_what_is_kept_of_an_interrupted_run_is_not_complete_and_is_checked(kept: Path, tmp_path: Path, capsys) -> None:
    for path in (kept, kept / "0", kept.parent, kept.parents[1]):
        (found,) = audit.check(path).runs
        assert (found.run_id, found.state, found.faults) == (kept.name, "not complete", [])
        assert found.reason == "interrupted; kept: replication 0 to step 6"
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(kept)])
    assert ended.value.code == 1
    assert "not complete (interrupted; kept: replication 0 to step 6)" in capsys.readouterr().out


def test_what_is_planned_and_not_there_is_not_complete(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_plan(copied, [Planned("0" * 16, ("run.seed=2",)), Planned("1" * 16, ("run.seed=3",))])
    report = audit.check(copied)
    assert [(run.state, run.reason) for run in report.runs] == [("clean", "")] + 2 * [("not complete", "to do")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(copied)])
    assert ended.value.code == 1
    assert capsys.readouterr().out == f"{copied}: 3 runs: 1 clean, 2 not complete; 0 faults found\n"
    plan.write_text(plan.read_text().replace("run.seed=2", "run.seed=4"))
    assert [fault.place for fault in audit.check(copied).faults] == ["plans"]
    shutil.rmtree(copied / "runs")
    assert not audit.check(copied).clean


@pytest.mark.parametrize("path", ["nowhere", "empty", "runs/none.json"])
def test_a_path_that_is_nothing_of_the_kind_is_refused(tmp_path: Path, capsys, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(tmp_path / path)])
    assert ended.value.code == 2
    assert "no study, manifest or checkpoints" in capsys.readouterr().err
