"""The model's own kernels, with the little around them that the month asks for."""

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.counter import unit32, words
from aimarket.kernels.elementary import expm1, log1p
from aimarket.kernels.sampling import Choosers, Menu, sample_offers
from benchmarks import month as given
from benchmarks.month import Crowd, Month, Singles, Totals

BLOCK, CHUNK = 4096, 64  # users; blocks: totals of chunks are added in their order
_ZERO, _ONE = np.float32(0), np.float32(1)
_BASE, _MAXIMUM, _PER_MONTH, _PER_LOG_DEPTH = map(
    np.float32, (given.BASE, given.MAXIMUM, 1 / given.HORIZON, given.PER_LOG_DEPTH)
)
_GROWTH, _CEILING = np.float32(given.GROWTH), np.float32(given.CEILING)


@njit(cache=True, nogil=True)
def look_up(firm, offer, held):
    """The firm of each user's offer, -1 without one."""
    for i in range(len(offer)):
        held[i] = firm[max(offer[i], 0)] if offer[i] >= 0 else -1


@njit(cache=True, nogil=True)
def prepare(held, tenure, depth, key, month, first, leaving, uniform):
    """What a choice needs of users that changes by the month."""
    for i in range(len(tenure)):
        cost = _BASE - _MAXIMUM * expm1(-tenure[i] * _PER_MONTH) + _PER_LOG_DEPTH * log1p(depth[i])
        leaving[i] = cost if held[i] >= 0 else _ZERO
        uniform[i] = unit32(words(key, month, first + i)[0])


@njit(cache=True, nogil=True)
def settle(held, chosen, choice, use, size, offer, tenure, depth, users, used):
    """What becomes of users by their choice, and what they use; held, chosen: the firms before and after it."""
    for i in range(len(offer)):
        offer[i] = choice[i]
        tenure[i] = tenure[i] + _ONE if (held[i] == chosen[i]) & (choice[i] >= 0) else _ZERO
        depth[i] += _GROWTH * (_CEILING - depth[i]) if choice[i] >= 0 else _ZERO
    for i in range(len(offer)):
        j = choice[i]
        if j >= 0:
            users[j] += 1
            used[j] += size[i] * depth[i] * use[j]


class Fixed(NamedTuple):
    """Columns of the users of a chunk that do not change."""

    quality: Singles
    latency: Singles
    price: Singles
    size: Singles
    tastes: NDArray[np.int8]  # (B, F, BLOCK), so that those of a block stand together


@njit(cache=True, nogil=True)
def chunk_month(fixed, tables, use, key, month, first, offer, tenure, depth, users, used):
    """A month of a chunk of users of one region, block by block.

    fixed, tables : plain tuples of what `Fixed` and `Menu` hold, which Numba recognises sooner than named ones
    """
    fixed, menu = Fixed(*fixed), Menu(*tables)
    held, chosen, choice = np.empty(BLOCK, np.int16), np.empty(BLOCK, np.int16), np.empty(BLOCK, np.int16)
    leaving, uniform, none = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.zeros(BLOCK, np.bool_)
    users[:], used[:], zero = 0, 0, np.uint64(0)
    for start in range(0, len(offer), BLOCK):
        a, b = start, min(start + BLOCK, len(offer))
        look_up(menu.provider, offer[a:b], held)
        prepare(held, tenure[a:b], depth[a:b], key, month, first + a, leaving, uniform)
        own = (fixed.quality[a:b], fixed.latency[a:b], fixed.price[a:b])
        choosers = Choosers(own[0], own[1], own[2], leaving, held, none, none, fixed.tastes[a // BLOCK], zero, uniform)
        sample_offers(choosers, menu, choice[: b - a])
        look_up(menu.provider, choice[: b - a], chosen)
        settle(held, chosen, choice, use, fixed.size[a:b], offer[a:b], tenure[a:b], depth[a:b], users, used)


def _menu(crowd: Crowd, region: int) -> Menu:
    price = crowd.unit_price[region]
    return Menu(
        quality=crowd.offered,
        delay=crowd.delay[region],
        unit_price=np.array([[price, price], [price, price]]),
        appeal=np.zeros(given.OFFERS, np.float32),
        free_allowed=np.ones(given.OFFERS, np.bool_),
        provider=crowd.firm,
        brand=crowd.firm,
        order=np.arange(given.OFFERS),
        outside=np.float32(given.OUTSIDE),
        taste_step=np.float32(given.TASTE_STEP),
    )


def _tastes(crowd: Crowd, rows: slice) -> NDArray[np.int8]:
    tastes = crowd.tastes[:, rows]
    padded = np.pad(tastes, ((0, 0), (0, -tastes.shape[1] % BLOCK)))
    return padded.reshape(len(padded), -1, BLOCK).transpose(1, 0, 2).copy()


def kernel(crowd: Crowd, pool: Executor | None = None) -> Month:
    """Chunks of one region, by as many threads as the pool has."""
    menus, key = [_menu(crowd, region) for region in range(given.REGIONS)], np.uint64(given.KEY)
    offer, tenure, depth = crowd.offer.copy(), crowd.tenure.copy(), crowd.depth.copy()
    chunks = []
    for region in range(given.REGIONS):
        stop = crowd.starts[region + 1]
        for start in range(crowd.starts[region], stop, CHUNK * BLOCK):
            rows = slice(start, min(start + CHUNK * BLOCK, stop))
            columns = (getattr(crowd, name)[rows] for name in ("quality", "latency", "price", "size"))
            chunks.append(
                (region, rows, Fixed(*columns, _tastes(crowd, rows)), np.zeros(given.OFFERS), np.zeros(given.OFFERS))
            )

    def month(number: int) -> Totals:
        def act(chunk: tuple) -> None:
            region, rows, fixed, users, used = chunk
            own = (offer[rows], tenure[rows], depth[rows], users, used)
            chunk_month(tuple(fixed), tuple(menus[region]), crowd.use[region], key, number, rows.start, *own)

        list((pool.map if pool else map)(act, chunks))
        users, used = np.zeros((given.REGIONS, given.OFFERS)), np.zeros((given.REGIONS, given.OFFERS))
        for region, _, _, chunk_users, chunk_used in chunks:
            users[region] += chunk_users
            used[region] += chunk_used
        return users, used

    return month
