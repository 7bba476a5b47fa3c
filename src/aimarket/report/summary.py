"""The tables a run ends with: the market and its providers, in the first and in the last year."""

from collections.abc import Callable

import numpy as np
from rich import box
from rich.table import Table

from aimarket.report.format import MISSING, between, decimals, percent
from aimarket.report.measures import SUMMARISED, measure
from aimarket.report.years import Columns, Floats, Shares, Years

# What the tables need beside the keys.
COLUMNS = {"market": list(SUMMARISED), "providers": ["provider", "share", "active"]}


def summary_table(market: Columns, providers: Columns, over: str = "") -> Table:
    """Sum a run up: means over the first and last twelve months, medians and 5–95 % ranges over replications.

    market, providers : the recorded tables; a run shorter than two years is halved instead
    over              : what the replications are called, and how many there are; by default "8 replications"
    raises            : ValueError if nothing was recorded
    """
    years, shares = Years(market), Shares(providers)
    table = _table(f"The market: {_simulations(years.replications, over)}", years)
    for row in map(measure, SUMMARISED):
        first, last = years.means(row.column)
        name = row.name[0].upper() + row.name[1:]
        table.add_row(name, *_cells(first, row.write), *_cells(last, row.write))
    first, last = shares.of_years
    table.add_row("Largest provider", *_largest(shares.names, first), *_largest(shares.names, last))
    table.caption = (
        "Price and costs per million tokens, weighted by tokens; Lerner index (p − c)/p on "
        "marginal cost, weighted by revenue; effective providers 1/Σs², s shares of tokens."
    )
    return table


def share_table(market: Columns, providers: Columns) -> Table:
    """List the providers' shares of tokens served, largest first, and say who left.

    market, providers : the recorded tables; a run shorter than two years is halved instead
    raises            : ValueError if nothing was recorded
    """
    years, shares = Years(market), Shares(providers)
    first, last = shares.of_years
    table = _table("Shares of tokens served", years)
    anybody_left = not np.isnan(shares.exit_year).all()
    if anybody_left:
        table.add_column("", style="red")
    for i in np.argsort([-_quantile(column, 0.5) for column in last.T], kind="stable"):
        note = [_exit_note(shares.exit_year[:, i])] if anybody_left else []
        table.add_row(shares.names[i], *_cells(first[:, i], percent), *_cells(last[:, i], percent), *note)
    return table


def _table(title: str, years: Years) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.pad_edge = False
    table.add_column("", no_wrap=True)
    for which in ("First", "Last"):
        table.add_column(f"{which} {years.word}", justify="right", no_wrap=True)
        if years.replications > 1:
            table.add_column("5–95 %", style="dim", overflow="fold")
    return table


def _simulations(replications: int, over: str) -> str:
    if replications == 1:
        return "one replication"
    return f"median and 5–95 % range of {over or f'{replications} replications'}"


def _cells(values: Floats, write: Callable[[float], str]) -> list[str]:
    """Write the median, and where there are several replications the range of the middle 90 %."""
    middle, low, high = (write(_quantile(values, part)) for part in (0.5, 0.05, 0.95))
    return [middle] if len(values) == 1 else [middle, between(low, high)]


def _quantile(values: Floats, part: float) -> float:
    """Of those that are known; nan if none is."""
    known = values[~np.isnan(values)]
    return float(np.quantile(known, part)) if len(known) else np.nan


def _largest(names: list[str], shares: Floats) -> list[str]:
    """Name the provider with the largest median share, and where there are several replications in how many it leads.

    shares : (replications, P) float
    """
    middle = np.array([_quantile(column, 0.5) for column in shares.T])
    if np.isnan(middle).all():
        leader, ahead = MISSING, 0
    else:
        best = int(np.nanargmax(middle))
        leader, ahead = names[best], int((shares[:, best] >= np.fmax.reduce(shares, axis=1)).sum())
    return [leader] if len(shares) == 1 else [leader, f"in {ahead} of {len(shares)}"]


def _exit_note(exit_year: Floats) -> str:
    """When somebody left, if so; nan in replications in which he did not."""
    left = exit_year[~np.isnan(exit_year)]
    if not len(left):
        return ""
    often = f" in {len(left)} of {len(exit_year)}" if len(exit_year) > 1 else ""
    return f"exited{often}, year {decimals(float(np.median(left)), 1)}"
