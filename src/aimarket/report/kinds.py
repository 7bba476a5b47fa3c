"""Every kind of figure, in the order of a report."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aimarket.report import chance, comparison, drivers, figures, firms, over_time, sensitivity
from aimarket.report.plates import Plate, draw
from aimarket.report.study import NotShownError, Study
from aimarket.report.style import house_style, save


class Kind(NamedTuple):
    """A kind of figure: its name in a list, and what draws it or raises NotShownError."""

    name: str
    plate: Callable[[Study], Plate]


KINDS = (
    Kind("Paired difference", comparison.paired_difference),
    Kind("Phase diagram", comparison.phase_diagram),
    Kind("Sensitivity", sensitivity.sensitivity),
    Kind("Price and cost", lambda study: figures.price_and_cost(study.market)),
    Kind("Price and cost by tier", over_time.price_by_tier),
    Kind("Price, use and spend", lambda study: figures.volumes(study.market)),
    Kind("Cost decline by driver", drivers.cost_drivers),
    Kind("Shares by provider", lambda study: figures.shares(study.market, study.providers)),
    Kind("Shares by rank", over_time.shares_by_rank),
    Kind("Tipping time", chance.tipping),
    Kind("Profit against share", firms.profit_and_share),
    Kind("Switching", firms.switching),
    Kind("Welfare", over_time.welfare),
    Kind("Replicate diagnostics", chance.replicates),
)


def plates(study: Study) -> tuple[list[tuple[Kind, Plate]], list[tuple[Kind, str]]]:
    """The figures that a study fills, and the kinds that it does not fill with the reason."""
    shown: list[tuple[Kind, Plate]] = []
    absent: list[tuple[Kind, str]] = []
    for kind in KINDS:
        try:
            shown.append((kind, kind.plate(study)))
        except NotShownError as reason:
            absent.append((kind, str(reason)))
    return shown, absent


def draw_study(study: Study, folder: Path) -> list[Path]:
    """Draw every kind of figure that the study fills; returns the SVG and PNG files."""
    files: list[Path] = []
    with house_style():
        for _, plate in plates(study)[0]:
            files += save(draw(plate), folder, plate.name, plate.title)
    return files
