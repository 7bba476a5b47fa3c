"""A whole figure: rows of panels under a title that says what is seen, each given its place once it is measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aimarket.report import style
from aimarket.report.labels import GAP, EndLabel, draw_end_labels, label_width

# Inches: page margin, room for the vertical label, above and below a row of panels, for a heading.
_MARGIN, _LABEL, _BETWEEN, _BELOW, _HEADING = 0.12, 0.36, 0.16, 0.5, 0.28
_TITLE: dict[str, Any] = {"fontsize": 11, "fontweight": "bold", "linespacing": 1.2}
_NOTE: dict[str, Any] = {"fontsize": 8.5, "linespacing": 1.3}


class Drawing(Protocol):
    """What a figure asks of a panel.

    height : of the plot, in inches
    timed  : whether the horizontal axis is written out, or is that of the panel below
    """

    @property
    def y_label(self) -> str: ...
    @property
    def height(self) -> float: ...
    @property
    def heading(self) -> str: ...
    @property
    def timed(self) -> bool: ...

    def paint(self, axes: Axes, plate: "Plate") -> list[EndLabel]:
        """Draw on the axes, knowing the rest of the figure; returns what is written at the right."""

    def finish(self, axes: Axes) -> None:
        """Add what has to know how large the axes are."""


@dataclass(frozen=True)
class Chart:
    """A panel that any function of axes draws.

    draw : returns what is written at the right of the axes
    name : names things once the axes have their place
    """

    draw: Callable[[Axes], Sequence[EndLabel]]
    y_label: str = ""
    height: float = 3.3
    heading: str = ""
    timed: bool = True
    name: Callable[[Axes], None] | None = None

    def paint(self, axes: Axes, plate: "Plate") -> list[EndLabel]:
        """Draw on the axes."""
        labels = list(self.draw(axes))
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        return labels

    def finish(self, axes: Axes) -> None:
        """Name what is to be named."""
        if self.name:
            self.name(axes)


@dataclass(frozen=True)
class Plate:
    """A whole figure: the finding, the second line (what line and band are, how many runs), rows of panels.

    table : the figure as numbers, written out; None if they are too many to read
    """

    name: str
    title: str
    note: str
    rows: tuple[tuple[Drawing, ...], ...]
    table: pd.DataFrame | None = None

    def panels(self) -> Iterator[Drawing]:
        """Go through all panels, row by row."""
        return (panel for row in self.rows for panel in row)

    @property
    def columns(self) -> int:
        """Panels in the longest row."""
        return max(len(row) for row in self.rows)

    def stacked(self) -> "Plate":
        """The same in one column; a panel without a time axis of its own stays above the one it shares it with."""
        rows: list[tuple[Drawing, ...]] = []
        block: list[tuple[Drawing, ...]] = []
        for row in self.rows:
            block.append(row)
            if row[0].timed:
                rows += [(part[place],) for place in range(len(row)) for part in block]
                block = []
        return replace(self, rows=tuple(rows))

    @property
    def alternative(self) -> str:
        """The figure in a sentence, for who cannot see it."""
        kinds = dict.fromkeys(panel.heading or panel.y_label for panel in self.panels())
        return f"{self.title}. Drawn: {'; '.join(filter(None, kinds)) or self.name.replace('_', ' ')}."


def draw(plate: Plate, width: float | None = None, headed: bool = True) -> Figure:
    """Draw the figure; call inside `house_style()`.

    width  : inches; None: 7.2, or 10 where panels stand side by side
    headed : with the title and the second line, or without where the page has them
    """
    width = width or (7.2 if plate.columns == 1 else 10.0)
    probe = style.new_figure(width, 1.0)
    title, note = (
        style.wrap(probe, *part) for part in ((plate.title, width - 0.3, _TITLE), (plate.note, width - 0.3, _NOTE))
    )
    below_title = _MARGIN + style.text_size(probe, title, _TITLE)[1] + 0.1
    head = below_title + style.text_size(probe, note, _NOTE)[1] if headed else 0.0
    height = head + sum(_row_height(row) for row in plate.rows) + 0.04
    figure = style.new_figure(width, height)
    if headed:
        figure.text(_MARGIN / width, 1 - _MARGIN / height, title, color=style.INK, va="top", **_TITLE)
        figure.text(_MARGIN / width, 1 - below_title / height, note, color=style.GREY, va="top", **_NOTE)
    _place(figure, plate, width / plate.columns, head)
    return figure


def _row_height(row: tuple[Drawing, ...]) -> float:
    panel = row[0]
    return _BETWEEN + (_HEADING if panel.heading else 0.0) + panel.height + (_BELOW if panel.timed else 0.0)


def _place(figure: Figure, plate: Plate, cell: float, head: float) -> None:
    """Draw every panel, measure what its ticks and labels take, and only then give it its place."""
    drawn: dict[int, tuple[Axes, list[EndLabel]]] = {}
    for panel in plate.panels():
        axes = figure.add_axes((0.2, 0.2, 0.6, 0.6), label=str(len(drawn)))
        drawn[id(panel)] = axes, panel.paint(axes, plate)
    named = _LABEL if any(panel.y_label for panel in plate.panels()) else 0.1
    left = _MARGIN + named + max(_tick_width(figure, axes) for axes, _ in drawn.values())
    labels = label_width(figure, [label.text for _, ends in drawn.values() for label in ends])
    right = GAP + labels + _MARGIN
    width, height = figure.get_size_inches()
    top = height - head
    for row in plate.rows:
        for column, panel in enumerate(row):
            axes, ends = drawn[id(panel)]
            bottom = top - _row_height(row) + (_BELOW if panel.timed else 0.0)
            box = (column * cell + left, bottom, cell - left - right, panel.height)
            axes.set_position((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
            axes.yaxis.set_label_coords((_MARGIN + 0.08 - left) / box[2], 0.5)
            axes.set_ylabel("" if column else panel.y_label, va="center")
            draw_end_labels(figure, axes, ends)
            panel.finish(axes)
        top -= _row_height(row)


def _tick_width(figure: Figure, axes: Axes) -> float:
    """Inches that the tick labels of the vertical axis take."""
    low, high = axes.get_ylim()
    texts = axes.yaxis.get_major_formatter().format_ticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    return max((style.text_size(figure, text, {"fontsize": 8.5})[0] for text in texts), default=0.0)
