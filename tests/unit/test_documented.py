"""Documented numbers: what `split` takes apart, and how it complains."""

import pytest

from aimarket.documented import Documented, parse, split

PRICE = {"value": 25000, "unit": "USD/GPU", "range": [15000, 40000], "source": "Epoch AI"}


def test_split_puts_values_in_place_and_keeps_the_rest() -> None:
    config = {
        "study": "x",
        "hardware": {"start": "2026-10", "H100": {"price": PRICE, "life": 60}},
        "tables": ["a"],
    }
    plain, documented = split(config)
    assert plain == {
        "study": "x",
        "hardware": {"start": "2026-10", "H100": {"price": 25000, "life": 60}},
        "tables": ["a"],
    }
    assert documented == {"hardware.H100.price": Documented(25000, "USD/GPU", (15000, 40000), "Epoch AI")}


def test_split_leaves_its_argument_alone() -> None:
    config = {"price": dict(PRICE)}
    split(config)
    assert config == {"price": PRICE}


def test_a_list_is_one_documented_number() -> None:
    plain, documented = split({"flat": {**PRICE, "value": [1, 1.5], "range": [0, 1]}})
    assert plain == {"flat": [1, 1.5]}
    assert documented["flat"].value == (1, 1.5)
    assert not documented["flat"].is_plausible


def test_an_assumption_says_so() -> None:
    assert parse({**PRICE, "source": "assumption: because"}, "x").is_assumption
    assert not parse(PRICE, "x").is_assumption


@pytest.mark.parametrize(
    ("node", "fault"),
    [
        ({"value": 1}, "unit, range, source missing"),
        ({"unit": "USD"}, "value, range, source missing"),
        ({**PRICE, "note": "x"}, "got note"),
        ({**PRICE, "value": "dear"}, "value should be a number"),
        ({**PRICE, "value": True}, "value should be a number"),
        ({**PRICE, "value": None}, "value should be a number"),
        ({**PRICE, "value": []}, "value should be a number"),
        ({**PRICE, "range": [2, 1]}, "range should be"),
        ({**PRICE, "range": 3}, "range should be"),
        ({**PRICE, "range": [1, 2, 3]}, "range should be"),
        ({**PRICE, "unit": 1}, "unit should be text"),
        ({**PRICE, "unit": " "}, "unit should be text"),
        ({**PRICE, "source": None}, "source should be text"),
    ],
)
def test_a_malformed_node_is_named(node: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=rf"^hardware\.H100\.price: .*{fault}"):
        split({"hardware": {"H100": {"price": node}}})
