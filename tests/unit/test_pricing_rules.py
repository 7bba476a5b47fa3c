"""Rules that undercut, follow, learn by trial or change rarely, each against what it promises."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from compositions import made, made_rule
from limits import run_limit

from aimarket import Market, SettingsError, load, simulate
from aimarket.configuration import run_id, settings_dict, validate
from aimarket.rng import Streams
from aimarket.views import View

STREAMS = Streams(seed=1, replication=0)
SMALL = ("roster=oligopoly", "users.size=600", "run.panel=200", "run.steps=3")


@cache
def views(*overrides: str) -> list[View]:
    """What the firms of a small market see after three steps."""
    market = Market(made(*SMALL, *overrides))
    for _ in range(3):
        market.step()
    return [market.view(p) for p in market.active_providers]


# --- undercut ---------------------------------------------------------------------------------------------------------


def test_undercut_asks_a_step_less_than_the_cheapest_like_it() -> None:
    for view in views():
        quality = view.menu.quality
        rivals = [
            j
            for j in np.flatnonzero(view.menu.provider != view.provider)
            if (view.panel.offer == j).any() and abs(quality[j] - quality[view.offers[0]]) <= 0.3
        ]
        cheapest = min((view.menu.price[j] for j in rivals), default=view.prices[0] / 0.95)
        expected = max(0.95 * cheapest, view.costs[0])
        chosen = made_rule("pricing", "undercut", step=0.05, comparable=0.3)
        assert chosen.quote(view, {}, STREAMS) == pytest.approx([expected])
    found = {made_rule("pricing", "undercut", comparable=x).quote(views()[1], {}, STREAMS)[0] for x in (0.0, 0.3, 9.0)}
    assert len(found) > 1  # who is like it matters


def test_two_who_undercut_one_another_end_at_cost() -> None:
    """Bertrand's paradox, whatever users think of the two."""
    rules = [f"pricing@providers.{name}.pricing=undercut" for name in ("anna", "bert")]
    small = ("run.steps=60", "users.size=500", "providers.bert.appeal=1")
    limit = run_limit("bertrand", "~providers.carl", *rules, *small)
    assert (np.diff(limit.price, axis=0) <= 0).all()
    assert limit.price[0].min() > 1.05
    assert (limit.price[-1] == 1).all()


# --- follow the leader ------------------------------------------------------------------------------------------------


def test_the_leader_is_whoever_else_sells_most() -> None:
    for view in views():
        spend = np.zeros(len(view.menu.providers))
        tokens = view.panel.tokens
        for user, offer in enumerate(view.panel.offer):
            if offer >= 0 and view.menu.provider[offer] != view.provider:
                spent = view.panel.weight[user] * tokens[user, offer] * view.menu.price[offer]
                spend[view.menu.provider[offer]] += spent
        price = view.menu.price[view.menu.provider == spend.argmax()]
        chosen = made_rule("pricing", "follow_leader", ratio=0.9)
        assert chosen.quote(view, {}, STREAMS) == pytest.approx(np.maximum(0.9 * price, view.costs))


def test_a_follower_copies_a_month_later() -> None:
    rules = ["pricing@providers.anna.pricing=calendar", "providers.anna.pricing.harvest_from=10"]
    rules += ["pricing@providers.bert.pricing=follow_leader"]
    limit = run_limit("bertrand", "~providers.carl", *rules, "run.steps=20", "users.size=500")
    assert (limit.price[1:, 1] == limit.price[:-1, 0]).all()
    assert len(set(limit.price[1:, 1])) == 2


# --- sticky -----------------------------------------------------------------------------------------------------------


def duopoly(*overrides: str, rule: str = "static_best_response", **sticky: float) -> np.ndarray:
    """Prices of two textbook firms, (T, 2); sticky where a parameter of stickiness is given."""
    rules = []
    for name in ("anna", "bert"):
        place = f"providers.{name}.pricing"
        if sticky:
            rules += [f"pricing@{place}=sticky", *(f"{place}.{key}={value}" for key, value in sticky.items())]
            place += ".rule"
        rules.append(f"pricing@{place}={rule}")
        if rule == "forward_looking":
            rules += [f"{place}.growth_limit=0", f"{place}.runway=0"]
    everyone = "users.segments.everyone.outside_utility=null"
    return run_limit("bertrand", "~providers.carl", everyone, *rules, *overrides).price


FEW = ("users.size=500", "run.panel=100", "run.steps=12")


@pytest.mark.parametrize("rule", ["forward_looking", "cost_plus", "q_learning"])
def test_without_stickiness_it_is_the_rule_itself(rule: str) -> None:
    assert (duopoly(*FEW, rule=rule) == duopoly(*FEW, rule=rule, calvo=1, menu_cost=0)).all()


@pytest.mark.parametrize("steps_per_year", [12, 24])
def test_prices_change_as_often_as_said(steps_per_year: int) -> None:
    view = dataclasses.replace(views()[0], months=12 / steps_per_year)
    chosen = made_rule("pricing", "sticky", calvo=0.3, rule={"kind": "cost_plus", "markup": 7.0})
    steps = 1500
    changed = [
        bool((chosen.quote(dataclasses.replace(view, step=step), {}, STREAMS) != view.prices).any())
        for step in range(1, steps + 1)
    ]
    expected = 1 - 0.7 ** (12 / steps_per_year)
    assert abs(np.mean(changed) - expected) < 4 * np.sqrt(expected * (1 - expected) / steps)
    assert abs(np.corrcoef(changed[1:], changed[:-1])[0, 1]) < 4 / np.sqrt(steps)


def test_firms_do_not_change_prices_together() -> None:
    price = duopoly("users.size=200", "run.panel=50", "run.steps=100", rule="q_learning", calvo=0.5)
    anna, bert = (np.diff(price[:, firm]) != 0 for firm in (0, 1))
    assert (anna & ~bert).any()
    assert (bert & ~anna).any()


def test_calvo_cures_the_two_cycle_of_simultaneous_best_responses() -> None:
    """Everybody reviews monthly, 12 % a year, switching cost 1.5: each answers the price the other has just left."""
    base = ("users.segments.everyone.switching.base=1.5", "run.panel=2000", "users.size=4000", "run.steps=60")

    def series(rule: str, **sticky: float) -> np.ndarray:
        naive = [f"providers.{name}.pricing.{rule}reaction_period=0" for name in ("anna", "bert")]
        return duopoly(*base, *naive, rule="forward_looking", **sticky)[-20:]

    swinging, calm = series(""), series("rule.", calvo=0.5)
    assert swinging[2:] == pytest.approx(swinging[:-2], rel=1e-2)  # two prices, in turn; users are drawn
    assert np.abs(np.diff(swinging, axis=0)).min() > 1
    assert np.abs(np.diff(calm, axis=0)).mean() < 0.1
    assert calm.std() < 0.2 * swinging.std()
    assert swinging.min() < calm.min() < calm.max() < swinging.max()


def test_a_menu_cost_is_a_hurdle() -> None:
    """The higher it is the rarer the change; a price that is best already is never changed."""
    moved = [
        int((np.diff(duopoly(*FEW, menu_cost=cost, calvo=1), axis=0) != 0).sum()) for cost in (1e-9, 1e-4, 0.01, 10.0)
    ]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > moved[-1] == 0
    rest = duopoly(*FEW, menu_cost=0.001, calvo=1)[-1]
    assert rest == pytest.approx([3, 3], abs=0.15)  # near the equilibrium, where little is to be gained


def test_a_menu_cost_counts_the_future_as_its_rule_does() -> None:
    """A price cut that loses money today and wins users is no loss to a rule that looks ahead."""
    base = (*FEW, "users.segments.everyone.switching.base=1")
    ahead = duopoly(*base, rule="forward_looking", menu_cost=1e-6, calvo=1)
    assert ahead == pytest.approx(duopoly(*base, rule="forward_looking"), rel=0.02)


def test_a_rule_inside_a_rule_is_checked_written_and_told_apart() -> None:
    def settings(*overrides: str) -> Any:
        return made("roster=duopoly", "pricing@providers.alpha.pricing=sticky", *overrides)

    inner = "pricing@providers.alpha.pricing.rule"
    chosen = settings(f"{inner}=sticky", f"{inner}.rule=cost_plus", "providers.alpha.pricing.rule.rule.markup=.7")
    node = settings_dict(chosen)["providers"]["alpha"]["pricing"]
    assert node["rule"]["rule"] == {"kind": "cost_plus", "markup": 0.7}
    assert validate(settings_dict(chosen)) == chosen
    assert len({run_id(settings(f"{inner}={kind}")) for kind in ("forward_looking", "undercut", "calendar")}) == 3
    assert simulate(settings(f"{inner}=undercut", "users.size=200", "run.steps=2", "run.panel=50")).market.shape[0] == 2


BAD = [
    ("providers.alpha.pricing.rule.span=0", "providers.alpha.pricing.rule.span: should be a finite number, above 0"),
    ("providers.alpha.pricing.rule.kind=magic", "providers.alpha.pricing.rule.kind: no such rule (got 'magic')"),
    ("providers.alpha.pricing.rule=null", "providers.alpha.pricing.rule.kind: missing (got null); allowed: calendar,"),
    ("~providers.alpha.pricing.rule", "providers.alpha.pricing.rule.kind: missing (got null)"),
    ("pricing@providers.alpha.pricing.rule=magic", "no such option (got 'magic')"),
    ("providers.alpha.pricing.calvo=0", "providers.alpha.pricing.calvo: should be a finite number, above 0"),
]


@pytest.mark.parametrize(("override", "said"), BAD)
def test_what_cannot_be_inside_a_rule_is_told(override: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(["roster=duopoly", "pricing@providers.alpha.pricing=sticky", override])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# --- Q-learning -------------------------------------------------------------------------------------------------------


def test_q_learning_finds_the_best_markup_against_prices_that_stay() -> None:
    """Its rewards are what the panel would pay; nothing but trial tells it what is best."""
    view = views()[0]
    chosen = made_rule("pricing", "q_learning", prices=6, decay=0.005, learning=0.2, discount_rate=20, markup_span=4)
    markups = 0.1 + np.linspace(0, 4, 6)
    nothing = np.zeros(len(view.panel.weight))
    earned = [view.value_of(view.costs * (1 + markup), nothing)[0] for markup in markups]
    assert 0 < np.argmax(earned) < 5
    wrong = np.tile(max(earned) * np.linspace(8, 6, 6), (36, 1))  # better than it is, and best where prices are low
    memory: dict[str, Any] = {"values": wrong, "costs": view.costs, "state": 0}
    taken = []
    for step in range(1, 3001):
        price = chosen.quote(dataclasses.replace(view, step=step), memory, STREAMS)
        assert np.abs(price / view.costs - 1 - markups).min() < 1e-9
        taken.append(int(np.abs(price[0] / view.costs[0] - 1 - markups).argmin()))
        margin = 1 - view.costs[0] / price[0]
        menu = dataclasses.replace(view.menu, price=view.menu.price.copy())
        menu.price[view.offers] = price
        panel = dataclasses.replace(view.panel, menu=menu)
        view = dataclasses.replace(view, prices=price, panel=panel, revenue=earned[taken[-1]] / margin)
    assert set(taken[:300]) == set(range(6))
    assert np.mean(np.array(taken[-200:]) == int(np.argmax(earned))) > 0.9


def test_q_learning_starts_from_what_research_expects() -> None:
    view = views()[0]
    memory: dict[str, Any] = {}
    price = made_rule("pricing", "q_learning", decay=10.0).quote(dataclasses.replace(view, step=100), memory, STREAMS)
    nothing = np.zeros(len(view.panel.weight))
    markups = 0.1 + np.linspace(0, 2.4, 15)
    best = max(markups, key=lambda markup: view.value_of(view.costs * (1 + markup), nothing)[0])
    assert price == pytest.approx(view.costs * (1 + best))
