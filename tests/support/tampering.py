"""Results that were tampered with: files changed by a byte, and tables rewritten with every hash made right again."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


def rewrite(study: Path, run: str, table: str, rows: pa.Table, **metadata: str) -> None:
    """Put other rows in the place of a table, of any schema, and let the manifest agree with them."""
    path = study / table / f"{run}.parquet"
    kept = {k.decode(): v.decode() for k, v in pq.read_metadata(path).metadata.items() if k != b"ARROW:schema"}
    with parquet_writer(path, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(kept | metadata)
    manifest = manifest_of(study, run)
    files = manifest["files"] | {table: {"rows": rows.num_rows, **described(path, f"{table}/{run}.parquet")}}
    seal(study, manifest | {"files": files})


def numbers(table: str) -> list[str]:
    """Recorded columns of a table that hold numbers, keys left out."""
    return [column.name for column in TABLES[table] if column.kind == "float64" and column.name not in KEYS]


def with_value(rows: pa.Table, column: str, row: int, value: float) -> pa.Table:
    """The same rows with another number in one cell."""
    values = rows[column].to_numpy().copy()
    values[row] = value
    return rows.set_column(rows.column_names.index(column), rows.schema.field(column), pa.array(values))


ERRORS: dict[str, Callable[[float, float], float]] = {  # what clerks and bugs make of a number; of its table's largest
    "a millionth off": lambda value, largest: value + 1e-6 * largest,
    "half as much again": lambda value, _: value * 1.5,
    "thousands taken for units": lambda value, _: value * 1e3,
    "its sign": lambda value, _: -value,
    "left out": lambda *_: 0.0,
    "lost": lambda *_: np.nan,
}


def material_error(
    tables: Mapping[str, pa.Table], table: str, column: str, draws: random.Random
) -> tuple[str, int, float] | None:
    """An error at random in a column: what is wrong, in which row, and what then stands there; None if all is zero.

    It is at least a millionth of the largest number of the unit in the table, and not in the first step, whose past the
    tables do not hold.
    """
    units = {c.name: c.unit.removesuffix("/month") for c in TABLES[table]}
    alike = [name for name in numbers(table) if units[name] == units[column]]
    largest = max(float(np.nanmax(np.abs(tables[table][name].to_numpy()), initial=0.0)) for name in alike)
    values, steps = tables[table][column].to_numpy(), tables[table]["step"].to_numpy()
    some = np.isfinite(values) & (values != 0) & (steps > 1)
    large = some & (np.abs(values) > 1e-3 * largest)
    if not some.any():
        return None
    row = int(draws.choice(np.flatnonzero(large if large.any() else some).tolist()))
    name = draws.choice(list(ERRORS)) if large.any() else "a millionth off"
    return name, row, ERRORS[name](float(values[row]), largest)


@contextmanager
def flip(path: Path, draws: random.Random) -> Iterator[int]:
    """A file with one byte that is another, for as long as the block lasts; where it is."""
    whole = path.read_bytes()
    where = draws.randrange(len(whole))
    path.write_bytes(whole[:where] + bytes([whole[where] ^ draws.randrange(1, 256)]) + whole[where + 1 :])
    try:
        yield where
    finally:
        path.write_bytes(whole)
