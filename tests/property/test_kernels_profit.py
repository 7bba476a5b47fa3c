"""Expected profit on a panel: reckoned a second time user by user, its gradient by differences, its peak by theory."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from aimarket.kernels.profit import Demand, best_prices, expected_value, smooth_rationing
from aimarket.theory.best_reply import best_reply
from aimarket.theory.logit_closed_forms import monopoly_lambert
from aimarket.theory.price_competition import logit_market, nash_bertrand


def make_demand(seed: int, users: int, offers: int, metric: str, capacity: float, kink: float) -> Demand:
    """A panel with every mechanism on: holders of each offer and of none, locked in or free, at old prices near 1."""
    rng = np.random.default_rng(seed)
    shape = (users, offers)
    return Demand(
        weight=rng.uniform(1, 1000, users),
        review=rng.choice([0.0, 1.0, 0.2], users),
        current=rng.integers(-1, offers, users),
        rest=rng.normal(0, 1, users),
        utility=rng.normal(0, 1, shape),
        sensitivity=rng.uniform(0.3, 3, users),
        mix=rng.uniform(0.5, 2, shape),
        tasks_at_reference=rng.lognormal(0, 1, users),
        depth=rng.uniform(0.5, 4, users),
        tokens_per_task=rng.uniform(0.1, 1, users),
        thinking_reference=rng.choice([0.0, 0.5, 2.0], users),
        time_price=rng.uniform(0, 3, shape),
        metric=metric,
        reference_price=0.8,
        usage_elasticity=0.9,
        effort_curvature=0.4,
        price_rise_review=3.0,
        previous_prices=np.full(offers, kink),
        hours=rng.uniform(0, 2, offers),
        capacity=capacity,
    )


def reckon(d: Demand, prices: np.ndarray, costs: np.ndarray, user_value: np.ndarray) -> float:
    """The same expectation, one user and one outcome at a time, with what is served by one formula for any load."""
    value = work = 0.0
    for k in range(len(d.weight)):
        worth, hours, pull = [], [], []
        for m in range(len(prices)):
            paid = d.mix[k, m] * prices[m]
            count = d.tasks_at_reference[k] * d.depth[k] * (d.reference_price / paid) ** d.usage_elasticity
            thinking = d.thinking_reference[k] * (d.reference_price / (paid + d.time_price[k, m])) ** (
                1 / (1 + d.effort_curvature)
            )
            tokens = count * (d.tokens_per_task[k] + thinking) * d.mix[k, m]
            worth.append(tokens * (prices[m] - costs[m]) + user_value[k])
            hours.append(tokens * d.hours[m])
            felt = math.log(paid / d.reference_price) if d.metric == "log" else paid
            pull.append(math.exp(d.utility[k, m] - d.sensitivity[k] * felt))
        total = sum(pull) + math.exp(d.rest[k])
        held = d.current[k]
        rise = max(0.0, math.log(prices[held] / d.previous_prices[held])) if held >= 0 else 0.0
        stay = (1 - d.review[k]) * math.exp(-d.price_rise_review * rise)
        for sums, of in (("value", worth), ("work", hours)):
            chosen = sum(p / total * x for p, x in zip(pull, of, strict=True))
            mean = d.weight[k] * ((1 - stay) * chosen + stay * (of[held] if held >= 0 else 0.0))
            if sums == "value":
                value += mean
            else:
                work += mean
    if value <= 0 or work <= 0 or math.isinf(d.capacity):
        return value
    return value * (1 + (work / d.capacity) ** 32) ** (-1 / 32)


CASES = {
    "seed": st.integers(0, 10**6),
    "metric": st.sampled_from(["log", "linear"]),
    "load": st.sampled_from([0.0, 0.5, 0.97, 1.03, 2.0]),  # expected work over capacity; 0: no limit
    "ahead": st.booleans(),
}


def case(seed: int, metric: str, load: float, ahead: bool) -> tuple[Demand, np.ndarray, np.ndarray, np.ndarray]:
    """A panel whose capacity makes for the load asked for, with some prices above and some below the old ones."""
    rng = np.random.default_rng(seed + 1)
    demand = make_demand(seed, users=12, offers=3, metric=metric, capacity=np.inf, kink=1.0)
    prices, costs = rng.uniform(0.4, 2.5, 3), rng.uniform(0.1, 0.9, 3)
    if load:
        work, _ = expected_value(demand, prices, prices - demand.hours, np.zeros(12))  # a margin of its hours
        demand = replace(demand, capacity=work / load)
    return demand, prices, costs, rng.uniform(0, 5, 12) * ahead


@settings(deadline=None)
@given(**CASES)
def test_expected_value_agrees_with_a_reckoning_user_by_user(seed, metric, load, ahead):
    demand, prices, costs, user_value = case(seed, metric, load, ahead)
    value, _ = expected_value(demand, prices, costs, user_value)
    assert value == pytest.approx(reckon(demand, prices, costs, user_value), rel=1e-9)


@settings(deadline=None)
@given(**CASES)
def test_the_gradient_is_the_derivative_in_log_prices(seed, metric, load, ahead):
    demand, prices, costs, user_value = case(seed, metric, load, ahead)
    value, gradient = expected_value(demand, prices, costs, user_value)
    step = 1e-6
    for m in range(3):
        bump = np.eye(3)[m] * step
        up, down = (expected_value(demand, prices * np.exp(s * bump), costs, user_value)[0] for s in (1, -1))
        size = abs(value) + np.abs(gradient).max()
        assert gradient[m] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7 * size)


def test_a_rise_drives_holders_out_and_a_cut_does_not():
    demand = make_demand(4, users=8, offers=1, metric="log", capacity=np.inf, kink=1.0)
    demand = replace(demand, review=np.zeros(8), current=np.zeros(8, dtype=int), utility=np.full((8, 1), -100.0))
    # Nobody would choose this offer again, so what it sells is what holders who do not look around still buy.
    costs, nothing, one = np.zeros(1), np.zeros(8), np.ones(1)
    before, cut, rise = (expected_value(demand, p * one, costs, nothing)[0] for p in (1.0, 0.9, 1.2))
    sold = {p: expected_value(replace(demand, price_rise_review=0.0), p * one, costs, nothing)[0] for p in (0.9, 1.2)}
    assert cut == pytest.approx(sold[0.9])
    assert rise == pytest.approx(sold[1.2] * 1.2**-3.0)
    assert before > rise


def test_turning_users_away_is_no_way_out_of_a_loss():
    demand = make_demand(5, users=6, offers=2, metric="log", capacity=np.inf, kink=1.0)
    dear, nothing = np.full(2, 9.0), np.zeros(6)
    loss, _ = expected_value(demand, np.ones(2), dear, nothing)
    assert loss < 0
    assert expected_value(replace(demand, capacity=1e-6), np.ones(2), dear, nothing)[0] == loss


def test_without_capacity_nothing_is_earned():
    demand = make_demand(5, users=6, offers=2, metric="log", capacity=0.0, kink=1.0)
    value, gradient = expected_value(demand, np.full(2, 2.0), np.zeros(2), np.zeros(6))
    assert value == 0
    assert (gradient == 0).all()


@given(st.floats(0, 100))
def test_what_is_served_is_at_most_all_and_at_most_what_fits(load):
    served, elasticity = smooth_rationing(load)
    assert served <= min(1.0, 1 / load if load > 0 else 1.0)
    assert served >= 0.97 * min(1.0, 1 / load if load > 0 else 1.0)  # 2^(-1/32) = .979 at the corner
    assert -1 <= elasticity <= 0


# ── the search for the best prices ──


def textbook(qualities: list[float], rivals: float, sensitivity: float, metric: str = "linear") -> Demand:
    """Everybody free to choose each step, one Mtok each; `rivals` is the utility of all else."""
    offers = len(qualities)
    blank = make_demand(0, users=1, offers=offers, metric=metric, capacity=np.inf, kink=1.0)
    return replace(
        blank,
        weight=np.ones(1),
        review=np.ones(1),
        current=np.full(1, -1),
        rest=np.full(1, rivals),
        utility=np.array([qualities]),
        sensitivity=np.full(1, sensitivity),
        mix=np.ones((1, offers)),
        tasks_at_reference=np.ones(1),
        depth=np.ones(1),
        tokens_per_task=np.ones(1),
        thinking_reference=np.zeros(1),
        reference_price=1.0,
        usage_elasticity=0.0,
    )


def search(demand: Demand, costs: np.ndarray, start: np.ndarray) -> np.ndarray:
    return best_prices(
        lambda prices: expected_value(demand, prices, costs, np.zeros(len(demand.weight))),
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
        value, gradient = expected_value(demand, prices[[firm]], cost[[firm]], np.zeros(1))
        assert abs(gradient[0]) < 1e-8 * value
        away = search(demand, cost[[firm]], np.full(1, 1.0))
        assert away[0] == pytest.approx(prices[firm], rel=1e-5)
        assert away[0] == pytest.approx(float(np.asarray(best_reply(market, prices, firm))[firm]), rel=1e-5)


def test_prices_stay_within_their_bounds():
    demand, cost = textbook([2.0, 2.0], 0.0, 1.0), np.array([0.5, 0.5])
    free = search(demand, cost, np.ones(2))
    bound = best_prices(
        lambda prices: expected_value(demand, prices, cost, np.zeros(1)),
        start=np.ones(2),
        floor=np.array([0.5, 0.5]),
        ceiling=np.array([1.2, 9.0]),
        grid=np.array([0.0]),
    )
    assert free[0] > 1.2
    assert bound[0] == pytest.approx(1.2)
    assert 0.5 < bound[1] < 9


def test_the_grid_finds_the_higher_of_two_peaks():
    def two_peaks(logs: np.ndarray) -> tuple[float, np.ndarray]:
        x = float(logs[0])
        low, high = math.exp(-((x + 1) ** 2) / 0.1), 2 * math.exp(-((x - 1) ** 2) / 0.1)
        return low + high, np.array([-20 * (x + 1) * low - 20 * (x - 1) * high])

    start = np.array([math.exp(-1.0)])  # on top of the lower peak
    assert approx_fprime(np.array([0.7]), lambda x: two_peaks(x)[0]) == pytest.approx(
        two_peaks(np.array([0.7]))[1], rel=1e-4
    )
    found = best_prices(
        lambda prices: two_peaks(np.log(prices)), start, np.array([0.01]), np.array([100.0]), np.linspace(-3, 3, 13)
    )
    assert found[0] == pytest.approx(math.e, rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.05, 0.6), st.floats(0, 0.4), st.floats(0.05, 0.9))
def test_the_corner_of_capacity_is_found_from_anywhere(capacity, served, start):
    """Demand left by rivals is 1 - served - p: all is sold at the price that clears capacity, or the monopoly price."""

    def profit(own: np.ndarray) -> tuple[float, np.ndarray]:
        price = float(own[0])
        wanted = max(0.0, 1 - served - price)
        lost = price * price if 0 < wanted < capacity else 0.0
        return price * min(wanted, capacity), np.array([price * min(wanted, capacity) - lost])

    ends = start * np.exp([-3.0, 3.0])
    found = best_prices(profit, np.array([start]), ends[:1], ends[1:], np.linspace(-3, 3, 7))
    assert found[0] == pytest.approx(max(1 - served - capacity, (1 - served) / 2), rel=1e-6)
