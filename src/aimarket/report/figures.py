"""The three figures of a run: price and cost, shares, volumes."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from aimarket.report import findings
from aimarket.report.format import decimals
from aimarket.report.panels import FLOOR, Line, Panel
from aimarket.report.periods import KEYS, Periods, clean, market_periods, paths, share_paths, share_periods
from aimarket.report.plates import Plate, draw
from aimarket.report.study import points
from aimarket.report.style import COLOURS, DASHES, INK, REST, REST_DASHES, house_style, save

_MOST_PANELS = 4
_NAMED = 6
_PRICES = (("price", "price"), ("marginal_cost", "marginal cost"), ("unit_cost", "booked unit cost"))
_VOLUMES = (("tokens_served", "tokens"), ("spend", "spend"), ("price", "price"))
_Lines = Callable[[pd.DataFrame, Periods], tuple[Line, ...]]


def draw_figures(market: pd.DataFrame, providers: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw price against cost, providers' shares, and tokens, spend and price; return the SVG and PNG files.

    market, providers : the recorded tables of one run or of several (up to four points are drawn side by side, more
                        are pooled and the second line says so); columns beyond the schema are taken as swept settings
    folder            : where the files go; made if need be
    raises            : ValueError if nothing was recorded
    """
    market, providers = clean(market), clean(providers)
    files: list[Path] = []
    with house_style():
        for plate in (price_and_cost(market), shares(market, providers), volumes(market)):
            files += save(draw(plate), Path(folder), plate.name, plate.title)
    return files


def price_and_cost(market: pd.DataFrame) -> Plate:
    """Revenue per token against long-run marginal cost and booked unit cost, and the margin beneath."""
    years, runs = market_periods(market), _beside(market)
    finding = findings.price_and_cost(years)
    if runs:
        finding = findings.price_and_cost_across([years.of(ids) for ids in runs.values()])

    def prices(frame: pd.DataFrame, own: Periods) -> tuple[Line, ...]:
        return tuple(
            Line(findings.rate_label(name, own, measure), paths(frame, measure), COLOURS[place], DASHES[place])
            for place, (measure, name) in enumerate(_PRICES)
        )

    def margin(frame: pd.DataFrame, own: Periods) -> tuple[Line, ...]:
        return (Line(findings.level_label("Lerner index", own, "lerner"), paths(frame, "lerner"), INK),)

    above = _panels(
        market, runs, years, prices, y_label="USD per million tokens, log", scale="money", height=2.7, timed=False
    )
    below = _panels(market, runs, years, margin, y_label="Lerner index", scale="index", height=0.95, headed=False)
    note = _note(
        "Revenue, long-run marginal cost and booked cost per token served; Lerner index (p − c)/p on marginal cost",
        market,
        finding.remark,
        f"Rates compare token-weighted means of the first and last {years.word}." if years.span else "",
        _zero_note(market, _PRICES),
        _floor_note(market),
    )
    rows = tuple(row for pair in zip(_rows(above), _rows(below), strict=True) for row in pair)
    return Plate("price_and_cost", finding.title, note, rows)


def shares(market: pd.DataFrame, providers: pd.DataFrame) -> Plate:
    """Shares of tokens served, the largest by name and the others summed."""
    years, runs = market_periods(market), _beside(market)
    wide = share_paths(providers)
    first, last = share_periods(wide)
    finding = findings.shares(first, last, years)
    if runs:
        by_run = last.index.get_level_values("run_id")
        each = [last[by_run.isin(ids)] for ids in runs.values()]
        finding = findings.shares_across(each, [years.of(ids) for ids in runs.values()])
    ranked = [str(name) for name in last.median().sort_values(ascending=False, kind="stable").index]
    others = ranked[_NAMED:] if len(ranked) > _NAMED + 1 else []
    columns = wide[[name for name in ranked if name not in others]].copy()
    if others:
        columns[f"{len(others)} others"] = wide[others].sum(axis=1, min_count=1)

    def lines(frame: pd.DataFrame, _: Periods) -> tuple[Line, ...]:
        own = columns[columns.index.get_level_values("run_id").isin(frame["run_id"].unique())]
        final = share_periods(own)[1].median()
        return tuple(
            Line(
                findings.share_label(name, float(final[name])),
                own[name].droplevel("step").unstack(KEYS).sort_index(),
                (*COLOURS, REST)[min(place, _NAMED)],
                (*DASHES, REST_DASHES)[min(place, _NAMED)],
            )
            for place, name in enumerate(map(str, own))
        )

    what = f"Share of tokens served by provider; labels: mean of the last {years.word}; effective number 1/Σs²"
    panels = _panels(market, runs, years, lines, y_label="share of tokens served", scale="share")
    return Plate("shares", finding.title, _note(what, market, finding.remark), _rows(panels))


def volumes(market: pd.DataFrame) -> Plate:
    """Tokens, spend and price, each against its mean of the first year."""
    years, runs = market_periods(market), _beside(market)
    finding = findings.volumes(years)
    if runs:
        finding = findings.volumes_across([years.of(ids) for ids in runs.values()])

    def index(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
        values, base = paths(frame, measure), years.first[measure]
        return values / base.where(base > 0).reindex(values.columns)

    def lines(frame: pd.DataFrame, own: Periods) -> tuple[Line, ...]:
        return tuple(
            Line(findings.factor_label(name, own, measure), index(frame, measure), COLOURS[place], DASHES[place])
            for place, (measure, name) in enumerate(_VOLUMES)
        )

    note = _note(
        f"Tokens served, spend and revenue per token, each over its mean of the first {years.word}",
        market,
        finding.remark,
        f"Labels: last {years.word} over first." if years.span else "",
        _zero_note(market, _VOLUMES),
    )
    panels = _panels(market, runs, years, lines, y_label=f"first {years.word} = ×1, log", scale="factor")
    return Plate("volumes", finding.title, note, _rows(panels))


def _panels(
    market: pd.DataFrame,
    runs: dict[str, list[str]],
    years: Periods,
    lines: _Lines,
    *,
    y_label: str,
    scale: str,
    height: float = 3.3,
    headed: bool = True,
    timed: bool = True,
) -> list[Panel]:
    """One panel for everything, or one for each point to draw side by side."""
    if not runs:
        return [Panel(lines(market, years), y_label, scale, height, "", timed)]
    return [
        Panel(
            lines(market[market["run_id"].isin(ids)], years.of(ids)), y_label, scale, height * 0.8, name * headed, timed
        )
        for name, ids in runs.items()
    ]


def _rows(panels: list[Panel]) -> tuple[tuple[Panel, ...], ...]:
    return tuple(tuple(panels[place : place + 2]) for place in range(0, len(panels), 2))


def _beside(market: pd.DataFrame) -> dict[str, list[str]]:
    """The run ids of the points to draw side by side; empty for one point or too many."""
    found = points(market)
    return found if 1 < len(found) <= _MOST_PANELS else {}


def _note(what: str, market: pd.DataFrame, *remarks: str) -> str:
    """Say what line and band are and how many simulations stand behind them."""
    simulations = market.drop_duplicates(KEYS).set_index(KEYS).index
    line = findings.lines_and_bands(simulations, list(_beside(market).values()))
    return " ".join(part for part in (f"{what}.", line, *remarks) if part)


def _zero_note(market: pd.DataFrame, measures: tuple[tuple[str, str], ...]) -> str:
    return "Zeros have no place on a log axis and are left out." if _lowest(market, measures) <= 0 else ""


def _floor_note(market: pd.DataFrame) -> str:
    below = _lowest(market, (("lerner", ""),)) < FLOOR
    return f"A Lerner index below {decimals(FLOOR, 0)} is off the scale." if below else ""


def _lowest(market: pd.DataFrame, measures: tuple[tuple[str, str], ...]) -> float:
    """Lowest point of the lines that will be drawn."""
    return float(market.groupby(["run_id", "year"])[[measure for measure, _ in measures]].median().min().min())
