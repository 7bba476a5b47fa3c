"""Real input: the committed tables, how they are made again, and the numbers in `conf/`."""

import csv
import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from aimarket.data import FOLDER, list_prices, parse_offer, read_offers, read_rows
from aimarket.data.show import describe
from aimarket.documented import NODE_KEYS, Documented, split

CONF = Path(__file__).parents[2] / "conf"
# Textbook markets have units and zeros for numbers; nothing in them is measured.
OWN = sorted(
    path
    for group in ("hardware", "geography", "provider", "roster")
    for path in (CONF / group).rglob("*.yaml")
    if path.stem != "textbook"
)
UNDOCUMENTED = {"utc_offset", "latitude", "longitude", "gpus"}  # places and clocks; gpus: 0 is what a reseller is


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def documented(path: Path) -> dict[str, Documented]:
    return split({key: value for key, value in load(path).items() if key != "defaults"})[1]


def bare_numbers(item: Any, key: str = "") -> Iterator[str]:
    """Keys of numbers that no node documents."""
    if isinstance(item, dict):
        if not any(name in item for name in NODE_KEYS):
            for name, value in item.items():
                yield from bare_numbers(value, f"{key}.{name}")
    elif isinstance(item, int | float) and not isinstance(item, bool):
        yield key


# --- the table of list prices -----------------------------------------------------------------------------------------


def test_every_row_is_valid_and_dated() -> None:
    prices = list_prices()
    assert 60 <= len(prices) <= 150
    assert {price.price_date for price in prices.values()} == {date(2026, 11, 22)}
    assert all(price.key == key and price.price_source.startswith("genai-prices ") for key, price in prices.items())
    assert all("CC BY 4.0" in price.rating_source for price in prices.values() if price.rating is not None)


def test_the_trap_of_resold_models_is_avoided() -> None:
    assert not [key for key in list_prices() if "claude" in key and not key.startswith("anthropic/")]


def test_known_prices_and_rules() -> None:
    prices = list_prices()
    argon, flash = prices["google/gemini-4-argon"], prices["deepseek/deepseek-flash"]
    assert (argon.input_price, argon.output_price, argon.rating) == (2, 10, 1523.9)  # 4 and 20 from 2026-12-01
    assert argon.note == "a new price is announced for 2026-12-01"
    assert flash.input_price == pytest.approx((17 * 0.15 + 7 * 0.30) / 24)  # dearer in seven hours of the day
    assert prices["openai/gpt-6.1-sol"].note.startswith("base tier")


def test_ratings_come_from_the_hand_checked_column() -> None:
    ratings = {row["model"]: row for row in read_rows(FOLDER / "ratings.csv")}
    catalogue = {f"{row['provider']}/{row['model']}": row for row in read_rows(FOLDER / "catalogue.csv")}
    assert catalogue.keys() == list_prices().keys()
    for key, price in list_prices().items():
        name = catalogue[key]["rating_model"]
        assert (price.rating is None) == (name == ""), key
        if name:
            assert price.rating == float(ratings[name]["rating"]), key


def test_refresh_reproduces_the_committed_table(tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    committed = (FOLDER / "offers.csv").read_bytes()
    if f"genai-prices {version('genai-prices')} " not in committed.decode():
        pytest.skip("the table was made with another version of genai-prices")
    from aimarket.data.refresh import refresh

    assert refresh(date(2026, 11, 22), tmp_path).read_bytes() == committed
    assert [path.name for path in tmp_path.iterdir()] == ["offers.csv"]


def test_refresh_takes_the_price_of_the_day(tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    from aimarket.data.refresh import refresh

    later = read_offers(refresh(date(2027, 1, 1), tmp_path))
    assert later["google/gemini-4-argon"].output_price == 20
    assert later["openai/gpt-6.1-sol"].price_date == date(2027, 1, 1)


def test_refresh_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from aimarket.data.refresh import refresh

    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    with pytest.raises(ImportError, match=r"install aimarket\[data\]"):
        refresh(date(2026, 11, 22), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("input_price", "0", "input_price should be a positive number"),
        ("output_price", "nan", "output_price should be a positive number"),
        ("cached_price", "1e9", "cached_price is above input_price"),
        ("rating", "", "come together"),
        ("rating_low", "9999", "outside its interval"),
        ("price_source", "", "price_source is empty"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, column: str, value: str, fault: str) -> None:
    row = next(row for row in read_rows(FOLDER / "offers.csv") if row["rating"] and row["cached_price"])
    assert parse_offer(row)
    with (tmp_path / "bad.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row | {column: value})
    with pytest.raises(ValueError, match=rf"bad\.csv line 2: .*{fault}"):
        read_offers(tmp_path / "bad.csv")


# --- the numbers in conf/ ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(CONF)))
def test_every_number_is_documented_and_plausible(path: Path) -> None:
    bare = [key for key in bare_numbers(load(path)) if key.rpartition(".")[2] not in UNDOCUMENTED]
    assert bare == []
    assert [key for key, item in documented(path).items() if not item.is_plausible] == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(CONF)))
def test_no_machine_path_in_conf(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [word for word in ("/work", "/home", "/tmp", "shared/") if word in text]


def test_every_model_of_the_roster_is_in_the_table() -> None:
    providers = load(CONF / "roster" / "real.yaml")["providers"]
    selling = {name: provider for name, provider in providers.items() if provider.get("offers")}
    models = [offer["model"] for provider in selling.values() for offer in provider["offers"].values()]
    assert 8 <= len(selling) <= 15
    assert all(len(provider["offers"]) <= 3 for provider in selling.values())
    assert [model for model in models if model not in list_prices()] == []
    assert [model for model in models if list_prices()[model].rating is None] == []
    for provider in providers.values():
        for offer in provider["offers"].values():
            assert len({"throughput", "margin", "wholesale"} & offer.keys()) == 1


def test_profiles_have_24_hours_and_mean_1() -> None:
    for name in ("default", "single"):
        profiles = split(load(CONF / "geography" / f"{name}.yaml"))[0]["profiles"]
        assert profiles.keys() == {"conversation", "code", "flat"}
        for hours in profiles.values():
            assert len(hours) == 24
            assert sum(hours) / 24 == pytest.approx(1, abs=1e-9)


def test_throughput_follows_its_formula() -> None:
    values = documented(CONF / "hardware" / "default.yaml")
    assert values["generations.A100.throughput"].value == pytest.approx((2039 / 3350 * 624 / 1979) ** 0.5, abs=1e-3)
    assert values["generations.B200.throughput"].value == pytest.approx((8000 / 3350 * 5000 / 1979) ** 0.5, abs=1e-3)


def test_show_says_where_each_number_comes_from() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        for table in describe(documented(CONF / "hardware" / "default.yaml"), list_prices()):
            console.print(table)
    text = capture.get()
    assert "generations.H100.price" in text
    assert "Epoch AI" in text
    assert "claude-opus-5-5" in text
    assert "1509 ± 7" in text
