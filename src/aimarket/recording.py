"""Rows in memory: the recorder checks what the market measures against the schema and turns it into Arrow tables.

It hands them over in parts of at most `STEPS_IN_PART` steps, so that memory does not grow with the horizon.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from aimarket.schema import TABLES, Column, arrow_schema, table_meaning

if TYPE_CHECKING:
    import pandas as pd  # half a second, for those who want frames

KEYS = ("run_id", "replication", "step", "year")
STEPS_IN_PART = 600  # fifty years of months; a part is a row group on disk, which is slow to read if small

_DTYPES: dict[str, Any] = {"int32": np.int32, "float64": np.float64, "bool": np.bool_, "string": np.object_}
_ACCEPTED = {"int32": "iu", "float64": "iuf", "bool": "b", "string": "O"}  # numpy dtype kinds that lose nothing


def part_of(step: int) -> int:
    """The part, counted from 0, that a step is recorded in; steps count from 1."""
    return (step - 1) // STEPS_IN_PART


def checked_run_id(run_id: str) -> str:
    """The run id, if it can name a file everywhere."""
    if not re.fullmatch(r"\w[\w-]*", run_id, re.ASCII):
        raise RecordError(f"run id {run_id!r} must be letters, digits, _ and -")
    return run_id


class RecordError(ValueError):
    """Rows that do not fit the schema, or a recording that does not fit its run."""


def _made_once(table: str) -> "cached_property[pd.DataFrame]":
    def make(self: "Frames") -> "pd.DataFrame":
        return self.frame(table)

    make.__doc__ = table_meaning(table)
    return cached_property(make)


class Frames(ABC):
    """Tidy pandas frames by name; a subclass says how one is made. Each is made once, when it is first asked for."""

    market = _made_once("market")
    providers = _made_once("providers")
    offers = _made_once("offers")
    segments = _made_once("segments")
    statements = _made_once("statements")
    ledger = _made_once("ledger")
    events = _made_once("events")

    @abstractmethod
    def frame(self, table: str) -> "pd.DataFrame":
        """Make the frame of one table."""


@dataclass(frozen=True)
class Recording(Frames):
    """What one or more replications of a run recorded: Arrow tables by name, and frames (`.market`, `.offers`, …)."""

    run_id: str
    tables: Mapping[str, pa.Table]

    @classmethod
    def join(cls, recordings: Iterable["Recording"]) -> "Recording":
        """The recordings of one run, one after another."""
        parts = list(recordings)
        ids = {part.run_id for part in parts}
        if len(ids) != 1:
            raise RecordError(f"recordings of one run expected, got run ids {sorted(ids)}")
        return cls(ids.pop(), {name: pa.concat_tables([part.tables[name] for part in parts]) for name in TABLES})

    def parts(self) -> list[tuple[int, int]]:
        """The replications, and the parts of them, that hold rows; in ascending order. See `part_of`."""
        keys = (
            zip(*(table[key].to_pylist() for key in ("replication", "step")), strict=True)
            for table in self.tables.values()
        )
        return sorted({(replication, part_of(step)) for rows in keys for replication, step in rows})

    def only(self, replication: int, part: int) -> "Recording":
        """The rows of one part of one replication."""
        import pyarrow.compute as pc  # slow to import, and only who goes on from parts needs it

        step = pc.field("step")
        wanted = (step > part * STEPS_IN_PART) & (step <= (part + 1) * STEPS_IN_PART)
        wanted &= pc.field("replication") == replication
        return Recording(self.run_id, {name: table.filter(wanted) for name, table in self.tables.items()})

    def frame(self, table: str) -> "pd.DataFrame":
        """A table as a pandas frame."""
        frame: pd.DataFrame = self.tables[table].to_pandas()
        return frame


class Recorder:
    """Collects the rows of a run. Values are copied, so that the market may go on writing into its arrays."""

    def __init__(self, run_id: str) -> None:
        self.run_id = checked_run_id(run_id)
        self._blocks: dict[str, list[_Block]] = {table: [] for table in TABLES}

    def add(self, table: str, replication: int, step: int, year: float, columns: Mapping[str, ArrayLike]) -> None:
        """Append rows to a table; scalars are repeated in every row, and all scalars make one row.

        raises : RecordError, naming table and column, for a missing or unknown column, a wrong type, unequal lengths,
                 an infinite number, or a replication, step or year out of range
        """
        if table not in TABLES:
            raise RecordError(f"no table {table!r}; tables are {', '.join(TABLES)}")
        if not (0 <= replication < 2**31 and 1 <= step < 2**31 and np.isfinite(year)):
            raise RecordError(f"{table}: replication {replication}, step {step}, year {year} out of range")
        self._blocks[table].append(_block(table, (replication, step, year), columns))

    def take(self) -> Recording:
        """Everything added since it was last taken; the recorder keeps none of it."""
        taken = {table: _arrow(table, self.run_id, blocks) for table, blocks in self._blocks.items()}
        for blocks in self._blocks.values():
            blocks.clear()
        return Recording(self.run_id, taken)


@dataclass(frozen=True)
class _Block:
    """The rows of one `add`: (columns, rows) arrays, one for each kind of column."""

    key: tuple[int, int, float]
    rows: int
    values: Mapping[str, NDArray[Any]]


def _by_kind(table: str) -> dict[str, list[Column]]:
    kinds: dict[str, list[Column]] = {}
    for column in TABLES[table]:
        if column.name not in KEYS:
            kinds.setdefault(column.kind, []).append(column)
    return kinds


_KINDS = {table: _by_kind(table) for table in TABLES}
_NAMES = {table: {column.name for kind in _KINDS[table].values() for column in kind} for table in TABLES}


def _block(table: str, key: tuple[int, int, float], columns: Mapping[str, ArrayLike]) -> _Block:
    if columns.keys() != _NAMES[table]:
        missing = ", ".join(sorted(_NAMES[table] - columns.keys()))
        unknown = ", ".join(sorted(columns.keys() - _NAMES[table]))
        says = [f"missing column {missing}"] * bool(missing) + [f"unknown column {unknown}"] * bool(unknown)
        raise RecordError(f"{table}: {'; '.join(says)}")
    members = [column for kind in _KINDS[table].values() for column in kind]
    # text as objects, because numpy's own strings lose a trailing NUL
    arrays = {c.name: np.asarray(columns[c.name], object if c.kind == "string" else None) for c in members}
    rows = next((len(array) for array in arrays.values() if array.ndim), 1)
    return _Block(key, rows, {kind: _fill(table, members, arrays, rows) for kind, members in _KINDS[table].items()})


def _fill(table: str, members: list[Column], arrays: Mapping[str, NDArray[Any]], rows: int) -> NDArray[Any]:
    """Copy columns of one kind into one block: a single allocation, and a single look for infinities."""
    kind = members[0].kind
    block = np.empty((len(members), rows), _DTYPES[kind])
    for i, column in enumerate(members):
        array = arrays[column.name]
        if array.dtype.kind not in _ACCEPTED[kind] and array.size:  # an empty list has no type of its own
            raise RecordError(f"{table}: column {column.name} is {kind}, got {array.dtype}")
        if array.ndim and array.shape != (rows,):
            raise RecordError(f"{table}: column {column.name} has shape {array.shape}, expected {rows} rows")
        if kind == "int32" and array.size and (array.min() < -(2**31) or array.max() >= 2**31):
            raise RecordError(f"{table}: column {column.name} does not fit int32")
        block[i] = array
        if kind == "string" and not all(isinstance(value, str) for value in block[i]):
            raise RecordError(f"{table}: column {column.name} holds something that is not text")
    if kind == "float64" and np.isinf(block).any():
        name = members[int(np.isinf(block).any(axis=1).argmax())].name
        raise RecordError(f"{table}: column {name} is infinite; write NaN for a number that does not exist")
    return block


def _arrow(table: str, run_id: str, blocks: list[_Block]) -> pa.Table:
    counts = [block.rows for block in blocks]
    made: dict[str, Any] = {"run_id": np.full(sum(counts), run_id, np.object_)}
    for i, (name, dtype) in enumerate([("replication", np.int32), ("step", np.int32), ("year", np.float64)]):
        made[name] = np.repeat(np.array([block.key[i] for block in blocks], dtype), counts)
    for kind, members in _KINDS[table].items():
        empty = np.empty((len(members), 0), _DTYPES[kind])
        joined = np.concatenate([empty, *(block.values[kind] for block in blocks)], axis=1)
        made.update((column.name, joined[i]) for i, column in enumerate(members))
    schema = arrow_schema(table)
    return pa.Table.from_arrays([_array(made[field.name], field.type) for field in schema], schema=schema)


def _array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array; `pa.array` would import pandas to ask whether these are pandas' own."""
    if values.dtype == np.object_:
        texts = [text.encode() for text in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))])
    bits = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(bits)])


def arrays(table: pa.Table) -> dict[str, NDArray[Any]]:
    """The columns of a recorded table by name, text as objects; `to_numpy` would import pandas."""
    return {name: _values(table[name].combine_chunks()) for name in table.column_names}


def _values(array: pa.Array) -> NDArray[Any]:
    """The other way round than `_array`; what Arrow reckons with takes long to import."""
    if pa.types.is_string(array.type):
        once: dict[str, str] = {}
        return np.array([once.setdefault(text, text) for text in array.to_pylist()], np.object_)
    if pa.types.is_boolean(array.type):
        bits = np.unpackbits(np.frombuffer(array.buffers()[1], np.uint8), bitorder="little")
        return bits[array.offset : array.offset + len(array)].astype(np.bool_)
    return np.from_dlpack(array)
