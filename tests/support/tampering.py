"""Results that were tampered with: files changed by a byte, and tables rewritten with every hash made right again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aimarket.conditions import manifest_path
from aimarket.recorder import parquet_writer
from aimarket.recording import KEYS
from aimarket.schema import TABLES
from aimarket.workspaces import as_json, described


def manifest_of(study: Path, run_id: str) -> dict[str, Any]:
    """The manifest of a run without its hash."""
    manifest: dict[str, Any] = json.loads(manifest_path(study, run_id).read_text())
    del manifest["sha256"]
    return manifest


def seal(study: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest with a hash that is right, whatever it says."""
    manifest_path(study, manifest["run_id"]).write_text(as_json(manifest))


def rewrite(study: Path, run_id: str, table: str, rows: pa.Table, **metadata: str) -> None:
    """Put other rows in the place of a table, of any schema, and let the manifest agree with them."""
    path = study / table / f"{run_id}.parquet"
    kept = {k.decode(): v.decode() for k, v in pq.read_metadata(path).metadata.items() if k != b"ARROW:schema"}
    with parquet_writer(path, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(kept | metadata)
    manifest = manifest_of(study, run_id)
    files = manifest["files"] | {table: {"rows": rows.num_rows, **described(path, f"{table}/{run_id}.parquet")}}
    seal(study, manifest | {"files": files})


def numbers(table: str) -> list[str]:
    """Recorded columns of a table that hold numbers, keys left out."""
    return [column.name for column in TABLES[table] if column.kind == "float64" and column.name not in KEYS]


def with_value(rows: pa.Table, column: str, row: int, value: float) -> pa.Table:
    """The same rows with another number in one cell."""
    values = rows[column].to_numpy().copy()
    values[row] = value
    return rows.set_column(rows.column_names.index(column), rows.schema.field(column), pa.array(values))


ERRORS: dict[str, Callable[[float], float]] = {  # what clerks and bugs do to a number
    "a millionth more": lambda value: value * (1 + 1e-6),
    "half as much again": lambda value: value * 1.5,
    "thousands taken for units": lambda value: value * 1e3,
    "its sign": lambda value: -value,
    "left out": lambda _: 0.0,
    "lost": lambda _: np.nan,
}
