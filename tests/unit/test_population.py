"""Users are drawn as the settings say: how many, where, and with what tastes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from aimarket import Market, load
from aimarket.build import panel_rows
from aimarket.creation import draw_users, taste_factor
from aimarket.population import TASTE_STEPS, apportion, segment_columns, time_price
from aimarket.rng import Streams
from aimarket.strata import CHUNKS, SMALLEST, Strata

BRANDS = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def settings():
    return load(["roster=monopoly", "users.size=60000"]).users


@pytest.fixture(scope="module")
def drawn(settings):
    segments = segment_columns(settings)
    strata = Strata.of(segments.sample, np.array([1.0, 3.0]))
    return segments, draw_users(settings, segments, strata, BRANDS, Streams(1, 0))


@given(st.integers(0, 10_000), st.lists(st.floats(0.01, 100), min_size=1, max_size=8))
def test_parts_sum_to_the_whole_and_keep_to_their_quotas(total, weights):
    parts = apportion(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1 + 1e-9


def test_the_largest_remainders_get_the_seats_left_over():
    # Quotas 5.56, 3.33 and 1.11: one seat is left, and the first has the largest remainder.
    assert apportion(10, [5, 3, 1]) == [6, 3, 1]
    # Quotas 4.67, 4.67 and .67: two are left for equal remainders, and the first two take them.
    assert apportion(10, [7, 7, 1]) == [5, 5, 0]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=5), st.integers(1, 600))
def test_the_panel_asks_evenly_in_each_segment_in_proportion(sample, size):
    rows = panel_rows(np.array(sample), size)
    edges = np.cumsum([0, *sample])
    assert (np.diff(rows) > 0).all()
    for start, stop, count in zip(edges, edges[1:], sample, strict=False):
        own = rows[(rows >= start) & (rows < stop)]
        part = (stop - start) / len(own)  # one from each of as many equal parts
        assert (
            (own - start + 1 > part * np.arange(len(own))) & (own - start < part * np.arange(1, len(own) + 1))
        ).all()
        assert len(own) == pytest.approx(max(1, min(count, count * size / sum(sample))), abs=0.5 + 1e-9)


def test_users_stand_for_everybody(drawn, settings):
    segments, users = drawn
    assert len(users.offer) == 60_000
    for s, segment in enumerate(settings.segments.values()):
        assert segments.weight[s] * (users.segment == s).sum() == pytest.approx(segment.population)
        share = users.adopted[users.segment == s].mean()
        error = np.sqrt(segment.adoption.initial * (1 - segment.adoption.initial) / segments.sample[s])
        assert share == pytest.approx(segment.adoption.initial, abs=4.5 * error)
        assert (users.region[users.segment == s] == 1).sum() == pytest.approx(0.75 * segments.sample[s], abs=1)
    assert (users.offer == -1).all()


def test_tastes_have_the_means_spreads_and_correlations_of_the_settings(drawn, settings):
    _, users = drawn
    logs = {}
    for s, segment in enumerate(settings.segments.values()):
        rows = users.segment == s
        for name in ("quality", "price", "latency"):
            taste, spread = getattr(users, name)[rows], getattr(settings.spread, name)
            mean = getattr(segment.preferences, name)
            error = np.sqrt(np.expm1(spread**2) / rows.sum())  # of the mean of a log-normal of mean 1
            assert taste.mean() == pytest.approx(mean, rel=4.5 * error)
            assert np.log(taste).std() == pytest.approx(spread, rel=4.5 / np.sqrt(2 * rows.sum()))
            logs.setdefault(name, []).append(np.log(taste) - np.log(mean))
        error = np.sqrt(np.expm1(segment.tasks_spread**2) / rows.sum())
        assert users.tasks[rows].mean() == pytest.approx(segment.tasks, rel=4.5 * error)
    columns = {name: np.concatenate(parts) for name, parts in logs.items()}
    for pair, expected in vars(settings.correlation).items():
        if "_" in pair and not pair.startswith("_"):
            first, second = pair.split("_")
            seen = np.corrcoef(columns[first], columns[second])[0, 1]
            assert seen == pytest.approx(expected, abs=4.5 / np.sqrt(60_000))


def test_impossible_correlations_name_the_key(settings):
    impossible = replace(settings.correlation, quality_price=-0.9, quality_latency=-0.9, price_latency=-0.9)
    with pytest.raises(ValueError, match=r"users\.correlation"):
        taste_factor(replace(settings, correlation=impossible))


def test_a_second_of_waiting_is_worth_what_an_hour_is_over_3600(drawn):
    segments, _ = drawn
    # 50 tokens a second make a Mtok in 20,000 s.
    assert time_price(segments, np.array([50.0]))[:, 0] == pytest.approx(segments.value_of_time / 3600 * 20_000)


def test_a_market_without_providers_names_the_key():
    with pytest.raises(ValueError, match="providers: at least one is needed"):
        load(["roster=monopoly", "~providers.alpha"])


@pytest.mark.parametrize("outside", ["0.0", "null"])
def test_a_market_goes_on_when_every_provider_has_failed(outside):
    overrides = ["roster=textbook", "users=textbook", "users.size=200"]
    overrides += [f"users.segments.everyone.outside_utility={outside}"]
    overrides += [f"providers.{name}.overhead=1e9" for name in ("anna", "bert", "carl")]
    market = Market(load(overrides))
    for _ in range(6):
        market.step()
    assert not market.active_providers
    measured = market.tables["market"]
    assert measured["attached_users"] == 0
    assert measured["outside_share"] == 1
    assert np.isnan(measured["frontier_quality"])
    if outside == "0.0":
        assert measured["consumer_surplus"] == 0
    else:
        assert np.isnan(measured["consumer_surplus"])


# ── strata, chunks and whose draws are whose ──


@given(
    st.lists(st.integers(0, 3 * SMALLEST), min_size=1, max_size=4),
    st.lists(st.floats(0.01, 9), min_size=1, max_size=5),
    st.data(),
)
def test_everybody_is_in_one_stratum_and_one_chunk(sample, weights, data):
    strata = Strata.of(np.array(sample), np.array(weights))
    assert strata.size == sum(sample)
    segment, region = strata.segment_and_region(0, strata.size)
    assert (np.bincount(segment, minlength=len(sample)) == sample).all()
    assert (np.diff(segment * len(weights) + region) >= 0).all()
    chunks = strata.chunks
    assert 1 <= len(chunks) <= CHUNKS
    assert [edge for chunk in chunks for edge in chunk] == sorted(edge for chunk in chunks for edge in chunk)
    assert sum(stop - start for start, stop in chunks) == strata.size
    start = data.draw(st.integers(0, strata.size))
    part = strata.within(start, strata.size)
    assert (part == np.maximum(strata.bounds - start, 0)).all()


@given(st.integers(0, 60_000), st.integers(0, 60_000))
def test_users_are_the_same_whoever_draws_the_others(drawn, settings, start, stop):
    start, stop = min(start, stop), max(start, stop)
    segments, users = drawn
    strata = Strata.of(segments.sample, np.array([1.0, 3.0]))
    part = draw_users(settings, segments, strata, BRANDS, Streams(1, 0), start, stop)
    for name, column in part._asdict().items():
        assert column.tobytes() == getattr(users, name)[..., start:stop].tobytes(), name


def test_a_user_takes_no_more_than_80_bytes(drawn):
    _, users = drawn
    assert sum(column.nbytes for column in users) / len(users.offer) <= 80 - 12  # and a byte for each further brand


def test_tastes_for_brands_are_normal_and_another_brand_changes_nobodys(drawn, settings):
    segments, users = drawn
    sd = users.tastes / TASTE_STEPS
    assert sd.mean(axis=1) == pytest.approx(0, abs=4.5 / np.sqrt(60_000))
    assert sd.std(axis=1) == pytest.approx(1, abs=4.5 / np.sqrt(2 * 60_000))
    assert np.abs(np.corrcoef(sd) - np.eye(3)).max() < 4.5 / np.sqrt(60_000)
    below = (users.tastes <= 16).mean()  # rounded to the nearest step: up to 16.5 of them
    assert below == pytest.approx(norm.cdf(16.5 / TASTE_STEPS), abs=4.5 * 0.5 / np.sqrt(180_000))
    strata = Strata.of(segments.sample, np.array([1.0, 3.0]))
    more = draw_users(settings, segments, strata, ("zero", *BRANDS), Streams(1, 0))
    assert (more.tastes[1:] == users.tastes).all()
