"""Running settings: steps times replications, in memory or into a study folder."""

import importlib.metadata
import json
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aimarket.configuration import run_id, settings_dict
from aimarket.market import Market
from aimarket.recorder import RunWriter
from aimarket.recording import Recorder, Recording
from aimarket.settings import Run, Settings

PHASES = ("deliver", "research", "invest", "quote", "choose", "serve", "settle", "turn_over", "measure")
_PACKAGES = ("aimarket", "hydra-core", "numpy", "scipy", "pandas", "pyarrow", "pydantic")

Advance = Callable[[int, int], None]


def simulate(settings: Settings, advance: Advance | None = None) -> Recording:
    """Run every replication in memory.

    settings : see `aimarket.load`
    advance  : called with (step, replication) after every step
    returns  : frames `.market`, `.providers`, `.offers`, `.segments`, `.ledger`, `.events`; see the data dictionary
    raises   : IdentityBreach if the books do not balance
    """
    seconds: dict[str, float] = defaultdict(float)
    with _pool(settings.run) as pool:
        replications = range(settings.run.replications)
        return Recording.join(_replicate(settings, r, pool, seconds, advance) for r in replications)


def run(settings: Settings, overrides: Sequence[str] = (), advance: Advance | None = None) -> Path:
    """Run every replication into the study folder of the settings; returns the path of the run's manifest.

    Nothing looks complete before all of it is on disk. A run that fails leaves a manifest with its traceback.
    """
    folder = Path(settings.outputs) / settings.study
    seconds: dict[str, float] = defaultdict(float)
    configuration = json.dumps(settings_dict(settings, results_only=True), sort_keys=True)
    with RunWriter(folder, run_id(settings), configuration) as writer, _pool(settings.run) as pool:
        try:
            for replication in range(settings.run.replications):
                writer.write_replication(_replicate(settings, replication, pool, seconds, advance))
            return writer.complete(_manifest(settings, overrides, seconds))
        except Exception as error:
            writer.fail(_manifest(settings, overrides, seconds), error)
            raise


def _replicate(
    settings: Settings,
    replication: int,
    pool: ThreadPoolExecutor | None,
    seconds: dict[str, float],
    advance: Advance | None,
) -> Recording:
    """One replication from its first step to its last."""
    started = time.perf_counter()
    recorder, market = Recorder(run_id(settings)), Market(settings, replication, pool)
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
def _pool(run: Run) -> Iterator[ThreadPoolExecutor | None]:
    """Threads for the demand side, none if one is enough."""
    if run.threads == 1:
        yield None
    else:
        with ThreadPoolExecutor(run.threads) as pool:
            yield pool


def _manifest(settings: Settings, overrides: Sequence[str], seconds: Mapping[str, float]) -> dict[str, Any]:
    return {
        "settings": settings_dict(settings),
        "overrides": list(overrides),
        "seed": settings.run.seed,
        "replications": settings.run.replications,
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in _PACKAGES},
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }
