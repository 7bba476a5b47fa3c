"""Q-learning kernels, and the environment in which algorithms may learn to collude."""

import subprocess
import sys

import numpy as np
import pytest

from aimarket import SettingsError
from aimarket.algorithmic_collusion import anchors, environment, payoffs, price_grid, simulate_sessions
from aimarket.kernels.choice import logit_shares
from aimarket.kernels.counter import unit64, words
from aimarket.kernels.learning import (
    best_action,
    choice,
    experimentation,
    learn,
    mean_payoff_of_cycle,
    updated,
)
from aimarket.rng import Streams
from aimarket.theory.price_competition import joint_profit_maximum, logit_market, nash_bertrand

QUICK = ["prices=5", "beta=1e-3", "patience=2000", "sessions=6"]


# --- kernels ----------------------------------------------------------------------------------------------------------


def test_an_action_is_tried_as_often_as_said_and_each_as_often():
    draws = (np.arange(100_000) + 0.5) / 100_000
    taken = np.array([choice(3, 0.4, draw, 8) for draw in draws])
    expected = np.full(8, 0.4 / 8)
    expected[3] += 0.6
    np.testing.assert_allclose(np.bincount(taken, minlength=8) / len(draws), expected, atol=1e-4)
    assert {choice(3, 0.0, draw, 8) for draw in draws[::1000]} == {3}
    assert choice(3, np.nextafter(0.4, 1), 0.4, 8) == 7  # the last sliver of a draw is the last action, not one more


def test_experimentation_dies_out():
    assert experimentation(4e-6, 0) == 1
    assert experimentation(4e-6, 1e6) == pytest.approx(np.exp(-4))


def test_an_update_moves_towards_what_was_seen():
    assert updated(2.0, 1.0, 10.0, 0.25, 0.9) == pytest.approx(0.75 * 2 + 0.25 * (1 + 9))
    assert updated(2.0, 1.0, 10.0, 1.0, 0.0) == 1.0
    assert best_action(np.array([1.0, 3.0, 3.0, 2.0])) == 1


def learn_plainly(values, payoff, state, key, learning, discount, decay, patience, limit):
    """The paper's loop written out: every greedy action looked up anew, no shortcut."""
    values, (players, _, actions) = values.copy(), values.shape
    unchanged = period = 0
    while unchanged < patience and period < limit:
        greedy = values.argmax(axis=2)
        chance = np.exp(-decay * period)
        draws = [unit64(*np.uint64(words(key, period, i)[:2])) for i in range(players)]
        taken = [int(u / chance * actions) if u < chance else greedy[i, state] for i, u in enumerate(draws)]
        reached = int(np.ravel_multi_index(taken, (actions,) * players))
        best = [values[i, reached].max() for i in range(players)]
        for i in range(players):
            cell = (i, state, taken[i])
            values[cell] = (1 - learning) * values[cell] + learning * (payoff[reached, i] + discount * best[i])
        unchanged = unchanged + 1 if (values.argmax(axis=2) == greedy).all() else 0
        state, period = reached, period + 1
    return values.argmax(axis=2), state, period, unchanged >= patience


@pytest.mark.parametrize("players", [2, 3])
def test_the_compiled_loop_is_the_plain_one(players):
    payoff = Streams(5, players).at("test.payoff").uniform(0, players * 4**players).reshape(-1, players)
    first = np.zeros((players, 4**players, 4)) + np.linspace(5, 6, 4)
    arguments = (first, payoff, 1, np.uint64(99), 0.15, 0.95, 2e-3, 500, 20_000)
    fast, plain = learn(*arguments), learn_plainly(*arguments)
    assert (fast[0] == plain[0]).all()
    assert fast[1:] == plain[1:]
    assert 500 < fast[2] < 20_000
    assert (first == np.linspace(5, 6, 4)).all()  # what is handed in stays as it is


def test_learning_is_broken_off_at_the_limit():
    payoff = Streams(5, 0).at("test.payoff").uniform(0, 32).reshape(-1, 2)
    *_, periods, settled = learn(np.zeros((2, 16, 4)), payoff, 0, np.uint64(1), 0.15, 0.95, 1e-9, 1000, 777)
    assert periods == 777
    assert not settled


def test_payoffs_are_averaged_over_the_cycle_alone():
    """0 -> 3 -> 2 -> 3 for two players with two actions: what came before the cycle does not count."""
    greedy = np.array([[1, 0, 1, 1], [1, 0, 1, 0]])
    payoff = np.array([[9.0, 9.0], [9.0, 9.0], [1.0, 3.0], [2.0, 5.0]])
    np.testing.assert_allclose(mean_payoff_of_cycle(greedy, payoff, 0, 2), [1.5, 4.0])


def test_a_single_choice_is_learnt_to_be_the_best():
    """With a future that does not count and rivals that do not matter, everybody ends at the best of payoffs."""
    profile = np.indices((6, 6)).reshape(2, -1).T
    payoff = -((profile - [2, 4]) ** 2.0)
    greedy, state, *_ = learn(np.zeros((2, 36, 6)) + 1.0, payoff, 0, np.uint64(3), 0.5, 0.0, 1e-4, 20_000, 10**6)
    assert divmod(state, 6) == (2, 4)
    assert (greedy[:, state] == [2, 4]).all()


# --- the environment --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [[], ["n=3"], ["n=5"], ["a=3", "mu=.5", "c=2"], ["a0=.7"], ["mu=.05"], ["a=1", "c=1.2"], ["a=30", "c=.1"]],
)
def test_anchors_are_those_of_theory(overrides):
    of = environment(overrides)
    found = anchors(of)
    market = logit_market(
        np.full(of.firms, (of.quality - of.outside) / of.differentiation), 1 / of.differentiation, of.cost
    )
    nash, joint = nash_bertrand(market), joint_profit_maximum(market)
    assert found.bertrand_price == pytest.approx(nash.prices[0], rel=1e-6)
    assert found.monopoly_price == pytest.approx(joint.prices[0], rel=1e-6)
    assert found.bertrand_profit == pytest.approx(nash.profits[0], rel=1e-6)
    assert found.monopoly_profit == pytest.approx(joint.profits[0], rel=1e-6)


def test_anchors_of_the_paper():
    found = anchors(environment())
    assert found.bertrand_price == pytest.approx(1.472926660, abs=1e-8)
    assert found.bertrand_profit == pytest.approx(0.222926660, abs=1e-8)
    assert found.monopoly_price == pytest.approx(1.924980919, abs=1e-8)
    assert found.monopoly_profit == pytest.approx(0.337490459, abs=1e-8)


def test_payoffs_are_those_of_the_markets_demand():
    of = environment(["n=3", "m=4"])
    price = price_grid(of, anchors(of))[np.indices((4, 4, 4)).reshape(3, -1).T]
    share, _ = logit_shares((2 - price) / 0.25, np.zeros(64))
    assert (payoffs(of, price) == (price - 1) * share).all()
    assert price.min() < anchors(of).bertrand_price < anchors(of).monopoly_price < price.max()


@pytest.mark.compiled
def test_sessions_depend_on_seed_and_number_alone():
    few, more = (simulate_sessions(environment([*QUICK, *rest])) for rest in ([], ["sessions=12", "threads=2"]))
    other = simulate_sessions(environment([*QUICK, "seed=2"]))
    assert (few.gain == more.gain[:6]).all()
    assert (few.periods == more.periods[:6]).all()
    assert (few.periods != other.periods).any()
    assert len(set(more.periods)) > 6
    assert few.converged.all()


@pytest.mark.compiled
def test_without_a_future_nobody_colludes():
    """Firms that do not look ahead end near the static equilibrium of the grid; patient ones far above it."""
    settings = ["beta=2e-5", "patience=20000", "sessions=20"]
    blind, patient = (simulate_sessions(environment([*settings, f"delta={delta}"])) for delta in (0.0, 0.95))
    assert patient.mean_gain > blind.mean_gain + 4 * np.hypot(blind.standard_error, patient.standard_error)


@pytest.mark.slow
def test_the_profit_gain_is_that_of_the_paper():
    """Calvano and others (2020), section III: .85 at alpha .15, beta 4e-6, and .7 to .9 over most of their grid."""
    outcome = simulate_sessions(environment(["sessions=60"]))
    assert outcome.converged.all()
    assert abs(outcome.mean_gain - 0.85) < 0.03 + 3 * outcome.standard_error
    assert outcome.periods.sum() / outcome.seconds > 1e6  # a core


# --- what it says -----------------------------------------------------------------------------------------------------

BAD = [
    ("alpha=2", "learning: should be a finite number, above 0 and at most 1 (got 2)"),
    ("beta=0", "decay: should be a finite number, above 0 (got 0)"),
    ("delta=1", "discount: should be"),
    ("m=1.5", "prices: should be a whole number"),
    ("firm=3", "firm: unknown key (got 3); did you mean firms? allowed: sessions, "),
    ("firms", "write key=value"),
    ("firms=8", "firms: 8 firms with 15 prices make 307,546,875,000 values to learn; at most 100,000,000 are allowed"),
    ("quality=-100", "quality: nobody gains by agreeing on prices (got -100)"),
    ("cost=nan", "cost: should be a finite number"),
    ("seed=one", "seed: should be a whole number, at least 0 (got 'one')"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_cannot_be_is_told(text, said):
    with pytest.raises(SettingsError) as error:
        anchors(environment([text]))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.compiled
def test_the_command_prints_a_table_or_one_line(tmp_path):
    def call(*arguments):
        command = [sys.executable, "-m", "aimarket", "collusion", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)

    done = call(*QUICK)
    assert done.returncode == 0, done.stderr
    assert "Profit gain" in done.stdout
    assert "6 of 6" in done.stdout
    bad = call("alpha=2")
    assert (bad.returncode, bad.stdout, len(bad.stderr.splitlines())) == (2, "", 1)
    told = call("--help")
    assert told.returncode == 0
    assert all(symbol in told.stdout for symbol in ("alpha", "beta", "delta", "xi"))


def test_nobody_waits_for_the_compiler_who_does_not_learn():
    code = "import sys, aimarket, aimarket.cli; aimarket.load(['roster=duopoly']); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 0
