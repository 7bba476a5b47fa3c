"""Manifests of a study: which runs it holds, what each was run with, and the settings in which they differ."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from aimarket.complaints import ResultsError, one_line
from aimarket.conditions import RUNS
from aimarket.overrides import key_of
from aimarket.recorder import MANIFEST_KEYS
from aimarket.schema import HOW_FAST, TABLES, schema_version
from aimarket.workspaces import read_json, within

if TYPE_CHECKING:
    import pandas as pd  # for those who want frames

RERUN = "run it again, or delete its manifest"
_WHY = ("about.question", "about.prediction", "about.outcome")
# Where, how and why a run was made, not what was run.
_NOT_SWEPT = ("study", "outputs", *(f"run.{name}" for name in HOW_FAST), *_WHY)
_KINDS = {"settings": dict, "overrides": list, "seed": int, "replications": int, "versions": dict, "seconds": dict}

Manifest = Mapping[str, Any]


def read_manifests(folder: Path, pattern: str = "*") -> list[dict[str, Any]]:
    """Manifests of a study by run id; one that cannot be read, or is another run's, is an error that names it."""
    found = []
    for path in sorted((folder / RUNS).glob(f"{pattern}.json")):
        try:
            manifest = read_json(path)
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} cannot be read: {error}") from error
        if manifest.get("run_id") != path.stem or "status" not in manifest:
            raise ResultsError(f"{path} is not the manifest of run {path.stem}")
        if strange := next((key for key, kind in _KINDS.items() if type(manifest.get(key, kind())) is not kind), None):
            raise ResultsError(f"{path}: {strange} is not what was written (got {manifest[strange]!r:.80})")
        found.append(manifest)
    return found


def checked(folder: Path, manifest: Manifest) -> Manifest:
    """The manifest of a complete run, if this version can read what it describes."""
    path = folder / RUNS / f"{manifest['run_id']}.json"
    if missing := [key for key in (*MANIFEST_KEYS, "files", "schema") if key not in manifest]:
        raise ResultsError(f"{path} lacks {', '.join(missing)}; {RERUN}")
    if manifest["schema"] != schema_version():
        raise ResultsError(f"{path} is of schema {manifest['schema']}, this version reads {schema_version()}; {RERUN}")
    try:
        if absent := [table for table in TABLES if table not in manifest["files"]]:
            raise ResultsError(f"{path} names no file for {', '.join(absent)}; {RERUN}")
        for file in manifest["files"].values():
            if [type(file[key]) for key in ("path", "bytes", "sha256")] != [str, int, str]:
                raise ValueError("path, bytes and sha256 are needed of every file")
            within(folder, file["path"])
        sum(manifest["seconds"].values())
        dict(manifest["settings"])
    except ResultsError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ResultsError(f"{path} is not what a run wrote ({one_line(str(error))}); {RERUN}") from None
    return manifest


def swept_settings(manifests: Sequence[Manifest]) -> pa.Table:
    """One row a run, one column a setting that differs; null where a run does not have the setting.

    Where runs differ in the files they were told to take, as in `roster=duopoly,oligopoly`, there is a column of these,
    and none of the settings that follow from them.
    """
    differing = dict(_differing("", [manifest.get("settings") or {} for manifest in manifests]))
    differing = _files_for_what_follows(differing, manifests)
    recorded = {column.name for columns in TABLES.values() for column in columns}
    return pa.table(
        {
            f"settings.{name}" if name in recorded else name: _column(values)
            for name, values in differing.items()
            if name not in _NOT_SWEPT
        }
    )


def summary(manifests: Sequence[Manifest], swept: pa.Table) -> "pd.DataFrame":
    """One row a run: its id, status, seed, replications, swept settings, seconds, and errors if any run failed."""
    import pandas as pd

    before = {key: [m.get(key) for m in manifests] for key in ("run_id", "status", "seed", "replications")}
    after = {"seconds": [sum((manifest.get("seconds") or {}).values()) for manifest in manifests]}
    if any(manifest["status"] != "complete" for manifest in manifests):
        after["error"] = [manifest.get("error", "") for manifest in manifests]
    return pd.concat([pd.DataFrame(before), swept.to_pandas(), pd.DataFrame(after)], axis=1)


def _differing(name: str, values: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Dotted names of the leaves that differ below a node, each with its value in every run."""
    if all(value == values[0] for value in values):
        return
    branches = [value if isinstance(value, Mapping) else {} for value in values]
    for key in {key: None for branch in branches for key in branch}:
        yield from _differing(f"{name}.{key}" if name else key, [branch.get(key) for branch in branches])
    leaves = [None if isinstance(value, Mapping) else value for value in values]
    if any(leaf != leaves[0] for leaf in leaves):
        yield name, [json.dumps(leaf) if isinstance(leaf, list) else leaf for leaf in leaves]  # a list is one value


def _files_for_what_follows(differing: dict[str, list[Any]], manifests: Sequence[Manifest]) -> dict[str, list[Any]]:
    """Settings that differ, with the files that runs were told to take in place of those that follow from them."""
    told = [{key_of(item): item.partition("=")[2] for item in map(str, m.get("overrides", ()))} for m in manifests]
    files = _chosen_files(manifests, told)
    places = list(zip(*files.values(), strict=True))
    kept = {
        name: values
        for name, values in differing.items()
        if not files or any(name in said for said in told) or not _follow(values, places)
    }
    return differing if len(kept) == len(differing) else files | kept  # that a file was named may change nothing


def _chosen_files(manifests: Sequence[Manifest], told: Sequence[Mapping[str, str]]) -> dict[str, list[Any]]:
    """Groups of which not all runs were told to take the same file, each with the file of every run; null: not told."""
    groups = {
        name: None
        for manifest, said in zip(manifests, told, strict=True)
        for name, value in said.items()
        if re.fullmatch(r"\w+", name) and re.fullmatch(r"[\w./-]+", value)
        if isinstance((manifest.get("settings") or {}).get(name, {}), Mapping)
    }
    files = {name: [said.get(name) for said in told] for name in groups}
    return {name: chosen for name, chosen in files.items() if len(set(chosen)) > 1}


def _follow(values: Sequence[Any], places: Sequence[Any]) -> bool:
    """Whether runs at the same place always have the same value."""
    first = dict(zip(reversed(places), reversed(values), strict=True))
    return all(first[place] == value for place, value in zip(places, values, strict=True))


def _column(values: Sequence[Any]) -> pa.Array:
    """Values of one kind as they are; of several kinds, such as a number here and a name there, as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


# ── files ──


def _expected(run_id: str, table: str) -> dict[str, str]:
    """What the file of a table says of itself; the schema's version is a digest of all columns."""
    return {"run_id": run_id, "table": table, "schema": schema_version()}


def size_and_time(path: Path, manifest: Manifest) -> tuple[int, int]:
    """Size in bytes and time of change in ns of a file of a run."""
    try:
        status = path.stat()
    except OSError as error:
        raise ResultsError(f"{path} of run {manifest['run_id']} is missing; {RERUN}") from error
    return status.st_size, status.st_mtime_ns


def opened(folder: Path, manifest: Manifest, table: str) -> pq.ParquetFile:
    """A file that is, to the byte, what its run wrote, in the schema this version reads; it is mapped, not copied."""
    described = manifest["files"][table]
    path, run_id = folder / str(described["path"]), manifest["run_id"]
    size, _ = size_and_time(path, manifest)
    if size != described["bytes"]:
        raise ResultsError(f"{path} is torn: {size} bytes, run {run_id} wrote {described['bytes']}; {RERUN}")
    try:
        mapped = pa.memory_map(str(path))
        digest = hashlib.sha256(mapped.read_buffer()).hexdigest()
    except OSError as error:
        raise ResultsError(f"{path} of run {run_id} cannot be read: {error}") from error
    if digest != described["sha256"]:
        told = folder / RUNS / f"{run_id}.json"  # by its size it is complete, and would not be run again
        raise ResultsError(f"{path} is not the file that run {run_id} wrote; delete {told} and run it again")
    try:
        file = pq.ParquetFile(mapped)  # only now: a harmed footer can upset more than its reader
    except (pa.ArrowException, OSError) as error:
        raise ResultsError(f"{path} of run {run_id} cannot be read: {one_line(str(error))}") from error
    said, columns = file.metadata.metadata or {}, file.metadata.num_columns
    named = all(said.get(key.encode()) == value.encode() for key, value in _expected(run_id, table).items())
    if not (named and columns == len(TABLES[table])):  # comparing 87 columns takes a tenth of the time of reading them
        raise ResultsError(f"{path} is not the {table} of run {run_id} in this version's schema; {RERUN}")
    return file
