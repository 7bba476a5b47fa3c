"""One figure a claim: its effect at the default, in every cell, and over the box along the axis that matters most."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from aimarket.claims.box import directions
from aimarket.claims.evaluation import Result
from aimarket.claims.registration import Claim
from aimarket.claims.statistics import STATISTICS
from aimarket.report.style import COLOURS, GREY, REST, house_style, new_figure

_COLOUR = {"default": COLOURS[0], "condition": COLOURS[1], "variant": REST, "null": COLOURS[2]}


def draw(claim: Claim, result: Result, path: Path) -> None:
    """Write the figure as SVG, the same bytes for the same result."""
    with house_style():
        figure = new_figure(9.0, 1.5 + 0.26 * (1 + len(result.cells)))
        cells, box = figure.subplots(1, 2, width_ratios=(1.0, 0.8))
        _draw_cells(cells, result)
        _draw_box(box, claim, result)
        figure.suptitle(f"{result.title}: {result.verdict}", x=0.01, ha="left", fontsize=10)
        figure.tight_layout()
        figure.savefig(path, metadata={"Title": result.title, "Date": None, "Creator": None})


def _draw_cells(axes: Axes, result: Result) -> None:
    rows = {"default": ("default", result.comparisons[result.statistic].effect)}
    rows |= {name: (cell.kind, cell.comparisons[result.statistic].effect) for name, cell in result.cells.items()}
    for height, (kind, effect) in enumerate(rows.values()):
        if effect.count:
            bounds = [[effect.mean - effect.low], [effect.high - effect.mean]]
            axes.errorbar(effect.mean, height, xerr=bounds, fmt="o", markersize=4, color=_COLOUR[kind], linewidth=1.2)
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.7)
    axes.axvline(result.sign * result.smallest, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set_xlabel(f"effect, {STATISTICS[result.statistic].plain_unit}(dashes: smallest of interest)")
    axes.grid(False, axis="y")


def _draw_box(axes: Axes, claim: Claim, result: Result) -> None:
    if not result.influences:
        axes.set_axis_off()
        return
    most = result.influences[0].axis
    places = np.array([point.place[most] for point in result.box_points])
    effects = np.array([point.effect for point in result.box_points])
    holds = result.sign * effects >= result.smallest
    for chosen, colour, marker in ((holds, COLOURS[0], "o"), (~holds, COLOURS[1], "x")):
        axes.scatter(places[chosen], effects[chosen], s=16, color=colour, marker=marker, linewidths=1.0)
    axes.axhline(result.sign * result.smallest, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    if next(axis.log for axis in directions(claim) if axis.pattern == most):
        axes.set_xscale("log")
    axes.set_xlabel(most)
    axes.set_ylabel("effect in the box (×: fails)")
