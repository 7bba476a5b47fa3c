"""A table as a labelled array, by xarray."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aimarket.complaints import ResultsError
from aimarket.recording import KEYS
from aimarket.schema import TABLES, schema_version, table_meaning

if TYPE_CHECKING:
    import xarray

_LABELS: dict[str, tuple[str, ...]] = {  # what tells the rows of one step apart
    "market": (),
    "providers": ("provider",),
    "statements": ("provider",),
    "offers": ("offer",),
    "segments": ("segment",),
    "ledger": ("provider", "account", "counterparty"),
}
_MISSING: dict[str, Any] = {"float64": np.nan, "bool": False, "string": ""}
_SPARSE = 100  # times as many points as runs are no grid anyone meant

_Axes = dict[str, tuple[NDArray[np.intp], Any]]  # by dimension: position of every row or run, and the labels


def cube(
    read: Callable[[str, Sequence[str]], pd.DataFrame],
    runs: pd.DataFrame,
    swept: Sequence[str],
    table: str,
    columns: Sequence[str] | None = None,
    by: Sequence[str] | None = None,
) -> "xarray.Dataset":
    """Rows laid out along their dimensions; where there is no row: NaN, false or empty text.

    read, runs, swept  : `frame`, `runs` and `swept` of the results
    table, columns, by : as in `Results.to_xarray`

    raises : ResultsError if xarray is not installed, the table has no grid or `by` does not tell the runs apart
    """
    try:
        import xarray
    except ImportError:
        raise ResultsError("to_xarray needs xarray: pip install 'aimarket[studies]'") from None
    if table in TABLES and table not in _LABELS:
        raise ResultsError(f"table {table} has no grid: a step has any number of rows; use the frame .{table}")
    varied = [name for name in swept if runs[name].nunique(dropna=False) > 1]
    of_run = {name: _axis(runs[name], name != "run_id") for name in _run_dimensions(runs, varied, by)}
    recorded = [column for column in TABLES.get(table, ()) if column.name not in KEYS]
    wanted = [c for c in recorded if (c.kind != "string" if columns is None else c.name in columns)]
    frame = _rows(read, table, columns or [column.name for column in wanted])
    along = _axes(frame, runs, of_run, _LABELS[table])
    coordinates = {name: (name, values) for name, (_, values) in along.items()} | _of_runs(runs, varied, of_run)
    if table == "offers":
        coordinates["provider"] = ("offer", [str(offer).partition("/")[0] for offer in along["offer"][1]])
    years = frame.groupby("step")["year"].agg(["first", "nunique"])
    swept_length = (years["nunique"] > 1).any()  # of a step
    coordinates["year"] = _variable(frame["year"], along) if swept_length else ("step", years["first"])
    data = xarray.Dataset(
        {c.name: _variable(frame[c.name], along, c.kind) for c in wanted if c.name not in coordinates},
        coordinates,
        {"title": table_meaning(table), "schema": schema_version()},
    )
    for column in TABLES[table]:
        if column.name in data.variables:
            data[column.name].attrs = {"units": column.unit, "long_name": column.meaning}
    return data


def _run_dimensions(runs: pd.DataFrame, varied: Sequence[str], by: Sequence[str] | None) -> list[str]:
    """The dimensions that the runs lie along: swept parameters that tell them apart, or their ids."""
    names = list(varied if by is None else by)
    if unknown := [name for name in names if name not in varied]:
        raise ResultsError(f"by: {', '.join(unknown)} does not vary; {', '.join(varied) or 'nothing'} does")
    points = math.prod(runs[name].nunique() for name in names)
    absent = [name for name in names if runs[name].isna().any()]
    if by is None:
        return names if names and points == len(runs) and not absent else ["run_id"]
    if absent:
        raise ResultsError(f"by: some runs have no {', '.join(absent)}")
    if runs.duplicated(names).any() if names else len(runs) > 1:
        others = " or ".join(name for name in varied if name not in names)
        raise ResultsError(f"by: {', '.join(names) or 'nothing'} does not tell the runs apart; add {others}")
    if points > _SPARSE * len(runs):
        raise ResultsError(f"by: {points:,} points for {len(runs):,} runs; without by, runs lie along run_id")
    return names


def _rows(read: Callable[[str, Sequence[str]], pd.DataFrame], table: str, columns: Sequence[str]) -> pd.DataFrame:
    """The columns with the labels of the rows. Names of offers are their provider's own, so it goes before them."""
    if table != "offers":
        return read(table, [*columns, *_LABELS.get(table, ())])
    frame = read(table, [*columns, "provider", "offer"])
    return frame.assign(offer=frame["provider"] + "/" + frame["offer"])


def _axis(values: pd.Series, ordered: bool = False) -> tuple[NDArray[np.intp], Any]:
    codes, labels = pd.factorize(values, sort=ordered)
    return codes, np.asarray(labels)


def _axes(frame: pd.DataFrame, runs: pd.DataFrame, of_run: _Axes, labels: Sequence[str]) -> _Axes:
    """Where each row goes, along every dimension."""
    rows = pd.Index(runs["run_id"]).get_indexer(frame["run_id"])
    axes = {name: (codes[rows], values) for name, (codes, values) in of_run.items()}
    axes |= {name: _axis(frame[name], ordered=True) for name in ("replication", "step")}
    return axes | {name: _axis(frame[name]) for name in labels}


def _variable(values: pd.Series, along: _Axes, kind: str = "float64") -> tuple[tuple[str, ...], NDArray[Any]]:
    dtype = {"float64": np.float64, "bool": np.bool_, "string": np.object_}[kind]
    return tuple(along), _laid_out(values.to_numpy(dtype), along, _MISSING[kind])


def _of_runs(runs: pd.DataFrame, varied: Sequence[str], of_run: _Axes) -> dict[str, Any]:
    """Coordinates over the dimensions of the runs: their ids, and the parameters that are no dimension."""
    made = {}
    for name in ("run_id", *varied):
        if name not in of_run:
            number = pd.api.types.is_float_dtype(runs[name])
            values = runs[name].to_numpy() if number else runs[name].to_numpy(np.object_)
            made[name] = (tuple(of_run), _laid_out(values, of_run, np.nan if number else None))
    return made


def _laid_out(values: NDArray[Any], along: _Axes, missing: Any) -> NDArray[Any]:
    """Values at their places; `missing` in the others."""
    array = np.full(tuple(len(labels) for _, labels in along.values()), missing, values.dtype)
    array[tuple(codes for codes, _ in along.values())] = values
    return array
