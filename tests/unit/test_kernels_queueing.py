"""Waiting in closed form, against the recursion of the oracle and known limits."""

import numpy as np
import pytest

from aimarket.kernels.queueing import erlang_c, mean_wait
from aimarket.theory import queueing as oracle


@pytest.mark.parametrize(("servers", "load"), [(1, 0.3), (2, 1.9), (10, 8.0), (100, 90.0), (3000, 2950.0)])
def test_erlang_agrees_with_the_recursion(servers, load):
    assert float(erlang_c(servers, load)) == pytest.approx(oracle.erlang_c(servers, load), rel=1e-10)
    assert float(mean_wait(servers, load, 3.0)) == pytest.approx(3 * oracle.mean_wait(servers, load), rel=1e-10)


def test_one_server_waits_as_in_the_textbook():
    # M/M/1: the chance of waiting is the load, and the mean wait is load / (1 - load) service times.
    load = np.array([0.1, 0.5, 0.99])
    assert erlang_c(1, load) == pytest.approx(load)
    assert mean_wait(1, load, 2.0) == pytest.approx(2 * load / (1 - load))


def test_pools_of_a_million_tend_to_halfin_and_whitt():
    load, slack = 1e6, 0.5
    limit = oracle.halfin_whitt_wait_probability(slack)
    assert float(erlang_c(load + slack * np.sqrt(load), load)) == pytest.approx(limit, rel=2e-3)


def test_fractions_of_a_server_lie_between_whole_ones():
    servers = np.linspace(10, 12, 21)
    wait = erlang_c(servers, 8.0)
    assert (np.diff(wait) < 0).all()
    assert wait[10] == pytest.approx(oracle.erlang_c(11, 8.0))


def test_nobody_waits_without_load_and_everybody_for_ever_without_spare():
    servers, load = np.array([0.0, 5.0, 5.0, 5.0]), np.array([0.0, 0.0, 5.0, 6.0])
    assert erlang_c(servers, load).tolist() == [0, 0, 1, 1]
    assert mean_wait(servers, load, 1.0).tolist() == [0, 0, np.inf, np.inf]
