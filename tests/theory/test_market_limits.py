"""The running market against the oracle: every limit is an ordinary configuration that takes the same step as all else.

Fixed points agree to 1e-6; sampled shares to 4 standard errors with at least 2e5 user-months.
"""

import numpy as np
import pytest
from limits import run_limit, standard_errors

from aimarket.population import users_switching_cost
from aimarket.theory.diffusion import bass_adopted, bass_peak_time
from aimarket.theory.logit_closed_forms import monopoly_lambert
from aimarket.theory.markov_perfect import constant_rival_margin, markov_perfect_duopoly
from aimarket.theory.price_competition import logit_market, nash_bertrand, pass_through
from aimarket.theory.queueing import erlang_c, mean_wait
from aimarket.theory.switching import stationary_shares, switch_rate, tenure_steady_state

SAMPLED = 4.0  # standard errors


def firms(count: int) -> list[str]:
    """Overrides that make the textbook roster one of `count` firms."""
    if count < 3:
        return ["~providers.carl", *(["~providers.bert"] if count == 1 else [])]
    return [f"+provider@providers.firm{i}=textbook" for i in range(3, count)]


def sampled_shares_agree(shares: np.ndarray, expected: np.ndarray, users: int) -> bool:
    """Users choose anew every step, so their choices are independent draws."""
    draws = len(shares) * users
    assert draws >= 200_000
    error = np.sqrt(expected * (1 - expected) / draws)
    return bool((np.abs(shares.mean(axis=0) - expected) < SAMPLED * error).all())


BERTRAND = [  # theory.md's table: firms, price, share, outside share, Lerner index
    (1, 2.567143, 0.361896, 0.638104, 0.61046),
    (2, 2.401058, 0.286254, 0.427493, 0.58352),
    (3, 2.298679, 0.229987, 0.310040, 0.56497),
    (5, 2.191882, 0.160991, 0.195045, 0.54377),
    (10, 2.098970, 0.090057, 0.099426, 0.52358),
]


@pytest.mark.parametrize(("count", "price", "share", "outside", "lerner"), BERTRAND)
def test_logit_bertrand_with_an_outside_option(count, price, share, outside, lerner):
    limit = run_limit("bertrand", *firms(count), "run.steps=60")
    assert limit.price[-1] == pytest.approx(np.full(count, price), abs=1e-6)
    settled = slice(20, None)
    expected = np.append(np.full(count, share), outside)
    assert sampled_shares_agree(np.c_[limit.shares, limit.outside][settled], expected, 10_000)
    assert limit.market.tables["offers"]["lerner"] == pytest.approx(np.full(count, lerner), abs=1e-5)


@pytest.mark.parametrize(("count", "margin"), [(2, 1.0), (3, 0.75), (5, 0.625), (10, 0.5555556)])
def test_logit_bertrand_without_an_outside_option(count, margin):
    everyone = "users.segments.everyone"
    limit = run_limit(
        "bertrand", *firms(count), f"{everyone}.outside_utility=null", f"{everyone}.preferences.price=2", "run.steps=80"
    )
    assert limit.price[-1] - 1 == pytest.approx(np.full(count, margin), abs=1e-6)


@pytest.mark.parametrize(("quality", "sensitivity", "cost"), [(3.0, 1.0, 1.0), (5.0, 2.0, 1.5), (1.0, 0.5, 0.2)])
def test_logit_monopoly_is_lamberts(quality, sensitivity, cost):
    limit = run_limit(
        "bertrand",
        *firms(1),
        f"providers.anna.offers.main.quality={quality}",
        f"providers.anna.offers.main.wholesale={cost}",
        f"users.segments.everyone.preferences.price={sensitivity}",
        "run.steps=50",
    )
    prices, share, _ = monopoly_lambert([quality], sensitivity, [cost])
    assert limit.price[-1] == pytest.approx(prices, abs=1e-6)
    assert sampled_shares_agree(limit.shares[20:], np.atleast_1d(share), 10_000)


@pytest.mark.parametrize(("count", "markup"), [(2, 1.48662), (3, 1.36991), (5, 1.31037), (10, 1.27693)])
def test_log_price_markups(count, markup):
    limit = run_limit("log_price", *firms(count))
    assert limit.price[-1] == pytest.approx(np.full(count, markup), abs=1e-5)


def test_log_price_is_free_of_units():
    """All costs over 10: prices over 10, shares unchanged to the last user."""
    dear = run_limit("log_price")
    cheap = run_limit("log_price", *(f"providers.{n}.offers.main.wholesale=.1" for n in ("anna", "bert", "carl")))
    assert cheap.price[-1] * 10 == pytest.approx(dear.price[-1], rel=1e-6)
    assert (cheap.shares[-1] == dear.shares[-1]).all()


@pytest.mark.parametrize("metric", ["linear", "log"])
def test_other_qualities_costs_tastes_and_owners_from_the_command_line(metric):
    """Four offers of three owners and two kinds of users, every number its own."""
    quality, cost = [2.0, 1.2, 1.6, 0.7], [1.0, 0.8, 1.3, 0.6]
    shares, sensitivity, taste = [0.7, 0.3], [2.4, 1.3], [1.0, 1.5]
    names = ["anna.offers.main", "anna.offers.lite", "bert.offers.main", "carl.offers.main"]
    everyone = "users.segments"
    overrides = [f"users.price_metric={metric}", "+provider/offer@providers.anna.offers.lite=textbook"]
    overrides += [f"providers.{n}.quality={q}" for n, q in zip(names, quality, strict=True)]
    overrides += [f"providers.{n}.wholesale={c}" for n, c in zip(names, cost, strict=True)]
    usage = 0.4 if metric == "log" else 0.0
    overrides += [f"users.usage_elasticity={usage}", "run.steps=150", "users.size=3000"]
    base = "population: 7e5, sample: .7, review: 1.0, outside_utility: 0.5"
    rest = (
        "switching: {base: 0, maximum: 0, horizon: 1, depth: 0}, adoption: {initial: 1, innovation: 0, imitation: 0}, "
        "depth: {initial: 1, ceiling: 1, growth: 0, decay: 0}, tasks: 1, tasks_spread: 0, tokens_per_task: 1e6, "
        "thinking_tokens: 0, value_of_time: 0, tokens: {fresh_input: 1, cached_input: 0, output: 0}, profile: flat, "
        "contract: null, multihoming: 0, free: null"
    )
    kind = f"preferences: {{quality: {taste[1]}, price: {sensitivity[1]}, latency: 0}}"
    overrides += [
        f"+{everyone}.others={{{base.replace('7e5', '3e5').replace('.7', '.3')}, {kind}, {rest}}}",
        f"{everyone}.everyone.population=7e5",
        f"{everyone}.everyone.sample=.7",
        f"{everyone}.everyone.outside_utility=.5",
        f"{everyone}.everyone.preferences.quality={taste[0]}",
        f"{everyone}.everyone.preferences.price={sensitivity[0]}",
    ]
    limit = run_limit("bertrand", *overrides)
    utility = np.outer(taste, quality) - 0.5
    market = logit_market(
        utility, np.array(sensitivity), cost, owners=[0, 0, 1, 2], type_weights=shares, price_metric=metric,
        usage_elasticity=usage,
    )  # fmt: skip
    assert limit.price[-1] == pytest.approx(nash_bertrand(market).prices, abs=1e-6)


def test_pass_through_of_a_common_cost():
    """Theory: .892649 for three firms; a small common rise in cost, measured in the market."""
    rise = 1e-3
    low = run_limit("bertrand", "run.steps=60")
    high = run_limit(
        "bertrand",
        "run.steps=60",
        *(f"providers.{n}.offers.main.wholesale={1 + rise}" for n in ("anna", "bert", "carl")),
    )
    market = logit_market([2.0] * 3, 1.0, [1.0] * 3)
    expected = pass_through(market, nash_bertrand(market).prices).sum(axis=1)
    assert (high.price[-1] - low.price[-1]) / rise == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_bass_diffusion():
    limit = run_limit("bass")
    users = 20_000
    for years, known in ((1, 0.035758), (2, 0.085056), (5, 0.331199), (10, 0.812803)):
        assert bass_adopted(years, 0.03, 0.38) == pytest.approx(known, abs=1e-6)
        # Word of mouth spreads the luck of early steps; 4 sd of the binomial would be too strict by about this factor.
        sd = 1.6 * np.sqrt(known * (1 - known) / users)
        assert abs(limit.adopted[12 * years - 1] - known) < SAMPLED * sd
    yearly = np.diff(np.concatenate([[0.0], limit.adopted[11::12]]))
    assert abs(np.argmax(yearly) + 0.5 - bass_peak_time(0.03, 0.38)) <= 1


@pytest.mark.parametrize("cost", [0.0, 2.0, 4.0])
def test_stationary_shares_of_the_state_dependent_logit(cost):
    quality = [1.0, 0.5, 0.0]
    limit = run_limit("loyalty", f"users.segments.everyone.switching.base={cost}", "run.steps=900", "users.size=5000")
    settled = slice(100, None)  # at the highest cost one in seventy moves in a step
    assert standard_errors(limit.shares[settled], stationary_shares(quality, cost)) < SAMPLED
    assert standard_errors(limit.churn[settled], switch_rate(quality, cost)) < SAMPLED


def test_lock_in_alone_raises_concentration():
    free, locked = (run_limit("loyalty", f"users.segments.everyone.switching.base={s}") for s in (0.0, 4.0))
    assert locked.market.tables["market"]["hhi"] > free.market.tables["market"]["hhi"] + 0.05


def test_switching_cost_that_grows_with_tenure():
    limit = run_limit("tenure", "run.steps=160")
    spell, switches, cost = tenure_steady_state(3.0, 6.0)
    assert standard_errors(limit.churn[40:], switches) < SAMPLED
    assert standard_errors(1 / limit.churn[40:], spell) < SAMPLED + 1  # 1/x of a noisy x is a little too high
    market = limit.market
    at_next_choice = users_switching_cost(market.population.users, market.segments)
    assert abs(at_next_choice.mean() - cost) < SAMPLED * at_next_choice.std() / np.sqrt(len(at_next_choice))


@pytest.mark.parametrize(("servers", "load"), [(10, 8.0), (100, 90.0), (40, 20.0)])
def test_erlang_wait(servers, load):
    limit = run_limit(
        "queue",
        f"providers.anna.fleet.gpus={servers}.0",
        f"users.segments.everyone.population={load}",
        "users.size=500",
    )
    providers = limit.market.tables["providers"]
    assert providers["utilisation"][0] == pytest.approx(load / servers, rel=1e-8)
    assert providers["wait"][0] == pytest.approx(mean_wait(servers, load), rel=1e-8)
    if (servers, load) == (10, 8.0):
        assert providers["wait"][0] == pytest.approx(0.2045900754, rel=1e-8)
        assert erlang_c(10, 8.0) == pytest.approx(0.4091801508, rel=1e-9)


TWO = ("anna", "bert")


def steady_margin(discount: float, cost: float, *rule: str) -> float:
    """Mean margin of two forward-looking firms once what they learn has settled."""
    overrides = [f"users.segments.everyone.switching.base={cost}", "run.steps=70", "run.panel=4000", "users.size=4000"]
    rule = (f"discount_rate={1 / discount - 1}", *rule)
    limit = run_limit("switching_duopoly", *overrides, *(f"providers.{n}.pricing.{r}" for n in TWO for r in rule))
    return float(limit.price[30:].mean()) - 1


@pytest.mark.slow
@pytest.mark.parametrize("cost", [0.25, 1.0])
def test_forward_looking_firms_find_the_steady_margin(cost):
    """With the true continuation value the Markov-perfect margin; with rivals taken as given, that of this belief."""
    # Prices swing with the sampled shares in opposite directions: their mean errs by the order of the variance.
    given = steady_margin(0.5, cost, "reaction_period=0")
    assert given == pytest.approx(constant_rival_margin(0.5, cost).margin, abs=1e-3)
    perfect = markov_perfect_duopoly(0.5, cost)
    known = steady_margin(0.5, cost, f"continuation_value={perfect.continuation_value}")
    assert known == pytest.approx(perfect.steady_margin, abs=1e-3)


def test_without_switching_cost_or_growth_both_rules_agree():
    static = run_limit("bertrand")
    forward = run_limit(
        "bertrand", *(f"pricing@providers.{n}.pricing=forward_looking" for n in ("anna", "bert", "carl"))
    )
    assert forward.price[-1] == pytest.approx(static.price[-1], abs=1e-6)
    assert (forward.shares[-1] == static.shares[-1]).all()
