"""What a calibration found: fitted values and how well they are known, moments met and missed, files for later."""

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aimarket.calibration.distance import (
    Floats,
    Overidentification,
    distance,
    nearly_best,
    overidentification,
    standard_errors,
    variance,
)
from aimarket.calibration.running import Simulate
from aimarket.calibration.search import PILOT, Search
from aimarket.calibration.targets import Parameter, Targets

_WEAK = 0.5  # of its bounds: an interval as wide as that says little
_EDGE = 0.02  # of its bounds
_HALF_WIDTH = 1.959963984540054  # standard errors to either end of a 95 % interval


@dataclass(frozen=True)
class Fitted:
    """A parameter: its value, and how well the moments tell it."""

    name: str
    keys: tuple[str, ...]
    bounds: tuple[float, float]
    start: float
    value: float
    interval: tuple[float, float]  # what trials that fit nearly as well reach, and 1.96 standard errors: the wider
    standard_error: float  # by local curvature; of the logarithm where the search goes by ratios; nan if singular
    verdict: str  # identified; weak: the interval spans half of the bounds; at a bound


@dataclass(frozen=True)
class Met:
    """A moment: what was to be met and what came out, on seeds that the search had not seen."""

    name: str
    fit: bool
    target: float
    interval: tuple[float, float]
    unit: str
    source: str
    start: float  # simulated where the search began
    simulated: float
    simulation_error: float  # of the simulated mean
    off: float  # simulated less target, in standard errors of the two together


@dataclass(frozen=True)
class Answer:
    """A calibration, done."""

    name: str
    question: str
    trials: int
    failures: list[str]
    seeds: int
    checked_on: int  # seeds that the search had not seen
    parameters: list[Fitted]
    moments: list[Met]
    distance_at_start: float
    distance: float
    test: Overidentification
    accepted: float  # share of trials in the joint 95 % region
    overrides: list[str]

    @property
    def command(self) -> str:
        """The fitted market as a command."""
        return shlex.join(["aimarket", "run", *self.overrides])


def answer(search: Search, weight: Floats, simulate_all: Simulate) -> Answer:
    """What the trials say, the best of them run again on fresh seeds. Needs one complete trial at least."""
    targets = search.targets
    values, moments, distances = search.complete()
    best = search.best
    at_start, at_best = (
        search.at(point, simulate_all) for point in ([parameter.start for parameter in targets.parameters], best)
    )
    fitted, errors = targets.fitted, np.array([moment.error for moment in targets.moments])
    goal = np.array([moment.value for moment in targets.moments])
    variances = variance(errors, at_best, PILOT)
    least = distance(at_best[:, fitted], goal[fitted], 1 / variances[fitted])
    unit = _unit(targets, values)
    curvature = standard_errors(unit, moments[:, fitted], distances, weight)
    near = nearly_best(distances)
    return Answer(
        targets.name,
        targets.question,
        len(search.trials),
        search.failures(),
        search.seeds,
        PILOT,
        [
            _fitted(parameter, float(unit[distances.argmin(), i]), unit[near, i], float(curvature[i]))
            for i, parameter in enumerate(targets.parameters)
        ],
        [_met(targets, i, at_start, at_best, variances) for i in range(len(goal))],
        distance(at_start[:, fitted], goal[fitted], 1 / variances[fitted]),
        least,
        overidentification(least, len(fitted), len(best)),
        float(nearly_best(distances, len(best)).mean()),
        targets.at(search.best),
    )


def write(result: Answer, fitted: Path) -> list[Path]:
    """Write the fitted market as YAML and everything as JSON beside it; returns the paths."""
    lines = [
        f"# Fitted by `aimarket calibrate`: {result.name}. To run it:",
        f"# {result.command}",
        f"question: {json.dumps(result.question, ensure_ascii=False)}",
        "overrides:",
        *(f"  - {json.dumps(override)}" for override in result.overrides),
    ]
    fitted.parent.mkdir(parents=True, exist_ok=True)
    fitted.write_text("\n".join(lines) + "\n", encoding="utf-8")
    everything = fitted.with_suffix(".json")
    text = json.dumps(_plain(asdict(result)), indent=1, ensure_ascii=False)
    everything.write_text(f"{text}\n", encoding="utf-8")
    return [fitted, everything]


def _plain(item: Any) -> Any:
    """Without nan, which JSON does not have."""
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    return None if isinstance(item, float) and np.isnan(item) else item


def _unit(targets: Targets, values: Floats) -> Floats:
    """Parameters on a scale of 0 to 1 between their bounds, by ratios where they are searched so."""
    columns = []
    for parameter, column in zip(targets.parameters, values.T, strict=True):
        points = np.array([*column, parameter.low, parameter.high])
        *inside, low, high = np.log(points) if parameter.log else points
        columns.append((np.array(inside) - low) / (high - low))
    return np.column_stack(columns)


def _fitted(parameter: Parameter, best: float, near: Floats, error: float) -> Fitted:
    """A parameter from its place on a scale of 0 to 1, those of trials nearly as good, and its standard error there."""
    reach = 1.0 if np.isnan(error) else _HALF_WIDTH * error  # what is not known may be anything
    low, high = max(0.0, min(near.min(), best - reach)), min(1.0, max(near.max(), best + reach))
    if high - low >= _WEAK:
        verdict = "weak"
    elif low < _EDGE or high > 1 - _EDGE:
        verdict = "at a bound"
    else:
        verdict = "identified"
    width = np.log(parameter.high / parameter.low) if parameter.log else parameter.high - parameter.low
    value, bottom, top = (_value(parameter, place) for place in (best, low, high))
    bounds = (parameter.low, parameter.high)
    return Fitted(
        parameter.name, parameter.keys, bounds, parameter.start, value, (bottom, top), float(error * width), verdict
    )


def _value(parameter: Parameter, place: float) -> float:
    """The value at a place between the bounds, from 0 to 1."""
    if parameter.log:
        return float(parameter.low * (parameter.high / parameter.low) ** place)
    return float(parameter.low + (parameter.high - parameter.low) * place)


def _met(targets: Targets, position: int, at_start: Floats, at_best: Floats, variances: Floats) -> Met:
    moment = targets.moments[position]
    simulated = at_best[:, position]
    return Met(
        moment.name,
        moment.fit,
        moment.value,
        moment.target.range,
        moment.target.unit,
        moment.target.source,
        float(at_start[:, position].mean()),
        float(simulated.mean()),
        float(simulated.std(ddof=1) / np.sqrt(PILOT)),
        float((simulated.mean() - moment.value) / np.sqrt(variances[position])),
    )
