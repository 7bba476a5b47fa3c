"""Real prices and ratings: two committed, dated tables and the functions that read them.

`offers.csv` is made by `aimarket.data.refresh`; `catalogue.csv` says which models it holds; `SOURCES.md` states sources
and licences.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ListPrice:
    """What one provider lists for one model on one day, and how people rate the model."""

    provider: str
    model: str
    input_price: float  # USD/Mtok
    output_price: float  # USD/Mtok
    cached_price: float | None  # USD/Mtok of input read from the cache; None: not stated
    rating: float | None  # Arena rating, Elo points; None: not rated
    rating_low: float | None  # 95 % interval
    rating_high: float | None
    price_date: date  # day on which the list says the price is in force
    rating_date: date | None
    price_source: str
    rating_source: str  # empty if not rated
    note: str  # tiers, hours of the day, date of the last change; empty if one price says it all

    @property
    def key(self) -> str:
        return f"{self.provider}/{self.model}"


@cache
def list_prices() -> Mapping[str, ListPrice]:
    """The committed table of list prices, keyed `provider/model`."""
    return MappingProxyType(read_offers(FOLDER / "offers.csv"))


def read_offers(path: Path) -> dict[str, ListPrice]:
    """A table of list prices, keyed `provider/model`; ValueError with the line if a row is not valid."""
    prices: dict[str, ListPrice] = {}
    for number, row in enumerate(read_rows(path), start=2):
        try:
            price = parse_offer(row)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name} line {number}: {error}") from error
        if price.key in prices:
            raise ValueError(f"{path.name} line {number}: {price.key} stands twice")
        prices[price.key] = price
    return prices


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file as dictionaries of text."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name}: {error}") from error


def parse_offer(row: Mapping[str, str]) -> ListPrice:
    """One row of the table, checked."""
    price = ListPrice(
        provider=_text(row, "provider"),
        model=_text(row, "model"),
        input_price=_positive(row, "input_price"),
        output_price=_positive(row, "output_price"),
        cached_price=_positive(row, "cached_price") if row["cached_price"] else None,
        rating=_positive(row, "rating") if row["rating"] else None,
        rating_low=_positive(row, "rating_low") if row["rating_low"] else None,
        rating_high=_positive(row, "rating_high") if row["rating_high"] else None,
        price_date=date.fromisoformat(row["price_date"]),
        rating_date=date.fromisoformat(row["rating_date"]) if row["rating_date"] else None,
        price_source=_text(row, "price_source"),
        rating_source=row["rating_source"],
        note=row["note"],
    )
    if price.cached_price is not None and price.cached_price > price.input_price:
        raise ValueError(f"{price.key}: cached_price is above input_price")
    _check_rating(price)
    return price


def _check_rating(price: ListPrice) -> None:
    """A rating comes whole, with interval, date and source, or not at all."""
    parts = (price.rating, price.rating_low, price.rating_high, price.rating_date, price.rating_source or None)
    if all(part is None for part in parts):
        return
    if price.rating is None or price.rating_low is None or price.rating_high is None or None in parts:
        raise ValueError(f"{price.key}: rating, interval, date and source come together")
    if not price.rating_low <= price.rating <= price.rating_high:
        raise ValueError(f"{price.key}: rating is outside its interval")


def _text(row: Mapping[str, str], column: str) -> str:
    if not row[column]:
        raise ValueError(f"{column} is empty")
    return row[column]


def _positive(row: Mapping[str, str], column: str) -> float:
    value = float(row[column])
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{column} should be a positive number (got {row[column]})")
    return value
