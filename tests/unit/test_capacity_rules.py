"""Capacity that weighs an idle hour against a lost one, and capacity that follows what was turned away."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from compositions import made, made_rule

from aimarket import Market
from aimarket.rng import Streams
from aimarket.units import HOURS_PER_MONTH
from aimarket.views import View

STREAMS = Streams(seed=1, replication=0)


@cache
def market(**values: float) -> Market:
    running = Market(made("roster=oligopoly", "users.size=600", "run.panel=200", **values))
    for _ in range(3):
        running.step()
    return running


@cache
def view() -> View:
    """Of the hyperscaler, its fleet too small."""
    seen = market().view(market().providers[0])
    return dataclasses.replace(seen, capacity=seen.capacity / 10, workable=seen.workable / 10, arriving=0.0)


def revenue(seen: View, margin: float) -> View:
    """The same view where an hour worked earns so many times what owning one costs."""
    worked = min(seen.load * HOURS_PER_MONTH * seen.months, seen.workable)
    return dataclasses.replace(seen, revenue=worked * (seen.working_cost + margin * seen.owning_cost))


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 1.0])
def test_an_idle_hour_and_its_work_make_the_cost_of_a_busy_one(utilisation: float) -> None:
    """What an idle hour costs does not depend on how many are planned, and busy hours bear the idle ones."""
    alike = {"hardware__volume_discount": 0.0}  # fleets of another size buy at another price
    running, other = market(**alike), market(**alike, hardware__planned_utilisation=utilisation)
    first = running.providers[0]
    idle, work = running.owning_and_working_cost(first)
    cost = other.gpu_hour_costs[0, other.generation[0]]
    assert idle / utilisation + work == pytest.approx(cost, rel=1e-9)
    assert min(idle, work) > 0


@pytest.mark.parametrize("margin", [1.25, 2.0, 10.0])
def test_newsvendor_has_enough_as_often_as_a_lost_hour_costs(margin: float) -> None:
    """Demand is drawn from the rule's own forecast: it fits the capacity ordered in (margin - 1)/margin of cases."""
    chosen = made_rule("capacity", "newsvendor")
    seen = revenue(dataclasses.replace(view(), capacity=0.0, retiring=0.0), margin)
    memory = {"load": seen.load / 1.03, "growth": 0.02, "variance": 0.004}
    gpus = chosen.order(seen, memory, STREAMS)
    draws = STREAMS.at("test.demand").normal(0, 100_000)
    spread = np.sqrt(memory["variance"] * seen.lead_time)
    peak = seen.load * seen.peak * np.exp(memory["growth"] * seen.lead_time + spread * draws)
    enough = float((peak <= gpus * seen.gpu_throughput * seen.usable).mean())
    expected = 1 - 1 / margin
    assert abs(enough - expected) < 4 * np.sqrt(expected * (1 - expected) / len(draws))
    assert memory["growth"] == pytest.approx(0.8 * 0.02 + 0.2 * np.log(1.03))


def test_newsvendor_orders_more_for_a_wider_margin_and_nothing_for_none() -> None:
    chosen = made_rule("capacity", "newsvendor")
    orders = [chosen.order(revenue(view(), margin), {}, STREAMS) for margin in (0.5, 1.0, 1.1, 2.0, 5.0, 50.0)]
    assert orders[:2] == [0, 0]
    assert orders[2] > 0
    assert (np.diff(orders[1:]) > 0).all()


def test_newsvendor_holds_more_against_doubt_where_margins_are_wide_and_less_where_they_are_thin() -> None:
    def ordered(margin: float, volatility: float) -> float:
        return made_rule("capacity", "newsvendor", volatility=volatility).order(revenue(view(), margin), {}, STREAMS)

    assert ordered(10.0, 0.2) > ordered(10.0, 0.02)
    assert ordered(1.1, 0.2) < ordered(1.1, 0.02)
    assert ordered(2.0, 0.2) == pytest.approx(ordered(2.0, 0.02))  # the median, whatever the spread


def test_newsvendor_counts_what_is_there_and_on_its_way() -> None:
    chosen, seen = made_rule("capacity", "newsvendor"), revenue(view(), 3.0)
    bare = chosen.order(seen, {}, STREAMS) * seen.gpu_throughput
    ordered = chosen.order(dataclasses.replace(seen, arriving=bare / 3), {}, STREAMS) * seen.gpu_throughput
    assert ordered == pytest.approx(bare * 2 / 3)
    assert chosen.order(dataclasses.replace(seen, arriving=2 * bare), {}, STREAMS) == 0


def test_followers_order_what_was_turned_away_and_what_retires() -> None:
    chosen = made_rule("capacity", "follow_demand")

    def ordered(turned_away: float, retiring: float, arriving: float) -> float:
        seen = dataclasses.replace(view(), turned_away=turned_away, retiring=retiring, arriving=arriving)
        return chosen.order(seen, {}, STREAMS) * seen.gpu_throughput

    assert ordered(0, 0, 0) == 0
    assert ordered(0, 50, 0) == pytest.approx(50)
    assert ordered(100, 50, 30) == pytest.approx(100 * view().peak / view().usable + 20)
    assert ordered(100, 0, 1e9) == 0


def test_what_is_usable_is_the_limit_of_the_settings() -> None:
    running = market()
    for p in running.active_providers:
        assert running.view(p).usable == pytest.approx(running.settings.hardware.maximum_utilisation)


def test_a_follower_that_turns_work_away_grows_and_one_that_does_not_stays() -> None:
    small = ("roster=duopoly", "capacity@providers.alpha.capacity=follow_demand", "users.size=400", "run.panel=100")
    ordered = {}
    for gpus in (1e2, 1e9):
        running = Market(made(*small, providers__alpha__fleet__gpus=gpus, providers__alpha__cash=1e13))
        total = 0.0
        for _ in range(3):
            running.step()
            total += float(running.gpus_ordered[0].sum())
        ordered[gpus] = total
    assert ordered[1e2] > 1e3
    assert running.view(running.providers[0]).turned_away == 0
