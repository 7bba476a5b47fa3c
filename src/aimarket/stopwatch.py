"""What the parts of a run cost."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from aimarket.market import Market

PHASES = ("deliver", "research", "invest", "quote", "choose", "serve", "settle", "turn_over", "measure")


class Stopwatch:
    """Adds up the seconds that things take, by name."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._clock = clock

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Time the block."""
        started = self._clock()
        yield
        self.seconds[name] += self._clock() - started

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what another watch has measured."""
        for name, value in seconds.items():
            self.seconds[name] += value

    def time_phases(self, market: Market) -> None:
        """Run in every phase of a market from now on."""
        for name in PHASES:
            setattr(market, name, self._timed(name, getattr(market, name)))

    def _timed(self, name: str, phase: Callable[[], None]) -> Callable[[], None]:
        def run_phase() -> None:
            with self.on(name):
                phase()

        return run_phase
