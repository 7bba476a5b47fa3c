"""A study as one page of HTML that needs nothing else: no network, no script, no other file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from aimarket.complaints import ResultsError
from aimarket.designs import analyse, analysed
from aimarket.report import kinds, provenance, reproduction
from aimarket.report.format import between, unbroken
from aimarket.report.measures import measure
from aimarket.report.periods import KEYS
from aimarket.report.plates import draw
from aimarket.report.study import Analysis, Study, short_names, written
from aimarket.report.style import house_style
from aimarket.report.summary import share_table, summary_table
from aimarket.report.svg import inline_svg, shades
from aimarket.results import Results

_NARROW, _WIDE, _WIDEST = 4.2, 7.0, 9.0  # inches: on a telephone, on a desk, with panels side by side
_MOST_ROWS, _MOST_FAILED = 100, 10
_POINT_COLUMNS = ("price", "lerner", "effective_providers", "leader_share", "spend", "welfare")
_EXPECTED = ("market", "providers")


@dataclass(frozen=True)
class Grid:
    """A table of a page: words only, the first column names the row."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_report(results: Results, target: Path) -> Path:
    """Write the report of a study; the same study gives the same bytes.

    raises : ResultsError if jinja2 is missing, or market and providers were not recorded
    """
    page = render(results)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def render(results: Results) -> str:
    """The report as text; see `write_report`."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise ResultsError("a report needs jinja2; pip install 'aimarket[studies]'") from None
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    return environment.get_template("report.html.j2").render(_content(results))


def study_of(results: Results) -> Study:
    """The frames of a study for its figures; ResultsError if market or providers were not recorded."""
    for table in _EXPECTED:
        if results.frame(table, []).empty:
            raise ResultsError(f"{results.folder}: the tables market and providers were not recorded (record.tables)")
    outcomes = provenance.about(results.manifests, "outcome")
    outcome, labels = outcomes[0] if outcomes else "lerner", provenance.labels(results.manifests)
    return Study(results.market, results.providers, results.frame, outcome, labels, _analysis(results))


def _analysis(results: Results) -> Analysis | None:
    """The largest of the study's designs for sensitivity."""
    made = list(enumerate(analysed(results.folder)))
    if not made:
        return None
    place, (design, _) = max(made, key=lambda item: len(item[1][1]))
    return Analysis(design["kind"], max(design["rows"]) + 1, lambda statistic: analyse(results, statistic, place))


def _content(results: Results) -> dict[str, Any]:
    study, manifests = study_of(results), results.manifests
    shown, absent = kinds.plates(study)
    figures = []
    with house_style():
        for kind, plate in shown:
            wide = draw(plate, _WIDEST if plate.columns > 1 else _WIDE, headed=False)
            narrow = draw(plate.stacked(), _NARROW, headed=False)
            figures.append(
                {
                    "kind": kind.name,
                    "plate": plate,
                    "wide": inline_svg(wide, f"{plate.name}-wide", plate.alternative),
                    "narrow": inline_svg(narrow, f"{plate.name}-narrow", plate.alternative),
                    "table": None if plate.table is None else _of_frame(plate.table, f"{kind.name}: the numbers"),
                }
            )
    swept = {name: list(results.runs[name]) for name in results.swept}
    stated = provenance.stated(results.folder)
    commands, exact = reproduction.commands(results.folder, manifests, stated.get("command"))
    missing = provenance.missing(results.folder)
    return {
        "name": results.folder.resolve().name,
        "questions": provenance.about(manifests, "question") or _some(stated.get("question")),
        "predictions": provenance.about(manifests, "prediction") or _some(stated.get("prediction")),
        "answer": stated.get("answer"),
        "outcome": study.outcome.name,
        "figures": figures,
        "absent": absent,
        "tables": _summaries(study),
        "points": _points(study),
        "differences": provenance.differences(manifests, swept),
        "configuration": "\n".join(f"{key}={value}" for key, value in provenance.leaves(manifests[0]["settings"])),
        "first_run": manifests[0]["run_id"],
        "runs": len(manifests),
        "failed": missing.failed,
        "most_failed": _MOST_FAILED,
        "unfinished": missing.unfinished,
        "simulations": len(study.design),
        "seeds": provenance.seeds(manifests),
        "replications": provenance.replications(manifests),
        "made": sorted({str(manifest["created"])[:10] for manifest in manifests}),
        "versions": provenance.versions(manifests),
        "commands": commands,
        "exact": exact,
        "light": shades(dark=False),
        "dark": shades(dark=True),
    }


def _some(text: str | None) -> list[str]:
    return [text] if text else []


def _summaries(study: Study) -> list[Grid]:
    """The tables a run ends with, of all simulations: each counts as a replication, whatever run it is of."""
    market, providers = (
        frame.assign(replication=frame.groupby(KEYS).ngroup()) for frame in (study.market, study.providers)
    )
    return [
        _of_rich(summary_table(market, providers, study.simulations())),
        _of_rich(share_table(market, providers)),
    ]


def _of_rich(table: Table) -> Grid:
    """What a table of the terminal says."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    caption = ". ".join(part for part in (str(table.title), str(table.caption or "")) if part)
    return Grid(caption, [str(column.header) for column in table.columns], list(zip(*columns, strict=True)))


def _of_frame(frame: pd.DataFrame, caption: str) -> Grid:
    head = ["" if frame.index.name is None else str(frame.index.name), *map(str, frame.columns)]
    return Grid(
        caption, head, [[str(name), *map(str, row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)]
    )


def _points(study: Study) -> Grid | None:
    """The results of each point, medians of its simulations; None for a study of one point."""
    if len(study.points) < 2 or not study.swept:
        return None
    columns = list(dict.fromkeys([study.outcome.column, *_POINT_COLUMNS]))
    last, write = study.periods.last[columns], study.outcome.write
    names = short_names(study.swept)
    rows = []
    for ids in list(study.points.values())[:_MOST_ROWS]:
        own = last[last.index.get_level_values("run_id").isin(ids)]
        settings = study.design.loc[ids[0], study.swept].iloc[0]
        first, *found = [measure(column).write(float(own[column].median())) for column in columns]
        span = between(*(write(float(own[study.outcome.column].quantile(part))) for part in (0.05, 0.95)))
        rows.append([*(written(settings[name]) for name in study.swept), str(len(own)), first, span, *found])
    more = f"; the first {_MOST_ROWS} of {len(study.points):,}" if len(study.points) > _MOST_ROWS else ""
    outcome, *others = [measure(column).name for column in columns]
    head = [*(names[name] for name in study.swept), "simulations", outcome, "5–95 %", *others]
    return Grid(f"Points: medians of the last {study.periods.word}{more}", head, rows)
