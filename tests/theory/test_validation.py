"""`aimarket validate` and its limiting markets, at parameters that are in no table."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimarket import cli
from aimarket.theory.markov_perfect import markov_perfect_duopoly
from aimarket.theory.price_competition import logit_market, nash_bertrand, with_owners
from aimarket.theory.quantity_competition import capacity_then_price, cournot
from aimarket.theory.switching import myopic_symmetric_margin, stationary_shares
from aimarket.validation import capacity, capacity_game, cost_accounting, demand, entry, price_competition, suite
from aimarket.validation import switching_costs as switching
from aimarket.validation.check import Check, compare, counted, relative, sampled
from aimarket.validation.limits import limit_settings, logit_settings, run

CHEAP = settings(max_examples=8, deadline=None, derandomize=True)
LEARNT = [task for task in switching.TASKS if getattr(task, "func", None) is switching.learnt_value]


def failed(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.passed]


# --- the comparison itself --------------------------------------------------------------------------------------------


def test_a_check_fails_when_it_should():
    assert Check("x", 1.0, 1.1, 0.1 + 1e-12, "").passed
    assert not Check("x", 1.0, 1.11, 0.1, "").passed
    assert not Check("x", 1.0, math.nan, 0.1, "").passed
    assert not compare("x", [1.0, 2.0], [1.0, math.nan], 1.0, "").passed
    with pytest.raises(ValueError, match="2,"):
        compare("x", [1.0, 2.0], [1.0], 1.0, "")


def test_a_vector_is_judged_by_its_worst_component():
    assert compare("x", [1.0, 10.0], [1.1, 10.2], 0.15, "").simulated == 10.2
    assert relative("x", [1.0, 10.0], [1.1, 10.2], 0.15, "").simulated == 1.1


def test_sampled_checks_know_how_far_luck_goes():
    draws = np.random.default_rng(1).normal(size=(4000, 2))
    assert sampled("x", [0.0, 0.0], draws, "").passed
    assert not sampled("x", [0.0, 0.1], draws, "").passed
    shares = np.random.default_rng(2).multinomial(1000, [0.3, 0.7], size=200) / 1000
    assert counted("x", [0.3, 0.7], shares, 200_000, "").passed
    assert not counted("x", [0.31, 0.69], shares, 200_000, "").passed


# --- other parameters -------------------------------------------------------------------------------------------------

COSTS = st.floats(0.3, 2.0)
QUALITIES = st.floats(0.0, 3.0)


@st.composite
def markets(draw):
    """Logit markets of one to four offers of any owners, qualities, costs and tastes, one or two kinds of users."""
    count = draw(st.integers(1, 4))
    owners = np.cumsum([0, *draw(st.lists(st.integers(0, 1), min_size=count - 1, max_size=count - 1))])
    quality = np.array(draw(st.lists(QUALITIES, min_size=count, max_size=count)))
    cost = draw(st.lists(COSTS, min_size=count, max_size=count))
    tastes = draw(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=2))
    metric = draw(st.sampled_from(["linear", "log"]))
    sensitivity = draw(st.lists(st.floats(1.0, 2.0), min_size=len(tastes), max_size=len(tastes)))
    return logit_market(
        np.outer(tastes, quality) + 0.3,
        np.array(sensitivity) * (2.5 if metric == "log" else 1.0),
        cost,
        owners=owners,
        type_weights=np.arange(1.0, len(tastes) + 1),
        price_metric=metric,
        usage_elasticity=draw(st.floats(0.0, 0.8)) if metric == "log" else 0.0,
    )


@CHEAP
@given(market=markets())
def test_prices_of_any_logit_market(market):
    assert price_competition.nash_prices("any", market).passed


def test_a_market_that_one_segment_each_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="multiples"):
        logit_settings(logit_market([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]], 1.0, 1.0))


def test_a_merger_of_other_firms():
    market = logit_market([2.0, 1.0, 1.5, 0.4], 1.7, [1.0, 0.8, 1.2, 0.5], owners=[0, 1, 2, 2])
    before = price_competition.market_prices(market)
    merged = with_owners(market, [0, 0, 2, 2])
    after = price_competition.market_prices(merged)
    assert after == pytest.approx(nash_bertrand(merged).prices, rel=1e-6)
    assert (after[:2] > before[:2] + 1e-3).all()


@CHEAP
@given(costs=st.lists(st.floats(0, 40), min_size=2, max_size=4), intercept=st.floats(60, 200))
def test_cournot_of_any_costs(costs, intercept):
    known = cournot(intercept, 1.0, costs)
    assert capacity_game.cournot_quantities(np.array(costs), intercept) == pytest.approx(known.quantities, abs=1e-4)


@pytest.mark.parametrize("capacities", [(0.1, 0.3), (0.3, 0.3), (0.15, 0.2, 0.25)])
def test_small_capacities_sell_out(capacities):
    price = capacity_game.rest_price(np.array(capacities), 1.0, 0.8)
    assert price == pytest.approx(np.full(len(capacities), 1 - sum(capacities)), abs=2e-4)


@pytest.mark.parametrize("capacity", [0.45, 0.6])
def test_large_capacities_cycle(capacity):
    known = capacity_then_price((capacity, capacity))
    low, high = capacity_game.edgeworth(capacity, 1.0)
    assert high == pytest.approx(known.highest, abs=1e-4)
    assert low == pytest.approx(known.lowest, rel=0.02)
    assert capacity_game.mixed_mean_price(capacity, 1.0, high) == pytest.approx(known.mean_prices[0], abs=2e-3)


def test_capacities_that_sell_out_do_not_cycle():
    with pytest.raises(ValueError, match="cycle"):
        capacity_game.edgeworth(0.2, 1.0)


@pytest.mark.parametrize(("discount", "cost"), [(0.8, 0.7), (0.3, 1.2), (0.9, 0.1)])
def test_markups_at_other_discounts_with_the_exact_value(discount, cost):
    known = markov_perfect_duopoly(discount, cost)
    pricing = {"discount_rate": 1 / discount - 1, "continuation_value": known.continuation_value}
    assert switching.held_margins(cost, pricing) == pytest.approx(np.full(2, known.steady_margin), abs=1e-6)
    free = switching.free_margin(discount, cost, known.continuation_value, steps=60)
    assert free == pytest.approx(known.steady_margin, abs=1e-3)


def test_an_unequal_base_raises_the_price_of_the_larger_firm():
    """Myopic firms: the one with more locked-in users asks more, and both margins lie about the symmetric one."""
    large, small = switching.held_margins(1.0, {"continuation_value": 0.0}, base=(0.7, 0.3))
    assert small < myopic_symmetric_margin(1.0) < large


@pytest.mark.parametrize("cost", [0.7, 3.0])
def test_shares_under_other_switching_costs(cost):
    quality = [0.8, 0.2, 0.5]
    changes = {f"providers.{n}.offers.main.quality": q for n, q in zip(("anna", "bert", "carl"), quality, strict=True)}
    limit = run(limit_settings("loyalty", changes | {"users.segments.everyone.switching.base": cost, "run.steps": 200}))
    assert sampled("shares", stationary_shares(quality, cost), limit.shares[60:], "").passed


@pytest.mark.parametrize(("innovation", "imitation"), [(0.01, 0.6), (0.1, 0.1)])
def test_other_diffusions(innovation, imitation):
    assert not failed(demand.bass(innovation, imitation))


@pytest.mark.parametrize("curvature", [0.1, 1.0])
def test_other_curvatures_of_thinking(curvature):
    assert not failed(demand.thinking(curvature))


def test_other_capital_costs_lives_and_loads():
    assert not failed(capacity.vintage_life(0.4, 0.2))
    assert not failed(capacity.regions(0.3))
    assert not failed(capacity.highest_utilisation(0.05))


@pytest.mark.parametrize(("substitution", "elasticity", "cost"), [(4.0, 0.8, 0.04), (6.0, 1.5, 0.03)])
def test_free_entry_at_other_substitution(substitution, elasticity, cost):
    assert not failed(entry.free_entry(substitution, elasticity, cost))


@pytest.mark.parametrize("gamma", [1.0, 4.0])
def test_other_returns_to_sunk_outlay(gamma):
    assert not failed(entry.sunk_cost(gamma))


def test_drivers_over_another_time():
    assert not failed(cost_accounting.drivers(years=3))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("section", suite.SECTIONS)
def test_every_known_answer_is_reproduced(section):
    """The value that firms learn is the one approximation: it has a test of its own."""
    for task in suite.SECTIONS[section]:
        if task not in LEARNT:
            assert not failed(task())


@pytest.mark.slow
def test_the_learnt_value_gives_prices_that_first_fall_then_rise():
    for discount in switching.DISCOUNTS:
        checks = switching.learnt_value(discount)
        assert not failed(checks[-2:])
        assert not failed(checks[:2])  # where switching costs are low, within the aim


def exit_code(*arguments: str) -> int:
    try:
        cli.main(["validate", *arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_prints_a_table_and_writes_it(tmp_path, capsys):
    target = tmp_path / "table.csv"
    assert exit_code("cost_accounting", "--csv", str(target)) == 0
    printed = capsys.readouterr().out
    assert "4 checks, 0 failed" in printed
    assert "attribution, by LMDI" in printed
    assert len(target.read_text().splitlines()) == 5


def test_a_failed_check_is_exit_code_1(monkeypatch, capsys):
    bad = Check("wrong", 1.0, 2.0, 0.5, "nothing")
    monkeypatch.setattr(
        suite, "validate", lambda sections: iter([("demand", [bad, dataclasses.replace(bad, known=2.0)])])
    )
    assert exit_code() == 1
    printed = capsys.readouterr().out
    assert "FAILS" in printed
    assert "2 checks, 1 failed" in printed


def test_an_unknown_section_is_bad_input(capsys):
    assert exit_code("demnad") == 2
    assert capsys.readouterr().err.startswith("aimarket: demnad: no such section; allowed: price_competition")
