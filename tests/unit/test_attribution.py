"""What moved unit cost: kernels against the oracle, and a market in which the drivers put in are the drivers found."""

import numpy as np
import pytest
from compositions import made
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aimarket import IdentityBreach, Market
from aimarket.attribution import COLUMNS, MARKET_COLUMNS
from aimarket.innovation import DRIVERS
from aimarket.kernels.cost import attribute_log_change, attribute_mean_change, shapley_log_change
from aimarket.theory.cost_accounting import shapley_attribution

costs = arrays(float, 3, elements=st.floats(0.01, 10))
levels = arrays(float, 4, elements=st.floats(0.1, 10))


# ── kernels ──


@given(costs, costs, levels, levels)
def test_shapley_is_the_oracles_and_both_methods_sum_to_the_change(new, old, after, before):
    of_parts, of_divisors = shapley_log_change(new, old, after, before)

    def log_cost(level):
        divisors = np.prod([level[f"d{i}"] for i in range(4)])
        return np.log(sum(level[f"p{i}"] for i in range(3)) / divisors)

    def named(parts, divisors):
        return {f"p{i}": x for i, x in enumerate(parts)} | {f"d{i}": x for i, x in enumerate(divisors)}

    oracle = shapley_attribution(log_cost, named(old, before), named(new, after))
    assert [*of_parts, *of_divisors] == pytest.approx(list(oracle.values()), abs=1e-9)
    total = log_cost(named(new, after)) - log_cost(named(old, before))
    for kernel in (shapley_log_change, attribute_log_change):
        assert sum(map(np.sum, kernel(new, old, after, before))) == pytest.approx(total, abs=1e-9)


def test_the_known_answer_of_two_parts_and_five_divisors():
    new, old = np.array([2.6, 0.27]), np.array([2.0, 0.3])
    after, before = np.array([2, 1.35, 1.57, 1.42, 0.6]), np.array([1, 1, 1, 1, 0.5])
    parts, divisors = shapley_log_change(new, old, after, before)
    expected = [0.23317, -0.01176, -0.69315, -0.30010, -0.45108, -0.35066, -0.18232]
    assert [*parts, *divisors] == pytest.approx(expected, abs=1e-5)


def test_shapley_takes_rows_at_once_and_parts_that_cost_nothing():
    new, old = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]), np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    ones = np.ones((2, 1))
    parts, _ = shapley_log_change(new, old, ones, ones)
    assert parts.sum(axis=1) == pytest.approx(np.log([1.5, 3.0]))
    assert parts[0, 1] == 0
    single, _ = shapley_log_change(new[0], old[0], ones[0], ones[0])
    assert single == pytest.approx(parts[0])


@pytest.mark.parametrize("kernel", [shapley_log_change, attribute_log_change])
def test_costs_of_any_size_are_attributed_whole(kernel):
    """A firm that sold all but a sliver of its GPUs has a cost per GPU-hour many orders of magnitude higher."""
    new, old, ones = np.array([1e14, 3.0, 1e-9]), np.array([1e-14, 2e-9, 0.0]), np.ones(1)
    parts, _ = kernel(new, old, ones, ones)
    assert parts.sum() == pytest.approx(np.log(new.sum() / old.sum()), rel=1e-12)


tokens = arrays(float, 5, elements=st.just(0.0) | st.floats(0.1, 100))


@given(tokens, costs, tokens, st.floats(-1, 1), arrays(float, (5, 2), elements=st.floats(-1, 1)))
def test_drivers_and_mix_make_the_change_of_the_mean(now, some, before, common, own):
    """Each firm's unit cost moves by what its drivers say; whatever firms come and go, the whole adds up."""
    if not now.any() or not before.any():
        return
    old_cost = np.resize(some, 5)
    new_cost = old_cost * np.exp(own.sum(axis=1) + common)
    moved = np.column_stack([own, np.full(5, common)])
    drivers, mix = attribute_mean_change(now, new_cost, before, old_cost, moved)
    change = np.log(now @ new_cost / now.sum()) - np.log(before @ old_cost / before.sum())
    assert drivers.sum() + mix == pytest.approx(change, abs=1e-9)
    if (now * before).any():
        assert drivers[-1] == pytest.approx(common, abs=1e-9)  # what is common is owed in full
    else:
        assert (drivers == 0).all()


def test_entry_and_exit_are_mix():
    cheap = attribute_mean_change(
        np.array([1.0, 1.0]), np.array([2.0, 1.0]), np.array([1.0, 0.0]), np.array([2.0, 0.0]), np.zeros((2, 1))
    )
    assert cheap[0] == pytest.approx([0.0])
    assert cheap[1] == pytest.approx(np.log(1.5 / 2.0))


# ── the market ──

SMALL = ("roster=oligopoly", "users.size=1000", "run.panel=200", "run.steps=18")


def run(method: str, **values) -> tuple[Market, np.ndarray]:
    """A market with fleets of several generations that buys new ones, and its utilisation."""
    market = Market(made(*SMALL, record__attribution=method, **values))
    busy = []
    for _ in range(18):
        market.step()
        busy.append(market.tables["market"]["utilisation"])
        if market.steps == 1:
            market.start = market.technology.common.copy(), [p.private_technology for p in market.providers]
    assert np.ptp(busy) > 0.02
    return market, np.array(busy)


@pytest.mark.parametrize("method", ["lmdi", "shapley"])
def test_drivers_put_in_are_drivers_found(method):
    """Own technology counts to its driver; hardware is what the fleet's mean GPU became; utilisation what it was."""
    market, _ = run(method)
    table, first = market.tables["providers"], market.start
    checked = 0
    for p in market.active_providers:
        if np.isnan(table["cost_software"][p.index]):
            continue
        put_in = market.technology.common - first[0] + p.private_technology - first[1][p.index]
        found = [table[f"cost_{name}"][p.index] for name in DRIVERS]
        assert found == pytest.approx(list(-put_in), abs=0.01)
        gpus = p.fleet.installed(*market.gpu_shape).sum(axis=1)
        assert (gpus > 0).sum() > 1  # a mixed fleet
        checked += 1
    assert checked >= 2
    assert np.ptp([p.private_technology.sum() for p in market.providers]) > 0.01


@pytest.mark.parametrize("method", ["lmdi", "shapley"])
def test_the_market_owes_a_common_driver_all_it_gave(method):
    """Whoever grows, shrinks or leaves meanwhile; and learning by doing has a column of its own."""
    alike = {"technology__private_volatility": 0.0, "technology__learning": 0.2, "technology__learning_private": 0.0}
    market, _ = run(method, **alike)
    table = market.tables["market"]
    put_in = market.technology.common - market.start[0]
    assert [table[f"cost_{name}"] for name in DRIVERS] == pytest.approx(list(-put_in), abs=0.01)
    learnt = 0.2 * market.experience.log_growth
    assert table["cost_learning"] == pytest.approx(-learnt, abs=0.01)
    assert learnt > 0.05
    assert abs(table["cost_mix"]) > 1e-4
    assert abs(table["cost_hardware"]) > 0.01


def test_methods_part_the_same_total_and_agree_where_little_moves_at_once():
    lmdi, shapley = (run(method)[0].tables["market"] for method in ("lmdi", "shapley"))
    total = [sum(table[name] for name in MARKET_COLUMNS) for table in (lmdi, shapley)]
    assert total[0] == pytest.approx(total[1], abs=1e-9)
    assert [shapley[name] for name in COLUMNS] == pytest.approx([lmdi[name] for name in COLUMNS], abs=0.01)
    assert any(shapley[name] != lmdi[name] for name in COLUMNS)


def test_what_does_not_add_up_for_the_market_is_a_breach():
    market = Market(made(*SMALL))
    for _ in range(2):
        market.step()
    market.history.market_cost.total[-1] += 0.001
    with pytest.raises(IdentityBreach, match="cost drivers and mix = change in log unit cost"):
        market.step()
