"""Philox by position: the published words, draws that are uniform, and no two agents or steps alike."""

import numpy as np
import pytest
from scipy import stats

from aimarket.kernels.counter import philox, unit32, unit64, words
from aimarket.rng import Streams


def split(text):
    return tuple(np.uint64(int(word, 16)) for word in text.split())


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (" ".join(["ffffffff"] * 4), " ".join(["ffffffff"] * 2), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_words_are_those_of_philox4x32_10(counter, key, expected):
    """Known answers that come with Random123 1.14, file tests/kat_vectors."""
    assert philox(split(counter), split(key)) == split(expected)


def test_key_step_and_agent_fill_their_places_in_full():
    key, step, agent = np.uint64(0x299F31D0A4093822), 0x0370734413198A2E, 0x85A308D3243F6A88 - 2**64
    assert words(key, step, np.int64(agent)) == split("d16cfe09 94fdcceb 5001e420 24126ea1")


@pytest.mark.parametrize(("low", "high"), [(0, 0), (2**32 - 1, 2**32 - 1)])
def test_draws_are_never_0_or_1(low, high):
    single, double = unit32(np.uint64(high)), unit64(np.uint64(high), np.uint64(low))
    assert 0 < np.float32(single) < 1
    assert 0 < double < 1


def test_draws_are_uniform_and_independent():
    keys = [Streams(1, r).at("users.choice").key_of_loop for r in range(4)]
    drawn = [[words(key, step, agent) for agent in range(4000)] for key in keys for step in (1, 2)]
    drawn = np.array(drawn, dtype=np.uint64)
    singles = np.array([unit32(word) for word in drawn.ravel()])
    doubles = np.array([unit64(high, low) for high, low in drawn.reshape(-1, 2)])
    assert stats.kstest(singles, stats.uniform.cdf).pvalue > 0.001
    assert stats.kstest(doubles, stats.uniform.cdf).pvalue > 0.001
    columns = singles.reshape(8, 4000, 4).transpose(0, 2, 1).reshape(32, 4000)  # key, step and word
    assert np.abs(np.corrcoef(columns)[np.triu_indices(32, 1)]).max() < 5 / np.sqrt(4000)
    assert np.abs([np.corrcoef(row[1:], row[:-1])[0, 1] for row in columns]).max() < 5 / np.sqrt(4000)
    # Some of 128,000 words of 32 bits are bound to come twice: about n^2/2^33.
    assert len(np.unique(drawn)) > drawn.size - 10
