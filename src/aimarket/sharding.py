"""One population in several pieces, each with a worker of its own, on this machine or on many.

A piece is some consecutive chunks of the population. Workers are told what a step says to users and answer with what
each of their chunks counted; counts are added in the order of chunks, wherever they were made, so that the bytes of a
run are those of the population in one piece. Orders are remembered: a worker that dies is replaced by one that draws
the same users, goes on from the last checkpoint it finds, and is given the orders since again.
"""

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.demand import Draw, Populate, Read, State
from aimarket.kernels.tables import Choosing, StepTables, Tally, Users
from aimarket.population import Segments
from aimarket.rng import Streams
from aimarket.settings import Run
from aimarket.strata import Strata

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Call = tuple[Any, ...]  # name of a method of `demand.Population`, and its arguments

_ATTEMPTS = 3  # workers that one shard may lose over a single order


class Worker:
    """Holds one piece of the population, in a process of its own, and does as it is told.

    draw        : makes the users start..stop
    threads     : spread over the chunks of the piece
    checkpoint  : file of this piece; one that is there is taken up by `resume`
    """

    def __init__(self, draw: Draw, start: int, stop: int, threads: int, checkpoint: Path) -> None:
        self._piece, self._checkpoint = draw(start, stop), checkpoint
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._orders = 0  # carried out so far

    def order(self, order: Call, questions: Sequence[Call] = ()) -> list[Any]:
        """Change users (`take`, `stagger`, `lock_quotes` of `demand.Population`), then `ask`; returns both answers."""
        name, *arguments = order
        answer = self._take(*arguments) if name == "take" else getattr(self._piece, name)(*arguments)
        self._orders += 1
        return [answer, *map(self.ask, questions)]

    def ask(self, question: Call) -> Any:
        """Look at users: `sample`, `census` or `tastes` of `demand.Population`."""
        name, *arguments = question
        return getattr(self._piece, name)(*arguments)

    def save(self) -> None:
        """Write a checkpoint: it is there whole or not at all, even if the power fails."""
        partial = self._checkpoint.with_suffix(f".{os.getpid()}")
        first = self._piece.first
        state = self._piece.state(first, first + len(self._piece.users.offer))
        self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, orders=np.int64(self._orders), **state)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._checkpoint)

    def resume(self) -> int:
        """Go on from the checkpoint; returns how many orders had been carried out then, 0 where there is none."""
        with suppress(FileNotFoundError), np.load(self._checkpoint, allow_pickle=False) as saved:
            state = {name: saved[name] for name in saved if name != "orders"}
            first = self._piece.first
            self._piece.restore(lambda start, stop: {k: x[start - first : stop - first] for k, x in state.items()})
            self._orders = int(saved["orders"])
        return self._orders

    def state(self, start: int, stop: int) -> State:
        """See `demand.Population.state`."""
        return self._piece.state(start, stop)

    def put(self, start: int, stop: int, state: State) -> None:
        """See `demand.Population.put`."""
        self._piece.put(start, stop, state)

    def _take(self, tables: StepTables) -> Tally:
        """What each chunk counted, chunks along a first axis."""
        return Tally(*map(np.stack, zip(*self._piece.take(tables, self._pool), strict=True)))


class Shards:
    """The population in pieces; does what `demand.Population` does, with the same answers.

    draw    : makes any of the users
    strata  : of the whole population
    run     : how many shards, threads of each, and steps between checkpoints
    folder  : for checkpoints, best on a disk that all machines share; without one a new worker begins at the first step
    """

    def __init__(self, draw: Draw, strata: Strata, run: Run, folder: Path) -> None:
        self.strata = strata
        chunks, count = strata.chunks, min(run.shards, len(strata.chunks))
        edges = [chunks[len(chunks) * k // count][0] for k in range(count)] + [strata.size]
        self._pieces = [
            (draw, start, stop, run.threads, folder.absolute() / f"users-{start}.npz")
            for start, stop in pairwise(edges)
        ]
        self._threads, self._every, self._steps = run.threads, run.shard_checkpoint_every, 0
        self._orders: list[Call] = []
        self._restored = 0  # orders that had been given when a kept state took the place of what came of them
        self._asked: dict[str, Call] = {}  # will be asked again in the next step, so workers answer unasked
        self._known: dict[str, Sequence[Any]] = {}  # what they answered since the last order
        self._workers = [self._hire(piece) for piece in self._pieces]

    def take(self, tables: StepTables, pool: Executor | None = None) -> list[Tally]:
        """A step of all users; what each chunk counted, in order. Workers have threads of their own, not of `pool`."""
        answers = self._order("take", tables)
        self._steps += 1
        if self._every and self._steps % self._every == 0:
            for worker in self._workers:  # goes on while the market serves and settles
                worker.save.remote()
        return [Tally(*chunk) for answer in answers for chunk in zip(*answer, strict=True)]

    def sample(self, numbers: Integers) -> Users:
        """See `demand.Population.sample`."""
        return Users(*(np.concatenate(parts, axis=-1) for parts in zip(*self._ask("sample", numbers), strict=True)))

    def census(self) -> Integers:
        """See `demand.Population.census`."""
        return np.asarray(sum(self._ask("census")))

    def tastes(self) -> list[Floats]:
        """See `demand.Population.tastes`."""
        return [chunk for piece in self._answers(lambda worker: worker.ask.remote(["tastes"])) for chunk in piece]

    def stagger(self, segments: Segments, streams: Streams, months: float) -> None:
        """See `demand.Population.stagger`."""
        self._order("stagger", segments, streams, months)

    def lock_quotes(self, tables: Choosing) -> None:
        """See `demand.Population.lock_quotes`."""
        self._order("lock_quotes", tables)

    def state(self, start: int, stop: int) -> State:
        """See `demand.Population.state`; of users of one shard, such as those of a chunk."""
        shard = next(k for k, (_, low, high, *_) in enumerate(self._pieces) if low <= start and stop <= high)
        state: State = self._answer(shard, lambda worker: worker.state.remote(start, stop))
        return state

    def restore(self, read: Read) -> None:
        """See `demand.Population.restore`. Workers write it down at once: who replaces them can begin there only."""
        for shard, (_, low, high, *_) in enumerate(self._pieces):
            chunks = [(start, stop) for start, stop in self.strata.chunks if low <= start and stop <= high]
            self._answer(shard, partial(_filled, read, chunks))
        self._known, self._restored = {}, len(self._orders)

    def dismiss(self) -> None:
        """Workers go, and their checkpoints with them."""
        import ray

        for worker, (*_, checkpoint) in zip(self._workers, self._pieces, strict=True):
            ray.kill(worker)
            checkpoint.unlink(missing_ok=True)
        self._workers = []

    def _order(self, *order: Any) -> list[Any]:
        """Tell all workers something; what each answers."""
        questions = tuple(self._asked.values())
        answers, *unasked = zip(*self._answers(lambda worker: worker.order.remote(order, questions)), strict=True)
        self._orders.append(copy.deepcopy(order))  # the market goes on writing into its arrays
        self._known = dict(zip(self._asked, unasked, strict=True))
        return list(answers)

    def _ask(self, name: str, *arguments: Any) -> Sequence[Any]:
        """Ask all workers something, unless they have said it already: a round trip costs more than most answers."""
        question = (name, *arguments)
        if name not in self._known or not _same(self._asked[name], question):
            self._known[name] = self._answers(lambda worker: worker.ask.remote(question))
            self._asked[name] = question
        return self._known[name]

    def _answers(self, call: Callable[[Any], Any]) -> list[Any]:
        """What every worker answers to a call, in order; whoever has died is replaced."""
        if not self._workers:
            raise ValueError("these shards have been dismissed")
        pending = [call(worker) for worker in self._workers]
        return [self._answer(shard, call, answer) for shard, answer in enumerate(pending)]

    def _answer(self, shard: int, call: Callable[[Any], Any], pending: Any = None) -> Any:
        """What a worker answers to a call, which may be pending already; if it has died, what its successor does."""
        import ray
        from ray.exceptions import RayActorError

        for attempt in range(1 + _ATTEMPTS):
            try:
                if attempt:
                    self._replace(shard)
                if attempt or pending is None:
                    pending = call(self._workers[shard])
                return ray.get(pending)
            except RayActorError as error:
                lost = error
        raise ConnectionError(f"run.shards: shard {shard} lost its worker {1 + _ATTEMPTS} times in one step: {lost}")

    def _replace(self, shard: int) -> None:
        import ray

        self._workers[shard] = worker = self._hire(self._pieces[shard])
        begins = ray.get(worker.resume.remote())
        if begins < self._restored:
            where = self._pieces[shard][-1]
            raise ConnectionError(f"run.shards: shard {shard} is lost, and {where} with it; resume the run once more")
        for order in self._orders[begins:]:
            worker.order.remote(order)

    def _hire(self, piece: Sequence[Any]) -> Any:
        import ray

        return ray.remote(Worker).options(num_cpus=self._threads, scheduling_strategy="SPREAD").remote(*piece)


def _filled(read: Read, chunks: Sequence[tuple[int, int]], worker: Any) -> Any:
    """Give a worker the state of its users, a chunk at a time in memory, and have it written down."""
    import ray

    for start, stop in chunks:
        ray.get(worker.put.remote(start, stop, read(start, stop)))
    return worker.save.remote()


def _same(call: Call, other: Call) -> bool:
    return len(call) == len(other) and all(map(np.array_equal, call, other))


@contextmanager
def workers(run: Run, folder: Path) -> Iterator[Populate]:
    """Ray at hand for the shards of a run: the cluster that RAY_ADDRESS names, else one on this machine.

    Yields what makes a population of shards, one at a time.

    folder : for checkpoints
    raises : ValueError if Ray is not installed or has too few cores
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise ValueError("run.shards: Ray is not installed; pip install 'aimarket[ray]'") from None
    hired: list[Shards] = []

    def populate(draw: Draw, strata: Strata) -> Shards:
        dismiss()
        hired.append(Shards(draw, strata, run, folder))
        return hired[-1]

    def dismiss() -> None:
        while hired:
            hired.pop().dismiss()

    mine = not ray.is_initialized()
    if mine:
        _connect(run.shards * run.threads)
    try:
        if (cores := ray.cluster_resources().get("CPU", 0)) < run.shards * run.threads:
            raise ValueError(f"run.shards: {run.shards} shards of {run.threads} threads, Ray has {cores:.0f} cores")
        yield populate
    finally:
        dismiss()
        if mine:
            ray.shutdown()


def _connect(cores: int) -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS", "local")
    if address == "local":
        small = {"max_direct_call_object_size": 2**22}  # bytes: what shards count comes without a detour
        ray.init(
            "local",
            num_cpus=cores,
            include_dashboard=False,
            object_store_memory=2**28,
            logging_level="ERROR",
            _system_config=small,
        )
    else:
        ray.init(address, logging_level="ERROR")
