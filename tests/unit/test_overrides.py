"""Overrides read without Hydra mean what they mean to Hydra."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from aimarket import composition, overrides
from aimarket.complaints import SettingsError

_PIECES = ["a", "e", "E", "inf", "NaN", "null", "True", "false", "0", "1", "10", "_", ".", "-", "+", "/", "$", ":", ","]
_PIECES += ["[", "]", "{", "}", "'", '"', " ", "\\", "=", "~", "@", "é", "٣", "%", "*", "?", "run", "seed"]


@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4), st.lists(st.sampled_from(_PIECES), max_size=6))
@example(["run"], ["1", ".", "0", "e", "-", "1"])
@example(["run"], ["/", "a", ".", "1", "e", "1", "0"])
@example(["run", ".", "seed"], ["+", "0", "1"])
@example(["run", "/", "seed"], ["NaN", ".", "1"])
def test_what_is_read_is_what_hydra_reads(key, value):
    text = f"{''.join(key)}={''.join(value)}"
    if (read := overrides._parse(text)) is None:
        return  # left to Hydra
    item = OverridesParser.create().parse_override(text)
    assert (item.key_or_group, item.value()) == read
    assert type(item.value()) is type(read[1])
    assert composition._is_plain_value(item) or composition._is_group(item)


@pytest.mark.parametrize("value", ["3", "-0.5", "1e-3", "true", "NULL", "a-b.c", "/tmp/x1", "limit/bertrand", "real"])
def test_common_values_are_read(value):
    assert overrides._parse(f"run.seed={value}") is not None


@pytest.mark.parametrize("value", ["", "1,2", "[1]", "'a'", "${run.seed}", "???", "inf", "-nan", "1_000", "a b", "~"])
def test_others_are_left_to_hydra(value):
    assert overrides._parse(f"run.seed={value}") is None


@pytest.mark.parametrize(
    "wrong", ["run.seeed=1", "run.seed.deeper=1", "nothing=1", "roster=none_such", "roster=3", "run/seed=3", "study"]
)
def test_errors_are_told_as_before(wrong):
    with pytest.raises(SettingsError) as expected:
        composition.compose_plain(["roster=monopoly", wrong])
    with pytest.raises(SettingsError) as told:
        overrides.compose_plain(["roster=monopoly", wrong])
    assert str(told.value) == str(expected.value)


@pytest.mark.parametrize(
    "chosen",
    [
        [],
        ["roster=duopoly", "run.seed=3", "run.seed=4"],
        ["run.steps=5", "experiment=maturity/contestable", "outputs=/tmp/x"],
        ["finance.equity=null", "users.size=100"],
    ],
)
def test_what_was_composed_before_needs_no_hydra(chosen, monkeypatch):
    expected = composition.compose_plain(chosen)  # and is kept
    monkeypatch.setattr(composition, "compose_plain", lambda overrides: pytest.fail("composed again"))
    assert overrides.compose_plain(chosen) == expected
    assert list(overrides.compose_plain(chosen)) == list(expected)


def test_a_list_goes_to_hydra():
    assert overrides.compose_plain(["record.tables=[market]"])["record"]["tables"] == ["market"]
