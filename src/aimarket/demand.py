"""The demand side: a population of simulated users, and the one small object through which the market reaches it."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.creation import draw_users
from aimarket.kernels.tables import OVER, Choosing, StepTables, Tally, Users
from aimarket.population import Segments
from aimarket.rng import Streams
from aimarket.step_tables import Step, step_tables
from aimarket.strata import Strata
from aimarket.usage import Totals, totals

__all__ = ["Draw", "People", "Populate", "Population", "Step", "Totals", "choose", "draw_population"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

State = dict[str, NDArray[Any]]  # columns of some users
Read = Callable[[int, int], State]  # the state of users start..stop, as it was kept

DRAWN_ONCE = ("segment", "region", "quality", "price", "latency", "tasks", "router", "tastes")  # never changes
BLOCK = 4096  # users who go through all of a step together, while their rows are in cache; changes no number


class People(Protocol):
    """What the market asks of its users, be they in one piece, as in `Population`, or in several."""

    strata: Strata

    def take(self, tables: StepTables, pool: Executor | None = None) -> list[Tally]: ...
    def sample(self, numbers: Integers) -> Users: ...
    def census(self) -> Integers: ...
    def tastes(self) -> list[Floats]: ...
    def stagger(self, segments: Segments, streams: Streams, months: float) -> None: ...
    def lock_quotes(self, tables: Choosing) -> None: ...
    def state(self, start: int, stop: int) -> State: ...
    def restore(self, read: Read) -> None: ...


class Population:
    """Users `first` to `first + len(users)` of the population, a whole number of consecutive chunks.

    Everything that goes in and out is plain data, so that a population may be in one piece or in several anywhere.
    Nothing here depends on how many pieces or threads there are.
    """

    def __init__(self, users: Users, strata: Strata, first: int = 0) -> None:
        self.users, self.strata, self.first = users, strata, first
        last = first + len(users.offer)
        self._bounds = strata.within(first, last)
        self._chunks = [(low - first, high - first) for low, high in strata.chunks if first <= low and high <= last]

    def take(self, tables: StepTables, pool: Executor | None = None) -> list[Tally]:
        """A step: adoption, review, choice, usage and workflows of every user; what each chunk counts, in order.

        pool : threads to spread the chunks over, or None
        """
        from aimarket.kernels.chunk import step_chunk  # numba takes a second to import

        # To Numba an array that came by shared memory, and so is read-only, is of another type, to be compiled for.
        tables = StepTables(_own(tables.reviewing), _own(tables.choosing), _own(tables.using))

        def chunk(rows: tuple[int, int]) -> Tally:
            return Tally(*step_chunk(self.users, *tables, self.first, *rows, self._bounds, self.strata.regions, BLOCK))

        run: Callable[..., Iterable[Tally]] = pool.map if pool else map
        return list(run(chunk, self._chunks))

    def sample(self, numbers: Integers) -> Users:
        """Users by their numbers, in double precision; those that are here.

        numbers : (K,) int, ascending
        """
        rows = numbers[(numbers >= self.first) & (numbers < self.first + len(self.users.offer))] - self.first
        return Users(*(_widened(column.take(rows, axis=-1)) for column in self.users))

    def census(self) -> Integers:
        """(3, S) simulated users with an offer, without one though they have adopted, and not adopted."""
        counts = np.zeros((3, len(self._bounds) - 1), dtype=np.int64)
        for g, (low, high) in enumerate(pairwise(self._bounds)):
            attached, adopted = self.users.offer[low:high] >= 0, self.users.adopted[low:high]
            held, idle = np.count_nonzero(attached), np.count_nonzero(adopted & ~attached)
            counts[:, g] = held, idle, high - low - np.count_nonzero(adopted)
        return counts.reshape(3, -1, self.strata.regions).sum(axis=2)

    def tastes(self) -> list[Floats]:
        """(2, S) sums over simulated users of their tastes for quality and for price, chunk by chunk."""
        return [np.array([self._sums(column, rows) for column in (self.users.quality, self.users.price)])
                for rows in self._chunks]  # fmt: skip

    def _sums(self, column: NDArray[Any], rows: tuple[int, int]) -> list[float]:
        edges = np.clip(self._bounds[:: self.strata.regions], *rows)
        return [float(column[low:high].sum(dtype=np.float64)) for low, high in pairwise(edges)]

    def stagger(self, segments: Segments, streams: Streams, months: float) -> None:
        """On the eve of the first step contracts are of all ages: as many end in each step of a term."""
        users = self.users
        for start, stop in self._chunks:
            rows = start + np.flatnonzero(np.isfinite(users.contract_price[start:stop]))
            draw = streams.at("users.contract").uniform(self.first + start, self.first + stop)[rows - start]
            left = segments.term[users.segment[rows]] * draw - months
            users.contract_left[rows] = left
            users.due[rows] |= left <= OVER

    def lock_quotes(self, tables: Choosing) -> None:
        """Contracts that run lock the prices of now to own customers."""
        users = self.users
        for start, stop in self._chunks:
            rows = start + np.flatnonzero(users.contract_left[start:stop] > OVER)
            s, j = users.segment[rows], users.offer[rows]
            users.contract_price[rows] = tables.locked[0, s, j]
            users.commitment[rows] = users.tasks[rows] * users.depth[rows] * tables.committed[0, s, j]

    def state(self, start: int, stop: int) -> State:
        """All that changes of the users start..stop, as views; the rest is drawn again by key."""
        rows = slice(start - self.first, stop - self.first)
        return {name: column[rows] for name, column in self.users._asdict().items() if name not in DRAWN_ONCE}

    def restore(self, read: Read) -> None:
        """Bring the same users, drawn anew, to a state that was kept, by whatever pieces."""
        for start, stop in self._chunks:
            self.put(self.first + start, self.first + stop, read(self.first + start, self.first + stop))

    def put(self, start: int, stop: int, state: State) -> None:
        """Bring the users start..stop to a state."""
        for name, column in state.items():
            getattr(self.users, name)[start - self.first : stop - self.first] = column


_WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.int16): np.int64}


def _own[Part: NamedTuple](part: Part) -> Part:
    """The same with arrays of one's own."""
    return part._replace(**{name: x.copy() for name, x in part._asdict().items() if isinstance(x, np.ndarray)})


def _widened(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(_WIDER.get(column.dtype, column.dtype), copy=False)


Draw = Callable[[int, int], Population]  # makes the users start..stop, whoever makes the others
Populate = Callable[[Draw, Strata], People]


def draw_population(
    settings: config.Users,
    segments: Segments,
    strata: Strata,
    providers: tuple[str, ...],
    streams: Streams,
    start: int,
    stop: int,
) -> Population:
    """The users start..stop of a population, on the eve of its first step."""
    return Population(draw_users(settings, segments, strata, providers, streams, start, stop), strata, start)


def choose(population: People, step: Step, pool: Executor | None = None) -> Totals:
    """One step of demand: adoption, review, choice, usage and deepening of every user.

    pool : threads, or None
    """
    return totals(step, added(population.take(step_tables(step), pool)))


def lock_first_quotes(population: People, step: Step) -> None:
    """Contracts that run when the first prices are quoted lock those: nobody has quoted the list prices."""
    population.lock_quotes(step_tables(step).choosing)


def added(tallies: Sequence[Tally]) -> Tally:
    """What all chunks counted, added up in their order."""
    return Tally(*(reduce(np.add, columns) for columns in zip(*tallies, strict=True)))
