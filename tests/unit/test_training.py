"""Races, ageing, opened weights, and what training takes in compute."""

import numpy as np
import pytest
from compositions import made

from aimarket import Market, simulate
from aimarket.settings import Provider, rule_class
from aimarket.units import HOURS_PER_MONTH

SMALL = ("roster=duopoly", "users.size=400", "run.panel=100")
CALM = {f"technology__{name}": 0.0 for name in ("quality_shock", "volatility", "private_volatility")}
NO_MODELS = {f"providers__{name}__training": {"kind": "none"} for name in ("alpha", "beta")}


def race(**changes):
    terms = {"lead": 0.1, "revenue_share": 1e9, "cash_share": 0.0, "period": 6} | changes
    return rule_class("training", "race")(**terms)


@pytest.fixture(scope="module")
def lived() -> Market:
    market = Market(made(*SMALL, "run.steps=3", **CALM))
    for _ in range(3):
        market.step()
    return market


def seen(market: Market, distance: float, **changes):
    """What alpha sees when the best rival is some way ahead of its own best model."""
    import dataclasses

    view = market.view(market.providers[0])
    quality = view.menu.quality.copy()
    quality[view.menu.provider != 0] = view.quality.max() + distance
    panel = dataclasses.replace(view.panel, menu=dataclasses.replace(view.menu, quality=quality))
    return dataclasses.replace(view, panel=panel, **changes)


@pytest.mark.parametrize("distance", [-0.05, 0.1, 0.4])
def test_a_race_paid_for_month_by_month_ends_with_the_lead(lived, distance):
    rule, effort = race(), 0.0
    technology = lived.settings.technology
    for month in range(6):
        view = seen(lived, distance, training_effort=effort, months_in_training=float(month))
        effort += rule.outlay(view, {}, lived.streams)
    gained = technology.quality_gain * np.log1p(effort / technology.training_scale)
    assert gained == pytest.approx(distance + 0.1)


def test_who_is_far_ahead_rests_and_who_is_far_behind_spends_what_he_has(lived):
    assert race().outlay(seen(lived, -0.5), {}, lived.streams) == 0
    view = seen(lived, 30.0, revenue=100.0, cash=1e4, months_in_training=0.0)
    assert race(revenue_share=0.5).outlay(view, {}, lived.streams) == pytest.approx(50.0)
    assert race(revenue_share=0.5, cash_share=0.02).outlay(view, {}, lived.streams) == pytest.approx(250.0)
    broke = seen(lived, 30.0, revenue=0.0, cash=-1e4)
    assert race(cash_share=1.0).outlay(broke, {}, lived.streams) == 0


def test_labs_in_a_race_pass_each_other_in_turn():
    """Equal labs that launch six months apart: each new model is .1 above the rival's, whatever that has come to."""
    racing = {"kind": "race", "lead": 0.1, "revenue_share": 10.0, "cash_share": 0.5, "period": 12}
    market = Market(
        made(*SMALL, "run.steps=40", **CALM, technology__ageing=0.0, technology__open_weights_lag=1200,
             providers__alpha__training=racing, providers__beta__training=racing,
             providers__alpha__cash=1e13, providers__beta__cash=1e13)
    )  # fmt: skip
    market.providers[1].months_in_training = 6.0
    launches = []
    for _ in range(40):
        before = market.quality.copy()
        market.step()
        for event in market.events:
            if event.kind == "model_launched":
                launches.append(event.provider)
                own = ["alpha", "beta"].index(event.provider)
                assert market.quality[own] == pytest.approx(before[1 - own] + 0.1)
    assert launches[:5] == ["beta", "alpha", "beta", "alpha", "beta"]


def test_nobody_races_alone():
    racing = {"kind": "race", "lead": 0.1, "revenue_share": 1.0, "cash_share": 0.1, "period": 6}
    alone = simulate(made("roster=monopoly", *SMALL[1:], "run.steps=4", providers__alpha__training=racing))
    assert alone.providers["training"].eq(0).all()


def test_models_age_until_a_new_one_comes():
    ageing = {**CALM, "technology__ageing": 0.6, "technology__open_weights_lag": 1200}
    training = {"kind": "budget_share", "share": 0.0, "period": 6}
    market = Market(made(*SMALL, "run.steps=12", **ageing, providers__alpha__training=training,
                         providers__beta__training={"kind": "none"}))  # fmt: skip
    shortfall = []
    for _ in range(12):
        market.step()
        shortfall.append(market.quality - market.menu().quality)
    months = np.arange(1, 13)
    assert np.array(shortfall)[:, 1] == pytest.approx(0.6 * months / 12)  # beta never launches
    launched = np.array(shortfall)[:, 0]
    assert launched.max() == pytest.approx(0.6 * 6 / 12)
    assert (launched == 0).sum() >= 1
    assert market.hours_per_mtok[1] == pytest.approx(
        market.starting_hours[1] * np.exp(-market.technology.common.sum())
    )  # old models are no dearer to run


def test_an_aged_model_loses_users():
    still = {**CALM, **NO_MODELS, "technology__open_weights_lag": 1200}
    young, old = (
        simulate(made(*SMALL, "run.steps=12", **still, technology__ageing=rate)).market["attached_users"].iloc[-1]
        for rate in (0.0, 1.0)
    )
    assert old < young


def test_opened_weights_bring_hosts_to_the_frontier_from_the_start_month_on():
    small = ("roster=oligopoly", "users.size=400", "run.panel=100", "run.steps=8", "technology.quality_shock=0.0")
    release = made(*small, "policy=open_weights_release", policy__start=4)
    closed, opened = simulate(made(*small)), simulate(release)
    host = release.providers
    names = [name for name, p in host.items() if all(offer.open_weights for offer in p.offers.values())]
    assert names
    before, after = (
        r.providers[r.providers["provider"].isin(names)].pivot_table(index="step", columns="provider", values="quality")
        for r in (closed, opened)
    )
    assert (after.loc[:4] == before.loc[:4]).all().all()
    assert (after.loc[5:] > before.loc[5:] + 0.02).all().all()
    frontier = opened.market.set_index("step")["frontier_quality"]
    assert (after.max(axis=1) <= frontier + 1e-12).all()


def test_training_is_counted_in_compute_at_the_price_of_a_gpu_that_is_always_busy(lived):
    table, share = lived.tables["providers"], lived.settings.technology.training_compute
    who = int(np.argmax(table["training_gpu_hours"]))
    p, hours = lived.providers[who], table["training_gpu_hours"][who]
    assert isinstance(p.settings, Provider)
    assert hours == pytest.approx(lived.training_compute()[p.index])
    price = share * table["training"][who] / hours
    hardware, best = lived.settings.hardware, lived.generation[who]
    hosting = hardware.hosting / HOURS_PER_MONTH / lived.roadmap.throughput[best]
    assert hosting < price < 5.0  # USD an hour of a busy reference GPU
    j = p.offers[0]
    cheaper = lived.marginal_cost[j] / lived.hours_per_mtok[j]
    assert cheaper * hardware.planned_utilisation < price < cheaper
    worked = lived.service.busy.sum(axis=1) + lived.rented
    assert table["inference_gpu_hours"] == pytest.approx(worked * HOURS_PER_MONTH)
    spent = sum(lived.tables["statements"][name] for name in ("energy", "hosting", "wholesale", "rental"))
    assert table["inference_cash"] == pytest.approx(table["revenue"] - spent)
