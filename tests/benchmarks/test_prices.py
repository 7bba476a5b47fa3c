"""Prices of firms are not dear to find: ratios within one process, not seconds."""

from collections.abc import Callable

import numpy as np
import profit_oracle
import pytest
from benchmarks.measuring import fastest
from demands import make_demand

from aimarket import Market, load
from aimarket.kernels import price_search, reaction
from aimarket.kernels.price_search import best_prices
from aimarket.kernels.profit import ExpectedValue

CHEAPER = 3.3  # a search than one evaluation in NumPy, at least: 3.9 here, 2.8 with the search in Python
AT_MOST = 42.0  # evaluations in NumPy, all prices of a quarter: 31 here, 54 with search and answers in Python

DEMAND, COST, LATER = make_demand(3, 1500, 3, "log", np.inf, 1.0), np.full(3, 0.3), np.ones(1500)


FUNCTIONS = (price_search._best_prices, reaction._concession)


@pytest.fixture(scope="module")
def before() -> list[int]:
    """How many versions of what firms ask other tests have had compiled in this process."""
    return [len(function.signatures) for function in FUNCTIONS]


@pytest.fixture(scope="module")
def market(before: list[int]) -> Market:
    """The default market in its second year, with the panel just asked."""
    market = Market(load(["users.size=3000"]))
    for _ in range(15):
        market.step()
    market.deliver()
    market.research()
    return market


def times_an_evaluation(task: Callable[[], None]) -> float:
    """How long a task takes over an evaluation in NumPy of what three prices are worth on a panel of 1,500 users."""
    evaluation = lambda: profit_oracle.expected_value(DEMAND, np.ones(3), COST, LATER)  # noqa: E731
    seconds = fastest({"task": task, "evaluation": evaluation}, rounds=15)
    return seconds["task"] / seconds["evaluation"]


def test_a_search_costs_less_than_an_evaluation_in_numpy():
    value_of, start, moves = ExpectedValue.of(DEMAND, COST, LATER), np.ones(3), np.linspace(-0.5, 0.5, 7)
    assert times_an_evaluation(lambda: best_prices(value_of, start, start * 0.6, start * 1.6, moves)) < 1 / CHEAPER


def test_prices_of_a_quarter_cost_what_some_evaluations_in_numpy_do(market):
    """A quarter, for in one of its months firms look at how rivals would answer."""
    price = market.price

    def quarter() -> None:
        for _ in range(3):
            market.steps += 1
            market.price = price
            market.panel = market.survey(market.panel_menu, market.adoption)  # nothing is reckoned about it yet
            market.quote()

    assert times_an_evaluation(quarter) < AT_MOST


def test_what_firms_ask_is_compiled_once(before, market):
    """A second version would be one for arrays that are not contiguous, which is slower, and takes seconds to make."""
    market.quote()
    for function, versions in zip(FUNCTIONS, before, strict=True):
        assert len(function.signatures) <= versions + 1
        assert "Array(float64, 2, 'A'" not in str(function.signatures[versions:])
