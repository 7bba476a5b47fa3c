"""One run, checked file by file and row by row; nothing is changed, and nothing is repaired."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from aimarket.audit.faults import Fault
from aimarket.audit.frame import Frame, misfits, told
from aimarket.audit.identities import breaches
from aimarket.audit.tables import Tables
from aimarket.complaints import ResultsError, one_line
from aimarket.conditions import manifest_path
from aimarket.manifests import Manifest, checked, opened
from aimarket.recording import Recording, arrays
from aimarket.schema import TABLES, arrow_schema
from aimarket.workspaces import HEADER, read_json

# What comes of settings, or of a file, that somebody made up: whatever reads it expects another kind of thing.
_MADE_UP = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, pa.ArrowException)


class Finding(NamedTuple):
    """What the check of one run found; `reason` says why it is not complete."""

    run_id: str
    state: Literal["clean", "faulty", "not complete"]
    faults: list[Fault]
    reason: str = ""


def check_run(folder: Path, run_id: str) -> Finding:
    """Check one run of a study: its manifest, its files to the byte, every row's place, every law of the accounting."""
    path = manifest_path(folder, run_id)
    try:
        manifest = read_json(path)
    except FileNotFoundError:
        return Finding(run_id, "not complete", [], f"{path} is missing")
    except (OSError, ValueError) as error:
        return _finding(run_id, [Fault(str(path), f"cannot be trusted: {one_line(str(error))}")])
    if manifest.get("run_id") != run_id:
        return _finding(run_id, [Fault(str(path), f"is the manifest of run {manifest.get('run_id')}")])
    if manifest.get("status") != "complete":
        why = one_line(str(manifest.get("error", ""))) or "no more is known"
        return Finding(run_id, "not complete", [], f"{manifest.get('status')}: {why}")
    return _finding(run_id, _faults(folder, manifest, path))


def check_checkpoints(place: Path) -> Finding:
    """Check what is kept of an interrupted run, in `STUDY/.checkpoints/RUN_ID`, or of one of its replications."""
    folders = [place] if (place / HEADER).is_file() else sorted(header.parent for header in place.glob(f"*/{HEADER}"))
    run_id = place.parent.name if folders == [place] else place.name
    faults, steps = [], []
    for folder in folders:
        step, found = _checkpoint(folder, run_id)
        faults += found
        steps.append(f"replication {folder.name} to step {step}")
    if faults:
        return _finding(run_id, faults)
    return Finding(run_id, "not complete", [], f"interrupted; kept: {', '.join(steps) or 'nothing'}")


def _checkpoint(folder: Path, run_id: str) -> tuple[int, list[Fault]]:
    """The step a checkpoint goes on after, and what is wrong with it."""
    from aimarket.checkpoints import intact, rows  # builds a market, which few need

    try:
        header = intact(folder)
        frame = Frame.of(run_id, header["settings"], [header["replication"]], header["step"])
        whose = {"run_id": run_id, "replication": int(folder.name)}
        if any(header[key] != value for key, value in whose.items()):
            raise ResultsError(f"{folder / HEADER} is of run {header['run_id']}, replication {header['replication']}")
        faults = examine(frame, Recording.join(rows(folder, header)).tables)
    except _MADE_UP as error:
        return 0, [Fault(str(folder), one_line(str(error)))]
    return header["step"], faults  # files that the header does not name are of a write cut short


def _finding(run_id: str, faults: list[Fault]) -> Finding:
    return Finding(run_id, "faulty" if faults else "clean", faults)


def _faults(folder: Path, manifest: Manifest, path: Path) -> list[Fault]:
    """Of a run that says it is complete."""
    run_id = manifest["run_id"]
    try:
        checked(folder, manifest)
        run = manifest["settings"]["run"]
        frame = Frame.of(run_id, manifest["settings"], range(run["replications"]), run["steps"])
        faults = [
            Fault(str(path), f"{key}: {manifest[key]!r} found, {run[key]!r} by its settings")
            for key in ("seed", "replications")
            if manifest[key] != run[key]
        ]
        recorded: dict[str, pa.Table] = {}
        for table in TABLES:
            try:
                recorded[table] = _read(folder, manifest, table)
            except _MADE_UP as error:
                faults.append(Fault(f"{table}/{run_id}.parquet", one_line(str(error))))
        return faults or examine(frame, recorded)
    except ResultsError as error:
        return [Fault(str(path), one_line(str(error)).removeprefix(f"{path} "))]
    except _MADE_UP as error:
        return [Fault(str(path), f"its settings are those of no run: {error!r}")]


def examine(frame: Frame, recorded: Mapping[str, pa.Table]) -> list[Fault]:
    """What is wrong with the tables of a run; what they say is asked once their rows are where they belong."""
    columns = {table: arrays(recorded[table]) for table in TABLES}
    misplaced = [fault for table in TABLES for fault in misfits(frame, table, columns[table])]
    return misplaced or breaches(Tables(frame, columns))


def _read(folder: Path, manifest: Manifest, table: str) -> pa.Table:
    """A table of a run.

    raises : ResultsError, or whatever its reader raises, if it is not what the manifest says
    """
    run_id, described = manifest["run_id"], manifest["files"][table]
    if described["path"] != (expected := f"{table}/{run_id}.parquet"):
        raise ResultsError(f"{described['path']!r} named as its file, {expected!r} expected")
    rows = opened(folder, manifest, table).read()
    if not rows.schema.equals(arrow_schema(table)):
        raise ResultsError("not the columns of this version's schema")
    if rows.num_rows != described["rows"]:
        raise ResultsError(f"{rows.num_rows} rows found, {described['rows']} by the manifest")
    if any(column.null_count for column in rows.columns):
        raise ResultsError("nulls found; there are none in a recorded table")
    rows.validate(full=True)
    made_from = json.loads(rows.schema.metadata[b"configuration"])
    if (where := _differs(made_from, manifest["settings"])) is not None:
        raise ResultsError(f"made from other settings than the manifest has: {where}")
    return rows


def _differs(made_from: Any, settings: Any, key: str = "") -> str | None:
    """The first of some settings that a larger set has otherwise, None if there is none."""
    if not (isinstance(made_from, dict) and isinstance(settings, dict)):
        return None if made_from == settings else f"{key} {told(made_from)} instead of {told(settings)}"
    within = (_differs(value, settings.get(name), f"{key}.{name}".strip(".")) for name, value in made_from.items())
    return next(filter(None, within), None)
