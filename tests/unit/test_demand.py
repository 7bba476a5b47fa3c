"""Users adopt, review, choose, use and deepen: what is expected is the limit of what is sampled, and all count."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binomtest
from stepping import freeze, trial, weights

from aimarket import Market, demand, load
from aimarket.creation import draw_users
from aimarket.demand import Population, State
from aimarket.kernels.choice import logit_shares
from aimarket.kernels.choosing import costs_of_leaving
from aimarket.population import over_step, routes
from aimarket.step_tables import step_tables
from aimarket.terms import is_bound

SEGMENTS = ("consumer", "developer", "enterprise")
LOCKED_IN = [
    f"users.segments.{segment}.{key}"
    for segment in SEGMENTS
    for key in ("review=0.5", "switching.maximum=2", "switching.horizon=2", "adoption.initial=0.7")
]


def market_after(steps: int, *overrides: str) -> Market:
    market = Market(load(["roster=oligopoly", "users.size=3000", "run.panel=3000", *LOCKED_IN, *overrides]))
    for _ in range(steps):
        market.step()
    return market


@pytest.fixture(scope="module")
def lived() -> Market:
    """A market of some months in which all has just changed: prices, service, whose offer is best, who is left."""
    market = market_after(3)
    market.posted_before = market.price / np.linspace(0.8, 1.25, len(market.price))
    market.outage = np.full_like(market.outage, 0.3)
    market.quality = market.quality[::-1].copy()
    market.providers[2].active = False
    return market


# ── expectation and sample ──


def test_what_the_panel_expects_is_the_mean_of_what_users_do(lived):
    """The whole market is the panel here, so firms that reckon with it know every probability."""
    menu, rounds, adoption = lived.menu(), 40, np.full(3, 0.2)
    panel = lived.survey(menu, adoption)
    assert (panel.segment == lived.population.users.segment).all()
    share, _ = logit_shares(panel.utility_now, panel.outside_now)
    held = np.maximum(panel.offer, 0)
    rise = np.where(panel.offer >= 0, np.maximum(menu.rise[held], 0.0), 0.0)
    review = 1 - (1 - panel.review) * np.exp(-panel.price_rise_review * rise)
    chance = review[:, None] * share + (1 - review)[:, None] * (panel.offer[:, None] == np.arange(len(menu.names)))
    member = panel.weight * (panel.segment == np.arange(3)[:, None])  # (S, K)
    expected, variance = member @ chance, member**2 @ (chance * (1 - chance))
    sampled = [trial(lived, 100 + n).run() for n in range(rounds)]
    mean = np.mean([totals.users.sum(axis=1) for totals in sampled], axis=0)
    assert (np.abs(mean - expected) <= 4.5 * np.sqrt(variance / rounds)).all()
    assert (expected[:, menu.provider == 2] == 0).all()
    assert (mean[:, menu.provider == 2] == 0).all()


def test_firms_know_what_leaving_costs_their_users(lived):
    """What the kernel charges is what the panel, here everybody, says."""
    panel, users = lived.survey(lived.menu(), np.zeros(3)), lived.population.users
    tables = step_tables(trial(lived, 50).step).choosing
    charged = np.empty(len(users.offer), np.float32)
    for s in range(3):
        rows = users.segment == s
        cost = np.empty(rows.sum(), np.float32)
        costs_of_leaving(tables, s, users.tenure[rows], users.depth[rows], cost)
        charged[rows] = cost
    stays = (panel.offer >= 0) & ~routes(users, lived.segments)
    assert stays.sum() > 100
    assert panel.leaving_cost[stays] == pytest.approx(charged[stays], rel=1e-5)  # single precision
    assert not panel.leaving_cost[~stays].any()


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_as_many_adopt_as_should(lived, probability):
    step = trial(lived, 7, adoption=probability)
    waiting = ~step.users.adopted
    step.run()
    joined = int(step.users.adopted[waiting].sum())
    assert step.users.adopted[~waiting].all()
    if probability in (0, 1):
        assert joined == probability * waiting.sum()
    else:
        assert binomtest(joined, int(waiting.sum()), probability).pvalue > 0.001  # fixed seed: no bad luck


def test_a_price_rise_sets_users_looking_and_a_cut_does_not(lived):
    quiet = trial(lived, 9, adoption=0.0, settings=replace(lived.settings.users, outage_review=0.0))
    users, offers = lived.population.users, len(lived.price)
    everything = np.ones(offers, dtype=bool)
    for rise, expected in ((-0.5, 0.5), (0.0, 0.5), (0.2, 1 - 0.5 * np.exp(-5 * 0.2))):
        menu = replace(quiet.menu, rise=np.full(offers, rise), on_sale=everything)
        choosers = quiet.but(menu=menu).reviewers()
        free_to_choose = ~(users.due | routes(users, quiet.segments))
        feel = ~users.free & ~is_bound(users, menu)
        attached = (users.offer >= 0) & free_to_choose & feel
        count = int(attached[choosers].sum())
        assert lived.settings.users.price_rise_review == 5
        assert binomtest(count, int(attached.sum()), expected).pvalue > 0.001, rise


# ── who is bound to what ──


def test_those_whose_provider_left_choose_anew_and_free_of_charge(lived):
    step = trial(lived, 11, adoption=0.0)
    orphans = np.flatnonzero((step.users.offer >= 0) & ~step.menu.on_sale[np.maximum(step.users.offer, 0)])
    choosers = step.reviewers()
    assert len(orphans) > 20
    assert np.isin(orphans, choosers).all()
    costly = replace(step.segments, base=np.full(3, 1e6))  # nobody who has to pay this leaves
    step = step.but(segments=costly)
    before = step.users.offer.copy()
    step.run()
    routed = np.flatnonzero(routes(step.users, step.segments))
    stayed = np.setdiff1d(np.flatnonzero(before >= 0), np.union1d(orphans, routed))
    provider = step.menu.provider
    assert (provider[step.users.offer[stayed]] == provider[before[stayed]]).all()
    assert step.menu.on_sale[step.users.offer[orphans][step.users.offer[orphans] >= 0]].all()


@pytest.mark.parametrize("outside", [0.0, -np.inf])
def test_nobody_holds_an_offer_when_nothing_is_on_sale(lived, outside):
    step = trial(lived, 12)
    step = step.but(
        menu=replace(step.menu, on_sale=np.zeros(len(lived.price), dtype=bool)),
        segments=replace(step.segments, outside=np.full(3, outside)),
    )
    totals = step.run()
    assert (step.users.offer == -1).all()
    assert not totals.users.any()
    assert not totals.tokens.any()


def test_tenure_counts_the_months_with_a_provider(lived):
    step = trial(lived, 13, portability=0.25)
    before, provider = freeze(step.users), np.append(step.menu.provider, -1)
    step.run()
    old, new = provider[before["offer"]], provider[step.users.offer]
    months = step.step.months
    stayed, moved = (new >= 0) & (old == new), (new >= 0) & (old >= 0) & (old != new)
    came, gone = (new >= 0) & (old < 0), new < 0
    assert min(stayed.sum(), moved.sum(), came.sum(), gone.sum()) > 10
    tenure = step.users.tenure
    assert (tenure[stayed] == before["tenure"][stayed] + np.float32(months)).all()
    assert tenure[moved] == pytest.approx(0.25 * before["tenure"][moved] + months)
    assert (tenure[came] == months).all()
    assert (tenure[gone] == 0).all()


# ── workflows ──


def test_workflows_grow_fall_and_are_forgotten_but_not_before_there_were_any(lived):
    step = trial(lived, 14)
    before = freeze(step.users)
    step.run()
    users, s = step.users, step.users.segment
    decay, ceiling, growth = (getattr(step.segments, f"depth_{name}")[s] for name in ("decay", "ceiling", "growth"))
    attached, same = users.offer >= 0, (users.offer == before["offer"]) & (users.offer >= 0)
    pays_from_now_on = before["free"] & ~users.free  # and what the offer is worth to them starts anew
    attached &= ~pays_from_now_on
    fall = np.where(same & ~pays_from_now_on, before["surplus"] - users.surplus, 0.0)
    worse, outside, never = attached & (fall > 0), users.adopted & (users.offer < 0), ~users.adopted
    assert min(attached.sum(), worse.sum(), outside.sum(), never.sum()) > 10
    depth, was = users.depth, before["depth"]
    assert depth[never].tolist() == was[never].tolist()
    assert depth[outside] == pytest.approx((was * (1 - decay))[outside])
    grown = was + growth * (ceiling - was)
    assert depth[attached & ~worse] == pytest.approx(grown[attached & ~worse])
    assert depth[worse] == pytest.approx((grown * (1 - decay) ** fall)[worse])  # a util lost costs the share of decay


def test_late_adopters_start_with_the_workflows_of_early_ones():
    market = market_after(6, "roster=duopoly")
    never = ~market.population.users.adopted
    initial = np.array([s.depth.initial for s in market.settings.users.segments.values()])
    assert never.any()
    assert (market.population.users.depth[never] == initial[market.population.users.segment[never]]).all()


@pytest.mark.parametrize("monthly", [0.0, 0.3, 1.0])
def test_probabilities_over_half_steps_make_up_a_step(monthly):
    half, whole = (float(over_step(monthly, months)) for months in (0.5, 1.0))
    assert 1 - (1 - half) ** 2 == pytest.approx(whole)
    assert whole == pytest.approx(monthly)


# ── counting ──


def test_totals_count_every_user_once(lived):
    step = trial(lived, 15)
    before = freeze(step.users)
    totals = step.run()
    users, menu, weight = step.users, step.menu, weights(lived)
    attached = np.flatnonzero(users.offer >= 0)
    cube = np.zeros_like(totals.users)
    for i in attached:
        cube[users.segment[i], users.region[i], users.offer[i]] += weight[i]
    assert totals.users == pytest.approx(cube)
    for s in range(3):
        rows = users.segment == s
        assert totals.adopted[s] == pytest.approx(weight[rows & users.adopted].sum())
        rows = rows & ~routes(users, step.segments)
        for f in range(len(menu.providers)):
            had = rows & (before["offer"] >= 0) & (menu.provider[before["offer"]] == f)
            has = (users.offer >= 0) & (menu.provider[users.offer] == f)
            assert totals.attached_before[s, f] == pytest.approx(weight[had].sum())
            assert totals.leavers[s, f] == pytest.approx(weight[had & ~has].sum())
    # Depth and tenure are those with which users choose and use, before the step is over.
    assert totals.depth.sum() == pytest.approx((weight * before["depth"])[attached].sum())
    tenure = users.tenure[attached] - step.step.months
    assert totals.tenure.sum() == pytest.approx((weight[attached] * tenure).sum())


def test_tokens_are_tasks_times_tokens_a_task(lived):
    step = trial(lived, 16)
    totals = step.run()
    mix, plain = step.menu.mix[:, None, :], step.segments.tokens_per_task[:, None, None]
    assert totals.tokens == pytest.approx(totals.tasks * plain + totals.thinking)
    assert totals.mix_tokens == pytest.approx(totals.tokens * mix)
    assert totals.wanted == pytest.approx(totals.tokens + totals.declined)
    doubled = trial(lived, 16, task_factor=2.0).run()
    assert doubled.wanted == pytest.approx(2 * totals.wanted)
    assert (doubled.users == totals.users).all()


def test_threads_and_blocks_change_no_choice():
    market = market_after(0, "users.size=20000")
    results = []
    with ThreadPoolExecutor(3) as pool:
        for executor in (None, pool):
            step = trial(market, 17)
            results.append((step.run(executor), freeze(step.users)))
    (alone, users), (together, same_users) = results
    for field in fields(alone):
        assert getattr(alone, field.name).tobytes() == getattr(together, field.name).tobytes(), field.name
    for name, column in users.items():
        assert column.tobytes() == same_users[name].tobytes(), name


def test_smaller_blocks_make_the_same_users(lived, monkeypatch):
    outcomes = []
    for block in (demand.BLOCK, 100):
        monkeypatch.setattr(demand, "BLOCK", block)
        step = trial(lived, 18)
        totals = step.run()
        outcomes.append((freeze(step.users), totals))
    (users, totals), (others, their_totals) = outcomes
    for name, column in users.items():
        assert column.tobytes() == others[name].tobytes(), name
    for field in fields(totals):
        assert getattr(totals, field.name).tobytes() == getattr(their_totals, field.name).tobytes(), field.name


def in_pieces(market: Market, *edges: int) -> list[Population]:
    """The population of a market, drawn piece by piece as if nobody knew of the others, then brought to its state."""
    whole, settings = market.population, market.settings
    chunks, pieces = whole.strata.chunks, []
    for low, high in pairwise((0, *edges, len(chunks))):
        start, stop = chunks[low][0], chunks[high - 1][1]
        users = draw_users(
            settings.users, market.segments, whole.strata, tuple(settings.providers), market.streams, start, stop
        )
        pieces.append(Population(users, whole.strata, start))
        pieces[-1].restore(whole.state)
    return pieces


@pytest.mark.parametrize("edges", [(), (1,), (2,), (1, 3)])
def test_in_pieces_the_population_counts_to_the_same_byte(edges):
    market = market_after(1, "users.size=40000")
    assert len(market.population.strata.chunks) == 4
    step, pieces = trial(market, 19), in_pieces(market, *edges)
    tables, rows = step_tables(step.step), market.panel_rows
    patience = step.users.patience  # each trial draws it anew
    for piece in pieces:
        piece.users.patience[:] = patience[piece.first : piece.first + len(piece.users.offer)]
    whole, parts = step.population.take(tables), [tally for piece in pieces for tally in piece.take(tables)]
    for ours, theirs in zip(whole, parts, strict=True):
        assert all(mine.tobytes() == yours.tobytes() for mine, yours in zip(ours, theirs, strict=True))
    for together, apart in (
        (step.users, [piece.users for piece in pieces]),
        (step.population.sample(rows), [piece.sample(rows) for piece in pieces]),
    ):
        for column, columns in zip(together, zip(*apart, strict=True), strict=True):
            assert column.tobytes() == np.concatenate(columns, axis=-1).tobytes()
    census = [piece.census() for piece in pieces]
    assert (sum(census) == step.population.census()).all()
    tastes = [sums for piece in pieces for sums in piece.tastes()]
    assert np.array(tastes).tobytes() == np.array(step.population.tastes()).tobytes()


def copied(state: State) -> State:
    return {name: column.copy() for name, column in state.items()}


def test_a_checkpoint_goes_on_with_the_same_bytes():
    market = market_after(2, "users.size=20000")
    kept = {chunk: copied(market.population.state(*chunk)) for chunk in market.population.strata.chunks}
    step, again = trial(market, 20), trial(market, 20)
    step.run()
    again.population.restore(lambda start, stop: kept[start, stop])
    again.users.patience[:] = trial(market, 20).users.patience
    again.run()
    for name, column in freeze(step.users).items():
        assert column.tobytes() == getattr(again.users, name).tobytes(), name


def test_what_a_step_needs_is_small_and_can_be_sent_anywhere(lived):
    sent = pickle.dumps(step_tables(trial(lived, 21).step))
    assert len(sent) < 20_000
    there, here, received = trial(lived, 21), trial(lived, 21), pickle.loads(sent)
    for column in (column for part in received for column in part if isinstance(column, np.ndarray)):
        column.flags.writeable = False  # as what comes by shared memory
    totals = there.population.take(received)
    for ours, theirs in zip(here.population.take(step_tables(here.step)), totals, strict=True):
        assert all(mine.tobytes() == yours.tobytes() for mine, yours in zip(ours, theirs, strict=True))
