"""The compiled choice: the oracle's choices from the same draws, the law of the logit, and nothing of its blocks."""

from itertools import pairwise

import numpy as np
import pytest
from crowds import crowd
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sampling_oracle import chosen, utilities
from scipy.stats import chisquare

from aimarket.kernels.choice import logit_shares
from aimarket.kernels.counter import unit32, words
from aimarket.kernels.sampling import Choosers, Menu, sample_offers
from aimarket.rng import Streams

NONE = np.float32(-np.inf)


def market(seed, users, offers, spread=1.0, outside=0.0):
    """Choosers and a menu with a bit of everything: offers not on sale, free users, contracts, offers of one firm."""
    random = np.random.default_rng(seed)
    single = np.float32
    firms = max(1, offers - 2)
    held = random.integers(-1, firms, users).astype(np.int16)
    free = random.random(users) < 0.2
    choosers = Choosers(
        quality=random.lognormal(0, 0.5, users).astype(single),
        latency=random.lognormal(-1, 0.5, users).astype(single),
        price=np.where(free, 0, random.lognormal(0, 0.5, users)).astype(single),
        leaving=np.where(held < 0, 0, random.uniform(0, 3, users)).astype(single),
        held=held,
        free=free,
        signs=~free & (random.random(users) < 0.3),
        tastes=random.integers(-127, 128, (firms, users)).astype(np.int8),
        from_row=np.uint64(0),
        uniform=((random.integers(0, 2**23, users) + 0.5) * 2.0**-23).astype(single),
    )
    menu = Menu(
        quality=random.normal(0, spread, offers).astype(single),
        delay=random.uniform(0, spread, offers).astype(single),
        unit_price=random.normal(0, spread, (2, 2, offers)).astype(single),
        appeal=np.where(random.random(offers) < 0.2, -np.inf, random.normal(0, 0.3, offers)).astype(single),
        free_allowed=random.random(offers) < 0.5,
        provider=random.integers(0, firms, offers).astype(np.int16),
        brand=random.integers(0, firms, offers).astype(np.int16),
        order=random.permutation(offers),
        outside=single(outside),
        taste_step=single(1 / 32),
    )
    return choosers, menu


def sampled(choosers, menu):
    choice = np.full(len(choosers.held), -9, dtype=np.int16)
    sample_offers(choosers, menu, choice)
    return choice


def some(choosers, rows):
    """A contiguous copy of some of the users."""
    columns = {
        name: np.ascontiguousarray(column[..., rows]) for name, column in choosers._asdict().items() if np.ndim(column)
    }
    return choosers._replace(**columns)


@settings(deadline=None)
@example(seed=0, users=1100, offers=3, spread=1.0, outside=0.0)  # more than two blocks of users
@given(
    seed=st.integers(0, 2**32),
    users=st.integers(0, 1500),
    offers=st.integers(1, 40),
    spread=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
    outside=st.sampled_from([0.0, -3.0, 50.0, -np.inf]),
)
def test_the_choice_is_that_of_the_oracle_unless_the_draw_is_at_a_border(seed, users, offers, spread, outside):
    choosers, menu = market(seed, users, offers, spread, outside)
    expected, distance, rounding = chosen(choosers, menu)
    choice = sampled(choosers, menu)
    differs = choice != expected
    assert (distance[differs] < rounding[differs]).all()
    utility, _, _ = utilities(choosers, menu)
    taken = np.flatnonzero(choice >= 0)
    assert np.isfinite(utility[taken, choice[taken]]).all()  # nobody has what cannot be had


@pytest.mark.compiled
def test_few_draws_are_so_near_a_border():
    choosers, menu = market(3, 200_000, 12)
    expected, _, rounding = chosen(choosers, menu)
    assert rounding.max() < 5e-5
    assert (sampled(choosers, menu) != expected).mean() < 1e-5


@pytest.mark.compiled
@pytest.mark.parametrize("outside", [0.3, -np.inf])
@pytest.mark.parametrize("held", [-1, 1])
def test_choices_have_the_shares_of_the_logit(outside, held):
    users, (choosers, menu) = 400_000, market(8, 1, 12, outside=outside)
    key = Streams(seed=21, replication=0).at("users.choice").key_of_loop
    draws = np.array([unit32(words(key, 1, user)[0]) for user in range(users)])
    choosers = choosers._replace(held=np.array([held], np.int16), free=np.zeros(1, bool))
    choosers = choosers._replace(leaving=np.array([0.7 if held >= 0 else 0], np.float32), price=np.ones(1, np.float32))
    crowd = some(choosers, np.zeros(users, dtype=int))._replace(uniform=draws)
    utility, floor, _ = utilities(choosers, menu)
    shares, _ = logit_shares(utility, floor)
    expected = np.append(1 - shares.sum(), shares[0])
    counts = np.bincount(sampled(crowd, menu) + 1, minlength=13)
    possible = expected > 1e-12
    assert not counts[~possible].any()
    # The seed is fixed, so this cannot fail by bad luck.
    assert chisquare(counts[possible], expected[possible] / expected[possible].sum() * users).pvalue > 0.001


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 2000), max_size=4))
def test_who_else_chooses_changes_nothing(seed, cuts):
    choosers, menu = market(seed, crowd(2_000), 9)
    whole, edges = sampled(choosers, menu), sorted({0, 2000, *cuts})
    parts = [sampled(some(choosers, slice(a, b)), menu) for a, b in pairwise(edges)]
    assert (np.concatenate(parts) == whole).all()


def test_where_offers_stand_changes_nothing_as_long_as_their_order_is_kept():
    choosers, menu = market(5, crowd(3_000), 11)
    place = np.random.default_rng(1).permutation(11)  # what stood at place[k] now stands at k
    back = np.argsort(place)
    columns = {name: getattr(menu, name)[..., place] for name in menu._fields[:7]}
    moved = menu._replace(**{k: np.ascontiguousarray(v) for k, v in columns.items()}, order=back[menu.order])
    choice = sampled(choosers, moved)
    assert (np.where(choice < 0, -1, place[choice]) == sampled(choosers, menu)).all()


def test_an_offer_that_nobody_can_have_changes_nothing():
    choosers, menu = market(6, crowd(3_000), 8)
    more = {
        name: np.concatenate([getattr(menu, name), getattr(menu, name)[..., :1]], axis=-1) for name in menu._fields[:7]
    }
    more["appeal"][8] = NONE
    for position in range(9):
        larger = menu._replace(**more, order=np.insert(menu.order, position, 8))
        assert (sampled(choosers, larger) == sampled(choosers, menu)).all()


def test_nobody_is_left_without_what_is_the_only_thing_to_have():
    choosers, menu = market(7, crowd(500), 3, outside=-np.inf)
    only = menu._replace(appeal=np.array([NONE, 0.0, NONE], np.float32), free_allowed=np.array([True, False, True]))
    choice = sampled(choosers, only)
    assert (choice == np.where(choosers.free, -1, 1)).all()
    assert (sampled(choosers, only._replace(outside=np.float32(-80)))[choosers.free] == -1).all()


def test_utilities_may_be_as_large_as_they_like():
    choosers, menu = market(9, crowd(1_000), 4)
    huge = menu._replace(quality=np.array([0, 1e30, 1e20, -1e30], np.float32), appeal=np.zeros(4, np.float32))
    assert (sampled(choosers._replace(free=np.zeros(1000, bool)), huge) == 1).all()
