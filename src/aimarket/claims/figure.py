"""One figure a claim: its effect at the default, in every cell, and over the box along what parts it most."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from aimarket.claims.box import directions
from aimarket.claims.conditions import NEAR, Division, divisions
from aimarket.claims.evaluation import Result
from aimarket.claims.registration import Claim
from aimarket.claims.statistics import STATISTICS
from aimarket.claims.wording import interval, percent
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
        about = {"Title": result.title, "Description": described(result)}
        figure.savefig(path, metadata={**about, "Date": None, "Creator": None})


def described(result: Result) -> str:
    """The figure in a sentence, for those who do not see it; it tells, too, of which result it is."""
    effect = interval(result.comparisons[result.statistic].effect)
    cells = "; ".join(
        f"{name} {interval(cell.comparisons[result.statistic].effect)}" for name, cell in result.cells.items()
    )
    return (
        f"{result.title}: {result.verdict}. Effect {effect} at the default; {cells}. It holds in "
        f"{percent(result.box_share)} of the box."
    )


def _draw_cells(axes: Axes, result: Result) -> None:
    rows = {"default": ("default", result.comparisons[result.statistic].effect)}
    rows |= {name: (cell.kind, cell.comparisons[result.statistic].effect) for name, cell in result.cells.items()}
    for height, (kind, effect) in enumerate(rows.values()):
        if effect.count:
            bounds = [[effect.mean - effect.low], [effect.high - effect.mean]]
            axes.errorbar(effect.mean, height, xerr=bounds, fmt="o", markersize=4, color=_COLOUR[kind], linewidth=1.2)
    labels = [name.replace("_", " ") + (f" ({kind})" if name != kind else "") for name, (kind, _) in rows.items()]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.7)
    axes.axvline(result.sign * result.smallest, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    unit = STATISTICS[result.statistic].plain_unit
    axes.set_xlabel(f"effect{',' if unit else ''} {unit}(dashes: smallest of interest)")
    axes.grid(False, axis="y")


def _shown(result: Result, found: Sequence[Division]) -> Division:
    """The setting against which the box is drawn: what parts it most, or else what moves the effect most."""
    told = [division for division in found if division.told]
    if told or not result.influences:
        return (told or found)[0]
    ranks = [influence.axis for influence in result.influences]
    return min(found, key=lambda division: ranks.index(division.axis))


def _draw_box(axes: Axes, claim: Claim, result: Result) -> None:
    found = divisions(result)
    if not found:
        axes.set_axis_off()
        return
    most = _shown(result, found)
    places = np.array([point.place[most.axis] for point in result.box_points])
    effects = np.array([point.effect for point in result.box_points])
    holds = result.sign * effects >= result.smallest
    for chosen, colour, marker in ((holds, COLOURS[0], "o"), (~holds, COLOURS[1], "x")):
        axes.scatter(places[chosen], effects[chosen], s=16, color=colour, marker=marker, linewidths=1.0)
    threshold = result.sign * result.smallest
    axes.axhline(threshold, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    if np.isfinite(result.scatter):
        near = NEAR * result.scatter
        axes.axhspan(threshold - near, threshold + near, color=GREY, alpha=0.12, linewidth=0, zorder=0)
    axes.axvline(most.median, color=GREY, linewidth=0.7, linestyle=(0, (1, 2)))
    if next(axis.log for axis in directions(claim) if axis.pattern == most.axis):
        axes.set_xscale("log")
    axes.set_xlabel(f"{most.axis}\n(×: fails; grey: too near to tell from one pair)")
    axes.set_ylabel("effect in the box")
