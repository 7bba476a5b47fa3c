"""Markets run for the page: each once, on processes of this machine, what somebody waits for first.

Whoever waits for one market comes before whoever waits for many: thirty seeds of one student would hold up thirty
others. While nobody waits, what may be asked for next is run ahead. Such a run breaks off as soon as somebody waits: it
is begun again later, and nobody waits for what he has not asked for.
"""

import asyncio
import multiprocessing
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from enum import IntEnum
from itertools import chain

from aimarket.lab.playing import DisplacedError, Sign, begin, play
from aimarket.lab.presets import Point

MOST_WAITING = 300  # points that somebody waits for
MOST_LOOKS = 60  # points around which others are run ahead: two for each of thirty students
MOST_KEPT = 6000  # answers, about 25 kB each: all that is offered with one seed

Answers = dict[Point, "asyncio.Future[bytes]"]
Looks = OrderedDict[Point, Iterator[Point]]  # what to run ahead for whoever looks at a point; whose turn is next first


class Ahead(IntEnum):
    """What is run ahead, and before what."""

    NEAR = 0
    UNSEEN = 1  # nobody looks there yet
    OTHER_SEEDS = 2
    FAR = 3
    NEAR_UNSEEN = 4  # all else that one control of a preset does before anybody looks there
    REST = 5


class BusyError(RuntimeError):
    """Too much is asked for at once."""


class Runs:
    """Answers by point. A point is run once, however many ask for it, and kept while there is room."""

    def __init__(self, processes: int) -> None:
        self._kept: dict[Point, bytes] = {}  # longest unused first
        self._wanted: Answers = {}  # somebody waits
        self._wanted_later: Answers = {}  # somebody waits for it among many others
        self._begun: Answers = {}
        self._awaited: set[Point] = set()  # of those begun: somebody waits
        self._ahead = tuple(Looks() for _ in Ahead)
        self._news = asyncio.Event()
        self._processes = processes
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._sign = self._context.RawValue("b", Sign.NOBODY_WAITS)
        self._pool = self._hire()

    async def __aenter__(self) -> "Runs":
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._processes)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sign.value = Sign.THE_END  # the pool would read for ever from a process ended by force while it answers
        self._pool.shutdown(cancel_futures=True)

    async def answer(self, point: Point, many: bool = False) -> bytes:
        """The run of a point as gzipped JSON, see `playing.play`.

        many   : whether it is one of many that the same asks for; whoever asks for one comes first
        raises : BusyError; RuntimeError if the market breaks off or takes too long
        """
        if point in self._kept:
            self._kept[point] = self._kept.pop(point)
            return self._kept[point]
        if point in self._begun:
            self._awaited.add(point)
            return await asyncio.shield(self._begun[point])
        future = self._wanted.get(point) or self._wanted_later.get(point)
        if future is None:
            if len(self._wanted) + len(self._wanted_later) >= MOST_WAITING:
                raise BusyError("too many markets are waiting; try again in a moment")
            future = _promise()
        if point not in self._wanted:
            if not many:
                self._wanted_later.pop(point, None)
            (self._wanted_later if many else self._wanted)[point] = future
            self._tell()
        return await asyncio.shield(future)

    def look(self, point: Point) -> None:
        """Somebody looks at a point: what he may ask for next is run once nobody waits."""
        self._line_up(Ahead.NEAR, point, point.near())
        self._line_up(Ahead.OTHER_SEEDS, point, point.other_seeds())
        self._line_up(Ahead.FAR, point, point.far())
        self._line_up(Ahead.REST, point, point.rest())

    def prepare(self, point: Point) -> None:
        """Somebody may come to look at a point."""
        self._line_up(Ahead.UNSEEN, point, iter((point,)))
        self._line_up(Ahead.NEAR_UNSEEN, point, point.near())

    def _line_up(self, when: Ahead, looked: Point, points: Iterator[Point]) -> None:
        looks = self._ahead[when]
        looks[looked] = points
        looks.move_to_end(looked, last=False)
        if len(looks) > MOST_LOOKS:
            looks.popitem()
        self._tell()

    def refuse(self) -> None:
        """Whoever waits is told that the server ends."""
        for future in (*self._wanted.values(), *self._wanted_later.values(), *self._begun.values()):
            if not future.done():
                future.set_exception(BusyError("the server ends"))

    def _tell(self) -> None:
        waited_for = self._wanted or self._wanted_later
        self._sign.value = Sign.SOMEBODY_WAITS if waited_for else Sign.NOBODY_WAITS
        self._news.set()

    def _take(self) -> tuple[Point, "asyncio.Future[bytes]", bool] | None:
        """What to run now, its answer to be, and whether it is run ahead; None: nothing."""
        if wanted := self._wanted or self._wanted_later:
            point = next(iter(wanted))
            future = wanted.pop(point)
            self._tell()
            return point, future, False
        for when, looks in zip(Ahead, self._ahead, strict=True):
            if when is Ahead.REST and len(self._kept) >= MOST_KEPT:
                break  # it would cost something that has been asked for
            while looks:
                looked, points = next(iter(looks.items()))
                for point in points:
                    if point not in self._kept and point not in self._begun:
                        looks.move_to_end(looked)
                        return point, _promise(), True
                del looks[looked]
        return None

    async def _work(self) -> None:
        """One run after another, as many at once as there are of this."""
        while True:
            while (taken := self._take()) is None:
                self._news.clear()
                await self._news.wait()
            point, future, ahead = taken
            self._begun[point] = future
            try:
                answer = await self._run(point, ahead)
                self._kept[point] = answer
                if len(self._kept) > MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                if not future.done():
                    future.set_result(answer)
            except DisplacedError:
                if point in self._awaited:
                    self._wanted[point] = future
                else:
                    self._line_up(Ahead.NEAR, point, chain((point,), self._ahead[Ahead.NEAR].pop(point, ())))
            except (ArithmeticError, MemoryError, OSError, RuntimeError, TimeoutError, ValueError) as error:
                if not future.done():
                    future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
            finally:
                del self._begun[point]
                self._awaited.discard(point)

    async def _run(self, point: Point, ahead: bool) -> bytes:
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, play, point, ahead)
        except BrokenProcessPool:  # a process died, and took all others with it
            if pool is self._pool:
                self._pool = self._hire()
            raise

    def _hire(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, self._context, begin, (self._sign,))


def _promise() -> "asyncio.Future[bytes]":
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may have gone
    return future
