"""The only writer: one Parquet file a table, and last the manifest that says a run is complete.

A study is a folder: `<study>/<table>/<run_id>.parquet` and `<study>/runs/<run_id>.json`. Files are made in
`<study>/.partial/<run_id>.<pid>/`, synced, then renamed, so that a crash leaves either a whole file or none.
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from aimarket.conditions import RUNS, finished, manifest_path
from aimarket.recording import KEYS, Recorder, RecordError, Recording, checked_run_id
from aimarket.schema import TABLES, arrow_schema, schema_version
from aimarket.workspaces import as_json, described, publish, publish_each, sync, workspace

__all__ = ["RecordError", "Recorder", "Recording", "RunWriter", "write"]

_BUFFER = 2**16  # bytes; each page of each column is handed over by itself, and few are larger
MANIFEST_KEYS = ("settings", "overrides", "seed", "replications", "versions", "seconds")


class RunWriter:
    """Writes one run into a study folder, one row group a part of a replication, and publishes all of it or nothing.

        with RunWriter(folder, run_id, configuration) as writer:
            for recording in parts:                 # ascending, see `Recorder.take`
                writer.write_part(recording)
            writer.complete(manifest)

    Leaving the block without `complete`, by an exception or not, publishes nothing. `fail` may be called inside
    the block or after it. The Parquet files hold neither time, path, host nor thread count: the same seed gives the
    same bytes.
    """

    def __init__(self, folder: Path, run_id: str, configuration: str) -> None:
        self.folder, self.run_id, self.configuration = Path(folder), checked_run_id(run_id), configuration
        self._stack, self._files = ExitStack(), ExitStack()
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows = dict.fromkeys(TABLES, 0)
        self._written: list[tuple[int, int]] = []  # replication and part
        self._published, self._found = False, finished(self.folder, self.run_id)

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # unwinds what was opened if a later opening fails
            self._partial = stack.enter_context(workspace(self.folder, self.run_id))
            self._files = stack.enter_context(ExitStack())
            for table in TABLES:
                writer = parquet_writer(self._partial / table, arrow_schema(table))
                self._writers[table] = self._files.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._writers = {}

    def write_part(self, recording: Recording) -> None:
        """Append one part of one replication, in ascending order: bytes do not depend on which was finished first."""
        self._check_open()
        if recording.run_id != self.run_id:
            raise RecordError(f"recording of run {recording.run_id} given to the writer of run {self.run_id}")
        found = recording.parts()
        if len(found) != 1 or (self._written and found[0] <= self._written[-1]):
            raise RecordError(f"one (replication, part) after {self._written[-1:]} expected, got {found}")
        for table, writer in self._writers.items():
            rows = recording.tables[table].combine_chunks()  # bytes do not depend on how it was put together either
            if rows.num_rows:
                writer.write_table(rows, row_group_size=rows.num_rows)
                self._rows[table] += rows.num_rows
        self._written += found

    def complete(self, manifest: Mapping[str, Any]) -> Path:
        """Publish the tables and then the manifest (MANIFEST_KEYS); returns the path of the manifest.

        What another process has completed meanwhile stays: who looks for it must not miss it for a moment.
        """
        self._check_open()
        missing = [key for key in MANIFEST_KEYS if key not in manifest]
        written = len({replication for replication, _ in self._written})
        if missing or manifest["replications"] != written:
            what = f"lacks {missing}" if missing else f"says {manifest['replications']} replications"
            raise RecordError(f"run {self.run_id}: the manifest {what}; {written} replications were written")
        for writer in self._writers.values():
            writer.add_key_value_metadata({"run_id": self.run_id, "configuration": self.configuration})
        self._files.close()
        files = {}
        for table in TABLES:
            written_file = described(self._partial / table, f"{table}/{self.run_id}.parquet")
            files[table] = {"rows": self._rows[table], **written_file}
        text = self._manifest("complete", {**manifest, "files": files})  # an unwritable manifest publishes nothing
        if not self._overtaken():
            self._retract()  # tables are replaced one by one
            publish_each({self._partial / table: self.folder / files[table]["path"] for table in TABLES})
            self._publish_manifest(self._partial, text)
        self._published, self._writers = True, {}
        return manifest_path(self.folder, self.run_id)

    def fail(self, manifest: Mapping[str, Any], error: BaseException) -> Path:
        """Record that the run failed, with its traceback and without tables; returns the path of the manifest.

        What was complete before is taken back. What another process has completed meanwhile stays, as it is the same.
        """
        if self._published:
            raise RecordError(f"run {self.run_id} is complete; what went wrong afterwards is not the run's failure")
        if self._overtaken():
            return manifest_path(self.folder, self.run_id)
        with suppress(OSError, pa.ArrowException):  # a full disk refuses the ends of the tables, too
            self._stack.close()
        self._writers = {}
        trace = "".join(traceback.format_exception(error))
        text = self._manifest("failed", {**manifest, "error": f"{type(error).__name__}: {error}", "traceback": trace})
        with suppress(OSError):  # what is in the way of the tables may be what went wrong; it is told all the same
            self._retract()
            for table in TABLES:
                self._path(table, "parquet").unlink(missing_ok=True)
        with workspace(self.folder, self.run_id) as partial:
            return self._publish_manifest(partial, text)

    def _overtaken(self) -> bool:
        """Whether another process has completed the run since this writer was made."""
        return not self._found and finished(self.folder, self.run_id)

    def _check_open(self) -> None:
        if not self._writers:
            raise RecordError(f"run {self.run_id}: the writer works once, inside its `with` block")

    def _manifest(self, status: str, body: Mapping[str, Any]) -> str:
        head = {"run_id": self.run_id, "status": status, "schema": schema_version()}
        made = {**head, **body, **head, "created": datetime.now(UTC).isoformat(timespec="seconds")}
        return as_json(made)

    def _publish_manifest(self, partial: Path, text: str) -> Path:
        (partial / "manifest").write_text(text, encoding="utf-8")
        return publish(partial / "manifest", manifest_path(self.folder, self.run_id))

    def _retract(self) -> None:
        """Take back the manifest of an earlier run of the same id: none ever describes another's files."""
        with suppress(FileNotFoundError):
            self._path(RUNS, "json").unlink()
            sync(self.folder / RUNS)

    def _path(self, kind: str, suffix: str) -> Path:
        return self.folder / kind / f"{self.run_id}.{suffix}"


def write(
    recordings: Recording | Iterable[Recording], folder: Path, manifest: Mapping[str, Any], configuration: str
) -> Path:
    """Write a whole run, from one recording or a stream of its parts; the bytes are the same either way."""
    if isinstance(recordings, Recording):
        recordings = [recordings.only(*part) for part in recordings.parts()]
    with RunWriter(folder, str(manifest["run_id"]), configuration) as writer:
        for recording in recordings:
            writer.write_part(recording)
        return writer.complete(manifest)


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema, asked_by: Iterable[str] = KEYS) -> Iterator[pq.ParquetWriter]:
    """The one way this package writes Parquet: quick to write and to read, and every reader of Parquet knows it.

    Measured numbers hardly ever repeat, so that a dictionary of them costs time and space; names do.

    asked_by : columns by which rows are chosen; of these the file says the least and the greatest value
    """
    names = [field.name for field in schema if not pa.types.is_floating(field.type)]
    how = {"compression": "snappy", "use_dictionary": names, "write_statistics": list(asked_by)}
    with (
        LocalFileSystem().open_output_stream(str(path), buffer_size=_BUFFER) as file,
        pq.ParquetWriter(file, schema, **how) as writer,
    ):
        yield writer
