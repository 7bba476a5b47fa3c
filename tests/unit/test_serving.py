"""From load by the hour to waits, journeys and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from compositions import made
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aimarket import load
from aimarket.kernels.balancing import Pools, answer_time, balance_load
from aimarket.kernels.queueing import mean_wait, slowdown
from aimarket.kernels.rationing import place_load
from aimarket.serving import Network, create_network, peak_over_mean, peaks_over_mean, serve
from aimarket.theory import queueing

FLAT = np.ones((1, 1, 24))


@pytest.fixture(scope="module")
def configuration():
    return load(["roster=monopoly", "users.size=100"])


@pytest.fixture(scope="module")
def hardware(configuration):
    """Speed does not depend on load, and load leaves its region only where there is no room."""
    switched_off = {"batch_half": None, "load_balancing": False}
    return replace(configuration.hardware, concurrency=1.0, maximum_utilisation=0.95, **switched_off)


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
        replace(hardware, batch_half=10.0),
        np.ones(1, dtype=bool),
    )
    assert service.served.item() == 1
    assert service.latency.item() == pytest.approx(0.1 + 0.3 + 2.0)
    assert service.peak.item() == 0


# ── batches ──


@pytest.mark.parametrize("load", [0.0, 2.0, 5.0, 9.0])
def test_an_answer_takes_longer_the_more_share_a_gpu(hardware, load):
    busy = replace(hardware, concurrency=40.0, batch_half=20.0, planned_utilisation=0.5)
    service = serve_one([load], [10.0], network(), busy, time=3.0)
    # 1 + B / B_half with B = 40 u: at the planned half it is 2, for which 3 s is quoted.
    expected = 3.0 * (1 + 2 * load / 10) / 2 if load else 3.0 / 2
    assert (service.latency - service.first_token).item() == pytest.approx(expected)


def test_speed_is_that_of_the_hour_and_place_where_a_request_is_served(hardware):
    profile = np.where(np.arange(24) < 12, 0.5, 1.5)[None, None]
    service = serve_one([6.0], [10.0], network(profile), replace(hardware, batch_half=1.0), time=1.5)
    # Utilisation .3 by night and .9 by day, when three of four requests come; concurrency 1, planned .5.
    assert (service.latency - service.first_token).item() == pytest.approx(0.25 * 1.3 + 0.75 * 1.9)


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


def sinusoid(regions: int, amplitude: float) -> np.ndarray:
    """(1, R, 24): the same day in regions that lie evenly around the world."""
    hours = 2 * np.pi * np.arange(24) / 24
    return np.array([[1 + amplitude * np.sin(hours - 2 * np.pi * r / regions) for r in range(regions)]])


@pytest.mark.parametrize("amplitude", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("balanced", [False, True])
def test_regions_eight_hours_apart_can_all_be_busy_all_day(hardware, amplitude, balanced):
    """Alone, a region that turns nobody away is busy 1/(1 + A) of what it can; three of them together all of it."""
    switched = replace(hardware, load_balancing=balanced)
    alone = serve_one([9.5 / (1 + amplitude)], [10.0], network(sinusoid(1, amplitude)), switched)
    assert alone.served.item() == pytest.approx(1)
    beyond = serve_one([9.5 / (1 + amplitude) * 1.01], [10.0], network(sinusoid(1, amplitude)), switched)
    assert beyond.served.item() < 1
    together = serve_one([9.5] * 3, [10.0] * 3, network(sinusoid(3, amplitude)), switched)
    assert together.served == pytest.approx(1)
    assert together.busy == pytest.approx(9.5)
    assert serve_one([9.6] * 3, [10.0] * 3, network(sinusoid(3, amplitude)), switched).served.max() < 1


def test_load_goes_abroad_before_home_is_full_if_the_answer_comes_sooner(hardware):
    delay = np.array([[0.0, 0.05], [0.05, 0.0]])
    where, time = network(np.ones((1, 2, 24)), delay), 2.0
    stays = serve_one([4.0, 0.5], [5.0, 5.0], where, hardware, time)
    moves = serve_one([4.0, 0.5], [5.0, 5.0], where, replace(hardware, load_balancing=True), time)
    assert stays.busy[0] == pytest.approx([4.0, 0.5])
    assert moves.busy.sum() == pytest.approx(4.5)
    gap = moves.first_token[0, 0, 0] - stays.first_token[0, 0, 0]
    assert gap < -0.5  # five servers with four busy let one wait 1.1 s, two moderately busy pools next to nothing
    assert moves.latency[0, 1, 0] >= stays.latency[0, 1, 0]  # those who have guests wait a little
    far = network(np.ones((1, 2, 24)), np.array([[0.0, 5.0], [5.0, 0.0]]))
    assert serve_one([4.0, 0.5], [5.0, 5.0], far, replace(hardware, load_balancing=True), time).busy[
        0
    ] == pytest.approx([4.0, 0.5])


def linear(regions):
    """Pools of ten GPUs with so many servers that nobody queues: an answer takes 1 + busy/5 seconds."""
    one = np.ones(1)
    return Pools(np.full((1, regions), 10.0), 1e12, prefilling=one, generating=one, planned=0.0, batch_half=1e12 / 2)


def test_two_regions_find_wardrops_equilibrium():
    """8 at home and 2 abroad, a fifth of a second for each more, .4 s apart: (8 - m) / 5 = (2 + m) / 5 + .4, m = 2."""
    load, capacity = np.array([[[8.0], [2.0]]]), np.array([[9.0, 9.0]])
    placed = balance_load(place_load(load, capacity), load, capacity, np.array([[0.0, 0.4], [0.4, 0.0]]), linear(2))
    assert placed.busy[0, :, 0] == pytest.approx([6, 4])
    assert placed.abroad[0, 0, 1, 0] == pytest.approx(2 / 8)


def test_overflow_comes_home_when_others_have_gone_abroad():
    """What is far from home for want of room is no better off there than it would be at home."""
    load, capacity = np.array([[[8.0, 9.5], [2.0, 6.0], [1.0, 1.0]]]), np.array([[9.0, 9.0, 9.0]])
    delay = np.array([[0.0, 0.1, 0.2], [0.1, 0.0, 0.3], [0.2, 0.3, 0.0]])
    placed = balance_load(place_load(load, capacity), load, capacity, delay, linear(3))
    assert placed.busy.sum(axis=1) == pytest.approx(load.sum(axis=1))
    flow = load[:, :, None] * placed.abroad
    assert flow.sum(axis=1) + load * (1 - placed.abroad.sum(axis=2)) == pytest.approx(placed.busy)
    for i in range(3):
        for k in range(3):
            for hour in range(2):
                here, there = 1 + placed.busy[0, [i, k], hour] / 5 + delay[i, [i, k]]
                if placed.abroad[0, i].sum(axis=0)[hour] < 1 - 1e-9:  # some stay at home
                    assert here <= there + 0.15  # without moving, the gap is 1.5 s
                if placed.abroad[0, i, k, hour] > 1e-6:
                    assert there <= here + 0.15


@pytest.mark.parametrize("servers", [1, 4, 40, 1000])
@pytest.mark.parametrize("load", [0.0, 0.3, 0.7, 0.95])
def test_the_time_by_which_regions_are_chosen_is_close_to_the_time_an_answer_takes(servers, load):
    """Erlang's wait and the slowdown of a fuller batch; the approximation is a few percent off the wait."""
    batch_half, planned = 8.0, 0.6
    batch = servers / 10 / batch_half
    slower = float(slowdown(np.array(load), planned, servers / 10, batch_half))
    wait = float(mean_wait(servers, load * servers, 0.5 + 2 * slower))
    found = answer_time(10 * load, 10.0, servers / 10, 0.5, 2.0, batch, 1 + batch * planned)
    assert found == pytest.approx(2 * slower + wait, rel=0.03, abs=1e-12)


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
    st.booleans(),
)
def test_what_is_served_is_worked_off_within_capacity(hardware, work, capacity, profile, provider, balanced):
    hardware = replace(hardware, batch_half=1.0 if balanced else None, load_balancing=balanced)
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


@given(
    work=arrays(np.float64, (3, 2, 5), elements=st.floats(0, 1e9)),
    owner=arrays(np.int64, 5, elements=st.integers(0, 3)),
    hours=arrays(np.float64, (3, 2, 24), elements=st.floats(0.1, 3)),
)
def test_peaks_of_all_firms_are_those_of_each_to_the_bit(work, owner, hours):
    """Firms without offers, or without load, included."""
    expected = [peak_over_mean(work[:, :, owner == firm], network(hours)) for firm in range(4)]
    assert peaks_over_mean(work, owner, 4, network(hours)).tolist() == expected


def test_a_crumb_of_a_fleet_serves_nobody_and_breaks_nothing() -> None:
    """Buying and retiring real numbers of GPUs can leave next to none in a region."""
    settings = made("roster=duopoly")
    network = create_network(settings.geography, [s.profile for s in settings.users.segments.values()])
    firms, regions = 2, len(network.names)
    work = np.full((len(settings.users.segments), regions, firms), 1e3)
    capacity = np.full((firms, regions), 1e6)
    crumbs = capacity.copy()
    crumbs[0, 0] = 1e-37
    rest = (np.arange(firms), np.full(firms, 0.5), np.full((len(work), firms), 2.0), network, settings.hardware)
    served = serve(work, crumbs, *rest)
    crumbs[0, 0] = 0.0
    np.testing.assert_array_equal(served.latency, serve(work, crumbs, *rest).latency)
    assert np.isfinite(served.latency).all()
