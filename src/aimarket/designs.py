"""Which points a sweep has: every combination, paired values, or a design that a library draws.

A design is a node of the configuration that only the command reads; no run knows of it. Its parameters are drawn on the
unit cube, stretched to their bounds and written as overrides, so that any launcher can run them. All points have the
same `run.seed` unless it is swept: the same users get the same draws, and what differs is due to the parameters.
"""

import importlib
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aimarket.complaints import ResultsError, SettingsError, near, shown
from aimarket.composition import compose_plain
from aimarket.configuration import checked, documented, settings_dict, validate
from aimarket.multirun import expand
from aimarket.overrides import is_of_design, key_of
from aimarket.plans import Planned, read_plans
from aimarket.settings import node

if TYPE_CHECKING:
    import pandas as pd

    from aimarket.results import Results

Floats = NDArray[np.float64]
Bounds = tuple[float, float]

_ANALYSED = ("sobol", "morris")


@node
class Product:
    kind: Literal["product"]


@node
class Paired:
    kind: Literal["paired"]
    parameters: dict[str, Annotated[list[Any], Field(min_length=1)]]


@node
class Drawn:
    """A design on the unit cube, which a library draws."""

    parameters: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)] | None]
    log: list[str]
    size: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)]


@node
class LatinHypercube(Drawn):
    kind: Literal["latin_hypercube"]


@node
class Sobol(Drawn):
    kind: Literal["sobol"]


@node
class Morris(Drawn):
    kind: Literal["morris"]
    levels: Annotated[int, Field(strict=True, ge=2, le=1000, multiple_of=2)]


_KINDS = {
    "product": Product,
    "paired": Paired,
    "latin_hypercube": LatinHypercube,
    "sobol": Sobol,
    "morris": Morris,
}


def points_of(overrides: Sequence[str]) -> tuple[list[list[str]], dict[str, Any] | None]:
    """The points of a sweep as lists of plain overrides, and the design they follow; None for plain combinations.

    What is listed with commas is combined with every row of the design, for which it varies fastest. The design holds
    its settings, the `bounds` of each parameter, the `sample` on the unit cube, and `rows`: the row of each point.

    raises : SettingsError
    """
    bases = expand([override for override in overrides if not is_of_design(override)])
    config = compose_plain([*bases[0], *filter(is_of_design, overrides)])
    design = _checked(config["design"])
    if isinstance(design, Product):
        return bases, None
    if taken := {key_of(override) for override in bases[0]} & set(design.parameters):
        raise SettingsError(f"design.parameters: {min(taken)} is set on the command line, too")
    if isinstance(design, Paired):
        cells, drawn = _paired(design), {}
    else:
        bounds = _bounds(design, config)
        sample = _sample(design)
        cells = _stretched(design, sample, bounds, _whole(design, config))
        drawn = {"bounds": bounds, "sample": sample.tolist()}
    points = [[*base, *cell] for cell, base in product(cells, bases)]
    rows = [row for row in range(len(cells)) for _ in bases]
    return points, {**config["design"], **drawn, "rows": rows}


def analyse(results: "Results", statistic: "pd.Series", plan: int | None = None) -> "pd.DataFrame":
    """What each parameter of a Morris or Sobol design does to a statistic, one row a parameter.

    results   : of the study
    statistic : one number a run, indexed by run id, such as `results.market.groupby("run_id")["lerner"].last()`;
                points of one row of the design, which differ in what was swept beside it, are averaged
    plan      : which of the study's designs, counted from 0, if it has several
    returns   : Sobol: S1 and ST, shares of the variance, alone and in all; Morris: mu_star, mu and sigma, in units of
                the statistic per range of the parameter; S1_conf, ST_conf, mu_star_conf: half-widths of 95 % intervals
    raises    : ResultsError if there is no such design, a run of it has no statistic, or the statistic never varies

    Morris (1991), Technometrics 33; Saltelli et al. (2010), Computer Physics Communications 181.
    """
    import pandas as pd

    plans = analysed(results.folder)
    if not plans or (plan is None and len(plans) > 1) or (plan or 0) >= len(plans):
        raise ResultsError(f"{results.folder} holds {len(plans)} designs of the kinds {' and '.join(_ANALYSED)}")
    design, points = plans[plan or 0]
    statistic = statistic.astype(float)
    runs = [run.run_id for run in points]
    if missing := sorted({run for run in runs if not np.isfinite(statistic.get(run, np.nan))}):
        raise ResultsError(f"{results.folder}: {len(missing)} of {len(set(runs))} runs have no statistic: {missing[0]}")
    values = pd.Series(statistic.loc[runs].to_numpy()).groupby(design["rows"]).mean().to_numpy()
    if np.ptp(values) == 0:
        raise ResultsError(f"{results.folder}: the statistic is {values[0]:g} in every run")
    names = list(design["bounds"])
    analysis = _library(f"analyze.{design['kind']}")
    if design["kind"] == "sobol":
        found = analysis.analyze(_problem(names), values, calc_second_order=False, seed=design["seed"])
        columns = ["S1", "S1_conf", "ST", "ST_conf"]
    else:
        sample = np.array(design["sample"])
        found = analysis.analyze(_problem(names), sample, values, num_levels=design["levels"], seed=design["seed"])
        columns = ["mu_star", "mu_star_conf", "mu", "sigma"]
    return pd.DataFrame({column: np.asarray(found[column], float) for column in columns}, index=names)


def analysed(folder: Path) -> list[tuple[dict[str, Any], list[Planned]]]:
    """The Morris and Sobol designs of a study, in the order in which `analyse` counts them, and their points."""
    plans = read_plans(folder)
    return [(plan["design"], plan["points"]) for plan in plans if (plan["design"] or {}).get("kind") in _ANALYSED]


def _checked(config: Mapping[str, Any]) -> Any:
    """The design of a configuration, if its parts fit together."""
    kind = config.get("kind")
    if kind not in _KINDS:
        raise SettingsError(f"design.kind: no such design (got {shown(kind)}){near(str(kind), list(_KINDS))}")
    if "parameters" in config and not config["parameters"]:
        raise SettingsError(f"design.parameters: missing; {kind} needs 'design.parameters={{key: [...], ...}}'")
    design = checked(_KINDS[kind], dict(config), "design.")
    for key in getattr(design, "parameters", ()):
        if "hydra" in key or key.lstrip("+~") == "outputs":
            raise SettingsError(f"design.parameters: {shown(key)} is no setting of a run; say it on the command line")
    if isinstance(design, Drawn) and (unknown := set(design.log) - set(design.parameters)):
        raise SettingsError(f"design.log: {min(unknown)} is none of design.parameters")
    if isinstance(design, Sobol) and design.size & (design.size - 1):
        raise SettingsError(f"design.size: should be a power of two for sobol (got {design.size})")
    return design


def _paired(design: Paired) -> list[list[str]]:
    lengths = {key: len(values) for key, values in design.parameters.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise SettingsError(f"design.parameters: paired lists should be equally long; {told}")
    columns = [[f"{key}={as_override(value)}" for value in values] for key, values in design.parameters.items()]
    return [list(row) for row in zip(*columns, strict=True)]


def as_override(value: Any) -> str:
    """A value as an override has it: {a:[1,2],b:null}."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{as_override(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_override, value)) + "]"
    if value is None or isinstance(value, bool):
        return shown(value)
    return str(value)


def _bounds(design: Drawn, config: Mapping[str, Any]) -> dict[str, Bounds]:
    """Low and high of each parameter: as given, within what is documented, or all of that."""
    plausible = {key: number.range for key, number in documented(config).items()}
    found = {}
    for key, given in design.parameters.items():
        place = f"design.parameters.{key}"
        low, high = plausible.get(key, (-np.inf, np.inf)) if given is None else given
        if not np.isfinite([low, high]).all():
            raise SettingsError(f"{place}: no range is documented; write [low, high]")
        if not low < high:
            raise SettingsError(f"{place}: should be [low, high], low < high (got {shown(given)})")
        least, most = plausible.get(key, (low, high))
        if not least <= low < high <= most:
            raise SettingsError(f"{place}: should lie within [{least:g}, {most:g}], as documented (got {shown(given)})")
        if key in design.log and low <= 0:
            raise SettingsError(f"{place}: should be above 0 where it is in design.log (got {low:g})")
        found[key] = (float(low), float(high))
    return found


def _whole(design: Drawn, config: Mapping[str, Any]) -> set[str]:
    """Which parameters are whole numbers; complains of those that are no numbers."""
    settings = settings_dict(validate(config))
    whole = set()
    for key in design.parameters:
        value: Any = settings
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                compose_plain([f"{key}=0"])  # knows what may have been meant
                raise SettingsError(f"design.parameters: {key} is no number")
            value = value[part]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingsError(f"design.parameters.{key}: is no number (it is {shown(value)})")
        whole |= {key} if isinstance(value, int) else set()
    return whole


def _sample(design: Drawn) -> Floats:
    """(points, parameters) on the unit cube."""
    problem, seed = _problem(list(design.parameters)), design.seed
    if isinstance(design, Sobol):
        drawn = _library("sample.sobol").sample(problem, design.size, calc_second_order=False, seed=seed)
    elif isinstance(design, Morris):
        drawn = _library("sample.morris").sample(problem, design.size, num_levels=design.levels, seed=seed)
    else:
        drawn = _library("sample.latin").sample(problem, design.size, seed=seed)
    return np.asarray(drawn, float)


def _stretched(design: Drawn, sample: Floats, bounds: Mapping[str, Bounds], whole: set[str]) -> list[list[str]]:
    """The overrides of each row; whole numbers are the nearest ones."""
    columns = []
    for unit, (key, (low, high)) in zip(sample.T, bounds.items(), strict=True):
        if key in design.log:
            values = np.clip(np.exp(np.log(low) + unit * np.log(high / low)), low, high)
        else:
            values = np.clip(low + unit * (high - low), low, high)
        columns.append([f"{key}={round(value) if key in whole else float(value)!r}" for value in values])
    return [list(row) for row in zip(*columns, strict=True)]


def _problem(names: list[str]) -> dict[str, Any]:
    return {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}


def _library(module: str) -> Any:
    try:
        return importlib.import_module(f"SALib.{module}")
    except ModuleNotFoundError:
        raise SettingsError("design: SALib is not installed; pip install 'aimarket[studies]'") from None
