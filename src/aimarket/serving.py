"""Serving: hourly load meets regional capacity; who waits, who is turned away, how long an answer takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.queueing import mean_wait
from aimarket.kernels.rationing import place_load
from aimarket.kernels.sums import ordered_sum
from aimarket.units import EARTH_RADIUS_KM, HOURS_PER_DAY

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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


def _service_time(work: Floats, holding_time: Floats, provider: Integers, firms: int) -> Floats:
    """Mean time a request holds its slot, weighted by work; (F,) s.

    holding_time : (S, J) float, s
    """
    weight, by_segment = np.zeros(firms), ordered_sum(work, 1)
    total = np.zeros(firms)
    for offer, firm in enumerate(provider):
        weight[firm] += ordered_sum(by_segment[:, offer])
        total[firm] += ordered_sum(by_segment[:, offer] * holding_time[:, offer])
    return np.divide(total, weight, out=np.zeros(firms), where=weight > 0)


def serve(
    work: Floats,
    capacity: Floats,
    provider: Integers,
    prefill: Floats,
    answer_time: Floats,
    network: Network,
    hardware: config.Hardware,
) -> Service:
    """Place a step's load hour by hour, queue it, and say what users saw.

    work         : (S, R, J) float, reference GPUs wanted on average; 0 for capacity bought by the token
    capacity     : (F, R) float, reference GPUs installed
    provider     : (J,) int
    prefill      : (J,) float, s
    answer_time  : (S, J) float, s of generation
    """
    firms = len(capacity)
    load = np.zeros((firms, len(network.names), HOURS_PER_DAY))
    hourly = work[..., None] * network.profile[:, :, None, :]  # (S, R, J, H)
    for offer, firm in enumerate(provider):
        for segment in hourly[:, :, offer]:
            load[firm] += segment
    placed = place_load(load, hardware.maximum_utilisation * capacity)
    service_time = _service_time(work, prefill + answer_time, provider, firms)
    wait = mean_wait(
        capacity[:, :, None] * hardware.concurrency, placed.busy * hardware.concurrency, service_time[:, None, None]
    )
    by_hour = network.profile / HOURS_PER_DAY
    queue, travel, served = (np.zeros((*network.profile.shape[:2], firms)) for _ in range(3))
    for firm in range(firms):
        abroad = placed.abroad[firm]
        home = 1 - abroad.sum(axis=1)
        queued = home * wait[firm] + (abroad * wait[firm]).sum(axis=1)
        travelled = home * network.delay.diagonal()[:, None] + (abroad * network.delay[:, :, None]).sum(axis=1)
        for hours, target in ((queued, queue), (travelled, travel), (placed.served[firm], served)):
            target[:, :, firm] = (by_hour * hours).sum(axis=2)
    first_token = (travel + queue)[:, :, provider] + prefill
    full = (placed.served < 1 - 1e-12).any(axis=1)  # (F, H)
    by_firm = load.sum(axis=1)
    total = by_firm.sum(axis=1)
    utilisation = np.divide(
        placed.busy, capacity[:, :, None], out=np.zeros_like(placed.busy), where=capacity[:, :, None] > 0
    )
    return Service(
        served=np.where(work > 0, np.minimum(served[:, :, provider], 1.0), 1.0),
        latency=first_token + answer_time[:, None, :],
        first_token=first_token,
        wait=queue,
        busy=placed.busy.mean(axis=2),
        peak=utilisation.max(axis=(1, 2)),
        tight=np.divide((by_firm * full).sum(axis=1), total, out=np.zeros(firms), where=total > 0),
    )
