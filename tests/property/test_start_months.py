"""Every policy and every shock of the configuration changes something from its month on, and nothing before it."""

import functools
from typing import Any

import pandas as pd
import pytest
from compositions import composed, option
from drawing import options
from invariance import assert_same_bits, rows

from aimarket import simulate
from aimarket.configuration import validate
from aimarket.recording import Recording
from aimarket.schema import TABLES

START, STEPS = 3, 8  # of the policy or shock, months; of the run
IDLE = {
    ("policy", "none"),
    ("policy", "merger_blocked"),
    ("shock", "none"),
}  # change nothing: that is what they are for
CASES = [(group, name) for group in ("policy", "shock") for name in options(group) if (group, name) not in IDLE]


def config_with(**groups: str) -> dict[str, Any]:
    """The default roster, small; GPUs scarce and soon there, so that what befalls them shows within the run."""
    config = composed("users.size=600", "run.panel=150", f"run.steps={STEPS}")
    config |= {group: option(group, name) for group, name in groups.items()}
    config["hardware"] |= {"lead_time": 1, "new_site_lead_time": 2, "supply": 1e5}
    return config


@functools.cache
def without() -> Recording:
    return simulate(validate(config_with()))


def until(recording: Recording, table: str, step: int) -> pd.DataFrame:
    return rows(recording, table).query("step <= @step").reset_index(drop=True)


@pytest.mark.parametrize(("group", "name"), CASES)
def test_it_changes_something_from_its_month_on_and_nothing_before(group: str, name: str) -> None:
    """To the bit, in every table; month m is the step m + 1, and some effects take a step or two to show."""
    config = config_with(**{group: name})
    config[group]["start"] = START
    if name == "price_cap":  # binds, as what is asked later in the default run does
        config[group]["price_cap"] = 1.0
    done = simulate(validate(config))
    for table in TABLES:
        pd.testing.assert_frame_equal(until(without(), table, START), until(done, table, START), check_exact=True)
    changed_in = [
        step
        for step in range(START + 1, STEPS + 1)
        if not until(without(), "market", step).equals(until(done, "market", step))
    ]
    assert changed_in, "nothing changed"
    assert changed_in[0] <= START + 3


@pytest.mark.parametrize(("group", "name"), sorted(IDLE))
def test_what_is_idle_changes_nothing(group: str, name: str) -> None:
    config = config_with(**{group: name})
    config[group]["start"] = START
    assert_same_bits(without(), simulate(validate(config)))


@pytest.mark.parametrize("name", [name for name in options("shock") if name != "none"])
def test_a_shock_ends(name: str) -> None:
    """A shock of no months is none, and one of two months is over before one of four is."""
    lasting = {}
    for months in (0, 2, 4):
        config = config_with(shock=name)
        config["shock"] |= {"start": START, "months": months}
        lasting[months] = simulate(validate(config))
    assert_same_bits(without(), lasting[0])
    for table in TABLES:
        two, four = (until(lasting[months], table, START + 2) for months in (2, 4))
        pd.testing.assert_frame_equal(two, four, check_exact=True)
    assert not rows(lasting[2], "market").equals(rows(lasting[4], "market"))
