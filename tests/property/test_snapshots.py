"""A market written down and brought back is the market, to the byte, whatever it is made of and whenever it is done."""

import dataclasses
import gc
import json
import math
import struct
import weakref
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from compositions import composed
from drawing import TINY, Hypothesis, base_of, draw_from
from everything import everything
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aimarket import Market, snapshots
from aimarket.configuration import validate
from aimarket.recording import Recorder
from aimarket.settings import Settings
from aimarket.snapshots import Snapshot, restore, take

QUIET = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def sent(snapshot: Snapshot) -> Snapshot:
    """A snapshot as it comes back from a file."""
    return Snapshot(json.loads(json.dumps(snapshot.tree, allow_nan=False)), snapshot.data)


def written_down(market: Market) -> tuple[str, bytes, list[bytes]]:
    """All of a market."""
    snapshot, chunks = take(market), market.population.strata.chunks
    users = [column.tobytes() for chunk in chunks for column in market.population.state(*chunk).values()]
    return json.dumps(snapshot.tree), snapshot.data, users


def taken_up(market: Market) -> Market:
    """Another market of the same settings, brought to the state of this one by what is written down of it."""
    other, chunks = Market(market.settings, market.replication), market.population.strata.chunks
    users = {chunk: {k: x.copy() for k, x in market.population.state(*chunk).items()} for chunk in chunks}
    restore(other, sent(take(market)))
    other.population.restore(lambda start, stop: users[start, stop])
    return other


def recorded(market: Market) -> list[Any]:
    """The rows of the last step, as they would be written."""
    recorder = Recorder("run")
    for table, columns in market.tables.items():
        recorder.add(table, 0, market.steps, market.years, columns)
    return [table.to_pydict() for table in recorder.take().tables.values()]


def go_on(settings: Settings, steps: int, at: int) -> None:
    """A market that goes through is compared, step by step, with one taken up on the way."""
    market = Market(settings)
    for _ in range(at):
        market.step()
    again = taken_up(market)
    assert written_down(again) == written_down(market)
    for _ in range(at, steps):
        market.step()
        again.step()
        assert repr(recorded(again)) == repr(recorded(market))
        assert written_down(again) == written_down(market)


@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_with_every_mechanism_on(at: int) -> None:
    go_on(validate(everything()), 10, at)


@pytest.mark.parametrize("roster", ["oligopoly", "real"])
def test_whatever_is_drawn(roster: str) -> None:
    """Groups, rules, switches, policies and numbers in their ranges: none of the state is forgotten, or unknown."""
    base = base_of(roster)

    @settings(QUIET, max_examples=12)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        drawn = draw_from(Hypothesis(data.draw), base)
        go_on(validate(drawn.config(base)), TINY["run.steps"] + 1, data.draw(st.integers(0, TINY["run.steps"])))

    run()


@pytest.fixture(scope="module")
def small() -> Settings:
    return validate(composed("roster=duopoly", "users.size=100", "run.panel=30", "run.steps=3"))


def bits(value: Any) -> Any:
    """A value so that only the same one is equal to it, to the last bit, type and layout."""
    if isinstance(value, np.ndarray):
        apart = [(n, by) for n, by in zip(value.shape, value.strides, strict=True) if n > 1] if value.size else []
        return "array", value.dtype.str, value.shape, apart, value.tobytes()
    if isinstance(value, np.generic):
        return "scalar", value.dtype.str, value.tobytes()
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, dict):
        return type(value), [(bits(key), bits(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [bits(item) for item in value]
    return type(value), value


def any_float() -> st.SearchStrategy[float]:
    """Every pattern of bits: also infinities, zeros of both signs, and numbers that are none of many kinds."""
    patterns = st.binary(min_size=8, max_size=8).map(lambda pattern: struct.unpack("<d", pattern)[0])
    return st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, 5e-324]) | st.floats() | patterns


def any_array() -> st.SearchStrategy[Any]:
    kinds = arrays.floating_dtypes(sizes=(32, 64)) | arrays.integer_dtypes() | arrays.boolean_dtypes()
    made = arrays.arrays(kinds, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    return made | made.map(lambda array: array.T) | made.map(lambda array: np.stack([array, array], axis=-1)[..., 0])


def anything() -> st.SearchStrategy[Any]:
    """What a rule might remember."""
    scalars = arrays.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), ()).map(lambda x: x[()])
    plain = st.none() | st.booleans() | st.integers() | any_float() | st.text() | scalars | any_array()
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.tuples(st.text(), st.text()), any_float()).map(lambda sums: defaultdict(float, sums)),
    )  # fmt: skip


def test_whatever_a_rule_remembers_comes_back_to_the_last_bit(small: Settings) -> None:
    market = Market(small)

    @settings(QUIET, max_examples=200)
    @given(anything())
    def remember(value: Any) -> None:
        memory = {"it": value, "again": value, "all": [value]}
        market.providers[0].memory["pricing"] = memory
        restore(market, sent(take(market)))
        back = market.providers[0].memory["pricing"]
        assert bits(back) == bits(memory)
        if isinstance(value, list | dict | np.ndarray):
            assert back["again"] is back["it"] is back["all"][0] is not value

    remember()


def test_what_is_shared_stays_shared_and_what_follows_from_the_settings_is_theirs(small: Settings) -> None:
    market = Market(small)
    market.step()
    cycle: list[Any] = []
    cycle.append(cycle)
    market.providers[0].memory["pricing"] = {"cycle": cycle}
    again = Market(small)
    restore(again, sent(take(market)))
    assert again.panel.menu is again.panel_menu
    assert again.panel_menu.price is again.price
    assert again.panel_menu.brand is again.catalogue.provider
    assert again.providers[0].settings is small.providers[again.providers[0].name]
    assert again.panel.settings is small.users
    mine = again.providers[0].memory["pricing"]["cycle"]
    assert mine[0] is mine


def test_what_nobody_listed_is_refused_by_its_place(small: Settings) -> None:
    @dataclasses.dataclass
    class Belief:
        mean: float = 0.0

    market = Market(small)
    for unknown in (Belief(), {1, 2}, np.array([None]), np.array(["text"]), defaultdict(list), object()):
        market.providers[1].memory["capacity"]["belief"] = unknown
        with pytest.raises(TypeError, match=r"providers\[1\]\.memory\['capacity'\]\['belief'\]"):
            take(market)


def test_a_state_of_another_shape_is_refused(small: Settings) -> None:
    market = Market(small)
    market.step()
    for change in (
        lambda tree: tree["state"].update(price={"object": 10**6}),
        lambda tree: tree["state"].update(price={"given": "settings/nowhere"}),
        lambda tree: tree["state"].update(price={"call": "os.system"}),
        lambda tree: next(node["Experience"] for node in tree["objects"] if "Experience" in node).pop("served"),
        lambda tree: tree["objects"].__setitem__(0, {"Popen": {}}),
    ):
        snapshot = sent(take(market))
        change(snapshot.tree)
        with pytest.raises((LookupError, ValueError)):
            restore(Market(small), snapshot)


def test_no_array_of_a_state_is_a_part_of_another() -> None:
    """Else writing into one of them would change the other before, and not after."""
    market = Market(validate(everything()))
    for _ in range(10):
        market.step()
        writer = snapshots._Writer({})
        for name, value in snapshots._parts(market).items():
            if name not in ("providers", "panel", "panel_menu"):
                writer.value(value, name)
        met = [array for array in writer._met if isinstance(array, np.ndarray) and array.size]
        assert len(met) > 50
        met.sort(key=lambda array: array.__array_interface__["data"][0])
        assert not any(np.shares_memory(array, other) for array, other in pairwise(met))


def test_what_follows_from_the_settings_never_changes() -> None:
    market, fresh = (Market(validate(everything())) for _ in range(2))
    for _ in range(10):
        market.step()
    lived, new = snapshots._given(market), snapshots._given(fresh)
    assert lived.keys() == new.keys()
    assert {place: bits(thing) for place, thing in lived.items() if isinstance(thing, np.ndarray)} == {
        place: bits(thing) for place, thing in new.items() if isinstance(thing, np.ndarray)
    }
    for name in snapshots._FROM_SETTINGS:
        assert isinstance(getattr(market, name), type(getattr(fresh, name))), name


def test_a_panel_goes_with_the_step_that_asked_it(small: Settings) -> None:
    """Without the garbage collector, which would come late to some megabytes a step."""
    market = Market(small)
    gc.disable()
    try:
        market.step()
        gone = weakref.ref(market.panel), weakref.ref(market.panel.standing)
        market.step()
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
