"""`aimarket validate` and its limiting markets, at parameters that are in no table."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimarket import cli
from aimarket.algorithmic_collusion import Environment
from aimarket.theory.markov_perfect import markov_perfect_duopoly
from aimarket.theory.price_competition import logit_market
from aimarket.theory.quantity_competition import capacity_then_price, cournot
from aimarket.theory.switching import myopic_symmetric_margin, stationary_shares
from aimarket.validation import (
    algorithms,
    capacity,
    capacity_game,
    cost_accounting,
    demand,
    entry,
    price_competition,
    suite,
)
from aimarket.validation import switching_costs as switching
from aimarket.validation.check import Check, compare, counted, relative, sampled
from aimarket.validation.limits import limit_settings, logit_settings, run

CHEAP = settings(max_examples=8, deadline=None, derandomize=True)


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


@pytest.mark.parametrize(("acquirer", "target"), [(0, 1), (2, 0)])
def test_a_merger_of_other_firms(acquirer, target):
    market = logit_market([2.0, 1.0, 1.5, 0.4], 1.7, [1.0, 0.8, 1.2, 0.5], owners=[0, 1, 2, 2])
    assert not failed(price_competition.merger("other firms", market, acquirer, target))


@CHEAP
@given(costs=st.lists(st.floats(0, 40), min_size=2, max_size=4), intercept=st.floats(60, 200), slope=st.floats(0.1, 9))
def test_cournot_of_any_costs(costs, intercept, slope):
    known = cournot(intercept, slope, costs)
    game = capacity_game.game([math.inf] * len(costs), costs, intercept=intercept, slope=slope)
    found = capacity_game.cournot_quantities(game)
    assert found == pytest.approx(known.quantities, abs=1e-5 * intercept / slope)


def test_an_owner_of_two_plants_is_one_cournot_firm_that_works_the_cheaper_first():
    unlimited = capacity_game.game([math.inf] * 4, [10, 20, 5, 12], owner=[0, 0, 1, 2], intercept=100, slope=2)
    assert capacity_game.cournot_quantities(unlimited) == pytest.approx(
        cournot(100, 2, [10, 5, 12]).quantities, abs=1e-4
    )
    # Ten units at a cost of 5 do not satisfy the first owner: his second plant, at 15, is the one that counts.
    small = capacity_game.game([10, math.inf, math.inf], [5, 15, 12], owner=[0, 0, 1], intercept=100, slope=2)
    assert capacity_game.cournot_quantities(small) == pytest.approx(cournot(100, 2, [15, 12]).quantities, abs=1e-4)


def test_a_cournot_firm_whose_capacity_binds_leaves_the_rest_to_the_other():
    game = capacity_game.game([10, math.inf], 10.0, intercept=100)
    assert capacity_game.cournot_quantities(game) == pytest.approx([10, 40], abs=1e-4)


@pytest.mark.parametrize(
    ("capacities", "owners"),
    [((0.1, 0.3), None), ((0.3, 0.3), None), ((0.15, 0.2, 0.25), None), ((0.1, 0.1, 0.25), (0, 0, 1))],
)
def test_small_capacities_sell_out(capacities, owners):
    price = capacity_game.rest_price(capacity_game.game(capacities, owner=owners), 0.8)
    assert price == pytest.approx(np.full(len(price), 1 - sum(capacities)), abs=2e-4)


def test_small_capacities_sell_out_at_other_costs_and_slopes():
    price = capacity_game.rest_price(capacity_game.game([0.15, 0.1, 0.15], 0.1, intercept=2.0, slope=3.0), 1.5)
    assert price == pytest.approx(np.full(3, 2 - 3 * 0.4), abs=2e-4)


def test_capacity_for_everybody_drives_prices_to_cost():
    price = capacity_game.rest_price(capacity_game.game([5.0, math.inf], 0.2), 0.6)
    assert price == pytest.approx(capacity_then_price((5.0, 5.0), marginal_cost=0.2).mean_prices, rel=1e-4)


@pytest.mark.parametrize(
    ("capacities", "cost", "intercept", "slope"),
    [((0.45, 0.45), 0.0, 1.0, 1.0), ((0.6, 0.4), 0.0, 1.0, 1.0), ((0.3, 0.6), 0.3, 2.0, 1.5)],
)
def test_large_capacities_cycle(capacities, cost, intercept, slope):
    """Firms of one size and of two, at a cost, under other demand."""
    assert not failed(capacity.prices_given_capacity((0.1, 0.12), capacities, cost, intercept, slope))


def test_capacities_that_sell_out_do_not_cycle():
    with pytest.raises(ValueError, match="cycle"):
        capacity_game.edgeworth(capacity_game.game([0.2, 0.2]))


@pytest.mark.parametrize("wrong", [{"capacity": [0.0, 1.0]}, {"slope": 0.0}, {"cost": 1.0}])
def test_a_game_that_nobody_can_play_is_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        capacity_game.game(**({"capacity": [0.5, 0.5]} | wrong))


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
    # Users stay for some twenty steps: batches are long beside that.
    changes |= {"users.segments.everyone.switching.base": cost, "users.size": 2000, "run.steps": 900}
    limit = run(limit_settings("loyalty", changes))
    assert sampled("shares", stationary_shares(quality, cost), limit.shares[100:], "").passed


@pytest.mark.parametrize(("innovation", "imitation"), [(0.01, 0.6), (0.1, 0.1)])
def test_other_diffusions(innovation, imitation):
    assert not failed(demand.bass(innovation, imitation))


@pytest.mark.parametrize("curvature", [0.1, 1.0])
def test_other_curvatures_of_thinking(curvature):
    assert not failed(demand.thinking(curvature))


def test_other_capital_costs_lives_and_loads():
    assert not failed(capacity.vintage_life(0.4, 0.3))
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


def test_other_rates_of_learning_by_doing():
    assert not failed(cost_accounting.experience(0.1))


def test_other_firms_come_until_the_next_would_lose():
    costs = {f"providers.{name}.overhead": 19194.0 for name in limit_settings("free_entry").providers}
    assert not failed(entry.entering(costs | {"run.steps": 25}))


def test_anchors_of_other_products():
    assert not failed(algorithms.anchor_prices(Environment(firms=3, quality=1.7, outside=0.2, differentiation=0.4)))


# --- the command ------------------------------------------------------------------------------------------------------


LEARNT = 5e-3  # relative: a tenth of what the suite allows the margins of firms that learn what a user is worth


@pytest.mark.slow
@pytest.mark.parametrize("section", suite.SECTIONS)
def test_every_known_answer_is_reproduced(section):
    """The margins that firms learn in every cell of theory.md's table, with its dip, among them."""
    checks = [check for task in suite.SECTIONS[section] for check in task()]
    assert not failed(checks)
    learnt = [check for check in checks if check.name.endswith("learnt margin")]
    assert len(learnt) == (len(switching.BONUSES) * len(switching.DISCOUNTS) if section == "switching_costs" else 0)
    assert [check.simulated for check in learnt] == pytest.approx([check.known for check in learnt], rel=LEARNT)


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
    assert "8 checks, 0 failed" in printed
    assert "attribution, by LMDI" in printed
    assert len(target.read_text().splitlines()) == 9


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
