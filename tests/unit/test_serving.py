"""From load by the hour to waits, journeys and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aimarket import load
from aimarket.serving import Network, create_network, peak_over_mean, serve
from aimarket.theory import queueing

FLAT = np.ones((1, 1, 24))


@pytest.fixture(scope="module")
def configuration():
    return load(["roster=monopoly", "users.size=100"])


@pytest.fixture(scope="module")
def hardware(configuration):
    return replace(configuration.hardware, concurrency=1.0, maximum_utilisation=0.95)


def network(profile: np.ndarray = FLAT, delay: np.ndarray | None = None) -> Network:
    regions = profile.shape[1]
    delay = np.full((regions, regions), 0.1) if delay is None else delay
    names = tuple(f"region{r}" for r in range(regions))
    return Network(names, np.ones(regions), np.full(regions, 0.1), delay, profile)


def serve_one(work, capacity, where, hardware, time=2.0):
    """One firm, one offer."""
    shape = (1, -1, 1)
    return serve(
        np.reshape(work, shape),
        np.reshape(capacity, (1, -1)),
        np.zeros(1, int),
        np.zeros(1),
        np.array([[time]]),
        where,
        hardware,
    )


# ── the network ──


def test_delay_is_the_great_circle_there_and_back(configuration):
    # London to New York is 5,570 km, London to Tokyo 9,559 km along the great circle (Movable Type Scripts, haversine).
    cities = {"london": (51.5074, -0.1278, 0), "new_york": (40.7128, -74.0060, -5), "tokyo": (35.6762, 139.6503, 9)}
    some = next(iter(configuration.geography.regions.values()))
    regions = {n: replace(some, latitude=a, longitude=b, utc_offset=float(c)) for n, (a, b, c) in cities.items()}
    geography = replace(configuration.geography, regions=regions, network_base=0.02, network_per_km=1e-5)
    made = create_network(geography, list(geography.profiles)[:1])
    assert made.delay[0] == pytest.approx([0.02, 0.02 + 0.0557, 0.02 + 0.0956], abs=1e-4)
    assert made.delay == pytest.approx(made.delay.T)
    assert (made.delay.diagonal() == 0.02).all()


@pytest.mark.parametrize("offset", [0.0, 8.0, -5.0, 5.5])
def test_a_profile_moves_with_the_sun_and_keeps_its_mean(configuration, offset):
    some = next(iter(configuration.geography.regions.values()))
    local = np.where(np.arange(24) == 12, 25.0, 1.0)  # a peak at noon, mean 2
    geography = replace(
        configuration.geography, regions={"here": replace(some, utc_offset=offset)}, profiles={"noon": tuple(local)}
    )
    profile = create_network(geography, ["noon"]).profile[0, 0]
    assert profile.mean() == pytest.approx(1)
    if offset.is_integer():
        assert profile.argmax() == (12 - offset) % 24  # noon in the east comes early
        assert profile.max() == 12.5
    else:
        assert profile[[6, 7]] == pytest.approx([6.5, 6.5])  # half past five hours ahead: half the peak on either side


# ── one place ──


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (10, 8.0), (50, 47.0)])
def test_a_pool_with_flat_load_waits_as_erlang_says(hardware, servers, load):
    service = serve_one([load], [servers], network(), hardware, time=2.0)
    wait = 2.0 * queueing.mean_wait(servers, load)
    assert service.wait.item() == pytest.approx(wait)
    assert service.first_token.item() == pytest.approx(0.1 + wait)
    assert service.latency.item() == pytest.approx(0.1 + wait + 2.0)
    assert service.busy.item() == pytest.approx(load)
    assert service.peak.item() == pytest.approx(load / servers)
    assert service.served.item() == 1


def test_many_requests_on_one_gpu_share_its_queue(hardware):
    # A GPU that serves 20 at once is 20 servers: the same load in GPUs is 20 times the load in servers.
    service = serve_one([4.0], [5.0], network(), replace(hardware, concurrency=20.0), time=2.0)
    assert service.wait.item() == pytest.approx(2.0 * queueing.mean_wait(100, 80.0))


def test_waits_are_averaged_over_requests_not_hours(hardware):
    profile = np.where(np.arange(24) < 12, 0.5, 1.5)[None, None]
    service = serve_one([6.0], [10.0], network(profile), hardware, time=1.0)
    quiet, busy = queueing.mean_wait(10, 3.0), queueing.mean_wait(10, 9.0)
    assert service.wait.item() == pytest.approx(0.25 * quiet + 0.75 * busy)
    assert service.peak.item() == pytest.approx(0.9)


def test_beyond_the_highest_utilisation_load_is_turned_away(hardware):
    service = serve_one([19.0], [10.0], network(), hardware)
    assert service.served.item() == pytest.approx(0.5)
    assert service.busy.item() == pytest.approx(9.5)
    peaky = np.where(np.arange(24) < 12, 0.5, 1.5)[None, None]
    # 5 by night, 15 by day against 9.5: 5.5 of every 20 are lost.
    assert serve_one([10.0], [10.0], network(peaky), hardware).served.item() == pytest.approx(1 - 5.5 / 20)


def test_bought_capacity_is_always_there(hardware):
    service = serve(
        np.zeros((1, 1, 1)),
        np.zeros((1, 1)),
        np.zeros(1, int),
        np.full(1, 0.3),
        np.full((1, 1), 2.0),
        network(),
        hardware,
    )
    assert service.served.item() == 1
    assert service.latency.item() == pytest.approx(0.1 + 0.3 + 2.0)
    assert service.peak.item() == 0


# ── several places, several firms ──


def test_regions_in_opposite_time_zones_lend_each_other_capacity(hardware):
    day = np.where(np.arange(24) < 12, 0.2, 1.8)
    profile, delay = np.stack([day, np.roll(day, 12)])[None], np.array([[0.1, 0.5], [0.5, 0.1]])
    service = serve_one([8.0, 8.0], [10.0, 10.0], network(profile, delay), hardware)
    assert service.served == pytest.approx(1)  # 16 on average against 19: all is served, though 14.4 is a region's peak
    assert service.busy.sum() == pytest.approx(16)
    # By day 14.4 - 9.5 = 4.9 of 14.4 go abroad; the day is 90 % of the load. The rest is answered at home.
    abroad = 0.9 * 4.9 / 14.4
    travel = (service.first_token - service.wait)[0, :, 0]
    assert travel == pytest.approx([0.1 + 0.4 * abroad] * 2)
    lonely = serve_one([8.0], [10.0], network(profile[:, :1]), hardware)
    assert lonely.served.item() == pytest.approx(1 - abroad)


def test_service_times_of_a_firms_offers_are_weighted_by_work(hardware):
    work = np.array([[[3.0, 1.0]]])
    service = serve(work, np.array([[5.0]]), np.zeros(2, int), np.zeros(2), np.array([[1.0, 5.0]]), network(), hardware)
    assert service.wait.item() == pytest.approx((0.75 * 1.0 + 0.25 * 5.0) * queueing.mean_wait(5, 4.0))
    assert (service.latency - service.first_token)[0, 0] == pytest.approx([1, 5])


@settings(deadline=None)
@given(
    arrays(float, (2, 3, 4), elements=st.just(0.0) | st.floats(1e-3, 50)),
    arrays(float, (2, 3), elements=st.just(0.0) | st.floats(1e-3, 80)),
    arrays(float, (2, 3, 24), elements=st.floats(0.1, 3)),
    arrays(int, (4,), elements=st.integers(0, 1)),
)
def test_what_is_served_is_worked_off_within_capacity(hardware, work, capacity, profile, provider):
    profile = profile / profile.mean(axis=2, keepdims=True)
    service = serve(work, capacity, provider, np.zeros(4), np.ones((2, 4)), network(profile), hardware)
    assert ((service.served >= 0) & (service.served <= 1)).all()
    assert (service.busy <= 0.95 * capacity * (1 + 1e-9)).all()
    assert (service.peak <= 0.95 * (1 + 1e-9)).all()
    assert np.isfinite(service.latency).all()
    for firm in range(2):
        own = provider == firm
        worked = (work * service.served)[:, :, own].sum()
        assert service.busy[firm].sum() == pytest.approx(worked, rel=1e-9, abs=1e-9)
        if not capacity[firm].any():
            assert (service.served[:, :, own][work[:, :, own] > 0] == 0).all()


def test_peak_over_mean_by_hand():
    profile = np.stack([np.where(np.arange(24) < 12, 0.5, 1.5), np.where(np.arange(24) < 12, 1.5, 0.5)])[None]
    assert peak_over_mean(np.array([[[4.0], [0.0]]]), network(profile)) == pytest.approx(1.5)
    assert peak_over_mean(np.array([[[4.0], [4.0]]]), network(profile)) == pytest.approx(1.0)
    assert peak_over_mean(np.array([[[3.0], [1.0]]]), network(profile)) == pytest.approx(1.25)
    assert peak_over_mean(np.zeros((1, 2, 1)), network(profile)) == 1
