"""The pairs of runs that a claim asks for, and what was measured in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aimarket.claims import box
from aimarket.claims.measuring import TABLES, Run
from aimarket.claims.registration import Cell, Claim, Sizes
from aimarket.claims.statistics import STATISTICS
from aimarket.results import open_results
from aimarket.sweep import Point, plan

DEFAULT, BOX, MORRIS, CONFIRMATION = "default", "box", "morris", "confirmation"
_FIRST_SEED = {DEFAULT: 1, BOX: 1001, MORRIS: 2001, CONFIRMATION: 3001}  # cells share the seeds of the default
_PLAIN = Cell(kind="variant", text="the claim as registered")


@dataclass(frozen=True)
class Pair:
    """Treatment and control at the same seed, as overrides."""

    part: str  # default, the name of a cell, box, morris or confirmation
    seed: int
    place: box.Place
    treatment: tuple[str, ...]
    control: tuple[str, ...]


def pair_study(claim: Claim) -> str:
    """Name of the study for pairs that are run by hand, such as a counter-example."""
    return f"counter-{claim.name}"


class Trials:
    """The pairs of one claim.

    extra : overrides of every run, after all else but the arms of the claim
    """

    def __init__(self, claim: Claim, sizes: Sizes, study: str, outputs: str, extra: Sequence[str] = ()) -> None:
        self.claim, self.sizes = claim, sizes
        self.folder = Path(outputs) / study
        self._kept = [f"study={study}", f"outputs={outputs}"]
        self._extra = list(extra)

    @cached_property
    def axes(self) -> list[box.Direction]:
        """Directions of the box."""
        return box.directions(self.claim)

    @cached_property
    def morris_sample(self) -> NDArray[np.float64]:
        """Morris' design in the unit box, (points, axes)."""
        return box.morris_design(self.axes, self.sizes.trajectories)[1]

    def pairs(self) -> Iterator[Pair]:
        """All pairs but the confirmations: the default, the cells, the box, Morris' trajectories."""
        yield from (self._pair(DEFAULT, 1 + seed, _PLAIN) for seed in range(self.sizes.seeds))
        for name, cell in self.claim.cells.items():
            yield from (self._pair(name, 1 + seed, cell) for seed in range(self.sizes.cell_seeds))
        for index, place in enumerate(box.latin_hypercube(self.axes, self.sizes.box_points)):
            yield self._pair(BOX, _FIRST_SEED[BOX] + index, _PLAIN, place)
        places, _ = box.morris_design(self.axes, self.sizes.trajectories)
        for index, place in enumerate(places):  # one seed a trajectory: its steps share their shocks
            yield self._pair(MORRIS, _FIRST_SEED[MORRIS] + index // (len(self.axes) + 1), _PLAIN, place)

    def placed(self, place: box.Place) -> list[str]:
        """Overrides that put both arms at a place of the box, and those of every run."""
        return [*(box.placed(self.axes, place) if place else ()), *self._extra]

    def confirmations(self, cell: Cell | None, place: box.Place) -> list[Pair]:
        """Pairs with fresh seeds at a place of the box, or in a cell."""
        first = _FIRST_SEED[CONFIRMATION]
        return [self.pair(first + index, cell, place) for index in range(self.sizes.confirmations)]

    def pair(self, seed: int, cell: Cell | None, place: box.Place) -> Pair:
        """One pair with a seed of one's own choice."""
        return self._pair(CONFIRMATION, seed, cell or _PLAIN, place)

    def _pair(self, part: str, seed: int, cell: Cell, place: box.Place | None = None) -> Pair:
        claim = self.claim
        before = [*claim.common, *cell.common, *self.placed(place or {})]
        treatment = _last_words(box.spelled_out([*before, *claim.treatment, *cell.treatment]))
        control = _last_words(box.spelled_out([*before, *claim.control, *cell.control]))
        seeded = f"run.seed={seed}"
        return Pair(part, seed, place or {}, (*treatment, seeded), (*control, seeded))

    def points(self, pairs: Iterable[Pair]) -> dict[tuple[str, ...], Point]:
        """The runs of some pairs, each once, by the overrides of an arm.

        raises : SettingsError if one of them is not possible
        """
        arms = list(dict.fromkeys(arm for pair in pairs for arm in (pair.treatment, pair.control)))
        planned = plan([[*arm, *self._kept] for arm in arms])
        return dict(zip(arms, planned, strict=True))


def _last_words(overrides: Sequence[str]) -> list[str]:
    """The overrides without those that a later one of the same key undoes."""
    last = {override.partition("=")[0]: index for index, override in enumerate(overrides)}
    return [overrides[index] for index in sorted(last.values())]


@dataclass(frozen=True)
class Measured:
    """Every statistic of a claim in both arms of some pairs; nan where a run failed or the number does not exist."""

    pairs: list[Pair]
    treatment: pd.DataFrame  # one row a pair, one column a statistic
    control: pd.DataFrame

    @property
    def effects(self) -> pd.DataFrame:
        """Treatment less control."""
        return self.treatment - self.control

    def of(self, part: str) -> "Measured":
        """The pairs of one part."""
        rows = [index for index, pair in enumerate(self.pairs) if pair.part == part]
        return Measured([self.pairs[row] for row in rows], self.treatment.iloc[rows], self.control.iloc[rows])


def measure(trials: Trials, pairs: list[Pair], points: Mapping[tuple[str, ...], Point]) -> Measured:
    """Read the runs of the pairs from their study, and take every statistic of the claim of them."""
    names = list(dict.fromkeys([trials.claim.statistic, *trials.claim.also]))
    wanted = {point.run_id for point in points.values()}
    found = {run_id: [_value(name, run) for name in names] for run_id, run in _runs(trials.folder, wanted)}
    missing = [float("nan")] * len(names)

    def table(arms: Iterable[tuple[str, ...]]) -> pd.DataFrame:
        rows = [found.get(points[arm].run_id, missing) for arm in arms]
        return pd.DataFrame(rows, columns=names, dtype=float)

    return Measured(pairs, table(pair.treatment for pair in pairs), table(pair.control for pair in pairs))


def _runs(folder: Path, wanted: set[str]) -> Iterator[tuple[str, Run]]:
    results = open_results(folder)
    market, providers = ({str(key): rows for key, rows in results.frame(t).groupby("run_id")} for t in TABLES)
    for run_id in wanted & market.keys():
        yield run_id, Run(market[run_id].sort_values("step"), providers[run_id].sort_values("step"))


def _value(name: str, run: Run) -> float:
    """A statistic of a run; nan where it does not exist, for a market without sales has no price."""
    with np.errstate(all="ignore"):
        value = STATISTICS[name].measure(run)
    return value if np.isfinite(value) else float("nan")
