"""Kernels over examples: laws that hold for any numbers, and formulas written a second time."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aimarket.kernels.choice import logit_shares
from aimarket.kernels.concentration import concentration_ratio, herfindahl, shares
from aimarket.kernels.cost import attribute_log_change, capital_recovery, logarithmic_mean
from aimarket.kernels.diffusion import bass_adoption
from aimarket.kernels.effort import (
    Response,
    mean_difficulty,
    tasks,
    thinking_elasticity,
    thinking_tokens,
    use,
    use_elasticities,
)
from aimarket.kernels.queueing import erlang_c, mean_wait
from aimarket.kernels.rationing import place_load
from aimarket.kernels.sums import ordered_sum
from aimarket.kernels.welfare import consumer_surplus, tornqvist_change
from aimarket.theory import capital, concentration, cost_accounting, diffusion, queueing, usage

positive = st.floats(1e-3, 1e3)
fractions = st.just(0.0) | st.floats(1e-6, 1)
loads = st.just(0.0) | st.floats(1e-6, 100)


def floats(shape: tuple[int, ...], elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return arrays(float, shape, elements=elements)


# ── choice ──


@given(floats((3, 4), st.floats(-50, 50)), floats((3,), st.floats(-50, 50)), st.floats(-300, 300))
def test_logit_shares_sum_to_one_and_only_differences_count(utility, outside, shift):
    share, inclusive = logit_shares(utility, outside)
    assert share.sum(axis=1) + np.exp(outside - inclusive) == pytest.approx(np.ones(3))
    assert np.log(share[:, 0] / share[:, 1]) == pytest.approx(utility[:, 0] - utility[:, 1], abs=1e-9)  # Luce's axiom
    shifted, inclusive_shifted = logit_shares(utility + shift, outside + shift)
    assert shifted == pytest.approx(share, abs=1e-9)
    assert inclusive_shifted == pytest.approx(inclusive + shift, abs=1e-9)


@given(floats((2, 3), st.floats(-20, 20)), floats((2,), st.floats(-20, 20)))
def test_an_offer_that_cannot_be_had_changes_nothing(utility, outside):
    share, inclusive = logit_shares(utility, outside)
    wider, wider_inclusive = logit_shares(np.insert(utility, 1, -np.inf, axis=1), outside)
    assert wider[:, 1].tolist() == [0, 0]
    assert np.delete(wider, 1, axis=1) == pytest.approx(share)
    assert wider_inclusive == pytest.approx(inclusive)


@given(floats((3,), st.floats(-20, 20)), st.integers(0, 2))
def test_the_inclusive_value_rises_by_the_share(utility, which):
    # Williams, Daly and Zachary: the derivative of the log-sum in a utility is its choice probability.
    step = 1e-5
    bump = np.eye(3)[which] * step
    up, down = (logit_shares((utility + sign * bump)[None, :], np.zeros(1))[1][0] for sign in (1, -1))
    share, _ = logit_shares(utility[None, :], np.zeros(1))
    assert (up - down) / (2 * step) == pytest.approx(share[0, which], abs=1e-6)


# ── queueing ──


@given(st.integers(1, 300), st.floats(0.01, 0.999), positive)
def test_waiting_agrees_with_the_recursion(servers, utilisation, service_time):
    load = servers * utilisation
    assert float(erlang_c(servers, load)) == pytest.approx(queueing.erlang_c(servers, load), rel=1e-8, abs=1e-280)
    expected = queueing.mean_wait(servers, load) * service_time
    assert float(mean_wait(servers, load, service_time)) == pytest.approx(expected, rel=1e-8, abs=1e-280)


# ── diffusion ──


@given(st.floats(1e-4, 1), st.floats(0, 3), st.floats(0, 20), st.floats(0, 5))
def test_adoption_follows_basss_curve(p, q, start, years):
    before, after = diffusion.bass_adopted([start, start + years], p, q)
    probability = float(bass_adoption(before, p, q, years))
    assert before + (1 - before) * probability == pytest.approx(float(after), abs=1e-9)


@given(fractions, fractions, st.floats(0, 3), st.floats(0, 2), st.floats(0, 2))
def test_two_steps_adopt_as_many_as_one(share, p, q, first, second):
    def later(adopted: float, years: float) -> float:
        return adopted + (1 - adopted) * float(bass_adoption(adopted, p, q, years))

    assert later(later(share, first), second) == pytest.approx(later(share, first + second), abs=1e-9)
    assert later(share, first) >= share


def test_nobody_adopts_what_nobody_has_unless_somebody_innovates():
    assert bass_adoption([0.0, 0.5], [0.0, 0.0], [1.0, 0.0], 1.0).tolist() == [0, 0]


@given(fractions, fractions, st.floats(1e-6, 3))
def test_a_short_step_adopts_by_the_hazard(share, p, q):
    step = 1e-12  # a difference of shares would have lost four of its digits here
    assert float(bass_adoption(share, p, q, step)) == pytest.approx((p + q * share) * step, rel=1e-9)


# ── cost ──


@given(fractions, st.floats(0.1, 50))
def test_capital_recovery_is_the_annuity(rate, years):
    assert capital_recovery(rate, years) == pytest.approx(capital.annuity_payment(1.0, rate, years), rel=1e-9)


@given(st.floats(0.001, 1), st.integers(1, 40))
def test_payments_of_capital_recovery_repay_what_was_lent(rate, years):
    payment = capital_recovery(rate, years)
    assert sum(payment / (1 + rate) ** year for year in range(1, years + 1)) == pytest.approx(1)


@given(positive, positive)
def test_logarithmic_mean_lies_between_the_geometric_and_the_arithmetic(x, y):
    mean = float(logarithmic_mean(x, y))
    assert math.sqrt(x * y) * (1 - 1e-12) <= mean <= (x + y) / 2 * (1 + 1e-12)
    assert mean == pytest.approx(float(logarithmic_mean(y, x)), rel=1e-12)
    assert mean == pytest.approx(float(cost_accounting.logarithmic_mean(x, y)), rel=1e-6)


@given(positive, st.floats(-1e-3, 1e-3))
def test_logarithmic_mean_of_near_equals_loses_no_digits(x, gap):
    # Series of (e^g - 1)/g to the third order.
    assert float(logarithmic_mean(x * math.exp(gap), x)) == pytest.approx(x * (1 + gap / 2 + gap**2 / 6), rel=1e-10)


@given(*(floats((2,), positive) for _ in range(2)), *(floats((3,), positive) for _ in range(2)))
def test_cost_drivers_agree_with_the_oracle_and_sum_to_the_change(parts, old_parts, divisors, old_divisors):
    of_parts, of_divisors = attribute_log_change(parts, old_parts, divisors, old_divisors)
    expected = cost_accounting.lmdi_unit_cost(old_parts, parts, old_divisors, divisors)
    assert of_parts == pytest.approx(expected[0], rel=1e-6, abs=1e-9)
    assert of_divisors == pytest.approx(expected[1], rel=1e-9, abs=1e-12)
    change = math.log(parts.sum() / divisors.prod()) - math.log(old_parts.sum() / old_divisors.prod())
    assert of_parts.sum() + of_divisors.sum() == pytest.approx(change, abs=1e-9)
    # The general method over parts alone, each the only factor of its own summand.
    before, after = (np.where(np.eye(2, dtype=bool), part, 1.0) for part in (old_parts, parts))
    assert of_parts == pytest.approx(cost_accounting.lmdi_attribution(before, after), rel=1e-6, abs=1e-9)


def test_a_part_may_be_nothing_before_or_after():
    of_parts, of_divisors = attribute_log_change(
        np.array([2.0, 1.0]), np.array([2.0, 0.0]), np.array([3.0]), np.array([1.0])
    )
    assert of_parts == pytest.approx([0.0, math.log(1.5)])
    assert of_divisors == pytest.approx([-math.log(3)])


# ── effort ──


@given(st.floats(1e-5, 1), st.floats(0.01, 50), st.floats(0.1, 10), st.floats(0, 20), st.floats(0.05, 3))
def test_thinking_tokens_maximise_the_worth_of_an_answer(reference, price, reference_price, time_price, curvature):
    # v A b is what makes `reference` the choice at the reference price when waiting is free.
    value = reference_price * reference ** (1 + curvature) / curvature
    chosen = thinking_tokens(
        np.array([reference]), np.array([price]), reference_price, np.array([time_price]), curvature
    )[0]
    assert chosen == pytest.approx(float(usage.thinking_tokens(value, 1.0, curvature, price, time_price)), rel=1e-9)

    def worth(tokens: float) -> float:
        return -value * tokens**-curvature - (price + time_price) * tokens

    assert worth(chosen) >= max(worth(chosen * 1.01), worth(chosen / 1.01))


@given(st.floats(0.01, 50), st.floats(0, 20), st.floats(0.05, 3), st.floats(0.05, 3))
def test_elasticities_of_use_are_the_derivatives(price, time_price, curvature, elasticity):
    step, one = 1e-5, np.ones(1)

    def slope(quantity) -> float:
        return float(np.log(quantity(price * math.exp(step)) / quantity(price * math.exp(-step)))[0] / (2 * step))

    thinking = slope(lambda p: thinking_tokens(one, p * one, 1.0, time_price * one, curvature))
    assert thinking == pytest.approx(float(thinking_elasticity(price * one, time_price * one, curvature)[0]), rel=1e-6)
    assert thinking == pytest.approx(float(usage.thinking_token_elasticity(curvature, price, time_price)), rel=1e-6)
    count = slope(lambda p: tasks(one, one, p * one, 1.0, elasticity))
    assert count == pytest.approx(-elasticity, rel=1e-6)


# ── rationing ──


@example(np.array([[[1.4], [3.1], [7.2]]]), np.array([[20.0, 3.4, 2.4]]))  # rounding would serve more than there is
@given(floats((2, 3, 4), loads), floats((2, 3), loads))
def test_load_is_served_at_home_first_and_never_beyond_capacity(load, capacity):
    placed = place_load(load, capacity)
    total, room = load.sum(axis=1), capacity.sum(axis=1)[:, None]
    assert (placed.busy <= capacity[:, :, None] * (1 + 1e-12)).all()
    assert ((placed.served >= 0) & (placed.served <= 1)).all()
    # All that fits is served, and work done is work served.
    assert (placed.served * load).sum(axis=1) == pytest.approx(np.minimum(total, room), rel=1e-9, abs=1e-9)
    assert placed.busy.sum(axis=1) == pytest.approx(np.minimum(total, room), rel=1e-9, abs=1e-9)
    # Home first: a region's own GPUs are busy with its own load as far as they go, and nothing leaves before.
    home = placed.served * load * (1 - placed.abroad.sum(axis=2))
    assert home == pytest.approx(np.minimum(load, capacity[:, :, None]), rel=1e-9, abs=1e-9)
    # What comes in is what the others send.
    inflow = ((placed.served * load)[:, :, None, :] * placed.abroad).sum(axis=1)
    assert home + inflow == pytest.approx(placed.busy, rel=1e-9, abs=1e-9)
    assert (np.einsum("frrh->frh", placed.abroad) < 1e-12).all()


@given(floats((3, 4), st.floats(0.1, 100)), floats((3,), loads))
def test_what_cannot_be_served_is_rationed_pro_rata(load, capacity):
    placed = place_load(load[None], capacity[None])
    over = np.maximum(load - capacity[:, None], 0.0)
    lost = load * (1 - placed.served[0])
    for hour in range(load.shape[1]):
        refused = max(0.0, load[:, hour].sum() - capacity.sum())
        expected = over[:, hour] / max(over[:, hour].sum(), 1e-300) * refused
        assert lost[:, hour] == pytest.approx(expected, abs=1e-9)


# ── sums, concentration, welfare ──


@given(st.lists(st.floats(-1e9, 1e9), max_size=40), st.data())
def test_terms_of_zero_change_no_bit_of_an_ordered_sum(terms, data):
    total = 0.0
    for term in terms:
        total += term
    padded = list(terms)
    for _ in range(3):
        padded.insert(data.draw(st.integers(0, len(padded))), 0.0)
    assert float(ordered_sum(np.array(terms))) == total
    assert float(ordered_sum(np.array(padded))) == total


@given(floats((2, 3, 4), st.floats(-10, 10)), st.integers(-3, 2))
def test_an_ordered_sum_runs_along_the_axis_asked_for(values, axis):
    assert ordered_sum(values, axis) == pytest.approx(values.sum(axis=axis), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_large_arrays_are_summed_term_by_term_like_small_ones(seed, axis):
    """Some of the rows alone make a small array, all of them a large one."""
    values = np.random.default_rng(seed).normal(size=(40, 40, 40))
    some = [slice(3) if i != axis else slice(None) for i in range(3)]
    expected = ordered_sum(values[tuple(some)], axis)
    assert (ordered_sum(values, axis)[:3, :3] == expected).all()


@given(floats((6,), st.floats(0, 1e6)))
def test_concentration_agrees_with_the_oracle(quantity):
    share = shares(quantity)
    if quantity.sum() == 0:
        assert not share.any()
    else:
        assert share.sum() == pytest.approx(1)
        assert herfindahl(share) == pytest.approx(concentration.hhi(quantity), rel=1e-9)
        assert concentration_ratio(share) == pytest.approx(concentration.concentration_ratio(quantity), rel=1e-9)


@given(*(floats((5,), positive) for _ in range(4)), positive)
def test_the_price_index_is_reversible_and_takes_common_changes_in_full(price, old_price, value, old_value, factor):
    change = tornqvist_change(price, old_price, value, old_value)
    assert tornqvist_change(old_price, price, old_value, value) == pytest.approx(-change, abs=1e-9)
    assert tornqvist_change(price * factor, price, value, old_value) == pytest.approx(math.log(factor), abs=1e-9)
    gains = np.log(price / old_price)
    assert gains.min() - 1e-9 <= change <= gains.max() + 1e-9
    # A model that is new or gone is left out, whatever its price.
    joined = (np.append(price, 1e-3), np.append(old_price, 1e3), np.append(value, 5.0), np.append(old_value, 0.0))
    assert tornqvist_change(*joined) == pytest.approx(change, abs=1e-9)


def test_the_price_index_by_hand():
    # Value shares .5 and .25 before and after of a price that doubles: the mean .375 of ln 2. The other stands still.
    change = tornqvist_change(np.array([2.0, 1.0]), np.ones(2), np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert change == pytest.approx(0.375 * math.log(2))
    assert tornqvist_change(np.ones(1), np.ones(1), np.zeros(1), np.ones(1)) == 0


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.1, 3), st.floats(-2, 2))
def test_surplus_is_the_area_under_demand(price, higher, sensitivity, quality):
    """What a chooser with linear price would pay for a lower price is the area under the demand curve."""
    top, low = max(price, higher), min(price, higher)
    grid = np.linspace(low, top, 2001)
    utility = (quality - sensitivity * grid)[:, None]
    share, inclusive = logit_shares(utility, np.zeros(len(grid)))
    area = np.trapezoid(share[:, 0], grid)
    money, inside = np.full(2, 1 / sensitivity), np.array([1.0, 0.5])
    surplus = consumer_surplus(inclusive[[0, -1]], np.zeros(2), money, np.ones(2))
    assert surplus[0] - surplus[1] == pytest.approx(area, abs=1e-6)
    halved = consumer_surplus(inclusive[[0, 0]], np.zeros(2), money, inside)
    assert halved[1] == pytest.approx(halved[0] / 2)


@given(positive, st.floats(0.3, 2.0), st.floats(1.5, 1e6), st.floats(0, 0.5), st.floats(0, 5))
def test_harder_tasks_are_done_until_there_are_none(price, elasticity, ceiling, harder, waiting):
    """(v/p)^(1+k) tasks of mean difficulty v/p up to the ceiling, and both elasticities are those of differences."""
    one, response = np.ones(1), Response(1.0, elasticity, 0.3, ceiling, harder)

    def at(p: float) -> tuple[float, float]:
        count, thinking = use(one, one, one, np.array([p]), np.array([waiting]), response)
        return float(count[0]), float(thinking[0])

    count, thinking = at(price)
    assert count == pytest.approx(min(price**-elasticity, ceiling))
    assert mean_difficulty(np.array([price]), 1.0, elasticity, ceiling) == pytest.approx(count ** (1 / elasticity))
    plain = float(thinking_tokens(one, np.array([price]), 1.0, np.array([waiting]), 0.3)[0])
    assert thinking == pytest.approx(plain * count ** (harder / elasticity))
    kink = ceiling ** (-1 / elasticity)
    if abs(price / kink - 1) > 1e-4:
        up, down = at(price * math.exp(1e-6)), at(price * math.exp(-1e-6))
        slopes = [math.log(high / low) / 2e-6 for high, low in zip(up, down, strict=True)]
        for slope, found in zip(
            slopes, use_elasticities(np.array([price]), np.array([waiting]), response), strict=True
        ):
            assert float(found[0]) == pytest.approx(slope, abs=1e-6)


def test_spend_stops_growing_at_the_ceiling():
    """Below it a price cut of nine tenths raises spend by 10^(eta - 1); from it on spend falls with the price."""
    price = np.array([1.0, 0.1, 0.01, 0.001])
    spend = price * tasks(np.ones(4), np.ones(4), price, 1.0, 1.5, ceiling=10**1.5)
    assert spend[1] / spend[0] == pytest.approx(10**0.5)
    assert spend[3] / spend[2] == pytest.approx(0.1)
