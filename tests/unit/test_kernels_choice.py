"""Discrete choice: utility of price, switching cost and logit shares."""

import numpy as np
import pytest

from aimarket.kernels.choice import logit_shares, price_utility, price_utility_slope, switching_cost


def test_utility_of_a_price_in_each_metric():
    price, taste = np.array([0.5, 2.0, 8.0]), np.array([3.0])
    assert price_utility(price, taste, "log", 2.0) == pytest.approx([3 * np.log(4), 0, -3 * np.log(4)])
    assert price_utility(price, taste, "linear", 2.0) == pytest.approx([-1.5, -6, -24])


@pytest.mark.parametrize("metric", ["log", "linear"])
def test_slope_is_the_derivative_in_the_log_of_the_price(metric):
    price, taste, step = np.array([[0.3, 1.0, 5.0]]), np.array([[2.5]]), 1e-6
    up, down = (price_utility(price * np.exp(s), taste, metric, 0.7) for s in (step, -step))
    assert price_utility_slope(price, taste, metric) == pytest.approx((up - down) / (2 * step), rel=1e-8)


def test_switching_cost_from_the_first_day_to_the_end():
    terms = {"base": 0.5, "maximum": 2.0, "horizon": 6.0, "per_log_depth": 0.3}
    cost = switching_cost(np.array([0.0, 6.0, 1e6]), np.array([0.0, 0.0, np.e - 1]), **terms)
    # The base alone; the base and 1 - 1/e of the rest; all of it and one log point of depth.
    assert cost == pytest.approx([0.5, 0.5 + 2 * (1 - np.exp(-1)), 0.5 + 2 + 0.3])


def test_logit_shares_by_hand():
    # Weights 2, 3, 1 and 4 outside: they sum to 10.
    shares, inclusive = logit_shares(np.log([[2.0, 3.0, 1.0]]), np.log([4.0]))
    assert shares == pytest.approx(np.array([[0.2, 0.3, 0.1]]))
    assert inclusive == pytest.approx([np.log(10)])


def test_logit_shares_of_utilities_too_large_to_exponentiate():
    shares, inclusive = logit_shares(np.array([[1e4, 1e4 + np.log(3)], [-1e4, -1e4]]), np.array([0.0, -1e4]))
    assert shares == pytest.approx(np.array([[0.25, 0.75], [1 / 3, 1 / 3]]))
    assert inclusive == pytest.approx([1e4 + np.log(4), -1e4 + np.log(3)])


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match=r"^a user has neither an offer nor an outside option of finite utility$"):
        logit_shares(np.array([[0.0], [-np.inf]]), np.array([0.0, -np.inf]))
