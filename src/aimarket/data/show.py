"""What a run starts from and where each number comes from, as tables for the terminal."""

from collections.abc import Iterable, Mapping

from rich.table import Table

from aimarket.data import ListPrice
from aimarket.documented import Documented

RATED_AS = "; rated as "


def describe(documented: Mapping[str, Documented], prices: Mapping[str, ListPrice]) -> list[Table]:
    """Two tables: the list prices in `prices` and every number in `documented`."""
    return [offers_table(prices.values()), numbers_table(documented)]


def offers_table(prices: Iterable[ListPrice]) -> Table:
    """Offers with price, rating, dates and source."""
    prices = sorted(prices, key=lambda price: price.key)
    raters = sorted({price.rating_source.partition(RATED_AS)[0] for price in prices if price.rating_source})
    caption = f"Ratings: {'; '.join(raters)}" if raters else None
    title = "List prices, USD per million tokens, and ratings of the model"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for name in ("provider", "model"):
        table.add_column(name, overflow="fold")
    for name in ("input", "cached", "output", "rating"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("price on", "rated on", "source"):
        table.add_column(name, overflow="fold")
    for price in prices:
        amounts = (number(price.input_price), number(price.cached_price), number(price.output_price))
        rated = "".join(price.rating_source.partition(RATED_AS)[1:]).lstrip("; ")
        sources = "; ".join(filter(None, [price.price_source, price.note, rated]))
        dates = (price.price_date.isoformat(), price.rating_date.isoformat() if price.rating_date else "–")
        table.add_row(price.provider, price.model, *amounts, interval(price), *dates, sources)
    return table


def numbers_table(documented: Mapping[str, Documented]) -> Table:
    """Every documented number of the configuration; assumptions are marked by their source."""
    assumed = sum(item.is_assumption for item in documented.values())
    table = Table(title=f"{len(documented)} documented numbers, {assumed} of them assumptions", title_justify="left")
    table.add_column("key", overflow="fold")
    table.add_column("value", justify="right", overflow="fold")
    table.add_column("unit")
    table.add_column("range", no_wrap=True)
    table.add_column("source", overflow="fold")
    for key, item in documented.items():
        bounds = f"{number(item.range[0])} – {number(item.range[1])}"
        style = None if item.is_plausible else "red"
        table.add_row(key, amount(item.value), item.unit, bounds, item.source, style=style)
    return table


def amount(value: float | tuple[float, ...]) -> str:
    """A number, or the ends of a long list."""
    if not isinstance(value, tuple):
        return number(value)
    shown = [number(item) for item in value]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], "…", shown[-1]])


def number(value: float | None) -> str:
    """A number as a reader writes it: thousands parted, four significant digits."""
    if value is None:
        return "–"
    if value and not 1e-3 <= abs(value) < 1e9:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval(price: ListPrice) -> str:
    """A rating and the half-width of its interval."""
    if price.rating is None or price.rating_low is None or price.rating_high is None:
        return "–"
    return f"{price.rating:.0f} ± {(price.rating_high - price.rating_low) / 2:.0f}"
