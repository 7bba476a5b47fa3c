"""A panel of lines over time: each a median over the simulations, with its bands and a label at its end."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from aimarket.report import style
from aimarket.report.labels import EndLabel
from aimarket.report.plates import Plate

# An index may fall without bound; what is below this is off the scale.
FLOOR = -1.0
_QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
_BANDS = ((0.05, 0.95, 0.13), (0.25, 0.75, 0.22))


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
    """One set of axes; panels of one scale and label in one figure have the same limits.

    scale  : "money" or "factor" (logarithmic), "share" (from nought), "amount" (of USD) or "index" (linear)
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

    def paint(self, axes: Axes, plate: Plate) -> list[EndLabel]:
        """Draw the lines, in the limits of all panels of this scale and label."""
        panels = [panel for panel in plate.panels() if isinstance(panel, Panel)]
        alike = [panel for panel in panels if (panel.scale, panel.y_label) == (self.scale, self.y_label)]
        _draw_panel(axes, self, _limits(alike))
        return _ends(self)

    def finish(self, axes: Axes) -> None:
        """Nothing is left to add."""


def _limits(panels: list[Panel]) -> tuple[float, float]:
    """Lowest and highest value to show; a band with a long tail may not squeeze the medians into a corner."""
    table = np.concatenate([line.quantiles().to_numpy(float) for panel in panels for line in panel.lines])
    if panels[0].logarithmic:
        logs = np.log(np.where(table > 0, table, np.nan))
        low, high = _bounds(logs, math.log(100))
        pad = 0.04 * (high - low)
        return math.exp(low - pad), math.exp(high + pad)
    low, high = _bounds(table, 0.2)
    if panels[0].scale == "index":
        return max(low, FLOOR), max(high, FLOOR + 0.1)
    return (0.0 if panels[0].scale == "share" else min(low, 0.0)), high


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
