"""Figures across the points of a study: paired differences and the phase diagram."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import stats

from aimarket.report import charts, style
from aimarket.report.format import MISSING, between, significant
from aimarket.report.labels import EndLabel
from aimarket.report.measures import Write
from aimarket.report.plates import Chart, Plate
from aimarket.report.study import NotShownError, Study, order, short_names, written

_MOST_POINTS = 16
_VALUES, _BINS = 8, 5  # settings of more values than that are put into bins


def paired_difference(study: Study) -> Plate:
    """The outcome at each point less that at the first, seed by seed, with 95 % intervals (t)."""
    wide = study.by_point
    if wide.shape[1] < 2:
        raise NotShownError("a paired difference needs two points or more (`aimarket run -m`)")
    if wide.shape[1] > _MOST_POINTS:
        raise NotShownError(f"paired differences are drawn for {_MOST_POINTS} points at most; see sensitivity")
    base = str(wide.columns[0])
    gaps = wide.drop(columns=base).sub(wide[base], axis=0)
    counts = gaps.count()
    if counts.max() < 2:
        raise NotShownError("a paired difference needs two seeds or replications or more at each point")
    rounding = 1e-9 * float(wide.abs().max().max())
    gaps = gaps.loc[:, counts >= 2]
    gaps = gaps.mask(gaps.abs() <= rounding, 0.0)
    if not gaps.to_numpy().any():
        raise NotShownError(f"the {study.outcome.name} is the same at every point")
    found = pd.DataFrame([_interval(gaps[point].dropna()) for point in gaps], gaps.columns, ["mean", "low", "high"])
    name, write = study.outcome.name, study.outcome.write
    heading, words = charts.point_names(list(map(str, gaps)), 28)

    def paint(axes: Axes) -> list[EndLabel]:
        rows = charts.name_rows(axes, words)
        for row, point in zip(rows, gaps, strict=True):
            values = gaps[point].dropna()
            axes.plot(
                values, np.full(len(values), row - 0.24), "|", color=style.GREY, markersize=5, markeredgewidth=0.7
            )
        axes.hlines(rows, found["low"], found["high"], color=style.COLOURS[0], linewidth=2.2)
        axes.plot(found["mean"], rows, "o", color=style.COLOURS[0], markersize=5)
        charts.nought(axes)
        edge = ("figure fraction", "axes fraction")  # it stands above the words left of the axis
        axes.annotate(heading, (0, 1), (6, 6), edge, "offset points", fontsize=9.5, color=style.INK)
        charts.write_x(axes, write, f"change in {name}" + (f", {study.outcome.unit}" if study.outcome.unit else ""), 4)
        return []

    largest = str(found["mean"].abs().idxmax())
    mean, low, high = (float(value) for value in found.loc[largest].to_numpy(float))
    sign = "+" if mean > 0 else ""
    sure = "" if low * high > 0 else ", which may be chance"
    title = (
        f"Against {base}, the {name} changes by {sign}{write(mean)} (95 %: {write(low)} to {write(high)}) "
        f"at {largest}{sure}"
    )
    pairs = sorted(set(counts[counts >= 2]))
    many = f"{pairs[0]}" if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}"
    note = (
        f"{name[0].upper()}{name[1:]} in the last {study.periods.word} less that at {base}, same seed and replication; "
        f"dots: means of {many} pairs; lines: 95 % intervals (t); ticks: single pairs."
    )
    table = found.map(write).set_axis(["mean", "95 % from", "to"], axis=1).rename_axis("point")
    chart = Chart(paint, height=0.3 + 1.4 * charts.ROW * gaps.shape[1], heading=heading)
    return Plate("paired_difference", title, note, ((chart,),), table)


def _interval(values: pd.Series) -> tuple[float, float, float]:
    if np.ptp(values) == 0:  # no doubt where every pair says the same
        return (float(values.iloc[0]),) * 3
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(values.mean()), float(low), float(high)


def phase_diagram(study: Study) -> Plate:
    """The outcome over the two swept settings that explain most of it, medians by cell."""
    rows = study.design.loc[study.outcomes.index, study.swept]
    if len(study.swept) < 2:
        raise NotShownError("a phase diagram needs two swept settings")
    cells = {name: _cells(rows[name]) for name in study.swept}
    explained = {name: _explained(cells[name], study.outcomes) for name in study.swept}
    across, along = sorted(study.swept, key=lambda name: -explained[name])[:2]
    table = study.outcomes.groupby([cells[along], cells[across]], observed=True).median().unstack()
    if min(table.shape) < 2 or table.notna().to_numpy().mean() <= 0.5:
        raise NotShownError("a phase diagram needs two settings that are swept independently of one another")
    names = short_names([across, along])
    write, flat = study.outcome.write, table.to_numpy(float)
    low, high = float(np.nanmin(flat)), float(np.nanmax(flat))

    def paint(axes: Axes) -> list[EndLabel]:
        shades = (table.to_numpy(float) - low) / ((high - low) or 1.0)
        colours = colormaps["cividis"](np.nan_to_num(shades))
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            if math.isnan(value):
                continue
            shade = colours[row, column]
            axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=shade, linewidth=0)
            ink = "#FEFEFE" if shades[row, column] < 0.5 else "#010101"
            axes.text(column, row, write(value), ha="center", va="center", color=ink, fontsize=8.5)
        axes.grid(visible=False)
        for axis, labels in ((axes.xaxis, list(table.columns)), (axes.yaxis, list(table.index))):
            axis.set_major_locator(FixedLocator(range(len(labels))))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _, words=labels: str(words[round(value)])))
        axes.tick_params(length=0)
        axes.set_xlim(-0.5, table.shape[1] - 0.5)
        axes.set_ylim(-0.5, table.shape[0] - 0.5)
        axes.set_xlabel(names[across])
        axes.spines["bottom"].set_visible(False)
        return []

    def place(value: float) -> str:
        row, column = next(at for at, found in np.ndenumerate(table.to_numpy()) if found == value)
        return f"{write(value)} ({names[across]} {table.columns[column]}, {names[along]} {table.index[row]})"

    title = f"The {study.outcome.name} runs from {place(low)} to {place(high)}"
    others = len(study.swept) - 2
    name = study.outcome.name
    note = (
        f"{name[0].upper()}{name[1:]} in the last {study.periods.word}, median of the simulations in each cell; "
        f"{study.simulations()}."
        + " Empty: no simulation there." * bool(table.isna().to_numpy().any())
        + (f" Of {others + 2} swept settings the two that explain most of it; pooled over the rest." if others else "")
    )
    chart = Chart(paint, names[along], 0.4 + 0.38 * table.shape[0])
    shown = _with_ranges(study.outcomes, [cells[along], cells[across]], write).iloc[::-1]
    shown.index.name, shown.columns.name = f"{names[along]} \\ {names[across]}", None
    return Plate("phase_diagram", title, note, ((chart,),), shown)


def _with_ranges(outcomes: pd.Series, cells: Sequence[pd.Series], write: Write) -> pd.DataFrame:
    """Each cell in words: the median of its simulations, and their 5–95 % range where it has several."""
    found = {}
    for cell, values in outcomes.groupby(list(cells), observed=True):
        low, middle, high = (write(float(values.quantile(part))) for part in (0.05, 0.5, 0.95))
        found[cell] = f"{middle} ({between(low, high)})" if len(values) > 1 else middle
    index = pd.MultiIndex.from_tuples(found, names=["along", "across"])
    table = pd.Series(list(found.values()), index).unstack().fillna(MISSING)
    along, across = (list(own.cat.categories) for own in cells)
    return table.reindex(
        index=[name for name in along if name in table.index],
        columns=[name for name in across if name in table.columns],
    )


def _cells(values: pd.Series) -> pd.Series:
    """The values of a setting in order, as categories; many numbers in a few bins."""
    distinct = sorted(values.unique(), key=order)
    if len(distinct) > _VALUES and pd.api.types.is_numeric_dtype(values):
        low, high = float(values.min()), float(values.max())
        logs = low > 0 and abs(stats.skew(np.log(values))) < abs(stats.skew(values))
        edges = np.geomspace(low, high, _BINS + 1) if logs else np.linspace(low, high, _BINS + 1)
        names = [f"{significant(a)}–{significant(b)}" for a, b in pairwise(edges)]
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
        return _ordered(list(place), names, values.index)
    words = [charts.shorten(word, 16) for word in _told_apart(distinct)]
    words = words if len(set(words)) == len(words) else [f"{place + 1}: {word}" for place, word in enumerate(words)]
    places = {written(value): place for place, value in enumerate(distinct)}
    return _ordered([places[written(value)] for value in values], words, values.index)


def _told_apart(values: Sequence[object]) -> list[str]:
    """Values of a setting as they stand on an axis: numbers with three digits if these tell them apart."""
    short = [f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else written(value) for value in values]
    return short if len(set(short)) == len(short) else list(map(written, values))


def _ordered(codes: Sequence[int], words: Sequence[str], index: pd.Index) -> pd.Series:
    kind = pd.CategoricalDtype(list(words), ordered=True)
    return pd.Series([words[code] for code in codes], index, kind)


def _explained(cells: pd.Series, outcome: pd.Series) -> float:
    """Share of the variance of the outcome that lies between cells (eta squared)."""
    means = outcome.groupby(cells, observed=True).transform("mean")
    return float(means.var() / outcome.var()) if outcome.var() > 0 else 0.0
