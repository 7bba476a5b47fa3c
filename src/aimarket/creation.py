"""Users are drawn: tastes, size, and whether they have adopted before the run starts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.sums import ordered_sum
from aimarket.kernels.tables import Users
from aimarket.population import TASTE_STEPS, Segments
from aimarket.rng import Streams
from aimarket.strata import Strata

Floats = NDArray[np.float64]

_PIECE = 1 << 16  # users drawn at a time, so that what is only needed on the way stays small
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


def taste_factor(users: config.Users) -> Floats:
    """Matrix that turns three independent normals into correlated logs of the tastes for quality, price and latency."""
    c = users.correlation
    correlation = np.array(
        [
            [1, c.quality_price, c.quality_latency],
            [c.quality_price, 1, c.price_latency],
            [c.quality_latency, c.price_latency, 1],
        ]
    )
    try:
        factor = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        raise ValueError("users.correlation: the three correlations allow no joint distribution") from None
    return factor * np.array([users.spread.quality, users.spread.price, users.spread.latency])[:, None]


def draw_users(
    settings: config.Users,
    segments: Segments,
    strata: Strata,
    providers: Sequence[str],
    streams: Streams,
    start: int = 0,
    stop: int | None = None,
) -> Users:
    """Draw the users start..stop, whoever draws the others.

    providers : (F,) names of brands
    raises    : ValueError if the correlations of tastes allow no joint distribution
    """
    stop = strata.size if stop is None else stop
    some = _draw_piece(settings, segments, strata, providers, streams, start, min(start + _PIECE, stop))
    users = Users(*(np.empty((*column.shape[:-1], stop - start), column.dtype) for column in some))
    for low in range(start, stop, _PIECE):  # put in place at once: joined at the end they would be there twice
        high = min(low + _PIECE, stop)
        some = some if low == start else _draw_piece(settings, segments, strata, providers, streams, low, high)
        for whole, part in zip(users, some, strict=True):
            whole[..., low - start : high - start] = part
    return users


def _draw_piece(
    settings: config.Users,
    segments: Segments,
    strata: Strata,
    providers: Sequence[str],
    streams: Streams,
    start: int,
    stop: int,
) -> Users:
    size, rows = stop - start, list(settings.segments.values())
    segment, region = strata.segment_and_region(start, stop)

    def uniform(name: str) -> Floats:
        return streams.at(f"users.{name}").uniform(start, stop)

    normals = np.stack([streams.at("users.preferences", owner=k).normal(start, stop) for k in ("0", "1", "2")])
    log_tastes = ordered_sum(taste_factor(settings)[:, :, None] * normals, axis=1)
    spread = np.array([settings.spread.quality, settings.spread.price, settings.spread.latency])
    means = np.array([[s.preferences.quality, s.preferences.price, s.preferences.latency] for s in rows]).T
    # exp(z - var/2) has mean 1, so the means in the settings are the means of the coefficients whatever the spread.
    tastes = (means[:, segment] * np.exp(log_tastes - spread[:, None] ** 2 / 2)).astype(np.float32)
    task_spread = np.array([s.tasks_spread for s in rows])[segment]
    tasks = np.array([s.tasks for s in rows])[segment]
    size_draw = streams.at("users.tasks").normal(start, stop)
    for_brands = np.zeros((len(providers), size), np.int8)
    if settings.taste_spread > 0:
        for row, name in enumerate(providers):
            draw = TASTE_STEPS * streams.at("users.taste", owner=name).normal(start, stop)
            for_brands[row] = np.clip(np.rint(draw), -127, 127)
    return Users(
        segment=segment.astype(np.int16),
        region=region.astype(np.int16),
        quality=tastes[0],
        price=tastes[1],
        latency=tastes[2],
        tasks=(tasks * np.exp(task_spread * size_draw - task_spread**2 / 2)).astype(np.float32),
        router=np.minimum(uniform("router").astype(np.float32), _BELOW_ONE),
        tastes=for_brands,
        adopted=uniform("adopted") < segments.initial[segment],
        offer=np.full(size, -1, np.int16),
        tenure=np.zeros(size, np.float32),
        depth=np.array([s.depth.initial for s in rows])[segment].astype(np.float32),
        surplus=np.full(size, np.nan, np.float32),
        patience=-np.log(uniform("patience")).astype(np.float32),
        free=uniform("free") < segments.free[segment],
        due=np.zeros(size, dtype=bool),
        contract_price=np.full(size, np.nan, np.float32),
        contract_left=np.zeros(size, np.float32),
        commitment=np.zeros(size, np.float32),
    )
