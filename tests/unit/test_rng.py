"""Randomness by key: where a draw stands decides it, not what was drawn before; draws are what they are called."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aimarket.rng import Draws, Streams

BLOCK = 1000


@given(st.integers(0, 5000), st.integers(0, 300), st.integers(0, 10_000))
def test_a_draw_depends_on_its_position_alone(start, count, step):
    draws = Streams(3, 1).at("users.taste", step, "alpha")
    whole = draws.uniform(0, 5300)
    assert (draws.uniform(start, start + count) == whole[start : start + count]).all()


@given(st.lists(st.integers(0, 3 * BLOCK), max_size=5))
def test_any_split_into_blocks_draws_the_same(cuts):
    edges = [0, *sorted(cuts), 3 * BLOCK]
    draws = Streams(3, 1).at("users.choice", 2, "alpha/main")
    parts = [draws.normal(a, b) for a, b in pairwise(edges)]
    assert (np.concatenate(parts) == draws.normal(0, 3 * BLOCK)).all()


def test_a_key_names_one_stream():
    first = Streams(seed=7, replication=0).at("users.taste", 4, "alpha").uniform(0, 50)
    again = Streams(seed=7, replication=0).at("users.taste", 4, "alpha").uniform(0, 50)
    assert (first == again).all()


def test_streams_that_differ_in_anything_are_independent():
    size, keys = 4000, [(7, 0, "users.taste", 4, "alpha")]
    keys += [(8, 0, "users.taste", 4, "alpha"), (7, 1, "users.taste", 4, "alpha"), (7, 0, "users.choice", 4, "alpha")]
    keys += [(7, 0, "users.taste", 5, "alpha"), (7, 0, "users.taste", 4, "beta"), (7, 0, "users.taste", 4, "")]
    keys += [(70, 0, "users.taste", 4, "alpha"), (7, 0, "users.taste", 4, "alpha2"), (0, 7, "users.taste", 4, "alpha")]
    drawn = np.array([Streams(s, r).at(name, step, owner).uniform(0, size) for s, r, name, step, owner in keys])
    assert len(np.unique(drawn)) == drawn.size  # no word comes twice, so no stream is another one shifted
    correlation = np.corrcoef(drawn)[np.triu_indices(len(keys), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(size)


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Four words of Philox4x64-10, after Salmon et al. (2011), table 2 and figure 4."""
    size, left, right, low, high = 2**64, *counter
    for _ in range(10):
        first, second = left * 0xD2E7470EE14C6C93, low * 0xCA5A826395121157
        left, right, low, high = (
            (second // size) ^ right ^ key[0],
            second % size,
            (first // size) ^ high ^ key[1],
            first % size,
        )
        key = [(key[0] + 0x9E3779B97F4A7C15) % size, (key[1] + 0xBB67AE8584CAA73B) % size]
    return [left, right, low, high]


def test_draws_are_words_of_philox_keyed_by_who_and_counted_by_when():
    digest = hashlib.blake2b(b"1/2/users.taste/alpha", digest_size=16).digest()
    key = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")]
    step, words = 3, []
    for block in range(1, 4):  # NumPy counts before it draws
        words += philox([block, 0, step, 0], key)
    drawn = Streams(seed=1, replication=2).at("users.taste", step, "alpha").uniform(0, 12)
    assert drawn.tolist() == [(word >> 11) / 2**53 for word in words]


@pytest.mark.parametrize(("method", "distribution"), [("uniform", stats.uniform), ("normal", stats.norm)])
def test_draws_have_the_distribution_they_are_named_after(method, distribution):
    # Across agents within a step, and for one agent across steps: the seed is fixed, so neither fails by bad luck.
    streams = Streams(seed=11, replication=0)
    agents = getattr(streams.at("users.review", 1), method)(0, 40_000)
    steps = np.array([getattr(streams.at("users.review", step), method)(17, 18)[0] for step in range(4000)])
    assert stats.kstest(agents, distribution.cdf).pvalue > 0.001
    assert stats.kstest(steps, distribution.cdf).pvalue > 0.001


def test_every_agent_has_a_word_of_its_own():
    drawn = Streams(5, 0).at("users.taste", 1).uniform(0, 100_000)
    assert len(np.unique(drawn)) == len(drawn)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / np.sqrt(len(drawn))


def test_the_extremes_stay_finite(monkeypatch):
    class Zero:
        def __init__(self, _: object) -> None:
            pass

        def random(self, size: int) -> np.ndarray:
            return np.zeros(size)

    monkeypatch.setattr(np.random, "Generator", Zero)
    draws = Draws(np.zeros(2, dtype=np.uint64), 0)
    assert draws.uniform(0, 3).min() > 0
    assert np.isfinite(draws.normal(0, 3)).all()


def test_one_normal_is_the_first():
    draws = Streams(5, 0).at("technology.common", 9, "software")
    assert draws.one_normal() == draws.normal(0, 4)[0]
