"""What algorithms learnt to ask: the table `aimarket collusion` ends with, and the one its help shows."""

from collections.abc import Iterable

from rich import box
from rich.table import Table

from aimarket.algorithmic_collusion import Outcome
from aimarket.report.format import count, decimals


def collusion_table(outcome: Outcome) -> Table:
    """Anchors, convergence and the profit gain with its standard error."""
    anchors, sessions = outcome.anchors, len(outcome.gain)
    done = outcome.converged
    mean = float(outcome.periods[done].mean()) if done.any() else float("nan")
    rows = [
        ("Bertrand price, profit", f"{anchors.bertrand_price:.4f}, {anchors.bertrand_profit:.4f}"),
        ("Monopoly price, profit", f"{anchors.monopoly_price:.4f}, {anchors.monopoly_profit:.4f}"),
        ("Sessions converged", f"{done.sum():,} of {sessions:,}"),
        ("Periods to convergence", count(mean)),
        ("Profit gain", decimals(outcome.mean_gain, 3)),
        ("Its standard error", decimals(outcome.standard_error, 3)),
        ("Periods a second and core", count(float(outcome.periods.sum()) / outcome.seconds)),
    ]
    table = _table("Algorithmic collusion")
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    table.caption = "Profit gain: (profit − Bertrand)/(monopoly − Bertrand), average firm, converged sessions."
    return table


def settings_table(rows: Iterable[tuple[str, str, str, str]]) -> Table:
    """Keys of the command: name, the paper's symbol, default, what is allowed."""
    table = _table("Keys")
    for head in ("key", "symbol", "default", "allowed"):
        table.add_column(head)
    for row in rows:
        table.add_row(*row)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", caption_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
