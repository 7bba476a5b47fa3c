"""Checkpoints: what a run that was interrupted goes on from, one for each of its replications.

They stand beside the results of a study and are none, in `<study>/.checkpoints/<run_id>/<replication>/`: the rows
recorded so far, the market as it stood, and last the header that says which files belong together, their hashes, and
what made them. Whatever moment a process dies at, a header stands for a whole checkpoint; a run that is complete leaves
none.
"""

import fcntl
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aimarket import origins, snapshots
from aimarket.aside import read_recording, write_recording
from aimarket.complaints import ResultsError, one_line, say
from aimarket.configuration import run_id, settings_dict
from aimarket.demand import State
from aimarket.market import Market
from aimarket.recording import Recording, part_of
from aimarket.settings import Settings
from aimarket.workspaces import CHECKPOINTS, HEADER, as_json, described, make_folder, publish, read_json, within

_FROM_THE_START = "delete {} to begin the run at its first step"

Header = dict[str, Any]


def home(folder: Path, run_id: str) -> Path:
    """Where a study keeps the checkpoints of a run."""
    return Path(folder) / CHECKPOINTS / run_id


def discard(folder: Path, run_id: str) -> None:
    """The run is complete: its checkpoints go."""
    shutil.rmtree(home(folder, run_id), ignore_errors=True)
    with suppress(OSError):  # others are there, or none ever was
        (Path(folder) / CHECKPOINTS).rmdir()


@contextmanager
def claimed(settings: Settings, name: str) -> Iterator[Path | None]:
    """The place of a run's checkpoints, for this process alone; None if the run has none and is to have none.

    Who comes second to a run that another process is at runs it without.

    name   : the run's id
    raises : ResultsError if what is there cannot be gone on from
    """
    place = home(Path(settings.outputs) / settings.study, name)
    if not (settings.run.checkpoint_every or place.is_dir()):
        yield None
        return
    with ExitStack() as held:
        if why := _obstacle(place, held):
            say(f"run {name}: no checkpoints, {why}")
            yield None
            return
        for header in place.glob(f"*/{HEADER}"):
            _refuse_another(read(header.parent), settings, header)
        yield place


def _obstacle(place: Path, held: ExitStack) -> str:
    """Why this process cannot keep checkpoints in a place; if nothing is in its way the place is locked, and held."""
    try:
        make_folder(place)
        lock = held.enter_context((place / "lock").open("w"))
    except OSError as error:
        return str(error)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "another process is at it and keeps them; this one begins at the first step"
    except OSError:
        pass  # a disk without locks
    return ""


def read(folder: Path) -> Header:
    """The header of a checkpoint that is `intact`, if this version can go on from it.

    raises : ResultsError that names what is in the way
    """
    header = intact(folder)
    made_by = header["made_by"]
    for name, now in origins.made_by(made_by.get("code", ())).items():
        _refuse_other_version(folder / HEADER, name, made_by.get(name), now)
    return header


def intact(folder: Path) -> Header:
    """The header of a checkpoint, if all of it is there, to the byte, whatever version wrote it.

    raises : ResultsError that names what is not
    """
    path = folder / HEADER
    try:
        header: Header = read_json(path)
        files = [*header["rows"], *filter(None, [header["state"]])]
        for file in files:
            within(folder, file["path"])
        int(header["step"]), dict(header["made_by"].get("code", {})), dict(header["settings"]["run"])
        "".join(header["overrides"])  # they go into the manifest
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise ResultsError(f"{path} is not what was written ({one_line(str(error))}); {_begin(folder)}") from None
    for file in files:
        found = described(folder / file["path"], file["path"]) if (folder / file["path"]).is_file() else {}
        if any(found.get(key) != file[key] for key in ("bytes", "sha256")):
            what = "not what was written" if found else "missing"
            raise ResultsError(f"{folder / file['path']} is {what}; {_begin(folder)}")
    return header


def rows(folder: Path, header: Header) -> Iterator[Recording]:
    """What a checkpoint holds of what was recorded, piece by piece from the first step."""
    for row in header["rows"]:
        yield read_recording(folder / row["path"], header["run_id"])


class Keeper:
    """The checkpoints of one replication of a run: takes up the last one, and writes the next.

    step : the step after which the replication goes on, 0: before the first
    """

    def __init__(self, place: Path, settings: Settings, replication: int, overrides: Sequence[str]) -> None:
        self._folder, self.step = place / str(replication), 0
        self._header: Header = {
            "what": "an interrupted run of aimarket, no result",
            "run_id": run_id(settings),
            "replication": replication,
            "settings": settings_dict(settings),
            "overrides": list(overrides),
        }
        self._rows: dict[int, Header] = {}  # files, by the last step of each
        self._unwritten: dict[int, Recording] = {}  # what is to be in others
        self._state: Header | None = None
        if (self._folder / HEADER).is_file():
            found = read(self._folder)
            self.step, self._state = found["step"], found["state"]
            self._rows = {row["step"]: row for row in found["rows"]}

    def recorded(self) -> Iterator[tuple[int, Recording]]:
        """What had been recorded by the last checkpoint, piece by piece, each with its last step; none spans parts."""
        for step, row in self._rows.items():
            path = self._folder / row["path"]
            try:
                recording = read_recording(path, self._header["run_id"])
            except (pa.ArrowException, OSError) as error:
                raise ResultsError(f"{path} does not fit: {one_line(str(error))}; {_begin(self._folder)}") from error
            yield step, recording

    def restore(self, market: Market) -> None:
        """Bring a market that was built from the settings to where the last checkpoint left it.

        raises : ResultsError if the checkpoint does not fit this version
        """
        assert self._state is not None
        path = self._folder / self._state["path"]
        with _opened(path) as archive:

            def users(start: int, stop: int) -> State:
                prefix = f"users/{start}-{stop}/"
                return {name.removeprefix(prefix): archive[name] for name in archive if name.startswith(prefix)}

            try:
                tree = json.loads(archive["tree"].tobytes())
                snapshots.restore(market, snapshots.Snapshot(tree, archive["data"].tobytes()))
                market.population.restore(users)
            except (AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
                raise ResultsError(f"{path} does not fit: {one_line(str(error))}; {_begin(self._folder)}") from error

    def keep(self, recording: Recording, step: int, whole: bool) -> None:
        """Take what was recorded since the last piece; `step` is the last one in it.

        whole : it is all of a part, and takes the place of its pieces, so that they do not become ever more
        """
        if whole:
            part = part_of(step)
            self._rows = {last: row for last, row in self._rows.items() if part_of(last) != part}
            self._unwritten = {last: rows for last, rows in self._unwritten.items() if part_of(last) != part}
        self._unwritten[step] = recording
        with suppress(OSError):  # it waits in memory until it can be written
            self._write_rows()

    def write(self, step: int, market: Market | None) -> None:
        """Write a checkpoint after a step; one that cannot be written is told, and leaves the one before as it is.

        market : None: the replication is complete, and only what it recorded is still wanted
        """
        try:
            self._write_rows()
            rows, state = list(self._rows.values()), None if market is None else self._write_state(step, market)
            here = {"made_by": origins.made_by(origins.loaded()), "step": step, "rows": rows, "state": state}
            text = as_json(self._header | here)
            _put(self._folder / HEADER, lambda path: path.write_text(text, encoding="ascii"))
        except OSError as error:
            run, replication = self._header["run_id"], self._header["replication"]
            last = f"the last one is of step {self.step}" if self.step else "there is none"
            say(f"run {run}, replication {replication}: no checkpoint at step {step} ({error}); {last}")
        else:
            self.step = step
            self._clear({HEADER, *(file["path"] for file in (*rows, state) if file)})

    def _write_rows(self) -> None:
        for step, recording in [*self._unwritten.items()]:
            path = f"rows-{step:05}.arrows"
            _put(self._folder / path, partial(write_recording, recording))
            self._rows[step] = {"step": step, **described(self._folder / path, path)}
            del self._unwritten[step]

    def _write_state(self, step: int, market: Market) -> Header:
        path = f"state-{step:05}.npz"
        _put(self._folder / path, partial(_write_state, market))
        return described(self._folder / path, path)

    def _clear(self, wanted: set[str]) -> None:
        with suppress(OSError):  # the next one will
            for path in self._folder.iterdir():
                if path.name not in wanted:
                    path.unlink()


def _opened(path: Path) -> Any:
    """An archive of numpy's that holds no more than its file does: arrays as they are, packed by nobody.

    raises : ResultsError
    """
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            if sum(m.file_size for m in members) > path.stat().st_size or any(m.compress_type for m in members):
                raise ValueError("it is packed")
            if broken := packed.testzip():
                raise ValueError(f"{broken} is not whole")
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ResultsError(f"{path} does not fit: {one_line(str(error))}; {_begin(path.parent)}") from error


def _write_state(market: Market, path: Path) -> None:
    """The market as an archive of numpy's: the bytes of `snapshots.Snapshot`, and the users by chunk and column."""
    snapshot = snapshots.take(market)
    tree = json.dumps(snapshot.tree, allow_nan=False).encode()
    with zipfile.ZipFile(path, "w") as archive:

        def put(name: str, array: Any) -> None:
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

        put("tree", np.frombuffer(tree, np.uint8))
        put("data", np.frombuffer(snapshot.data, np.uint8))
        for start, stop in market.population.strata.chunks:  # a chunk at a time: a shard's users may be elsewhere
            for name, column in market.population.state(start, stop).items():
                put(f"users/{start}-{stop}/{name}", column)


def _put(target: Path, write: Callable[[Path], Any]) -> None:
    """Have a file written beside its place and then put there, whole."""
    aside = target.with_name(f"{target.name}.partial")
    try:
        make_folder(target.parent)
        write(aside)
        publish(aside, target)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise


# --- what stands in the way -------------------------------------------------------------------------------------------


def _refuse_other_version(path: Path, name: str, then: Any, now: Any) -> None:
    if then == now:
        return
    if name == "code":
        changed = next(file for file in now if then.get(file) != now[file])
        raise ResultsError(f"{path} was written before {changed} was changed; {_begin(path.parent)}")
    raise ResultsError(f"{path} was written with {name} {then}, this is {name} {now}; {_begin(path.parent)}")


def _refuse_another(header: Header, settings: Settings, path: Path) -> None:
    if header["run_id"] != run_id(settings):
        here = settings_dict(settings, results_only=True)
        differing = _difference("", header["settings"], here)
        raise ResultsError(f"{path} is of run {header['run_id']}{differing}; {_begin(path.parent)}")
    if str(header["replication"]) != path.parent.name:
        raise ResultsError(f"{path} is of replication {header['replication']}; {_begin(path.parent)}")


def _difference(key: str, then: Any, now: Any) -> str:
    """The first setting in which two runs differ."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        parts = (_difference(f"{key}.{name}" if key else name, then.get(name), now[name]) for name in now)
        return next(filter(None, parts), "")
    same = json.dumps(then) == json.dumps(now)
    return "" if same else f", in which {key} is {json.dumps(then)} instead of {json.dumps(now)}"


def _begin(folder: Path) -> str:
    return _FROM_THE_START.format(folder)
