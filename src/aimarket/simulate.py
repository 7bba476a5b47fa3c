"""Running settings: steps times replications, in memory or into a study folder."""

import importlib.metadata
import json
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aimarket.configuration import run_id, settings_dict
from aimarket.demand import Populate
from aimarket.market import Market
from aimarket.recorder import RunWriter, workspace
from aimarket.recording import Recorder, Recording
from aimarket.settings import Run, Settings
from aimarket.sharding import workers

PHASES = ("deliver", "research", "invest", "quote", "choose", "serve", "settle", "turn_over", "measure")
_PACKAGES = ("aimarket", "hydra-core", "mesa", "numpy", "scipy", "pandas", "pyarrow", "pydantic")

Advance = Callable[[int, int], None]
Hands = tuple[ThreadPoolExecutor | None, Populate | None]


def simulate(settings: Settings, advance: Advance | None = None) -> Recording:
    """Run every replication in memory.

    settings : see `aimarket.load`
    advance  : called with (step, replication) after every step
    returns  : frames `.market`, `.providers`, `.offers`, `.segments`, `.ledger`, `.events`; see the data dictionary
    raises   : IdentityBreach if the books do not balance
    """
    seconds: dict[str, float] = defaultdict(float)
    with _hands(settings.run, tempfile.TemporaryDirectory) as hands:
        replications = range(settings.run.replications)
        return Recording.join(_replicate(settings, r, hands, seconds, advance) for r in replications)


def run(settings: Settings, overrides: Sequence[str] = (), advance: Advance | None = None) -> Path:
    """Run every replication into the study folder of the settings; returns the path of the run's manifest.

    Nothing looks complete before all of it is on disk. A run that fails leaves a manifest with its traceback.
    """
    folder = Path(settings.outputs) / settings.study
    seconds: dict[str, float] = defaultdict(float)
    configuration = json.dumps(settings_dict(settings, results_only=True), sort_keys=True)
    with RunWriter(folder, run_id(settings), configuration) as writer:
        try:
            with _hands(settings.run, partial(workspace, folder, f"{run_id(settings)}-shards")) as hands:
                for replication in range(settings.run.replications):
                    writer.write_replication(_replicate(settings, replication, hands, seconds, advance))
            return writer.complete(_manifest(settings, overrides, seconds))
        except Exception as error:
            writer.fail(_manifest(settings, overrides, seconds), error)
            raise


def _replicate(
    settings: Settings,
    replication: int,
    hands: Hands,
    seconds: dict[str, float],
    advance: Advance | None,
) -> Recording:
    """One replication from its first step to its last."""
    started = time.perf_counter()
    recorder, market = Recorder(run_id(settings)), Market(settings, replication, *hands)
    seconds["build"] += time.perf_counter() - started
    _time_phases(market, seconds)
    for step in range(1, settings.run.steps + 1):
        market.step()
        for table in settings.record.tables:
            recorder.add(table, replication, market.steps, market.years, market.tables[table])
        if advance:
            advance(step, replication)
    return recorder.recording()


def _time_phases(market: Market, seconds: dict[str, float]) -> None:
    """Let every phase of the market add the time it takes to `seconds`."""

    def timed(name: str, phase: Callable[[], None]) -> Callable[[], None]:
        def run_phase() -> None:
            started = time.perf_counter()
            phase()
            seconds[name] += time.perf_counter() - started

        return run_phase

    for name in PHASES:
        setattr(market, name, timed(name, getattr(market, name)))


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
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in _PACKAGES},
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }
