"""Serving: hourly load meets regional capacity; who waits, who is turned away, how long an answer takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.queueing import mean_wait, slowdown
from aimarket.kernels.rationing import place_load
from aimarket.kernels.sums import ordered_sum
from aimarket.units import EARTH_RADIUS_KM, HOURS_PER_DAY

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CRUMB = 1e-12  # of a firm's fleet: so few GPUs that rounding alone could overload them serve nobody


@dataclass(frozen=True)
class Network:
    """Where users and data centres are; R regions, S segments."""

    names: tuple[str, ...]
    weights: Floats  # (R,) relative number of users
    electricity: Floats  # (R,) USD/kWh
    delay: Floats  # (R, R) s, there and back
    profile: Floats  # (S, R, 24) load by hour of universal time over its daily mean


@dataclass(frozen=True)
class Service:
    """How one step's load was served."""

    served: Floats  # (S, R, J) share of wanted tokens that were served
    latency: Floats  # (S, R, J) s to the full answer
    first_token: Floats  # (S, R, J) s to the first token
    wait: Floats  # (S, R, F) s in the queue
    slowdown: Floats  # (S, R, F) time to generate over that at planned utilisation
    busy: Floats  # (F, R) reference GPUs at work on average
    peak: Floats  # (F,) highest hourly utilisation in any region
    tight: Floats  # (F,) share of the load that comes in hours when there is more of it than capacity


def create_network(geography: config.Geography, profiles: list[str]) -> Network:
    """Distances, and every segment's load profile moved from local to universal time.

    profiles : name of the hourly profile of each segment
    raises   : ValueError if a segment names a profile that does not exist
    """
    regions = list(geography.regions.values())
    latitude, longitude = (np.radians([getattr(r, name) for r in regions]) for name in ("latitude", "longitude"))
    angle = np.sin(latitude)[:, None] * np.sin(latitude) + np.cos(latitude)[:, None] * np.cos(latitude) * np.cos(
        longitude[:, None] - longitude
    )
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(angle, -1, 1))
    np.fill_diagonal(distance, 0.0)
    hours = np.arange(HOURS_PER_DAY)
    rows = []
    for name in profiles:
        local = np.array(geography.profiles[name])
        local = local / local.mean()
        rows.append([np.interp(hours + region.utc_offset, hours, local, period=HOURS_PER_DAY) for region in regions])
    return Network(
        names=tuple(geography.regions),
        weights=np.array([r.users for r in regions]),
        electricity=np.array([r.electricity for r in regions]),
        delay=geography.network_base + geography.network_per_km * distance,
        profile=np.array(rows),
    )


def peak_over_mean(work: Floats, network: Network) -> float:
    """Highest hourly load over the mean of the day, all regions together; 1 without load.

    work : (S, R, J) float, reference GPUs wanted on average
    """
    hourly = (ordered_sum(work)[:, :, None] * network.profile).sum(axis=(0, 1))
    return float(hourly.max() / hourly.mean()) if hourly.any() else 1.0


def peaks_over_mean(work: Floats, provider: Integers, firms: int, network: Network) -> Floats:
    """`peak_over_mean` of each provider's work; (F,).

    provider : (J,) int
    """
    of_firms = np.ascontiguousarray(_by_firm(work, provider, firms).transpose(2, 0, 1))
    hourly = (of_firms[..., None] * network.profile).sum(axis=(1, 2))
    return np.divide(hourly.max(axis=1), hourly.mean(axis=1), out=np.ones(firms), where=hourly.any(axis=1))


def _by_firm(work: Floats, provider: Integers, firms: int) -> Floats:
    """(S, R, J) summed to (S, R, F)."""
    segments, regions, _ = work.shape
    cell = np.arange(segments * regions)[:, None] * firms + provider
    return np.bincount(cell.ravel(), work.ravel(), segments * regions * firms).reshape(segments, regions, firms)


def _mean_time(work: Floats, time: Floats, provider: Integers, firms: int) -> Floats:
    """Mean of a time over a provider's requests, weighted by work; (F,) s.

    time : (S, J) float, s
    """
    by_segment = ordered_sum(work, 1)
    weight = np.bincount(provider, ordered_sum(by_segment, 0), firms)
    total = np.bincount(provider, ordered_sum(by_segment * time, 0), firms)
    return np.divide(total, weight, out=np.zeros(firms), where=weight > 0)


def _hourly_load(work: Floats, provider: Integers, firms: int, network: Network) -> Floats:
    """(F, R, H) reference GPUs wanted of each provider."""
    hourly = (_by_firm(work, provider, firms)[..., None] * network.profile[:, :, None, :]).sum(axis=0)
    return np.ascontiguousarray(hourly.transpose(1, 0, 2))


def _over_the_day(hourly: Floats, network: Network) -> Floats:
    """(S, R, F) means over a day's requests of what is (F, R, H)."""
    by_hour = network.profile / HOURS_PER_DAY
    return np.asarray((by_hour[:, :, None, :] * hourly.transpose(1, 0, 2)).sum(axis=3))


def serve(
    work: Floats,
    capacity: Floats,
    provider: Integers,
    prefill: Floats,
    answer_time: Floats,
    network: Network,
    hardware: config.Hardware,
    bought: NDArray[np.bool_] | None = None,
) -> Service:
    """Place a step's load hour by hour, queue it, and say what users saw.

    work         : (S, R, J) float, reference GPUs wanted on average; 0 for capacity bought by the token
    capacity     : (F, R) float, reference GPUs installed
    provider     : (J,) int
    prefill      : (J,) float, s
    answer_time  : (S, J) float, s of generation at planned utilisation
    bought       : (J,) bool, capacity bought by the token; None: nobody's
    """
    bought = np.zeros(len(provider), dtype=bool) if bought is None else bought
    firms = len(capacity)
    capacity = np.where(capacity > _CRUMB * capacity.sum(axis=1, keepdims=True), capacity, 0.0)
    load = _hourly_load(work, provider, firms, network)
    usable = hardware.maximum_utilisation * capacity
    batch_half = np.inf if hardware.batch_half is None else hardware.batch_half
    planned, concurrency = hardware.planned_utilisation, hardware.concurrency
    generating = _mean_time(work, answer_time, provider, firms)
    prefilling = _mean_time(work, np.broadcast_to(prefill, answer_time.shape), provider, firms)
    placed = place_load(load, usable)
    if hardware.load_balancing:
        from aimarket.kernels.balancing import Pools, balance_load  # compiled: only who runs a market waits for that

        pools = Pools(capacity, concurrency, prefilling, generating, planned, batch_half)
        placed = balance_load(placed, load, usable, network.delay, pools)
    there = capacity[:, :, None]
    utilisation = np.divide(placed.busy, there, out=np.zeros_like(placed.busy), where=there > 0)
    slower = slowdown(utilisation, planned, concurrency, batch_half)
    service_time = prefilling[:, None, None] + generating[:, None, None] * slower
    wait = mean_wait(there * concurrency, placed.busy * concurrency, service_time)
    home, local = 1 - placed.abroad.sum(axis=2), network.delay.diagonal()[:, None]

    def met(at_home: Floats, elsewhere: Floats) -> Floats:
        """Means over the day of what requests meet at home, (F, R, H), and where they go, (F, from R, to R, H)."""
        return _over_the_day(home * at_home + (placed.abroad * elsewhere).sum(axis=2), network)

    queue, slowed = met(wait, wait[:, None]), met(slower, slower[:, None])
    travel = met(local, network.delay[:, :, None])
    served = _over_the_day(placed.served, network)
    full = (placed.served < 1 - 1e-12).any(axis=1)  # (F, H)
    by_firm = load.sum(axis=1)
    total = by_firm.sum(axis=1)
    # Tokens bought elsewhere come from the region of the user, and neither wait here nor slow down with what is here.
    here = np.where(bought, local, (travel + queue)[:, :, provider])
    first_token = here + prefill
    return Service(
        served=np.where(work > 0, np.minimum(served[:, :, provider], 1.0), 1.0),
        latency=first_token + answer_time[:, None, :] * np.where(bought, 1.0, slowed[:, :, provider]),
        first_token=first_token,
        wait=queue,
        slowdown=slowed,
        busy=placed.busy.mean(axis=2),
        peak=utilisation.max(axis=(1, 2)),
        tight=np.divide((by_firm * full).sum(axis=1), total, out=np.zeros(firms), where=total > 0),
    )
