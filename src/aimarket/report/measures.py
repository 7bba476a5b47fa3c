"""What the market's columns are called in a sentence, and how their values are written."""

from collections.abc import Callable
from dataclasses import dataclass

from aimarket.report.format import count, decimals, money, percent, tokens
from aimarket.schema import TABLES

Write = Callable[[float], str]


@dataclass(frozen=True)
class Measure:
    """A column of the table `market`: its name in a sentence, its unit on an axis, how a value is written."""

    column: str
    name: str
    unit: str
    write: Write


def _tenths(value: float) -> str:
    return decimals(value, 1)


def _thousandths(value: float) -> str:
    return decimals(value, 3)


# In the order of the table of results.
_NAMED: dict[str, tuple[str, Write]] = {
    "price": ("price", money),
    "unit_cost": ("booked unit cost", money),
    "marginal_cost": ("marginal cost", money),
    "lerner": ("Lerner index", decimals),
    "effective_providers": ("effective providers", _tenths),
    "hhi": ("HHI", _thousandths),
    "leader_share": ("leader's share", percent),
    "utilisation": ("utilisation", percent),
    "tokens_served": ("tokens a month", tokens),
    "spend": ("spend a month", money),
    "adopted_users": ("adopted users", count),
    "net_income": ("net income a month", money),
}
SUMMARISED = tuple(_NAMED)


def measure(column: str) -> Measure:
    """Describe a column of the market, from the data dictionary where it has no name of its own."""
    unit = next(c.unit for c in TABLES["market"] if c.name == column)
    if column in _NAMED:
        name, write = _NAMED[column]
    else:
        name = column.replace("_", " ")
        write = money if unit.startswith("USD") else _thousandths if unit in ("1", "1/month") else count
    return Measure(column, name, "" if unit == "1" else unit, write)
