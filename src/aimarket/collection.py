"""The files of a study as one dataset a table, with the swept settings as columns; what is not asked for is not read.

Only files that are, to the byte, what their manifest describes are used. Those of several runs are first collected into
`<study>/collected/<table>.parquet`: it reads many times faster.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import reduce
from itertools import batched, zip_longest
from operator import and_
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from aimarket.manifests import Manifest, opened, size_and_time
from aimarket.pool import cores
from aimarket.recorder import parquet_writer
from aimarket.recording import KEYS
from aimarket.schema import arrow_schema, schema_version
from aimarket.workspaces import publish, workspace

COLLECTED = "collected"
_ROW_GROUP = 2**18  # rows; large groups keep a collected file fast to open
_BESIDE = 16  # runs whose rows are held at once while some of them are read
_SMALL_FILES = ds.ParquetFragmentScanOptions(pre_buffer=False)  # which gains nothing on files of a few pages


def open_dataset(folder: Path, manifests: Sequence[Manifest], swept: pa.Table, table: str) -> ds.Dataset:
    """The collected file of a table, refreshed if stale; the files of the runs if there is one or writing fails."""
    if len(manifests) > 1:
        with suppress(OSError):
            collected = collect_table(folder, manifests, swept, table)
            return ds.dataset(str(collected), schema=_schema(table, swept), format="parquet")
    for manifest in manifests:
        opened(folder, manifest, table)
    return _of_runs([folder / manifest["files"][table]["path"] for manifest in manifests], swept, table)


def collect_table(folder: Path, manifests: Sequence[Manifest], swept: pa.Table, table: str) -> Path:
    """Write the runs of a table into one file, whose footer lists them; nothing is done if that is so already."""
    target = folder / COLLECTED / f"{table}.parquet"
    stamp = _stamp(folder, manifests, swept, table)
    if _stamped(target) == stamp:
        return target
    with workspace(folder, f"{COLLECTED}-{table}") as partial:
        with parquet_writer(partial / table, _schema(table, swept), [*KEYS, *swept.column_names]) as writer:
            for rows in _pieces(folder, manifests, swept, table):
                writer.write_table(rows, row_group_size=rows.num_rows)
            writer.add_key_value_metadata({"stamp": stamp})
        return publish(partial / table, target)


def agrees(folder: Path, manifests: Sequence[Manifest], swept: pa.Table, table: str) -> bool:
    """Whether the collected file of a table holds what its runs do; one that is stale is not read, and so agrees.

    raises : OSError or ArrowException for a file that cannot be read
    """
    target = folder / COLLECTED / f"{table}.parquet"
    file = pq.ParquetFile(target)
    if _stamped(target) != _stamp(folder, manifests, swept, table):
        return True
    groups = (file.read_row_group(group) for group in range(file.num_row_groups))
    pairs = zip_longest(_pieces(folder, manifests, swept, table), groups)
    # Frames are equal, not tables, where a number does not exist in either.
    return all(made and read and made.to_pandas().equals(read.to_pandas()) for made, read in pairs)


def _schema(table: str, swept: pa.Table) -> pa.Schema:
    """The recorded columns, with the swept settings after the keys."""
    recorded = arrow_schema(table)
    fields = [*recorded][: len(KEYS)], [*swept.schema], [*recorded][len(KEYS) :]
    return pa.schema([field for part in fields for field in part], metadata=recorded.metadata)


def _of_runs(paths: Sequence[Path], swept: pa.Table, table: str) -> ds.FileSystemDataset:
    """The files of the runs, each with its settings as a guarantee: they become columns, and filters skip files."""
    return ds.FileSystemDataset.from_paths(
        [str(path) for path in paths],
        schema=_schema(table, swept),
        format=ds.ParquetFileFormat(default_fragment_scan_options=_SMALL_FILES),
        filesystem=LocalFileSystem(),
        partitions=[_guarantee(swept, run) for run in range(len(paths))],
    )


def _guarantee(swept: pa.Table, run: int) -> pc.Expression:
    values = {name: swept[name][run] for name in swept.column_names}
    known = [pc.field(name) == value if value.is_valid else pc.field(name).is_null() for name, value in values.items()]
    return reduce(and_, known, pc.scalar(True))


def _pieces(folder: Path, manifests: Sequence[Manifest], swept: pa.Table, table: str) -> Iterator[pa.Table]:
    """The rows of the runs in order, each with its settings, in pieces for a row group each."""
    held: list[pa.Table] = []
    runs: list[int] = []  # of every row held
    for run, group in _row_groups(folder, manifests, table):
        held.append(group)
        runs += [run] * len(group)
        if len(runs) >= _ROW_GROUP:
            yield _joined(held, swept.take(runs), _schema(table, swept))
            held, runs = [], []
    if held:
        yield _joined(held, swept.take(runs), _schema(table, swept))


def _row_groups(folder: Path, manifests: Sequence[Manifest], table: str) -> Iterator[tuple[int, pa.Table]]:
    """The row groups of the runs in order, each with the place of its run; some files are read beside each other."""

    def read(manifest: Manifest) -> list[pa.Table]:
        file = opened(folder, manifest, table)
        return [file.read_row_group(group, use_threads=False) for group in range(file.num_row_groups)]

    with ThreadPoolExecutor(cores()) as pool:
        for some in batched(enumerate(manifests), _BESIDE):
            for (run, _), groups in zip(some, pool.map(read, [manifest for _, manifest in some]), strict=True):
                yield from ((run, group) for group in groups)


def _joined(held: Sequence[pa.Table], settings: pa.Table, schema: pa.Schema) -> pa.Table:
    recorded = pa.concat_tables(held).combine_chunks()  # first: a table of a thousand chunks is slow to make
    columns = [(settings if name in settings.column_names else recorded)[name] for name in schema.names]
    return pa.table(columns, schema=schema).combine_chunks()


def _stamp(folder: Path, manifests: Sequence[Manifest], swept: pa.Table, table: str) -> str:
    """What a collected file was made from: it is stale as soon as this differs."""
    files = {
        manifest["run_id"]: size_and_time(folder / manifest["files"][table]["path"], manifest) for manifest in manifests
    }
    return json.dumps({"schema": schema_version(), "files": files, "swept": swept.to_pydict()}, sort_keys=True)


def _stamped(target: Path) -> str | None:
    try:
        found: bytes | None = pq.read_metadata(target).metadata.get(b"stamp")
    except (OSError, pa.ArrowException):
        return None
    return None if found is None else found.decode()
