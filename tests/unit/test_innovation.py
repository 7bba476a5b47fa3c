"""Technology drifts and leaks, models get better with effort, open weights follow the frontier after a while."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimarket import load
from aimarket.innovation import DRIVERS, Technology, advance_private, frontier_gain, trained_quality
from aimarket.rng import Streams

levels = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)


@pytest.fixture(scope="module")
def technology():
    return load(["roster=monopoly", "users.size=100"]).technology


def run(settings, steps: int, years: float, replication: int = 0) -> np.ndarray:
    technology = Technology(common=np.zeros(len(DRIVERS)))
    for step in range(1, steps + 1):
        technology.advance(settings, Streams(1, replication), step, years)
    return technology.common


def test_without_shocks_the_trends_are_their_rates(technology):
    calm = replace(technology, volatility=0.0)
    rates = [getattr(technology.rates, name) for name in DRIVERS]
    assert run(calm, 24, 1 / 12) == pytest.approx(np.array(rates) * 2)
    assert run(calm, 104, 1 / 52) == pytest.approx(run(calm, 24, 1 / 12))


@pytest.mark.parametrize("per_year", [12, 52])
def test_trends_spread_by_the_volatility_whatever_the_step(technology, per_year):
    rough = replace(technology, volatility=0.4)
    ends = np.array([run(rough, per_year, 1 / per_year, r) for r in range(300)]).ravel()
    rates = np.tile([getattr(technology.rates, name) for name in DRIVERS], 300)
    # 900 draws: the standard deviation is known to 1/sqrt(1800) = 2.4 %, the mean to .4/30; both to four of these.
    assert (ends - rates).std() == pytest.approx(0.4, rel=4 * 0.024)
    assert (ends - rates).mean() == pytest.approx(0, abs=4 * 0.4 / 30)


@given(level=levels, selling=st.lists(st.booleans(), min_size=3, max_size=3).map(np.array))
def test_the_leader_stays_and_laggards_close_the_gap_at_the_rate_of_spillover(technology, level, selling):
    calm, none = replace(technology, private_volatility=0.0, spillover=0.7), np.zeros(3)
    half = advance_private(advance_private(level, none, selling, calm, 0.5), none, selling, calm, 0.5)
    whole = advance_private(level, none, selling, calm, 1.0)
    assert half == pytest.approx(whole)
    if not selling.any():
        assert (whole == level).all()
        return
    lead = level[selling].max()
    behind = level < lead
    assert lead - whole[behind] == pytest.approx((lead - level[behind]) * np.exp(-0.7))
    assert (whole[~behind] == level[~behind]).all()  # also of those ahead who sell nothing: nobody can copy them


def test_own_luck_has_its_own_volatility(technology):
    alone = replace(technology, private_volatility=0.2, spillover=0.0)
    moved = advance_private(np.zeros(2), np.array([1.0, -2.0]), np.array([True, True]), alone, 0.25)
    assert moved == pytest.approx([0.2 * 0.5, -0.4 * 0.5])


def test_returns_to_training_diminish(technology):
    terms = replace(technology, quality_gain=0.5, training_scale=1e9, quality_shock=0.1)
    start = np.array([1.0, 2.0])
    assert trained_quality(start, 0.0, 0.0, terms).tolist() == [1, 2]
    assert trained_quality(start, (np.e - 1) * 1e9, 0.0, terms) == pytest.approx(start + 0.5)
    assert trained_quality(start, (np.e**2 - 1) * 1e9, 0.0, terms) == pytest.approx(start + 1.0)
    assert trained_quality(start, 0.0, -3.0, terms) == pytest.approx(start - 0.3)


def test_open_weights_follow_what_the_frontier_gained_a_lag_ago(technology):
    terms = replace(technology, open_weights_lag=3)
    frontier = [5.0, 5.1, 5.4, 6.0, 7.0, 9.0]
    followed = [frontier_gain(frontier[: n + 1], terms, months=1.0) for n in range(6)]
    assert followed == pytest.approx([0, 0, 0, 0, 0.1, 0.4])
    assert frontier_gain(frontier, terms, months=3.0) == pytest.approx(2.0)  # a lag of one step
    assert frontier_gain(frontier, replace(terms, open_weights_lag=0), months=1.0) == pytest.approx(4.0)
