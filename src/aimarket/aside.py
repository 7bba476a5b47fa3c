"""Parts of a run that wait on disk, not in memory, until they are due."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from aimarket.recording import Recording
from aimarket.schema import TABLES


def write_recording(recording: Recording, path: Path) -> None:
    """Write a recording into one file, in full and uncompressed, for `read_recording`."""
    with pa.OSFile(str(path), "wb") as file:
        for rows in recording.tables.values():
            with pa.ipc.new_stream(file, rows.schema) as writer:
                writer.write_table(rows)


def read_recording(path: Path, run_id: str) -> Recording:
    """What `write_recording` wrote of a run."""
    with pa.OSFile(str(path)) as file:
        return Recording(run_id, {table: pa.ipc.open_stream(file).read_all() for table in TABLES})


def put_aside(recording: Recording, folder: Path, part: int) -> None:
    """Leave a part of a replication in a folder of its own, for `take_aside`."""
    folder.mkdir(exist_ok=True)
    write_recording(recording, folder / f"{part:06}")


def take_aside(run_id: str, folder: Path) -> Iterator[Recording]:
    """The parts that were put into a folder, in their order, one at a time in memory; they are gone afterwards."""
    for part in sorted(folder.iterdir()):
        yield read_recording(part, run_id)
    shutil.rmtree(folder)
