"""From lines and words to a figure: rows of panels, each line a median with its bands and a label at its end."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aimarket.report import style
from aimarket.report.labels import GAP, EndLabel, draw_end_labels, label_width

# An index may fall without bound; what is below this is off the scale.
FLOOR = -1.0
_QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
_BANDS = ((0.05, 0.95, 0.13), (0.25, 0.75, 0.22))
# Inches: page margin, room for the vertical label, above and below a row of panels, for a heading.
_MARGIN, _LABEL, _BETWEEN, _BELOW, _HEADING = 0.12, 0.36, 0.16, 0.5, 0.28
_TITLE: dict[str, Any] = {"fontsize": 11, "fontweight": "bold", "linespacing": 1.2}
_NOTE: dict[str, Any] = {"fontsize": 8.5, "linespacing": 1.3}


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    values : a row for every year date, a column for every simulation; missing where undefined
    """

    label: str
    values: pd.DataFrame
    colour: str
    dashes: tuple[float, ...] = ()

    def quantiles(self) -> pd.DataFrame:
        """Return the 5, 25, 50, 75 and 95 % quantiles over the simulations."""
        return self.values.quantile(_QUANTILES, axis=1).T


@dataclass(frozen=True)
class Panel:
    """One set of axes; panels of one scale in one figure have the same limits.

    scale  : "money" or "factor" (logarithmic), "share" (from nought) or "index" (linear)
    height : of the plot, in inches
    timed  : whether the horizontal axis is written out, or is that of the panel below
    """

    lines: tuple[Line, ...]
    y_label: str
    scale: str
    height: float = 3.3
    heading: str = ""
    timed: bool = True

    @property
    def logarithmic(self) -> bool:
        """Whether only values above nought can be shown."""
        return self.scale in ("money", "factor")


@dataclass(frozen=True)
class Plate:
    """A whole figure: the finding, the second line (what line and band are, how many runs), rows of panels."""

    name: str
    title: str
    note: str
    rows: tuple[tuple[Panel, ...], ...]

    def panels(self) -> Iterator[Panel]:
        """Go through all panels, row by row."""
        return (panel for row in self.rows for panel in row)


def draw(plate: Plate) -> Figure:
    """Draw the figure; call inside `house_style()`."""
    columns = max(len(row) for row in plate.rows)
    width = 7.2 if columns == 1 else 10.0
    probe = style.new_figure(width, 1.0)
    title, note = (
        style.wrap(probe, *part) for part in ((plate.title, width - 0.3, _TITLE), (plate.note, width - 0.3, _NOTE))
    )
    below_title = _MARGIN + style.text_size(probe, title, _TITLE)[1] + 0.1
    head = below_title + style.text_size(probe, note, _NOTE)[1]
    height = head + sum(_row_height(row) for row in plate.rows) + 0.04
    figure = style.new_figure(width, height)
    figure.text(_MARGIN / width, 1 - _MARGIN / height, title, color=style.INK, va="top", **_TITLE)
    figure.text(_MARGIN / width, 1 - below_title / height, note, color=style.GREY, va="top", **_NOTE)
    _place(figure, plate, width / columns, head)
    return figure


def _row_height(row: tuple[Panel, ...]) -> float:
    panel = row[0]
    return _BETWEEN + (_HEADING if panel.heading else 0.0) + panel.height + (_BELOW if panel.timed else 0.0)


def _place(figure: Figure, plate: Plate, cell: float, head: float) -> None:
    """Draw every panel, measure what its ticks and labels take, and only then give it its place."""
    drawn: dict[int, Axes] = {}
    for panel in plate.panels():
        axes = figure.add_axes((0.2, 0.2, 0.6, 0.6), label=str(len(drawn)))
        _draw_panel(axes, panel, _limits([other for other in plate.panels() if other.scale == panel.scale]))
        drawn[id(panel)] = axes
    left = _MARGIN + _LABEL + max(_tick_width(figure, axes) for axes in drawn.values())
    right = GAP + label_width(figure, [line.label for panel in plate.panels() for line in panel.lines]) + _MARGIN
    width, height = figure.get_size_inches()
    top = height - head
    for row in plate.rows:
        for column, panel in enumerate(row):
            axes = drawn[id(panel)]
            bottom = top - _row_height(row) + (_BELOW if panel.timed else 0.0)
            box = (column * cell + left, bottom, cell - left - right, panel.height)
            axes.set_position((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
            axes.yaxis.set_label_coords((_MARGIN + 0.08 - left) / box[2], 0.5)
            axes.set_ylabel("" if column else panel.y_label, va="center")
            draw_end_labels(figure, axes, _ends(panel))
        top -= _row_height(row)


def _tick_width(figure: Figure, axes: Axes) -> float:
    """Inches that the tick labels of the vertical axis take."""
    low, high = axes.get_ylim()
    texts = axes.yaxis.get_major_formatter().format_ticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    return max((style.text_size(figure, text, {"fontsize": 8.5})[0] for text in texts), default=0.0)


def _limits(panels: list[Panel]) -> tuple[float, float]:
    """Lowest and highest value to show; a band with a long tail may not squeeze the medians into a corner."""
    table = np.concatenate([line.quantiles().to_numpy(float) for panel in panels for line in panel.lines])
    if panels[0].logarithmic:
        logs = np.log(np.where(table > 0, table, np.nan))
        low, high = _bounds(logs, math.log(100))
        pad = 0.04 * (high - low)
        return math.exp(low - pad), math.exp(high + pad)
    low, high = _bounds(table, 0.2)
    return (0.0, high) if panels[0].scale == "share" else (max(low, FLOOR), max(high, FLOOR + 0.1))


def _bounds(table: np.ndarray, slack: float) -> tuple[float, float]:
    middle, shown = table[:, 2][np.isfinite(table[:, 2])], table[np.isfinite(table)]
    if not len(middle):
        return 0.0, 1.0
    slack = max(slack, float(np.ptp(middle)))
    return max(float(shown.min()), float(middle.min()) - slack), min(float(shown.max()), float(middle.max()) + slack)


def _draw_panel(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    tables = [line.quantiles() for line in panel.lines]
    years = np.unique(np.concatenate([table.index.to_numpy(float) for table in tables]))
    for line, table in zip(panel.lines, tables, strict=True):
        if line.values.shape[1] > 1:
            _draw_bands(axes, line, table, limits[0] if panel.logarithmic else None, 1.0 if len(tables) <= 3 else 0.55)
    for order, (line, table) in enumerate(zip(panel.lines, tables, strict=True)):
        median = table[0.5].where(table[0.5] > 0) if panel.logarithmic else table[0.5]
        (drawn,) = axes.plot(median.index, median, color=line.colour, zorder=9 - order)
        drawn.set_clip_on(panel.scale == "index" and bool((median < FLOOR).any()))
        if line.dashes:
            drawn.set_linestyle((0, line.dashes))
        if len(years) <= 4:
            drawn.set(marker="osD^vPX"[order % 7], markersize=4)
    style.value_axis(axes, panel.scale, *limits)
    style.time_axis(axes, float(years[0]), float(years[-1]), panel.timed)
    if panel.heading:
        axes.set_title(panel.heading, loc="left", fontsize=9.5, color=style.INK, pad=6)


def _draw_bands(axes: Axes, line: Line, table: pd.DataFrame, floor: float | None, lightness: float) -> None:
    """Shade the middle 90 % and 50 %; on a log axis a band that reaches nought goes down to the floor."""
    for low, high, alpha in _BANDS:
        bottom = table[low] if floor is None else table[low].clip(lower=floor)
        top = table[high] if floor is None else table[high].where(table[high] > floor)
        axes.fill_between(table.index, bottom, top, color=line.colour, alpha=alpha * lightness, linewidth=0)


def _ends(panel: Panel) -> list[EndLabel]:
    """Where each line was last seen; a line never seen has no label."""
    ends = []
    for line in panel.lines:
        median = line.quantiles()[0.5]
        seen = median[median > 0] if panel.logarithmic else median.dropna()
        if len(seen):
            ends.append(EndLabel(line.label, line.colour, float(seen.index[-1]), float(seen.iloc[-1])))
    return ends
