"""Running settings: steps times replications, in memory or into a study folder."""

import json
import platform
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aimarket.aside import put_aside, take_aside
from aimarket.checkpoints import Keeper, claimed, discard
from aimarket.compilation import compile_ahead
from aimarket.complaints import say
from aimarket.configuration import run_id, settings_dict
from aimarket.demand import Populate
from aimarket.market import Market
from aimarket.pool import cores, outcomes
from aimarket.recorder import RunWriter
from aimarket.recording import Recorder, Recording, part_of
from aimarket.settings import Run, Settings
from aimarket.sharding import workers
from aimarket.stopwatch import Stopwatch
from aimarket.versions import version
from aimarket.workspaces import workspace

_PACKAGES = ("aimarket", "hydra-core", "numpy", "scipy", "pandas", "pyarrow", "pydantic")

Advance = Callable[[int, int], None]
Hands = tuple[ThreadPoolExecutor | None, Populate | None]
Keep = Callable[[int], Keeper] | None  # makes what keeps the checkpoints of a replication; None: there are none


def simulate(settings: Settings, advance: Advance | None = None) -> Recording:
    """Run every replication in memory.

    settings : see `aimarket.load`
    advance  : called with (step, replication) after every step
    returns  : frames `.market`, `.providers`, `.offers`, `.segments`, `.ledger`, `.events`; see the data dictionary
    raises   : IdentityBreach if the books do not balance
    """
    with _hands(settings.run, tempfile.TemporaryDirectory) as hands:
        return Recording.join(_parts(settings, run_id(settings), hands, Stopwatch(), advance))


def run(
    settings: Settings, overrides: Sequence[str] = (), advance: Advance | None = None, processes: int | None = None
) -> Path:
    """Run every replication into the study folder of the settings; returns the path of the run's manifest.

    Nothing looks complete before all of it is on disk. A run that fails leaves a manifest with its traceback. One that
    was interrupted goes on from its last checkpoint, if the settings had it write any (`run.checkpoint_every`).

    overrides : what led to the settings, for the manifest
    advance   : called with (step, replication) after every step; where replications run beside each other, for all
                steps of one when it has ended
    processes : for replications, which never changes a byte; None: as the settings say (`run.processes`)
    raises    : ResultsError if a checkpoint is there that cannot be gone on from
    """
    folder, name = Path(settings.outputs) / settings.study, run_id(settings)
    watch = Stopwatch()
    beside = min(processes_for([settings], processes), settings.run.replications)
    with claimed(settings, name) as place, _writer(settings, name) as writer:
        keep = partial(Keeper, place, settings, overrides=overrides) if place else None
        try:
            with ExitStack() as stack:
                if beside > 1 and not settings.run.shards:
                    scratch = stack.enter_context(workspace(folder, f"{name}-replications"))
                    parts = _parts_from_processes(settings, name, beside, scratch, watch, advance, keep)
                else:
                    scratch_of_shards = partial(workspace, folder, f"{name}-shards")
                    hands = stack.enter_context(_hands(settings.run, scratch_of_shards))
                    parts = _parts(settings, name, hands, watch, advance, keep)
                with closing(parts):
                    for part in parts:
                        with watch.on("record"):
                            writer.write_part(part)
            manifest = writer.complete(_manifest(settings, overrides, watch.seconds))
        except Exception as error:
            writer.fail(_manifest(settings, overrides, watch.seconds), error)
            raise
        if place:
            discard(folder, name)
    return manifest


def record_failure(settings: Settings, overrides: Sequence[str], error: Exception) -> Path:
    """Leave the manifest of a run that could not do so itself: its process is gone."""
    return _writer(settings, run_id(settings)).fail(_manifest(settings, overrides, {}), error)


def processes_for(points: Sequence[Settings], processes: int | None = None) -> int:
    """How many processes may work at once: what is asked for, or what the points say; 0: what there are cores for."""
    asked = max((point.run.processes for point in points), default=0) if processes is None else processes
    return asked or max(1, cores() // max((point.run.threads for point in points), default=1))


def _writer(settings: Settings, name: str) -> RunWriter:
    configuration = json.dumps(settings_dict(settings, results_only=True), sort_keys=True)
    return RunWriter(Path(settings.outputs) / settings.study, name, configuration)


def seconds_by_phase(settings: Settings, clock: Callable[[], float] = time.process_time) -> dict[str, float]:
    """What a run in memory costs: seconds by phase of the step, for recording ("record") and for building the market.

    clock : see the module `time`; CPU time of the process by default, whoever else uses the machine
    """
    watch = Stopwatch(clock)
    with _hands(settings.run, tempfile.TemporaryDirectory) as hands:
        for _ in _parts(settings, run_id(settings), hands, watch, None):
            pass
    return dict(watch.seconds)


def _parts_from_processes(
    settings: Settings,
    name: str,
    processes: int,
    scratch: Path,
    watch: Stopwatch,
    advance: Advance | None,
    keep: Keep,
) -> Generator[Recording]:
    """`_parts` of replications that run beside each other; what is not yet due waits on disk."""
    compile_ahead(settings)
    replications = range(settings.run.replications)
    tasks = [(settings, name, replication, scratch / str(replication), keep) for replication in replications]
    ended: set[int] = set()
    due = 0
    with closing(outcomes(_run_aside, tasks, processes)) as results:
        for replication, seconds in results:
            if isinstance(seconds, Exception):
                raise seconds
            watch.add(seconds)
            ended.add(replication)
            if advance:
                for step in range(1, settings.run.steps + 1):
                    advance(step, replication)
            while due in ended:
                yield from take_aside(name, scratch / str(due))
                due += 1


def _run_aside(task: tuple[Settings, str, int, Path, Keep]) -> dict[str, float]:
    """One replication, its parts left in a folder; returns the seconds it took by phase."""
    settings, name, replication, folder, keep = task
    watch = Stopwatch()
    with _hands(settings.run, tempfile.TemporaryDirectory) as hands:
        for number, part in enumerate(_parts(settings, name, hands, watch, None, keep, [replication])):
            with watch.on("record"):
                put_aside(part, folder, number)
    return dict(watch.seconds)


def _parts(
    settings: Settings,
    name: str,
    hands: Hands,
    watch: Stopwatch,
    advance: Advance | None,
    keep: Keep = None,
    replications: Iterable[int] | None = None,
) -> Generator[Recording]:
    """Every replication, or some, from the first step to the last, as it is recorded part by part."""
    for replication in range(settings.run.replications) if replications is None else replications:
        keeper = keep(replication) if keep else None
        yield from _replicate(settings, name, replication, hands, watch, advance, keeper)


def _replicate(
    settings: Settings,
    name: str,
    replication: int,
    hands: Hands,
    watch: Stopwatch,
    advance: Advance | None,
    keeper: Keeper | None,
) -> Generator[Recording]:
    """One replication, from its last checkpoint if it has one."""
    steps, every, done = settings.run.steps, settings.run.checkpoint_every, keeper.step if keeper else 0
    recorder, pieces = Recorder(name), list[Recording]()
    if keeper:
        yield from _recorded(keeper, steps, pieces)
    if advance:
        for step in range(1, done + 1):
            advance(step, replication)
    if done == steps:
        return
    if done:
        say(f"run {name}, replication {replication}: goes on from step {done} of {steps}")
    with watch.on("build"):
        market = Market(settings, replication, *hands)
        if keeper and done:
            keeper.restore(market)
    watch.time_phases(market)
    for step in range(done + 1, steps + 1):
        market.step()
        with watch.on("record"):
            for table in settings.record.tables:
                recorder.add(table, replication, market.steps, market.years, market.tables[table])
        if advance:
            advance(step, replication)
        ends, due = _ends_part(step, steps), every > 0 and (step % every == 0 or step == steps)
        if ends or due:
            with watch.on("record"):
                pieces.append(recorder.take())
                piece = Recording.join(pieces) if ends else pieces[-1]
        if keeper and every:
            with watch.on("checkpoint"):
                if ends or due:
                    keeper.keep(piece, step, whole=ends)
                if due:
                    keeper.write(step, market if step < steps else None)
        if ends:
            yield piece
            pieces.clear()


def _recorded(keeper: Keeper, steps: int, pieces: list[Recording]) -> Generator[Recording]:
    """The parts that a checkpoint has whole; what it has of another is left in `pieces`."""
    for step, piece in keeper.recorded():
        pieces.append(piece)
        if _ends_part(step, steps):
            yield Recording.join(pieces)
            pieces.clear()


def _ends_part(step: int, steps: int) -> bool:
    """Whether a step is the last one of a part of the recording."""
    return step == steps or part_of(step + 1) > part_of(step)


@contextmanager
def _hands(run: Run, scratch: Callable[[], AbstractContextManager[str | Path]]) -> Iterator[Hands]:
    """Who does the work of the demand side: threads here, none if one is enough, or shards elsewhere.

    scratch : makes a folder for the checkpoints of shards
    """
    if run.shards:
        with scratch() as folder, workers(run, Path(folder)) as populate:
            yield None, populate
    elif run.threads > 1:
        with ThreadPoolExecutor(run.threads) as pool:
            yield pool, None
    else:
        yield None, None


def _manifest(settings: Settings, overrides: Sequence[str], seconds: Mapping[str, float]) -> dict[str, Any]:
    return {
        "settings": settings_dict(settings),
        "overrides": list(overrides),
        "seed": settings.run.seed,
        "replications": settings.run.replications,
        "versions": {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES},
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }
