"""Serving: hourly load meets regional capacity; who waits, who is turned away, how long an answer takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.balancing import balance_load, slowdown
from aimarket.kernels.queueing import mean_wait
from aimarket.kernels.rationing import Placement, place_load
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


def _mean_time(work: Floats, time: Floats, provider: Integers, firms: int) -> Floats:
    """Mean of a time over a provider's requests, weighted by work; (F,) s.

    time : (S, J) float, s
    """
    weight, by_segment = np.zeros(firms), ordered_sum(work, 1)
    total = np.zeros(firms)
    for offer, firm in enumerate(provider):
        weight[firm] += ordered_sum(by_segment[:, offer])
        total[firm] += ordered_sum(by_segment[:, offer] * time[:, offer])
    return np.divide(total, weight, out=np.zeros(firms), where=weight > 0)


def _balance(
    placed: Placement,
    load: Floats,
    capacity: Floats,
    prefilling: Floats,
    generating: Floats,
    network: Network,
    hardware: config.Hardware,
) -> Placement:
    """Send load where travel, queue and generation together take least; `prefilling`, `generating` : (F, 1) s."""
    # The wait by Sakasegawa's approximation (1977, Annals of the Institute of Statistical Mathematics 29), close to
    # Erlang's at any load and far cheaper: good enough to choose a region by. Where there are no GPUs nothing is sent.
    planned, concurrency, batch = hardware.planned_utilisation, hardware.concurrency, hardware.batch_half
    room = np.where(capacity > 0, capacity, 1.0)[:, :, None]
    servers = room * concurrency
    power = np.sqrt(2 * (servers + 1)) - 1

    def answer_time(busy: Floats, regions: list[int]) -> Floats:
        utilisation = np.maximum(busy, 0.0) / room[:, regions]
        time = generating[:, None] * slowdown(utilisation, planned, concurrency, batch)
        queue = utilisation ** power[:, regions] / (servers[:, regions] * (1 - utilisation))
        return time + (prefilling[:, None] + time) * queue

    return balance_load(placed, load, hardware.maximum_utilisation * capacity, network.delay, answer_time)


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
    load = np.zeros((firms, len(network.names), HOURS_PER_DAY))
    hourly = work[..., None] * network.profile[:, :, None, :]  # (S, R, J, H)
    for offer, firm in enumerate(provider):
        for segment in hourly[:, :, offer]:
            load[firm] += segment
    usable = hardware.maximum_utilisation * capacity
    generating = _mean_time(work, answer_time, provider, firms)[:, None]
    prefilling = _mean_time(work, np.broadcast_to(prefill, answer_time.shape), provider, firms)[:, None]
    placed = place_load(load, usable)
    if hardware.load_balancing:
        placed = _balance(placed, load, capacity, prefilling, generating, network, hardware)
    utilisation = np.divide(
        placed.busy, capacity[:, :, None], out=np.zeros_like(placed.busy), where=capacity[:, :, None] > 0
    )
    slower = slowdown(utilisation, hardware.planned_utilisation, hardware.concurrency, hardware.batch_half)
    wait = mean_wait(
        capacity[:, :, None] * hardware.concurrency,
        placed.busy * hardware.concurrency,
        prefilling[:, None] + generating[:, None] * slower,
    )
    by_hour = network.profile / HOURS_PER_DAY
    queue, travel, served, slowed = (np.zeros((*network.profile.shape[:2], firms)) for _ in range(4))
    for firm in range(firms):
        abroad = placed.abroad[firm]
        home = 1 - abroad.sum(axis=1)
        queued = home * wait[firm] + (abroad * wait[firm]).sum(axis=1)
        travelled = home * network.delay.diagonal()[:, None] + (abroad * network.delay[:, :, None]).sum(axis=1)
        took = home * slower[firm] + (abroad * slower[firm]).sum(axis=1)
        for hours, target in ((queued, queue), (travelled, travel), (placed.served[firm], served), (took, slowed)):
            target[:, :, firm] = (by_hour * hours).sum(axis=2)
    full = (placed.served < 1 - 1e-12).any(axis=1)  # (F, H)
    by_firm = load.sum(axis=1)
    total = by_firm.sum(axis=1)
    # Tokens bought elsewhere come from the region of the user, and neither wait here nor slow down with what is here.
    here = np.where(bought, network.delay.diagonal()[:, None], (travel + queue)[:, :, provider])
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
