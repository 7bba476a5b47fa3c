"""Expected profit on a panel: against plain NumPy, reckoned user by user, its gradient by differences."""

import math
from dataclasses import replace

import numpy as np
import profit_oracle
import pytest
from demands import make_demand
from hypothesis import given, settings
from hypothesis import strategies as st

from aimarket.kernels.effort import Response
from aimarket.kernels.profit import Demand, ExpectedValue, smooth_rationing


def of_value(demand: Demand, prices: np.ndarray, costs: np.ndarray, user_value: np.ndarray) -> tuple[float, np.ndarray]:
    return ExpectedValue.of(demand, costs, user_value)(prices)


def reckon(d: Demand, prices: np.ndarray, costs: np.ndarray, user_value: np.ndarray) -> float:
    """The same expectation, one user and one outcome at a time, with what is served by one formula for any load."""
    value = work = 0.0
    weight, review, sensitivity, size = d.users
    for k in range(len(weight)):
        g, worth, hours, pull = int(np.searchsorted(d.first, k, side="right")) - 1, [], [], []
        for m in range(len(prices)):
            mix, time_price, price_felt, plain, at_reference, share_paid, _ = d.groups[:, g, m]
            paid, r = mix * prices[m] * share_paid, d.response
            count = size[k] * (r.reference_price / paid) ** r.elasticity
            thinking = at_reference * (r.reference_price / (paid + time_price)) ** (1 / (1 + r.curvature))
            tokens = count * (plain + thinking) * mix
            worth.append(tokens * (prices[m] * share_paid - costs[m]) + user_value[k])
            hours.append(tokens * d.hours[m])
            felt = mix * prices[m] * price_felt
            felt = math.log(felt / r.reference_price) if d.metric == "log" else felt
            pull.append(math.exp(d.utility[m, k] - sensitivity[k] * felt))
        total = sum(pull) + math.exp(d.rest[k])
        held = d.current[k]
        rise = max(0.0, math.log(prices[held] / d.previous_prices[held])) if held >= 0 else 0.0
        stay = (1 - review[k]) * math.exp(-d.price_rise_review * rise)
        for sums, of in (("value", worth), ("work", hours)):
            chosen = sum(p / total * x for p, x in zip(pull, of, strict=True))
            mean = weight[k] * ((1 - stay) * chosen + stay * (of[held] if held >= 0 else 0.0))
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
        demand = replace(demand, capacity=profit_oracle.expected_hours(demand, prices) / load)
    return demand, prices, costs, rng.uniform(0, 5, 12) * ahead


@settings(deadline=None)
@given(
    **CASES,
    offers=st.integers(1, 4),
    newcomers=st.booleans(),
    ceiling=st.sampled_from([np.inf, 1.5]),
    elasticity=st.sampled_from([0.0, 0.9]),
    difficulty=st.sampled_from([0.0, 0.3]),
    cap=st.sampled_from([np.inf, 1.4]),
)
def test_the_kernel_agrees_with_plain_numpy(
    seed, metric, load, ahead, offers, newcomers, ceiling, elasticity, difficulty, cap
):
    """Value and gradient to rounding, whatever is switched on."""
    rng = np.random.default_rng(seed + 1)
    demand = replace(
        make_demand(seed, 30, offers, metric, np.inf, 1.0, newcomers),
        response=Response(0.8, elasticity, 0.4, ceiling, difficulty),
        price_cap=cap,
        steady_hours=3.0,
    )
    prices = rng.uniform(0.4, 2.5, (2, offers) if newcomers else offers)
    costs, user_value = rng.uniform(0.1, 0.9, offers), rng.uniform(0, 5, 30) * ahead
    if load:
        demand = replace(demand, capacity=profit_oracle.expected_hours(demand, prices) / load)
    value, gradient = ExpectedValue.of(demand, costs, user_value, 7.0)(prices)
    expected, slope = profit_oracle.expected_value(demand, prices, costs, user_value, 7.0)
    size = abs(expected) + np.abs(slope).max()
    assert value == pytest.approx(expected, rel=1e-11, abs=1e-12 * size)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-12 * size)


@settings(deadline=None)
@given(**CASES)
def test_expected_value_agrees_with_a_reckoning_user_by_user(seed, metric, load, ahead):
    demand, prices, costs, user_value = case(seed, metric, load, ahead)
    value, _ = of_value(demand, prices, costs, user_value)
    assert value == pytest.approx(reckon(demand, prices, costs, user_value), rel=1e-9)


@settings(deadline=None)
@given(**CASES)
def test_the_gradient_is_the_derivative_in_log_prices(seed, metric, load, ahead):
    demand, prices, costs, user_value = case(seed, metric, load, ahead)
    value, gradient = of_value(demand, prices, costs, user_value)
    step = 1e-6
    for m in range(3):
        bump = np.eye(3)[m] * step
        up, down = (of_value(demand, prices * np.exp(s * bump), costs, user_value)[0] for s in (1, -1))
        size = abs(value) + np.abs(gradient).max()
        assert gradient[m] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7 * size)


def test_a_rise_drives_holders_out_and_a_cut_does_not():
    demand = make_demand(4, users=8, offers=1, metric="log", capacity=np.inf, kink=1.0)
    demand.users[1] = 0.0  # nobody reviews of his own accord
    demand = replace(demand, current=np.zeros(8, dtype=int), utility=np.full((1, 8), -100.0))
    # Nobody would choose this offer again, so what it sells is what holders who do not look around still buy.
    costs, nothing, one = np.zeros(1), np.zeros(8), np.ones(1)
    before, cut, rise = (of_value(demand, p * one, costs, nothing)[0] for p in (1.0, 0.9, 1.2))
    sold = {p: of_value(replace(demand, price_rise_review=0.0), p * one, costs, nothing)[0] for p in (0.9, 1.2)}
    assert cut == pytest.approx(sold[0.9])
    assert rise == pytest.approx(sold[1.2] * 1.2**-3.0)
    assert before > rise


def test_turning_users_away_is_no_way_out_of_a_loss():
    demand = make_demand(5, users=6, offers=2, metric="log", capacity=np.inf, kink=1.0)
    dear, nothing = np.full(2, 9.0), np.zeros(6)
    loss, _ = of_value(demand, np.ones(2), dear, nothing)
    assert loss < 0
    assert of_value(replace(demand, capacity=1e-6), np.ones(2), dear, nothing)[0] == loss


def test_without_capacity_nothing_is_earned():
    demand = make_demand(5, users=6, offers=2, metric="log", capacity=0.0, kink=1.0)
    value, gradient = of_value(demand, np.full(2, 2.0), np.zeros(2), np.zeros(6))
    assert value == 0
    assert (gradient == 0).all()


@given(st.floats(0, 100))
def test_what_is_served_is_at_most_all_and_at_most_what_fits(load):
    served, elasticity = smooth_rationing(load)
    assert served <= min(1.0, 1 / load if load > 0 else 1.0)
    assert served >= 0.97 * min(1.0, 1 / load if load > 0 else 1.0)  # 2^(-1/32) = .979 at the corner
    assert -1 <= elasticity <= 0
