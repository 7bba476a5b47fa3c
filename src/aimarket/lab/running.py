"""Markets run for the page: each once, on processes of this machine, what somebody waits for first."""

import asyncio
import gzip
import json
import math
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from aimarket.lab.presets import Point

MARKET = (
    *("lerner", "price", "marginal_cost", "leader_share", "effective_providers", "spend", "tokens_served"),
    *("tokens_per_task", "cost_per_task", "adopted_users", "consumer_surplus", "churn", "unserved_share"),
    *("utilisation", "rental_price", "active_providers"),
)
PROVIDERS = ("share", "price", "lerner")
MOST_WAITING = 300  # points that somebody waits for
MOST_AHEAD = 200  # points that are run ahead
MOST_KEPT = 3000  # answers, about 30 kB each
SECONDS = 20.0  # of processor time that a run may take

Answers = dict[Point, "asyncio.Future[bytes]"]


class BusyError(RuntimeError):
    """Too much is asked for at once."""


class Runs:
    """Answers by point. A point is run once, however many ask for it, and kept while there is room."""

    def __init__(self, processes: int) -> None:
        self._kept: dict[Point, bytes] = {}  # longest unused first
        self._wanted: Answers = {}  # somebody waits
        self._ahead: Answers = {}  # nobody waits yet
        self._begun: Answers = {}
        self._due = asyncio.Semaphore(0)  # counts both
        self._processes = processes
        self._pool = _hire(processes)

    async def __aenter__(self) -> "Runs":
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._processes)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in multiprocessing.active_children():  # nobody waits for what they are at
            process.terminate()
        self._pool.shutdown(cancel_futures=True)

    async def answer(self, point: Point) -> bytes:
        """The run of a point as gzipped JSON, see `play`.

        raises : BusyError; RuntimeError if the market breaks off or takes too long
        """
        if point in self._kept:
            self._kept[point] = self._kept.pop(point)
            return self._kept[point]
        if point in self._ahead:
            self._wanted[point] = self._ahead.pop(point)
        future = self._begun.get(point) or self._wanted.get(point)
        if future is None:
            if len(self._wanted) >= MOST_WAITING:
                raise BusyError("too many markets are waiting; try again in a moment")
            future = self._add(self._wanted, point)
        return await asyncio.shield(future)

    def run_ahead(self, point: Point) -> None:
        """Run a point once nobody waits for another; forgotten if there is too much of that."""
        known = (self._kept, self._wanted, self._ahead, self._begun)
        if len(self._ahead) < MOST_AHEAD and not any(point in points for points in known):
            self._add(self._ahead, point)

    def _add(self, points: Answers, point: Point) -> "asyncio.Future[bytes]":
        points[point] = future = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.exception())  # whoever asked may have gone
        self._due.release()
        return future

    async def _work(self) -> None:
        """One run after another, as many at once as there are of this."""
        while True:
            await self._due.acquire()
            points = self._wanted or self._ahead
            point = next(iter(points))
            self._begun[point] = future = points.pop(point)
            try:
                answer = await self._run(point)
                self._kept[point] = answer
                if len(self._kept) > MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                future.set_result(answer)
            except (ArithmeticError, MemoryError, OSError, RuntimeError, TimeoutError, ValueError) as error:
                future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
            finally:
                del self._begun[point]

    async def _run(self, point: Point) -> bytes:
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, play, point)
        except BrokenProcessPool:  # a process died, and took all others with it
            if pool is self._pool:
                self._pool = _hire(self._processes)
            raise


def play(point: Point) -> bytes:
    """Run a market and say how it went, as gzipped JSON.

    returns : `market` {column: [by month]}, `providers` {provider: {column: [by month]}}, `command` that does the same
    raises  : TimeoutError
    """
    from aimarket.configuration import load
    from aimarket.recording import arrays
    from aimarket.simulation import simulate

    overrides = point.overrides()
    settings = load(overrides)
    recording = simulate(settings, _within(SECONDS))
    market, providers = (arrays(recording.tables[table]) for table in ("market", "providers"))
    told = {
        "market": {name: _numbers(market[name]) for name in MARKET},
        "providers": {
            firm: {name: _numbers(providers[name][providers["provider"] == firm]) for name in PROVIDERS}
            for firm in settings.providers
        },
        "command": " ".join(["aimarket run", *overrides]),
    }
    return gzip.compress(json.dumps(told, allow_nan=False).encode(), compresslevel=1, mtime=0)


def _numbers(values: Any) -> list[float | None]:
    """Floats to the last bit, which JSON has; None for what does not exist."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _within(seconds: float) -> Any:
    begun: list[float] = []

    def advance(step: int, replication: int) -> None:
        begun.append(time.process_time())  # others use the machine, and the first step may compile
        if begun[-1] > begun[0] + seconds:
            raise TimeoutError(f"the market takes longer than {seconds:g} s; it had come to step {step}")

    return advance


def _hire(processes: int) -> ProcessPoolExecutor:
    # A fresh interpreter for each process: a fork of one with threads may hang.
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    """What a process does first: leave Ctrl-C to the server, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Any = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
