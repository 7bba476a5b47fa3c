"""NumPy: plain in double precision, and in single precision by chunks that fit the cache."""

import numpy as np

from benchmarks import month as given
from benchmarks.month import Crowd, Month, Totals

CHUNK = 2048  # users


def plain(crowd: Crowd) -> Month:
    """Whole arrays, double precision."""
    return _months(crowd, np.dtype(np.float64), len(crowd))


def chunked(crowd: Crowd) -> Month:
    """Chunks of one region, single precision."""
    return _months(crowd, np.dtype(np.float32), CHUNK)


def _months(crowd: Crowd, kind: np.dtype, chunk: int) -> Month:
    names = ("quality", "latency", "price", "size", "tenure", "depth", "offered", "delay", "unit_price", "use")
    columns = {name: getattr(crowd, name).astype(kind) for name in names}
    offer, tastes = crowd.offer.copy(), crowd.tastes.T.copy()
    random = np.random.default_rng(1)

    def act(rows: slice, region: int, users: np.ndarray, used: np.ndarray) -> None:
        c = {name: columns[name][rows] for name in names[:6]}
        held = np.where(offer[rows] >= 0, crowd.firm[offer[rows]], -1)
        leaving = (
            given.BASE
            - given.MAXIMUM * np.expm1(-c["tenure"] / given.HORIZON)
            + given.PER_LOG_DEPTH * np.log1p(c["depth"])
        )
        leaving = np.where(held >= 0, leaving, kind.type(0))
        utility = c["quality"][:, None] * columns["offered"]
        utility -= c["latency"][:, None] * columns["delay"][region]
        utility += c["price"][:, None] * columns["unit_price"][region]
        utility += kind.type(given.TASTE_STEP) * tastes[rows][:, crowd.firm]
        utility -= np.where(crowd.firm == held[:, None], kind.type(0), leaving[:, None])
        outside = given.OUTSIDE - leaving
        best = np.maximum(utility.max(axis=1), outside)
        weight = np.exp(utility - best[:, None]).cumsum(axis=1)
        total = weight[:, -1] + np.exp(outside - best)
        reach = random.random(len(total), dtype=kind.type) * total
        passed = (weight < reach[:, None]).sum(axis=1)
        choice = np.where(passed < given.OFFERS, passed, -1)
        taken = choice >= 0
        stays = taken & (crowd.firm[choice] == held)
        columns["tenure"][rows] = np.where(stays, c["tenure"] + 1, 0)
        depth = c["depth"] + np.where(taken, given.GROWTH * (given.CEILING - c["depth"]), 0)
        columns["depth"][rows] = depth
        offer[rows] = choice
        use = c["size"] * depth * columns["use"][region, choice]
        users += np.bincount(choice[taken], minlength=given.OFFERS)
        used += np.bincount(choice[taken], use[taken], minlength=given.OFFERS)

    def month(number: int) -> Totals:
        users, used = np.zeros((given.REGIONS, given.OFFERS)), np.zeros((given.REGIONS, given.OFFERS))
        for region in range(given.REGIONS):
            stop = crowd.starts[region + 1]
            for start in range(crowd.starts[region], stop, chunk):
                act(slice(start, min(start + chunk, stop)), region, users[region], used[region])
        return users, used

    return month
