"""The only reader: a study as tidy frames, with the parameters that were swept as columns.

Only runs whose manifest says complete are read, and only files that are, to the byte, what their manifest describes.
With more than one run a table is first collected into `<study>/collected/<table>.parquet`: it reads many times faster.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from aimarket.complaints import ResultsError
from aimarket.recorder import MANIFEST_KEYS, RUNS, parquet_writer, publish, workspace
from aimarket.recording import KEYS, Frames
from aimarket.schema import TABLES, arrow_schema, schema_version

COLLECTED = "collected"
_ABOUT = ("about.question", "about.prediction", "about.outcome")
_NOT_SWEPT = ("study", "outputs", "run.threads", *_ABOUT)  # where, how and why a run was made, not what was run
_ROW_GROUP = 2**18  # rows; large groups keep a collected file fast to open
_RERUN = "run it again, or delete its manifest"

Manifest = Mapping[str, Any]


class Results(Frames):
    """The complete runs of a study: `.runs`, and `.market`, `.providers`, … with the swept parameters as columns."""

    def __init__(self, folder: Path, manifests: Sequence[Manifest]) -> None:
        self.folder = folder
        self._manifests = manifests
        self._swept = _swept(manifests)

    @property
    def manifests(self) -> Sequence[Manifest]:
        """What each run says of itself: settings, overrides, seed, versions; in the order of the run ids."""
        return self._manifests

    @property
    def swept(self) -> list[str]:
        """Dotted names of the settings that differ between the runs."""
        return list(self._swept.columns)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run: its id, status, seed, replications, swept parameters and seconds."""
        return _summary(self._manifests)

    def frame(self, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table of all runs as a tidy frame; `columns` limits the recorded columns that are read beside the keys."""
        if table not in TABLES:
            raise ResultsError(f"no table {table!r}; tables are {', '.join(TABLES)}")
        names = [column.name for column in TABLES[table]]
        if unknown := sorted(set(columns or ()) - set(names)):
            raise ResultsError(f"table {table} has no column {', '.join(unknown)}")
        wanted = [name for name in names if name in KEYS or columns is None or name in columns]
        sources = _sources(self.folder, self._manifests, table)
        frame: pd.DataFrame = _dataset(sources, table).to_table(columns=wanted).to_pandas()
        codes, run_ids = pd.factorize(frame["run_id"])
        of_run = self._swept.loc[run_ids]
        swept = pd.DataFrame({name: of_run[name].array.take(codes) for name in self.swept}, index=frame.index)
        return pd.concat([frame[list(KEYS)], swept, frame.drop(columns=list(KEYS))], axis=1)


def open_results(path_or_study: str | Path, outputs: str | Path = "outputs", run_id: str | None = None) -> Results:
    """Open a study by its name in `outputs`, or by its folder.

    run_id : the only run to read, whatever else the study holds; None: all of them

    raises : ResultsError if there is no such study, no complete run, or a manifest that this version cannot read;
             a file that is not what its run wrote raises it when its table is first read
    """
    folder = find_study(path_or_study, outputs)
    manifests = _manifests(folder, run_id or "*")
    complete = [_checked(folder, manifest) for manifest in manifests if manifest["status"] == "complete"]
    if not complete:
        raise ResultsError(f"study {folder} holds no complete run ({len(manifests)} failed)")
    return Results(folder, complete)


def list_runs(path_or_study: str | Path, outputs: str | Path = "outputs") -> pd.DataFrame:
    """Every run of a study, complete or failed: one row a run, with the error of those that failed."""
    return _summary(_manifests(find_study(path_or_study, outputs)))


def collect(path_or_study: str | Path, outputs: str | Path = "outputs") -> list[Path]:
    """Compact a study into one file a table, where that is not done already; returns the files."""
    results = open_results(path_or_study, outputs)
    return [_collect(results.folder, results._manifests, table) for table in TABLES]


def find_study(path_or_study: str | Path, outputs: str | Path = "outputs") -> Path:
    """The folder of a study, given its name in `outputs` or its path."""
    places = [Path(outputs) / path_or_study, Path(path_or_study)]
    for place in places:
        if (place / RUNS).is_dir():
            return place
        if place.is_dir():
            raise ResultsError(f"{place} holds no complete run")
    known = {f.parent.name for place in places for f in place.parent.glob(f"*/{RUNS}") if f.is_dir()}
    near = difflib.get_close_matches(places[0].name, sorted(known))
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ResultsError(f"no study {str(path_or_study)!r} in {outputs}{hint}")


# ── manifests ──


def _manifests(folder: Path, pattern: str = "*") -> list[dict[str, Any]]:
    """Manifests of a study by run id; one that cannot be read, or is another run's, is an error that names it."""
    found = []
    for path in sorted((folder / RUNS).glob(f"{pattern}.json")):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} cannot be read: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("run_id") != path.stem or "status" not in manifest:
            raise ResultsError(f"{path} is not the manifest of run {path.stem}")
        found.append(manifest)
    return found


def _checked(folder: Path, manifest: Manifest) -> Manifest:
    path = folder / RUNS / f"{manifest['run_id']}.json"
    if missing := [key for key in (*MANIFEST_KEYS, "files", "schema") if key not in manifest]:
        raise ResultsError(f"{path} lacks {', '.join(missing)}; {_RERUN}")
    if manifest["schema"] != schema_version():
        raise ResultsError(f"{path} is of schema {manifest['schema']}, this version reads {schema_version()}; {_RERUN}")
    if absent := [table for table in TABLES if table not in manifest["files"]]:
        raise ResultsError(f"{path} names no file for {', '.join(absent)}; {_RERUN}")
    return manifest


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:  # a list is one value, and hashable only as text
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else value


def _swept(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """One row a run, one column a setting that differs; a setting that a run does not have is missing there."""
    settings = [dict(_leaves(manifest.get("settings") or {})) for manifest in manifests]
    names = {name: None for leaves in settings for name in leaves if name not in _NOT_SWEPT}
    differing = [name for name in names if len({leaves.get(name) for leaves in settings}) > 1]
    recorded = {column.name for columns in TABLES.values() for column in columns}
    columns = {f"settings.{name}" if name in recorded else name: [s.get(name) for s in settings] for name in differing}
    return pd.DataFrame(columns, index=[manifest["run_id"] for manifest in manifests])


def _summary(manifests: Sequence[Manifest]) -> pd.DataFrame:
    before = {key: [m.get(key) for m in manifests] for key in ("run_id", "status", "seed", "replications")}
    swept = _swept(manifests).reset_index(drop=True)
    after = {"seconds": [sum((manifest.get("seconds") or {}).values()) for manifest in manifests]}
    if any(manifest["status"] != "complete" for manifest in manifests):
        after["error"] = [manifest.get("error", "") for manifest in manifests]
    return pd.concat([pd.DataFrame(before), swept, pd.DataFrame(after)], axis=1)


# ── files ──


def _dataset(paths: Sequence[Path], table: str) -> ds.FileSystemDataset:
    return ds.dataset([str(path) for path in paths], schema=arrow_schema(table), format="parquet")


def _sources(folder: Path, manifests: Sequence[Manifest], table: str) -> list[Path]:
    """The collected file of a table, refreshed if stale; the files of the runs if there is one or writing fails."""
    if len(manifests) > 1:
        with suppress(OSError):
            return [_collect(folder, manifests, table)]
    return [_verified(folder, manifest, table) for manifest in manifests]


def _collect(folder: Path, manifests: Sequence[Manifest], table: str) -> Path:
    """Write the runs of a table into one file, whose footer lists them; nothing is done if that is so already."""
    target = folder / COLLECTED / f"{table}.parquet"
    stamp = _stamp(folder, manifests, table)
    if _stamped(target) == stamp:
        return target
    sources = [_verified(folder, manifest, table) for manifest in manifests]
    with workspace(folder, f"{COLLECTED}-{table}") as partial:
        with parquet_writer(partial / table, arrow_schema(table)) as writer:
            for rows in _grouped(_dataset(sources, table)):
                writer.write_table(rows, row_group_size=rows.num_rows)
            writer.add_key_value_metadata({"stamp": stamp})
        return publish(partial / table, target)


def _grouped(dataset: ds.FileSystemDataset) -> Iterator[pa.Table]:
    """The rows in order, in pieces large enough for a row group and small enough for memory."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in dataset.to_batches():
        held.append(batch)
        rows += batch.num_rows
        if rows >= _ROW_GROUP:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held)


def _stamp(folder: Path, manifests: Sequence[Manifest], table: str) -> str:
    """What a collected file was made from: it is stale as soon as this differs."""
    files = {manifest["run_id"]: _stat(folder / manifest["files"][table]["path"], manifest) for manifest in manifests}
    return json.dumps({"schema": schema_version(), "files": files}, sort_keys=True)


def _stamped(target: Path) -> str | None:
    try:
        found: bytes | None = pq.read_metadata(target).metadata.get(b"stamp")
    except (OSError, pa.ArrowException):
        return None
    return None if found is None else found.decode()


def _stat(path: Path, manifest: Manifest) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ResultsError(f"{path} of run {manifest['run_id']} is missing; {_RERUN}") from error
    return status.st_size, status.st_mtime_ns


def _verified(folder: Path, manifest: Manifest, table: str) -> Path:
    """The path of a file that is, to the byte, what its run wrote, in the schema this version reads."""
    described = manifest["files"][table]
    path, run_id = folder / str(described["path"]), manifest["run_id"]
    size, _ = _stat(path, manifest)
    if size != described["bytes"]:
        raise ResultsError(f"{path} is torn: {size} bytes, run {run_id} wrote {described['bytes']}; {_RERUN}")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ResultsError(f"{path} of run {run_id} cannot be read: {error}") from error
    if digest != described["sha256"]:
        raise ResultsError(f"{path} is not the file that run {run_id} wrote; {_RERUN}")
    footer = pq.read_metadata(path)  # only now: a harmed footer can upset more than its reader
    same_schema = footer.schema.to_arrow_schema().equals(arrow_schema(table))
    if not same_schema or footer.metadata.get(b"run_id") != run_id.encode():
        raise ResultsError(f"{path} is not the {table} of run {run_id} in this version's schema; {_RERUN}")
    return path
