"""Technology drifts and leaks, models get better with effort, open weights follow the frontier after a while."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aimarket import load
from aimarket.experience import Experience, learning_level
from aimarket.innovation import (
    DRIVERS,
    Technology,
    advance_private,
    followed_quality,
    generation_luck,
    private_shocks,
    trained_quality,
)
from aimarket.provider import roadmap
from aimarket.rng import Streams

FIRMS = 4
levels = arrays(float, (FIRMS, len(DRIVERS)), elements=st.floats(-2, 2))
sales = arrays(float, FIRMS, elements=st.just(0.0) | st.floats(1.0, 1e9))


@pytest.fixture(scope="module")
def settings():
    return load(["roster=monopoly", "users.size=100"])


@pytest.fixture(scope="module")
def technology(settings):
    return settings.technology


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


@given(level=levels, sales=sales)
def test_leads_are_learnt_away_and_the_industry_stays_where_it_is(technology, level, sales):
    calm, none = replace(technology, private_volatility=0.0, spillover=0.7), np.zeros_like(level)
    half = advance_private(advance_private(level, none, sales, calm, 0.5), none, sales, calm, 0.5)
    whole = advance_private(level, none, sales, calm, 1.0)
    assert half == pytest.approx(whole, abs=1e-12)
    if not sales.any():
        assert (whole == level).all()
        return
    assert whole - whole[0] == pytest.approx((level - level[0]) * np.exp(-0.7), abs=1e-9)
    assert sales @ whole / sales.sum() == pytest.approx(sales @ level / sales.sum(), abs=1e-9)


@given(level=levels, sales=sales, place=st.integers(0, FIRMS), stranger=st.floats(-2, 2))
def test_a_firm_that_sells_nothing_is_no_example(technology, level, sales, place, stranger):
    """To the last bit, wherever it stands in the roster."""
    without = advance_private(level, np.zeros_like(level), sales, technology, 1 / 12)
    more = np.insert(level, place, stranger, axis=0)
    moved = advance_private(more, np.zeros_like(more), np.insert(sales, place, 0.0), technology, 1 / 12)
    np.testing.assert_array_equal(np.delete(moved, place, axis=0), without)


@pytest.mark.parametrize("firms", [2, 12, 50])
def test_leakage_adds_no_progress_however_many_firms(technology, firms):
    """Equal firms, own luck, ten years: catching up with the best of twelve would give .77 log points, this none."""
    ends, draws = [], np.random.default_rng(1)
    for _ in range(200):
        level = np.zeros((firms, len(DRIVERS)))
        for _ in range(40):
            shocks = draws.standard_normal(level.shape)
            level = advance_private(level, shocks, np.ones(firms), technology, 0.25)
        ends.append(level.sum(axis=1).mean())
    assert abs(np.mean(ends)) < 4 * np.std(ends) / np.sqrt(len(ends))
    # Means of firms are random walks: the leak neither adds to their spread nor takes from it.
    spread = technology.private_volatility * np.sqrt(len(DRIVERS) * 10 / firms)
    assert np.std(ends) == pytest.approx(spread, rel=4 / np.sqrt(2 * len(ends)))


def test_own_luck_has_its_own_volatility(technology):
    alone = replace(technology, private_volatility=0.2, spillover=0.0)
    shocks = np.array([[1.0, 0.0, 0.5], [-2.0, 1.0, 0.0]])
    moved = advance_private(np.zeros((2, 3)), shocks, np.ones(2), alone, 0.25)
    assert moved == pytest.approx(0.2 * 0.5 * shocks)
    draws = private_shocks(Streams(1, 0), 3, "anna")
    assert len(set(draws)) == len(DRIVERS)
    assert (draws != private_shocks(Streams(1, 0), 3, "bert")).all()


# ── generations to come ──


def test_generations_to_come_stray_by_name_and_keep_what_they_strayed(settings):
    hardware = settings.hardware
    plain = roadmap(hardware, 0.357, 240.0)
    listed = len(hardware.generations)
    strayed = np.array(
        [
            np.log(
                roadmap(hardware, 0.357, 240.0, 0.2, generation_luck(Streams(seed, 0))).throughput / plain.throughput
            )
            for seed in range(400)
        ]
    )
    assert (strayed[:, :listed] == 0).all()  # what is announced is known
    leaps = np.diff(strayed[:, listed - 1 :], axis=1)
    error = 1 / np.sqrt(2 * leaps.size)
    assert leaps.std() == pytest.approx(0.2 * np.sqrt(hardware.cadence), rel=4 * error)
    assert abs(np.corrcoef(leaps[:, 0], leaps[:, 1])[0, 1]) < 4 / np.sqrt(len(leaps))
    longer = roadmap(hardware, 0.357, 360.0, 0.2, generation_luck(Streams(0, 0)))
    assert (np.log(longer.throughput[: len(plain.names)] / plain.throughput) == strayed[0]).all()


# ── learning by doing ──


def test_a_fifth_per_doubling_makes_half_the_cost_at_ten_times_the_output(technology):
    """Wright: exponent .321928, -52.4 % at x10, whoever learns from whom."""
    wright = replace(technology, learning=0.321928)
    ten = Experience(before=3.0, served=27.0).log_growth
    assert np.exp(-learning_level(ten, ten, wright)) == pytest.approx(1 - 0.524, abs=1e-3)
    assert np.exp(-learning_level(np.log(2), np.log(2), wright)) == pytest.approx(0.8, abs=1e-6)
    assert learning_level(ten, 0.0, replace(wright, learning_private=0.25)) == pytest.approx(0.25 * 0.321928 * ten)
    assert learning_level(ten, ten, replace(technology, learning=0.0)) == 0


def test_experience_counts_from_what_had_been_made_before():
    by_month, by_half = Experience(), Experience()
    for _ in range(25):
        by_month.gain(10.0, 1 / 12, prior=2.0)
    for _ in range(49):
        by_half.gain(5.0, 1 / 24, prior=2.0)
    # Two years at the pace of the first step, then two more: twice as much.
    assert by_month.log_growth == pytest.approx(np.log(2))
    assert by_half.log_growth == pytest.approx(np.log(2))
    late = Experience()
    late.gain(0.0, 1 / 12, prior=1.0)
    assert late.log_growth == 0
    late.gain(1.0, 1 / 12, prior=1.0)
    late.gain(12.0, 1 / 12, prior=1.0)
    assert late.log_growth == pytest.approx(np.log(2))


# ── models ──


def test_returns_to_training_diminish(technology):
    terms = replace(technology, quality_gain=0.5, training_scale=1e9, quality_shock=0.1)
    start = np.array([1.0, 2.0])
    assert trained_quality(start, 0.0, 0.0, terms).tolist() == [1, 2]
    assert trained_quality(start, (np.e - 1) * 1e9, 0.0, terms) == pytest.approx(start + 0.5)
    assert trained_quality(start, (np.e**2 - 1) * 1e9, 0.0, terms) == pytest.approx(start + 1.0)
    assert trained_quality(start, 0.0, -3.0, terms) == pytest.approx(start - 0.3)


def test_open_weights_follow_the_frontier_of_a_lag_ago_at_a_distance():
    start = np.array([5.0, 4.8, 4.0])  # the frontier, the best open weights and a small model
    frontier = [5.0, 5.1, 5.4, 6.0, 7.0, 9.0]
    followed = np.array([followed_quality(start, 4.8, frontier[: n + 1], 3, 0.2, 1.0) for n in range(6)])
    assert followed[:, 1] == pytest.approx([4.8, 4.8, 4.8, 4.8, 4.9, 5.2])  # .2 below what was the frontier
    assert followed[:, 2] == pytest.approx([4.0, 4.0, 4.0, 4.0, 4.1, 4.4])  # small models keep their distance
    assert followed[:, 0] == pytest.approx([5.0] * 5 + [5.2])  # not past the weights that are open
    assert followed_quality(start, 4.8, frontier, 3, 0.2, 3.0)[1] == pytest.approx(6.8)  # a lag of one step
    assert (
        followed_quality(start, 4.8, [5.0, 4.0], 0, 0.2, 1.0) == start
    ).all()  # a frontier that leaves takes nothing


def test_opened_weights_are_the_frontier_and_do_not_lift_it():
    start, frontier = np.array([5.0, 4.8, 4.0]), [5.0, 5.5]
    assert followed_quality(start, 4.8, frontier, 0, 0.0, 1.0) == pytest.approx([5.5, 5.5, 4.7])
    for _ in range(3):
        frontier.append(followed_quality(start, 4.8, frontier, 0, 0.0, 1.0).max())
    assert frontier[-1] == 5.5


def test_open_weights_with_room_to_catch_up_never_jump_at_the_start():
    """Better open weights than lag and gap allow for stay as they are until the frontier has moved on."""
    followed = followed_quality(np.array([5.0, 4.9]), 4.9, [5.0, 5.05, 5.3], 0, 0.2, 1.0)
    assert followed == pytest.approx([5.1, 5.1])  # but who is behind is lifted to what is open
