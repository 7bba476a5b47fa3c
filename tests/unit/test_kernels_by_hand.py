"""Kernels at values worked out by hand, and at the edges of what they are defined for."""

import math

import numpy as np
import pytest

from aimarket.kernels.choice import logit_shares
from aimarket.kernels.concentration import shares
from aimarket.kernels.cost import attribute_log_change, logarithmic_mean
from aimarket.kernels.diffusion import bass_adoption
from aimarket.kernels.effort import Response, mean_difficulty, task_elasticity, tasks, use_elasticities
from aimarket.kernels.queueing import erlang_c, mean_wait
from aimarket.kernels.rationing import place_load
from aimarket.kernels.sums import ordered_sum
from aimarket.kernels.welfare import consumer_surplus


def test_use_at_half_the_reference_price():
    price, depth = np.array([1.0, 2.0]), np.array([3.0, 0.5])
    assert tasks(np.array([2.0, 4.0]), depth, price, reference_price=2.0, elasticity=2.0) == pytest.approx([24, 2])
    assert tasks(np.array([2.0, 4.0]), depth, price, 2.0, 2.0, ceiling=3.0) == pytest.approx([18, 2])
    assert mean_difficulty(price, 2.0, elasticity=2.0, exponent=3.0) == pytest.approx([8, 1])
    assert mean_difficulty(price, 2.0, elasticity=2.0, ceiling=2.25) == pytest.approx([1.5, 1])
    assert mean_difficulty(price, 2.0, elasticity=0.0).tolist() == [1, 1]


def test_tasks_answer_to_the_price_until_all_are_done():
    price = np.array([0.9, 1.0, 1.1])  # with a ceiling of 4 and an elasticity of 2 all is done at half the reference
    assert task_elasticity(price, 2.0, 2.0, ceiling=4.0).tolist() == [0, 0, -2]
    assert task_elasticity(price, 2.0, 2.0).tolist() == [-2, -2, -2]
    assert task_elasticity(price, 2.0, 0.0, ceiling=4.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("difficulty", "thinking"), [(0.0, -0.5), (0.7, -1.2)])
def test_thinking_answers_to_difficulty_only_while_tasks_grow_harder(difficulty, thinking):
    price, free = np.array([0.9, 1.1]), np.zeros(2)
    extensive, intensive = use_elasticities(price, free, Response(2.0, 2.0, 1.0, 4.0, difficulty))
    assert extensive.tolist() == [0, -2]
    assert intensive == pytest.approx([-0.5, thinking])


def test_the_logarithmic_mean_of_whole_numbers_and_of_nothing():
    assert logarithmic_mean(1, 3) == pytest.approx(2 / math.log(3))
    assert logarithmic_mean([0, 5, 0, 2], [5, 0, 0, 2]).tolist() == [0, 0, 0, 2]


def test_costs_are_attributed_row_by_row():
    parts, before = np.array([[1.0, 2.0], [30.0, 5.0]]), np.array([[2.0, 2.0], [10.0, 20.0]])
    by, was = np.array([[2.0], [1.5]]), np.array([[1.0], [1.0]])
    together, divisors = attribute_log_change(parts, before, by, was)
    for row in range(2):
        alone, divisor = attribute_log_change(parts[row], before[row], by[row], was[row])
        assert together[row] == pytest.approx(alone)
        assert divisors[row] == pytest.approx(divisor)


def test_surplus_counts_from_the_outside_option_if_there_is_one():
    found = consumer_surplus(np.full(2, 3.0), np.array([1.0, -np.inf]), np.full(2, 10.0), np.full(2, 0.5))
    assert found == pytest.approx([10, 15])


def test_whole_numbers_wait_like_any_others():
    assert erlang_c(1, 1) == 1
    assert erlang_c([2, 2, 4], [0, 3, 1]) == pytest.approx([0, 1, 0.0204081633])  # the last: textbook C(4, 1) = 1/49
    assert erlang_c(2, 0.5) == pytest.approx(0.1)  # C(2, a) = a²/(2 + a)
    assert mean_wait([2, 2, 2], [0, 1, 2], 3).tolist() == pytest.approx([0, 1, np.inf])
    assert bass_adoption(0, 1, 0, 1) == pytest.approx(1 - math.exp(-1))


def test_load_goes_where_there_is_room():
    load = np.array([[[0.0], [6.0], [3.0]]])  # one firm, three regions, one hour
    placed = place_load(load, np.array([[1.0, 2.0, 5.0]]))
    assert placed.served[0, :, 0] == pytest.approx([1, 5 / 6, 1])  # four too many, room for three
    assert placed.busy[0, :, 0] == pytest.approx([1, 2, 5])
    assert placed.abroad[0, 1, :, 0] == pytest.approx([0.2, 0, 0.4])
    assert (placed.abroad[0, [0, 2]] == 0).all()
    idle = place_load(np.zeros((1, 2, 1)), np.array([[0.0, 3.0]]))
    assert idle.served.tolist() == [[[1.0], [1.0]]]
    assert not idle.busy.any()
    assert not idle.abroad.any()


def test_nothing_at_all():
    assert shares(np.zeros(3)).tolist() == [0, 0, 0]
    assert ordered_sum(np.zeros((0, 3)), axis=0).tolist() == [0, 0, 0]
    assert ordered_sum(np.zeros((2, 0)), axis=-1).tolist() == [0, 0]
    share, inclusive = logit_shares(np.zeros((2, 0)), np.array([1.0, 2.0]))
    assert share.shape == (2, 0)
    assert inclusive.tolist() == [1, 2]
