"""The only writer: one Parquet file a table, and last the manifest that says a run is complete.

A study is a folder: `<study>/<table>/<run_id>.parquet` and `<study>/runs/<run_id>.json`. Files are made in
`<study>/.partial/<run_id>.<pid>/`, synced, then renamed, so that a crash leaves either a whole file or none.
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aimarket.recording import Recorder, RecordError, Recording, checked_run_id
from aimarket.schema import TABLES, arrow_schema, schema_version

__all__ = ["RecordError", "Recorder", "Recording", "RunWriter", "finished", "write"]

RUNS = "runs"
PARTIAL = ".partial"
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
        self._stack = ExitStack()
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows = dict.fromkeys(TABLES, 0)
        self._written: list[tuple[int, int]] = []  # replication and part
        self._published = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # unwinds what was opened if a later opening fails
            self._partial = stack.enter_context(workspace(self.folder, self.run_id))
            for table in TABLES:
                self._writers[table] = stack.enter_context(parquet_writer(self._partial / table, arrow_schema(table)))
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
        """Publish the tables and then the manifest (MANIFEST_KEYS); returns the path of the manifest."""
        self._check_open()
        missing = [key for key in MANIFEST_KEYS if key not in manifest]
        written = len({replication for replication, _ in self._written})
        if missing or manifest["replications"] != written:
            what = f"lacks {missing}" if missing else f"says {manifest['replications']} replications"
            raise RecordError(f"run {self.run_id}: the manifest {what}; {written} replications were written")
        files = {}
        for table, writer in self._writers.items():
            writer.add_key_value_metadata({"run_id": self.run_id, "configuration": self.configuration})
            writer.close()
            written_file = described(self._partial / table, f"{table}/{self.run_id}.parquet")
            files[table] = {"rows": self._rows[table], **written_file}
        text = self._manifest("complete", {**manifest, "files": files})  # an unwritable manifest publishes nothing
        self._retract()
        for table in TABLES:
            publish(self._partial / table, self.folder / files[table]["path"])
        path = self._publish_manifest(self._partial, text)
        self._published, self._writers = True, {}
        return path

    def fail(self, manifest: Mapping[str, Any], error: BaseException) -> Path:
        """Record that the run failed, with its traceback and without tables; returns the path of the manifest."""
        if self._published:
            raise RecordError(f"run {self.run_id} is complete; what went wrong afterwards is not the run's failure")
        with suppress(OSError, pa.ArrowException):  # a full disk refuses the ends of the tables, too
            self._stack.close()
        self._writers = {}
        trace = "".join(traceback.format_exception(error))
        text = self._manifest("failed", {**manifest, "error": f"{type(error).__name__}: {error}", "traceback": trace})
        self._retract()
        with workspace(self.folder, self.run_id) as partial:
            return self._publish_manifest(partial, text)

    def _check_open(self) -> None:
        if not self._writers:
            raise RecordError(f"run {self.run_id}: the writer works once, inside its `with` block")

    def _manifest(self, status: str, body: Mapping[str, Any]) -> str:
        head = {"run_id": self.run_id, "status": status, "schema": schema_version()}
        made = {**head, **body, **head, "created": datetime.now(UTC).isoformat(timespec="seconds")}
        return json.dumps(made, indent=1, allow_nan=False, default=_plain) + "\n"

    def _publish_manifest(self, partial: Path, text: str) -> Path:
        (partial / "manifest").write_text(text, encoding="utf-8")
        return publish(partial / "manifest", manifest_path(self.folder, self.run_id))

    def _retract(self) -> None:
        """Take back an earlier run of the same id, manifest first: no manifest ever describes another's files."""
        for path in (self._path(RUNS, "json"), *(self._path(table, "parquet") for table in TABLES)):
            with suppress(FileNotFoundError):
                path.unlink()
                _sync(path.parent)

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


def manifest_path(folder: Path, run_id: str) -> Path:
    """Where a study keeps the manifest of a run."""
    return Path(folder) / RUNS / f"{run_id}.json"


class Condition(NamedTuple):
    """What a study holds of a run; `reason` says why it is not done."""

    state: Literal["done", "failed", "stale", "absent"]
    reason: str = ""


def condition(folder: Path, run_id: str) -> Condition:
    """What became of a run: done is complete, in today's schema, with every file of the size its manifest says."""
    try:
        manifest = json.loads(manifest_path(folder, run_id).read_text(encoding="utf-8"))
        if manifest["status"] == "failed":
            return Condition("failed", str(manifest.get("error", "")))
        if manifest["schema"] != schema_version():
            return Condition("stale", f"of schema {manifest['schema']}, not {schema_version()}")
        for file in manifest["files"].values():
            path = Path(folder) / file["path"]
            if not path.is_file():
                return Condition("stale", f"{file['path']} is missing")
            if path.stat().st_size != file["bytes"]:
                return Condition("stale", f"{file['path']} is torn")
        return Condition("done") if manifest["status"] == "complete" else Condition("stale", "of unknown status")
    except FileNotFoundError:
        return Condition("absent")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Condition("stale", "its manifest cannot be read")


def finished(folder: Path, run_id: str) -> bool:
    """Whether the study holds this run done."""
    return condition(folder, run_id).state == "done"


def write_json(folder: Path, path: str, value: Mapping[str, Any]) -> Path:
    """Put a JSON file of some name into a study: it is there whole or not at all."""
    with workspace(folder, Path(path).stem) as partial:
        text = json.dumps(value, indent=1, allow_nan=False, default=_plain) + "\n"
        (partial / "json").write_text(text, encoding="utf-8")
        return publish(partial / "json", Path(folder) / path)


def workspaces(folder: Path) -> dict[str, bool]:
    """The names under which something is, or was, at work in a study, and whether it still is."""
    found: dict[str, bool] = {}
    with suppress(FileNotFoundError):
        for partial in (Path(folder) / PARTIAL).iterdir():
            name = partial.name.rpartition(".")[0]
            found[name] = found.get(name, False) or _is_owned(partial)
    return found


def _is_owned(partial: Path) -> bool:
    """Whether somebody holds the lock of a workspace; on a disk without locks, whether its process is alive here."""
    pid = partial.name.rpartition(".")[2]
    try:
        with (partial / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return pid.isdigit() and _alive(int(pid))


_CLAIMING = threading.Lock()


@contextmanager
def workspace(folder: Path, name: str) -> Iterator[Path]:
    """A private folder `<folder>/.partial/<name>.<pid>`, removed afterwards; those of dead processes are cleared first.

    Its owner holds a file lock: on a shared disk a process of another machine looks dead by its number but is not.
    """
    home = Path(folder) / PARTIAL
    partial = home / f"{name}.{os.getpid()}"
    with _CLAIMING:
        make_folder(home)
        for other in home.iterdir():
            _clear_if_dead(other)
        partial.mkdir()
        lock = (partial / "lock").open("w")
        with suppress(OSError):  # a disk without locks: others cannot lock either, and so never clear
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever asks after its owner holds it for a moment
    with lock:
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _clear_if_dead(partial: Path) -> None:
    pid = partial.name.rpartition(".")[2]
    if not pid.isdigit() or (int(pid) != os.getpid() and _alive(int(pid))):
        return
    with suppress(OSError), (partial / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(partial, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, and someone else's
    return True


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """The one way this package writes Parquet: quick to write and to read, and every reader of Parquet knows it.

    Measured numbers hardly ever repeat, so that a dictionary of them costs time and space; names do.
    """
    names = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=names)


def publish(partial: Path, target: Path) -> Path:
    """Move a finished file to its place so that it is there whole or not at all, even if the power fails."""
    _sync(partial)
    make_folder(target.parent)
    partial.replace(target)
    _sync(target.parent)
    return target


def described(file: Path, path: str) -> dict[str, Any]:
    """What there is to know of a file: where it is to stand, its size and its hash."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"path": path, "bytes": file.stat().st_size, "sha256": digest}


def make_folder(folder: Path) -> None:
    """Make a folder, and those it is in, so that they are there even if the power fails."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a manifest holds plain values only, got {value!r}")
