"""A fault in what was recorded, and the laws that find them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aimarket.audit.arithmetic import Floats

TOLERANCE = 1e-9  # of the largest amount that enters a law: what rounding may do
_SHOWN = 5  # faults of one law in one run that are told one by one


class Fault(NamedTuple):
    """One thing that is not as it should be.

    place : a file, or table, column, replication, step and row of a number
    what  : what was found, what was expected and by which law
    """

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True)
class Law:
    """A column that can be reckoned another way.

    found    : (R, T) or (R, T, N) float; R replications, T steps, N rows a step
    expected : the same from other numbers; broadcast to the shape of `found`
    scale    : the largest amount that was added up, by which rounding is judged
    where    : where the law holds; elsewhere the tables do not say
    """

    table: str
    column: str
    name: str
    found: Floats
    expected: ArrayLike
    scale: ArrayLike = 0.0
    where: ArrayLike = True

    def faults(self, rows: Sequence[str]) -> Iterator[Fault]:
        """Where both sides differ, or only one exists; the first few one by one.

        rows : (N,) names of the rows of a step
        """
        found, expected = np.broadcast_arrays(self.found, np.asarray(self.expected, float))
        size = np.maximum(np.maximum(np.abs(found), np.abs(expected)), np.nan_to_num(np.abs(self.scale)))
        with np.errstate(invalid="ignore"):
            agree = np.abs(found - expected) <= TOLERANCE * size
        agree |= np.isnan(found) & np.isnan(expected)
        wrong = np.argwhere(~agree & np.asarray(self.where))
        for cell in wrong[:_SHOWN]:
            at = tuple(cell)
            what = f"{float(found[at])!r} found, {float(expected[at])!r} expected"
            yield Fault(f"{self.table}.{self.column}, {_at(cell, found.shape, rows)}", f"{what} ({self.name})")
        if len(wrong) > _SHOWN:
            yield Fault(f"{self.table}.{self.column}", f"{len(wrong) - _SHOWN} more like the last ({self.name})")


def at_most(
    table: str, column: str, name: str, found: Floats, bound: ArrayLike, scale: ArrayLike = 0.0, where: ArrayLike = True
) -> Law:
    """A column that may not exceed something, where that exists."""
    return Law(table, column, name, found, np.where(np.isnan(found), found, np.fmin(found, bound)), scale, where)


def at_least(
    table: str, column: str, name: str, found: Floats, bound: ArrayLike, scale: ArrayLike = 0.0, where: ArrayLike = True
) -> Law:
    """A column that may not fall short of something, where that exists."""
    return Law(table, column, name, found, np.where(np.isnan(found), found, np.fmax(found, bound)), scale, where)


def exists(table: str, column: str, found: Floats, where: ArrayLike, elsewhere: bool = False) -> Law:
    """A column that holds a number in some places, and none in all others unless it may be there `elsewhere`."""
    expected = np.where(where, np.nan_to_num(found), found if elsewhere else np.nan)
    return Law(table, column, "exists where there is something to measure", found, expected)


def _at(cell: NDArray[Any], shape: tuple[int, ...], rows: Sequence[str]) -> str:
    """Replication, step and row of a cell in words."""
    replication, step, *row = map(int, cell)
    told = [f"replication {replication}"] * (shape[0] > 1) + [f"step {step + 1}"] + [rows[n] for n in row]
    return ", ".join(told)
