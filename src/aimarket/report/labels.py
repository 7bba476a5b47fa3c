"""Direct labels at line ends, moved apart where they would overlap."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aimarket.report.style import text_ink, text_size

_FONT: dict[str, Any] = {"fontsize": 8.5, "linespacing": 1.1}
GAP = 0.17


class EndLabel(NamedTuple):
    """A label and where its line ends, in data units."""

    text: str
    colour: str
    x: float
    y: float


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Move the centres of labels as little as possible so that none overlap and all stay between low and high.

    Least squares under order constraints: neighbours that collide pool into a block at their common mean (pool
    adjacent violators); the ends then bound the blocks.

    wanted, heights : (L,) in one unit   [label]
    returns         : (L,) centres in the same unit and order
    source          : Barlow, Bartholomew, Bremner & Brunk (1972), Statistical Inference under Order Restrictions
    """
    order = np.argsort(wanted, kind="stable")
    size = np.asarray(heights, float)[order]
    offset = np.cumsum(size) - size / 2
    blocks: list[list[float]] = []
    for target in np.asarray(wanted, float)[order] - offset:
        blocks.append([float(target)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    pooled = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])
    centres = np.empty(len(size))
    centres[order] = np.clip(pooled, low, max(low, high - size.sum())) + offset
    return [float(centre) for centre in centres]


def label_width(figure: Figure, texts: Sequence[str]) -> float:
    """Inches that the widest label takes."""
    return max((text_size(figure, text, _FONT)[0] for text in texts), default=0.0)


def draw_end_labels(figure: Figure, axes: Axes, labels: Sequence[EndLabel]) -> None:
    """Write the labels right of the axes, each at the height of its line's end or near it, joined by a thin line."""
    if not labels:
        return
    inches = figure.dpi_scale_trans.inverted()
    box = axes.get_window_extent().transformed(inches)
    points = [inches.transform(axes.transData.transform((label.x, label.y))) for label in labels]
    ends = [(float(x), min(max(float(y), box.y0), box.y1)) for x, y in points]
    heights = [text_size(figure, label.text, _FONT)[1] * 1.25 for label in labels]
    centres = spread([end[1] for end in ends], heights, box.y0 - 0.07, box.y1 + 0.07)
    for label, end, centre in zip(labels, ends, centres, strict=True):
        figure.text(
            *_fraction(figure, box.x1 + GAP, centre),
            label.text,
            color=text_ink(label.colour),
            **_FONT,
            verticalalignment="center",
        )
        if abs(end[1] - centre) > 0.03 or end[0] < box.x1 - 0.03:
            bend = (box.x1 + GAP - 0.03, centre)
            ties = [_fraction(figure, *end), _fraction(figure, *bend)]
            figure.add_artist(Line2D(*zip(*ties, strict=True), color=label.colour, linewidth=0.6, alpha=0.7))


def _fraction(figure: Figure, x: float, y: float) -> tuple[float, float]:
    """Inches to fractions of the figure: fractions are the same in the PNG and in the SVG, pixels are not."""
    width, height = figure.get_size_inches()
    return x / width, y / height
