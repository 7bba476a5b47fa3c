"""The tables a run ends with: the market and its providers, in the first and in the last year."""

from collections.abc import Callable

import pandas as pd
from rich import box
from rich.table import Table

from aimarket.report.format import MISSING, between, decimals, percent
from aimarket.report.measures import SUMMARISED, measure
from aimarket.report.periods import KEYS, Periods, clean, market_periods, share_paths, share_periods

# What the tables need beside the keys.
COLUMNS = {"market": list(SUMMARISED), "providers": ["provider", "share", "active"]}


def summary_table(market: pd.DataFrame, providers: pd.DataFrame) -> Table:
    """Sum the market up: means over the first and last twelve months, medians and 5–95 % ranges over replications.

    market, providers : the recorded tables; a run shorter than two years is halved instead
    raises            : ValueError if nothing was recorded
    """
    market, providers = clean(market), clean(providers)
    periods = market_periods(market)
    table = _table(f"The market: {_simulations(periods)}", periods)
    for row in map(measure, SUMMARISED):
        name = row.name[0].upper() + row.name[1:]
        table.add_row(name, *_cells(periods.first[row.column], row.write), *_cells(periods.last[row.column], row.write))
    first, last = share_periods(share_paths(providers))
    table.add_row("Largest provider", *_largest(first), *_largest(last))
    table.caption = (
        "Price and costs per million tokens, weighted by tokens; Lerner index (p − c)/p on "
        "marginal cost, weighted by revenue; effective providers 1/Σs², s shares of tokens."
    )
    return table


def share_table(market: pd.DataFrame, providers: pd.DataFrame) -> Table:
    """List the providers' shares of tokens served, largest first, and say who left.

    market, providers : the recorded tables; a run shorter than two years is halved instead
    raises            : ValueError if nothing was recorded
    """
    market, providers = clean(market), clean(providers)
    periods = market_periods(market)
    first, last = share_periods(share_paths(providers))
    exits = _exits(providers)
    table = _table("Shares of tokens served", periods)
    if len(exits):
        table.add_column("", style="red")
    for name in last.median().sort_values(ascending=False, kind="stable").index:
        note = [_exit_note(exits, str(name), len(last))] if len(exits) else []
        table.add_row(str(name), *_cells(first[name], percent), *_cells(last[name], percent), *note)
    return table


def _table(title: str, periods: Periods) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.pad_edge = False
    table.add_column("", no_wrap=True)
    for which in ("First", "Last"):
        table.add_column(f"{which} {periods.word}", justify="right", no_wrap=True)
        if len(periods.last) > 1:
            table.add_column("5–95 %", style="dim", overflow="fold")
    return table


def _simulations(periods: Periods) -> str:
    index = periods.last.index
    runs = index.get_level_values("run_id").nunique()
    of_runs = f" of {runs} different runs" if runs > 1 else ""
    if len(index) == 1:
        return "one replication"
    return f"median and 5–95 % range of {len(index)} replications{of_runs}"


def _cells(values: pd.Series, write: Callable[[float], str]) -> list[str]:
    """Write the median, and where there are several simulations the range of the middle 90 %."""
    middle, low, high = (write(float(values.quantile(part))) for part in (0.5, 0.05, 0.95))
    return [middle] if len(values) == 1 else [middle, between(low, high)]


def _largest(shares: pd.DataFrame) -> list[str]:
    """Name the provider with the largest median share, and where there are several simulations in how many it leads."""
    middle = shares.median().dropna()
    name = str(middle.idxmax()) if len(middle) else MISSING
    if len(shares) == 1:
        return [name]
    ahead = int((shares[name] >= shares.max(axis=1)).sum()) if len(middle) else 0
    return [name, f"in {ahead} of {len(shares)}"]


def _exits(providers: pd.DataFrame) -> pd.DataFrame:
    """When each provider left: a row a simulation and provider that was in business once and is not at the end."""
    end = providers.groupby(KEYS)["year"].max().rename("end").reset_index()
    working = providers[providers["active"].astype(bool)]
    alive = working.groupby([*KEYS, "provider"], as_index=False)["year"].max().merge(end, on=KEYS)
    return pd.DataFrame(alive[alive["year"] < alive["end"]])


def _exit_note(exits: pd.DataFrame, name: str, simulations: int) -> str:
    years = exits.loc[exits["provider"] == name, "year"]
    if years.empty:
        return ""
    often = f" in {len(years)} of {simulations}" if simulations > 1 else ""
    return f"exited{often}, year {decimals(float(years.median()), 1)}"
