"""Parts of a run that wait on disk, not in memory, until they are due."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from aimarket.recording import Recording
from aimarket.schema import TABLES


def put_aside(recording: Recording, folder: Path, part: int) -> None:
    """Leave a part of a replication in a folder of its own, in full and uncompressed, for `take_aside`."""
    folder.mkdir(exist_ok=True)
    for table, rows in recording.tables.items():
        with pa.ipc.new_file(folder / f"{part:06}-{table}", rows.schema) as writer:
            writer.write_table(rows)


def take_aside(run_id: str, folder: Path) -> Iterator[Recording]:
    """The parts that were put into a folder, in their order, one at a time in memory; they are gone afterwards."""
    for part in sorted({path.name.partition("-")[0] for path in folder.iterdir()}):
        yield Recording(run_id, {table: pa.ipc.open_file(folder / f"{part}-{table}").read_all() for table in TABLES})
    shutil.rmtree(folder)
