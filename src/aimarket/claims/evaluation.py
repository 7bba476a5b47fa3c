"""What the runs say of a claim: effects, cells, the box, influences, a counter-example, a verdict."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from aimarket.claims import box, inference
from aimarket.claims.inference import Estimate, Verdict
from aimarket.claims.registration import Claim
from aimarket.claims.trials import BOX, CONFIRMATION, DEFAULT, MORRIS, Measured, Pair, Trials, pair_study
from aimarket.complaints import ResultsError

Observed = Literal["holds", "fails", "unclear"]

_CANDIDATES = 3  # places that are run again; the single pair at a point may be luck


@dataclass(frozen=True)
class Comparison:
    """One statistic in both arms, and the paired effect."""

    treatment: Estimate
    control: Estimate
    effect: Estimate


@dataclass(frozen=True)
class CellResult:
    """The claim under other circumstances."""

    kind: str
    text: str
    expect: str | None
    observed: Observed  # of the claim, by the interval of the effect
    comparisons: dict[str, Comparison]
    change: Estimate  # its effect less the default's at the same seeds


@dataclass(frozen=True)
class BoxPoint:
    """A place in the box and the effect there, nan if a run failed."""

    place: dict[str, float]
    effect: float


@dataclass(frozen=True)
class CounterExample:
    """Where the claim does worst among the places looked at, run again with fresh seeds."""

    where: str  # box, or the name of a cell
    place: dict[str, float]
    effect: float  # as found; of a cell, the mean
    effects: list[float]  # with fresh seeds
    confirmed: bool  # whether the 95 % interval of their mean falls short of the smallest of interest
    commands: list[str]  # that give the first of them: the pair at once, then treatment and control alone


@checked_dataclass(frozen=True, config=ConfigDict(ser_json_inf_nan="strings"))
class Result:
    """All that is known of a claim."""

    name: str
    title: str
    statistic: str
    sign: int
    smallest: float
    quick: bool
    comparisons: dict[str, Comparison]  # at the default
    scatter: float  # standard deviation of the effect between seeds at the default
    p_holds: float  # one-sided, not corrected
    p_fails: float
    p_holds_corrected: float
    p_fails_corrected: float
    verdict: Verdict
    cells: dict[str, CellResult]
    box_share: Estimate
    box_points: list[BoxPoint]
    influences: list[box.Influence]
    counter_example: CounterExample
    failed: int  # runs that broke off
    runs: int
    seconds: float  # that the runs took in all, one after another


def to_json(result: Result) -> str:
    """The result as JSON; what does not exist is the text NaN."""
    return TypeAdapter(Result).dump_json(result, indent=1).decode() + "\n"


def from_json(path: Path) -> Result:
    """A result as `to_json` wrote it.

    raises : ResultsError if it cannot be read, such as one of another version
    """
    try:
        return TypeAdapter(Result).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise ResultsError(f"{path} is no result of this version; put the claim to the test again") from None


def worst(trials: Trials, measured: Measured) -> list[tuple[str, box.Place]]:
    """Where the claim does worst: a few places of the box, or if it holds in all of them, a cell."""
    claim = trials.claim
    found = measured.of(BOX)
    gains = _gains(claim, found)
    contrary = [int(index) for index in np.argsort(gains) if gains[index] < claim.smallest]
    if contrary:
        return [(BOX, found.pairs[index].place) for index in contrary[:_CANDIDATES]]
    cells = {name: _mean(_gains(claim, measured.of(name))) for name, cell in claim.cells.items() if cell.kind != "null"}
    return [(min(cells, key=lambda cell: cells[cell]), {})] if cells else [(BOX, found.pairs[0].place)]


def evaluate(
    trials: Trials, measured: Measured, where: str, quick: bool, failed: int, runs: int, seconds: float
) -> Result:
    """Everything but the corrected p-values and the verdict, which need the family: see `judged`.

    where : the part in which the confirmations lie, as `worst` said
    """
    claim = trials.claim
    default, points = measured.of(DEFAULT), measured.of(BOX)
    gains = _gains(claim, default)
    holds = [bool(gain >= claim.smallest) for gain in _gains(claim, points)]  # where there is no effect it does not
    effects = points.effects[claim.statistic].to_numpy()
    return Result(
        name=claim.name,
        title=claim.title,
        statistic=claim.statistic,
        sign=claim.sign,
        smallest=claim.smallest,
        quick=quick,
        comparisons=_comparisons(default),
        scatter=inference.scatter(gains),
        p_holds=inference.exceeds(gains, claim.smallest),
        p_fails=inference.exceeds(-gains, -claim.smallest),
        p_holds_corrected=1.0,
        p_fails_corrected=1.0,
        verdict="not shown",
        cells={name: _cell(claim, measured, name) for name in claim.cells},
        box_share=inference.share(holds),
        box_points=[
            BoxPoint(dict(pair.place), float(effect)) for pair, effect in zip(points.pairs, effects, strict=True)
        ],
        influences=box.influences(
            trials.axes, trials.morris_sample, measured.of(MORRIS).effects[claim.statistic].to_numpy()
        ),
        counter_example=_counter_example(trials, measured, where),
        failed=failed,
        runs=runs,
        seconds=seconds,
    )


def judged(results: Sequence[Result], family: Sequence[str]) -> list[Result]:
    """The results with Holm's correction over the family, and their verdicts."""
    holds = inference.holm({result.name: result.p_holds for result in results}, family)
    fails = inference.holm({result.name: result.p_fails for result in results}, family)
    return [
        replace(
            result,
            p_holds_corrected=holds[result.name],
            p_fails_corrected=fails[result.name],
            verdict=inference.verdict(holds[result.name], fails[result.name], result.box_share),
        )
        for result in results
    ]


def _gains(claim: Claim, measured: Measured) -> NDArray[np.float64]:
    """Effects in the direction of the claim."""
    gains: NDArray[np.float64] = claim.sign * measured.effects[claim.statistic].to_numpy()
    return gains


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("inf")


def _comparisons(measured: Measured) -> dict[str, Comparison]:
    effects = measured.effects
    return {
        name: Comparison(*(inference.estimate(t[name]) for t in (measured.treatment, measured.control, effects)))
        for name in map(str, effects.columns)
    }


def _cell(claim: Claim, measured: Measured, name: str) -> CellResult:
    cell, found = claim.cells[name], measured.of(name)
    gains = _gains(claim, found)
    interval = inference.estimate(gains)
    observed: Observed = "unclear"
    if interval.low >= claim.smallest:
        observed = "holds"
    elif interval.high < claim.smallest:
        observed = "fails"
    default = measured.of(DEFAULT)
    at_default = dict(zip((pair.seed for pair in default.pairs), _gains(claim, default), strict=True))
    moved = [gain - at_default[pair.seed] for pair, gain in zip(found.pairs, gains, strict=True)]
    change = inference.estimate(claim.sign * np.array(moved))
    return CellResult(cell.kind, cell.text, cell.expect, observed, _comparisons(found), change)


def _counter_example(trials: Trials, measured: Measured, where: str) -> CounterExample:
    """Of the places that were run again, the one where the claim does worst with fresh seeds."""
    claim = trials.claim
    fresh, found = measured.of(CONFIRMATION), measured.of(where)
    gains = _gains(claim, fresh)
    rows = [[row for row, pair in enumerate(fresh.pairs) if pair.place == first.place] for first in fresh.pairs]
    at = min(rows, key=lambda those: _mean(gains[those]))
    pair, effects = fresh.pairs[at[0]], [float(claim.sign * gain) for gain in gains[at]]
    of_place = [row for row, other in enumerate(found.pairs) if other.place == pair.place]
    return CounterExample(
        where,
        dict(pair.place),
        claim.sign * _mean(_gains(claim, found)[of_place]),
        effects,
        inference.estimate(gains[at]).high < claim.smallest,
        commands(trials, where, pair),
    )


def commands(trials: Trials, where: str, pair: Pair) -> list[str]:
    """A pair as a command that prints its effect, and its two runs as commands that need no claim."""
    claim = trials.claim
    cell = [] if where == BOX else ["--cell", where]
    words = ["aimarket", "claims", claim.called, "--pair", str(pair.seed), *cell, *trials.placed(pair.place)]
    arms = [["aimarket", "run", f"study={pair_study(claim)}", *arm] for arm in (pair.treatment, pair.control)]
    return [shlex.join(command) for command in (words, *arms)]
