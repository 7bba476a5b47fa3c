"""One battery for every rule: it runs on whatever stands on the shelves, so a new rule is tested by being there."""

import copy
import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
from compositions import composed, option
from compositions import made_rule as rule

from aimarket import Market
from aimarket.configuration import validate
from aimarket.population import Menu
from aimarket.rng import Streams
from aimarket.settings import SHELVES, rule_kinds
from aimarket.views import Panel, View

RULES = [(shelf, kind) for shelf in SHELVES for kind in rule_kinds(shelf)]
SMALL = ("users.size=400", "run.panel=120", "run.steps=4")
MARKETS = {  # name: overrides
    "labs": ("roster=duopoly", *SMALL),
    "real": ("roster=real", *SMALL),
    "hosts": ("roster=oligopoly", "technology=thesis", *SMALL),
    "dollars": ("roster=oligopoly", "users.price_metric=linear", "policy=portability", *SMALL),
    "textbook": ("roster=textbook", "users=textbook", "geography=single", "technology=frozen", *SMALL),
}
STREAMS = Streams(seed=1, replication=0)
# What is money in a view; sensitivity to price too where price enters utility in dollars.
USD = {
    View: (
        *("costs", "prices", "newcomer_prices", "price_cap"),
        *("revenue", "cash", "credit", "burn", "owning_cost", "working_cost"),
        *("training_effort", "training_scale"),
    ),
    Panel: ("time_price", "contract_price"),
    Menu: ("price", "newcomer_price"),
}


_VIEWS: dict[str, list[View]] = {}


def views(market: str) -> list[View]:
    """What the firms of a market see after four steps, one in trouble with money among them."""
    if market not in _VIEWS:
        running = Market(validate(composed(*MARKETS[market])))
        for _ in range(running.settings.run.steps):
            running.step()
        seen = [running.view(provider) for provider in running.active_providers]
        _VIEWS[market] = [*seen, dataclasses.replace(seen[0], cash=-1e6, credit=0.0, burn=1e6, revenue=0.0, users=0.0)]
    return _VIEWS[market]


def snapshot(view: View) -> list[bytes]:
    """Every array and number of a view and what it holds, to the bit."""
    parts: list[bytes] = []
    for item in (view, view.menu, view.panel):
        for field in dataclasses.fields(item):
            value = getattr(item, field.name)
            parts.append(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return parts


def decide(shelf: str, rule: Any, view: View, memory: dict[str, Any]) -> np.ndarray:
    """What the rule decides, as an array."""
    method = {"pricing": "quote", "capacity": "order", "training": "outlay"}[shelf]
    return np.asarray(getattr(rule, method)(view, memory, STREAMS))


def richer(view: View, factor: float) -> View:
    """The same view with every amount of money times a factor."""

    def scaled(item: Any, **changes: Any) -> Any:
        return dataclasses.replace(item, **{name: getattr(item, name) * factor for name in USD[type(item)]}, **changes)

    settings = dataclasses.replace(view.settings, reference_price=view.settings.reference_price * factor)
    panel = scaled(view.panel, settings=settings, menu=scaled(view.menu))
    if view.settings.price_metric == "linear":
        panel = dataclasses.replace(panel, sensitivity=panel.sensitivity / factor)
    return scaled(view, panel=panel)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("shelf", "kind"), RULES)
def test_a_decision_is_of_the_right_shape_and_possible(shelf: str, kind: str, market: str) -> None:
    chosen = rule(shelf, kind)
    for view in views(market):
        memory: dict[str, Any] = {}
        for _ in range(3):  # with nothing learnt, and with something
            decision = decide(shelf, chosen, view, memory)
            one, two = view.offers.shape, (2, *view.offers.shape)
            assert decision.shape in ((one, two) if shelf == "pricing" else ((),))
            assert np.isfinite(decision).all()
            assert (decision > 0).all() if shelf == "pricing" else decision >= 0


@pytest.mark.parametrize("market", ["labs", "real"])
@pytest.mark.parametrize(("shelf", "kind"), RULES)
def test_a_decision_depends_on_view_and_memory_alone(shelf: str, kind: str, market: str) -> None:
    chosen = rule(shelf, kind)
    for view in views(market):
        memory: dict[str, Any] = {}
        decide(shelf, chosen, view, memory)
        before, remembered = snapshot(view), copy.deepcopy(memory)
        first, again = (decide(shelf, chosen, view, copy.deepcopy(memory)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        # a view without anything cached, as after loading it from a checkpoint
        np.testing.assert_array_equal(first, decide(shelf, rule(shelf, kind), dataclasses.replace(view), memory))
        assert snapshot(view) == before
        assert remembered.keys() <= memory.keys()


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", rule_kinds("pricing"))
def test_all_money_doubled_doubles_prices(kind: str, market: str) -> None:
    chosen = rule("pricing", kind)
    for view in views(market):
        memory, doubled = {}, {}
        for _ in range(2):
            prices = chosen.quote(view, memory, STREAMS)
            np.testing.assert_allclose(chosen.quote(richer(view, 2.0), doubled, STREAMS), 2 * prices, rtol=1e-6)


@pytest.mark.parametrize("market", ["labs", "real"])
@pytest.mark.parametrize("kind", rule_kinds("pricing"))
def test_any_rule_can_be_sticky(kind: str, market: str) -> None:
    """Stuck, prices stay as posted to everybody, to newcomers as well; with a hurdle of nothing they are the rule's."""
    inner = option("pricing", kind)
    free, stuck = (rule("pricing", "sticky", calvo=1.0, menu_cost=cost, rule=inner) for cost in (0.0, 1e12))
    for view in views(market):
        view = dataclasses.replace(view, newcomer_prices=1.1 * view.prices, revenue=1e12)
        wanted = decide("pricing", rule("pricing", kind), view, {})
        np.testing.assert_array_equal(decide("pricing", free, view, {}), wanted)
        posted = view.prices if wanted.ndim == 1 else np.stack([view.prices, view.newcomer_prices])
        np.testing.assert_array_equal(decide("pricing", stuck, view, {}), posted)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", rule_kinds("capacity"))
def test_all_money_doubled_orders_the_same(kind: str, market: str) -> None:
    chosen = rule("capacity", kind)
    for view in views(market):
        assert chosen.order(richer(view, 2.0), {}, STREAMS) == pytest.approx(chosen.order(view, {}, STREAMS), rel=1e-6)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", rule_kinds("training"))
def test_all_money_doubled_trains_for_twice_as_much(kind: str, market: str) -> None:
    chosen = rule("training", kind)
    for view in views(market):
        assert chosen.outlay(richer(view, 2.0), {}, STREAMS) == pytest.approx(
            2 * chosen.outlay(view, {}, STREAMS), rel=1e-6
        )


def test_what_is_money_in_a_view_is_known() -> None:
    for kind, names in USD.items():
        lines = [line for line in inspect.getsource(kind).splitlines() if "USD" in line.partition("# ")[2]]
        assert {line.split(":")[0].strip() for line in lines} <= set(names)
