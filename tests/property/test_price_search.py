"""The search for the best prices: against theory, against SciPy, and where it is not smooth."""

import math
from dataclasses import replace

import numpy as np
import profit_oracle
import pytest
from demands import make_demand
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cfunc
from scipy.optimize import minimize

from aimarket.kernels.effort import Response
from aimarket.kernels.price_search import POINTED, Pointed, best_prices, value_at
from aimarket.kernels.profit import Demand, ExpectedValue
from aimarket.theory.best_reply import best_reply
from aimarket.theory.logit_closed_forms import monopoly_lambert
from aimarket.theory.price_competition import logit_market, nash_bertrand


def textbook(qualities: list[float], rivals: float, sensitivity: float, metric: str = "linear") -> Demand:
    """Everybody free to choose each step, one Mtok each; `rivals` is the utility of all else."""
    one, plain = np.ones(1), np.ones((1, len(qualities)))
    return Demand(
        first=np.array([0, 1]),
        current=np.full(1, -1),
        users=np.array([one, one, sensitivity * one, one]),  # weight, review, sensitivity, size
        rest=np.full(1, rivals),
        utility=np.array([qualities]).T,
        groups=np.stack([plain, 0 * plain, plain, plain, 0 * plain, plain, 0 * plain]),  # no time price, no thinking
        newcomer=np.zeros(1, dtype=bool),
        response=Response(1.0, 0.0, 1.0),
        metric=metric,
        price_rise_review=0.0,
        previous_prices=plain[0],
        hours=0 * plain[0],
    )


def search(demand: Demand, costs: np.ndarray, start: np.ndarray) -> np.ndarray:
    return best_prices(
        ExpectedValue.of(demand, costs, np.zeros(1)),
        start=start,
        floor=start / 10,
        ceiling=start * 10,
        grid=np.linspace(-2, 2, 17),
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=3), st.floats(0.5, 3), st.floats(0.1, 1))
def test_a_monopoly_finds_lamberts_price(qualities, sensitivity, cost):
    costs = np.full(len(qualities), cost)
    found = search(textbook(qualities, 0.0, sensitivity), costs, np.ones(len(qualities)))
    assert found == pytest.approx(monopoly_lambert(qualities, sensitivity, costs).prices, rel=1e-5)


def test_no_firm_gains_by_leaving_the_oracles_equilibrium():
    quality, cost = np.array([2.0, 1.5, 1.0]), np.array([0.5, 0.4, 0.3])
    market = logit_market(quality, 1.3, cost)
    prices = np.asarray(nash_bertrand(market).prices)
    for firm in range(3):
        others = np.delete(np.arange(3), firm)
        rivals = np.log(1 + np.exp(quality[others] - 1.3 * prices[others]).sum())
        demand = textbook([quality[firm]], rivals, 1.3)
        value, gradient = ExpectedValue.of(demand, cost[[firm]], np.zeros(1))(prices[[firm]])
        assert abs(gradient[0]) < 1e-8 * value
        away = search(demand, cost[[firm]], np.full(1, 1.0))
        assert away[0] == pytest.approx(prices[firm], rel=1e-5)
        assert away[0] == pytest.approx(float(np.asarray(best_reply(market, prices, firm))[firm]), rel=1e-5)


def test_prices_stay_within_their_bounds():
    demand, cost = textbook([2.0, 2.0], 0.0, 1.0), np.array([0.5, 0.5])
    free = search(demand, cost, np.ones(2))
    bound = best_prices(
        ExpectedValue.of(demand, cost, np.zeros(1)),
        start=np.ones(2),
        floor=np.array([0.5, 0.5]),
        ceiling=np.array([1.2, 9.0]),
        grid=np.array([0.0]),
    )
    assert free[0] > 1.2
    assert bound[0] == pytest.approx(1.2)
    assert 0.5 < bound[1] < 9


@cfunc(POINTED)
def two_peaks(prices: np.ndarray, width: np.ndarray, found: np.ndarray) -> None:
    """The lower at a log price of -1, the higher at 1."""
    x = math.log(prices[0, 0])
    low, high = math.exp(-((x + 1) ** 2) / width[0]), 2 * math.exp(-((x - 1) ** 2) / width[0])
    found[0], found[1] = low + high, -2 / width[0] * ((x + 1) * low + (x - 1) * high)


@cfunc(POINTED)
def queue(prices: np.ndarray, known: np.ndarray, found: np.ndarray) -> None:
    """Buyers of one unit each, worth 0 to 1 to them, of whom rivals have served the keenest; known: room, served."""
    price = prices[0, 0]
    wanted = max(0.0, 1 - known[1] - price)
    lost = price * price if 0 < wanted < known[0] else 0.0
    found[0] = price * min(wanted, known[0])
    found[1] = found[0] - lost


def test_the_grid_finds_the_higher_of_two_peaks():
    hill = Pointed(two_peaks, np.array([0.1]))
    start = np.array([math.exp(-1.0)])  # on top of the lower peak
    found = best_prices(hill, start, np.array([0.01]), np.array([100.0]), np.linspace(-3, 3, 13))
    assert found[0] == pytest.approx(math.e, rel=1e-5)


def test_what_nobody_has_given_a_value_is_not_searched():
    with pytest.raises(TypeError, match="dict"):
        value_at({}, np.ones((1, 1)))


@settings(max_examples=50, deadline=None)
@given(st.floats(0.05, 0.6), st.floats(0, 0.4), st.floats(0.05, 0.9))
def test_the_corner_of_capacity_is_found_from_anywhere(capacity, served, start):
    """Demand left by rivals is 1 - served - p: all is sold at the price that clears capacity, or the monopoly price."""
    ends = start * np.exp([-3.0, 3.0])
    found = best_prices(
        Pointed(queue, np.array([capacity, served])), np.array([start]), ends[:1], ends[1:], np.linspace(-3, 3, 7)
    )
    assert found[0] == pytest.approx(max(1 - served - capacity, (1 - served) / 2), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.sampled_from(["log", "linear"]),
    st.sampled_from([0.0, 0.7, 1.2]),
    st.booleans(),
)
def test_scipy_finds_nothing_better_and_prices_at_rest_are_flat(seed, offers, metric, load, newcomers):
    """L-BFGS-B from the prices found, and from some drawn about them, each price kept on its side of the kink."""
    rng = np.random.default_rng(seed)
    demand = make_demand(seed, 40, offers, metric, np.inf, 1.0, newcomers)
    start = np.ones((2, offers) if newcomers else offers)
    if load:
        demand = replace(demand, capacity=profit_oracle.expected_hours(demand, start) / load)
    value_of, span = ExpectedValue.of(demand, rng.uniform(0.1, 0.9, offers), rng.uniform(0, 5, 40)), 0.5
    found = best_prices(value_of, start, start * np.exp(-span), start * np.exp(span), np.linspace(-span, span, 7))
    best, slope = value_of(found)
    moves = np.log(found / start)
    inside = (np.abs(moves) < span - 1e-9) & (moves != 0)
    assert np.abs(slope[inside]).max(initial=0) <= 1e-6 * abs(best)

    def loss(trial: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = value_of(np.exp(trial).reshape(start.shape))
        return -value / abs(best), -gradient.ravel() / abs(best)

    sides = [(-span, 0.0) if move < 0 else (0.0, span) for move in moves.ravel()]
    for about in (0.0, 0.02, 0.02):
        first = np.clip(moves.ravel() + about * rng.normal(size=moves.size), *np.transpose(sides))
        assert -minimize(loss, first, jac=True, method="L-BFGS-B", bounds=sides).fun <= np.sign(best) + 1e-9
