"""What rivals take back of a user's worth: the kernel against the Markov-perfect duopoly and against differences."""

import math
from dataclasses import replace

import numpy as np
import pytest

from aimarket.kernels.linear import solve
from aimarket.kernels.reaction import add_own, concession, margins, weights_of_slopes
from aimarket.kernels.rival_choices import BASE, LEAVING, Choices, add_slopes, choices, moved
from aimarket.kernels.rivalry import Rivalry
from aimarket.theory.markov_perfect import markov_perfect_duopoly


def duopoly(cost: float, price: float) -> Rivalry:
    """Two alike firms with half of the users each, everybody reviewing, price in dollars, no outside option."""
    prices = np.full((2, 2), price)
    return Rivalry(
        weight=np.full(2, 5e5),
        provider=np.array([0, 1]),
        review=np.ones(2),
        remains=np.full(2, math.exp(-cost)),
        attraction=np.ones((2, 2)),
        outside=np.zeros(2),
        slope=-prices,
        spend=prices,
        elasticity=np.zeros((2, 2)),
        stays=np.zeros(2, dtype=bool),
        dollars=True,
    )


def crowd(seed: int, dollars: bool, users: int = 60, firms: int = 4) -> Rivalry:
    """Users who differ in everything."""
    draw = np.random.default_rng(seed)
    return Rivalry(
        weight=draw.uniform(0.5, 2, users),
        provider=draw.integers(-1, firms, users),
        review=draw.uniform(0.1, 1, users),
        remains=np.exp(-draw.uniform(0, 2, users)),
        attraction=np.exp(draw.normal(size=(users, firms))),
        outside=np.exp(draw.normal(size=users)),
        slope=-draw.uniform(0.5, 3, (users, firms)),
        spend=draw.lognormal(size=(users, firms)),
        elasticity=-draw.uniform(0.8, 1.2, (users, firms)),
        stays=np.zeros(firms, dtype=bool),
        dollars=dollars,
    )


@pytest.mark.parametrize("discount", [0.5, 0.95])
@pytest.mark.parametrize("cost", [0.25, 0.5, 1.0, 1.5])
def test_at_the_markov_perfect_price_the_worth_of_a_user_is_the_true_one(discount, cost):
    """W = rho (1 - concession) (margin + discount W), with the bend of W that is seen if it is believed."""
    exact = markov_perfect_duopoly(discount, cost)
    users, bend = duopoly(cost, 1 + exact.steady_margin), 0.0
    for _ in range(60):
        share, seen = concession(users, users, 0, discount * bend)
        bend += 0.2 * (seen - bend)
    kept = math.tanh(cost / 2) * (1 - share)
    assert kept * exact.steady_margin / (1 - discount * kept) == pytest.approx(exact.continuation_value, rel=3e-3)


def test_to_first_order_rivals_take_a_third_in_a_duopoly():
    """Of the market with a bargain and a ripoff period: the margin falls by 2/3 sinh s, not by sinh s."""
    for cost in (0.3, 1.0, 2.0):
        users = duopoly(cost, 2 + math.cosh(cost))
        assert concession(users, users, 0, 0.0)[0] == pytest.approx(1 / 3, rel=1e-9)


def test_nothing_is_taken_by_rivals_who_stay_or_where_nothing_is_retained():
    users = duopoly(1.0, 3.0)
    still = replace(users, stays=np.array([False, True]))
    assert concession(still, still, 0, 0.0)[0] == 0
    free = duopoly(0.0, 3.0)
    assert concession(free, free, 0, 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("dollars", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_slopes_of_the_conditions_are_those_of_finite_differences(seed, dollars):
    users, step = crowd(seed, dollars), 1e-5

    def at(moves: np.ndarray) -> tuple[np.ndarray, Choices]:
        firms = moved(users.of_firms, moves, dollars)
        return firms, choices(users.of_users, firms, users.provider, users.weight)

    def slopes(mix: np.ndarray) -> np.ndarray:
        added = np.zeros((4, 4))
        for _ in range(2):
            add_slopes(added, here, firms, mix, 0.5)
        return added

    firms, here = at(np.zeros(4))
    margin = margins(here.totals)
    assert (margin > 0).all()
    base_slope = slopes(np.array([[1.0], [0.0], [0.0]]) * np.ones(4))
    condition = slopes(weights_of_slopes(here.totals, np.zeros(4)))
    add_own(condition, here.totals, dollars)
    np.testing.assert_allclose(here.totals[LEAVING], base_slope.diagonal(), rtol=1e-12)
    for firm in range(4):
        moves = step * (np.arange(4) == firm)
        above, below = (at(by * moves)[1].totals for by in (1, -1))
        np.testing.assert_allclose(base_slope[:, firm], (above - below)[BASE] / (2 * step), rtol=1e-6, atol=1e-8)
        # p (1 - margin), over p
        net = (1 - margin) * (np.arange(4) == firm) - (margins(above) - margins(below)) / (2 * step)
        np.testing.assert_allclose(condition[:, firm], net, rtol=1e-5, atol=1e-7)


def test_the_bend_of_a_users_worth_weighs_the_slopes_of_the_base():
    """One sum of weighted slopes is the weighted sum of slopes."""
    users, bend = crowd(1, dollars=False), np.array([0.1, 0.2, 0.3, 0.4])
    here = choices(users.of_users, users.of_firms, users.provider, users.weight)
    found = np.zeros((3, 4, 4))
    mixes = weights_of_slopes(here.totals, bend), weights_of_slopes(here.totals, 0 * bend), np.ones((3, 4))
    mixes[2][1:] = 0
    for slopes, mix in zip(found, mixes, strict=True):
        add_slopes(slopes, here, users.of_firms, mix, 1.0)
    np.testing.assert_allclose(found[0], found[1] + bend[:, None] * found[2], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_the_solution_of_linear_equations_is_that_of_lapack(count):
    draw = np.random.default_rng(count)
    matrix, right = draw.normal(size=(count, count)), draw.normal(size=count)
    matrix[0, 0] = 0.0 if count > 1 else 2.0  # no pivot
    np.testing.assert_allclose(solve(matrix.copy(), right.copy()), np.linalg.solve(matrix, right), rtol=1e-9)
    with pytest.raises(np.linalg.LinAlgError):
        solve(np.ones((count + 1, count + 1)), np.ones(count + 1))


@pytest.mark.parametrize("dollars", [False, True])
def test_neither_the_unit_of_money_nor_the_order_or_weight_of_users_matters(dollars):
    users = crowd(5, dollars)
    expected = concession(users, users, 1, 0.1)
    order = np.random.default_rng(1).permutation(60)
    rows = ("weight", "provider", "review", "remains", "attraction", "outside", "slope", "spend", "elasticity")
    shuffled = replace(users, **{name: getattr(users, name)[order] for name in rows})
    for other in (replace(users, spend=2 * users.spend), replace(users, weight=7 * users.weight), shuffled):
        assert concession(other, other, 1, 0.1) == pytest.approx(expected, rel=1e-6)
