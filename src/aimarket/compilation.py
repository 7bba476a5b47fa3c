"""What a step needs is compiled once on a machine, by several processes at once, and kept on disk."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from aimarket.demand import Draw, People, Populate, Population
from aimarket.kernels.tables import OFFER_COLUMNS, STRATUM_COLUMNS, StepTables, Tally
from aimarket.market import Market
from aimarket.pool import cores, outcomes
from aimarket.settings import Settings
from aimarket.strata import Strata

_FEW = 1000  # users who are enough to compile for


class _Bystanders(Population):
    """Users who do nothing: firms can then ask prices before the users' step is compiled."""

    def take(self, tables: StepTables, pool: Executor | None = None) -> list[Tally]:
        strata, offers = len(self.strata.bounds) - 1, len(tables.choosing.provider)
        return [Tally(np.zeros((strata, offers, OFFER_COLUMNS)), np.zeros((strata, STRATUM_COLUMNS)))]


def _bystanders(draw: Draw, strata: Strata) -> People:
    return _Bystanders(draw(0, strata.size).users, strata)


# Phases of a step, and who populates the market, that take about as long to compile.
_PARTS: tuple[tuple[Populate | None, tuple[str, ...]], ...] = (
    (_bystanders, ("deliver", "research", "quote")),
    (None, ("deliver", "research", "choose", "serve")),
)


def compile_ahead(settings: Settings, announce: Callable[[], None] | None = None) -> None:
    """Compile what a step of some settings needs and keep it on disk, or nothing if something is there already.

    Processes hired for many runs would otherwise compile the same beside each other, each for itself. Processes of its
    own do it: whoever calls this from a script has to guard what the script runs, as with all of `multiprocessing`.

    announce : called if there is something to compile
    """
    from aimarket.kernels.chunk import step_chunk

    if any(Path(step_chunk.stats.cache_path).glob("chunk.step_chunk-*.nbi")):  # as Numba calls its index of a function
        return
    if announce:
        announce()
    few = replace(settings, users=replace(settings.users, size=min(settings.users.size, _FEW)))
    tasks = [(few, *part) for part in _PARTS]
    with closing(outcomes(_compile, tasks, min(len(tasks), cores()))) as parts:
        for _ in parts:  # what is wrong with a run is told where it is run
            pass


def _compile(task: tuple[Settings, Populate | None, tuple[str, ...]]) -> None:
    """Run some phases of the first step."""
    settings, populate, phases = task
    with suppress(Exception):
        market = Market(settings, populate=populate)
        market.steps += 1
        for phase in phases:
            getattr(market, phase)()
