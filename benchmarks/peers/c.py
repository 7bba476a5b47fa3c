"""The month in C, compiled here by gcc for this machine; the code is never part of the package."""

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import month as given
from benchmarks.month import Crowd, Month, Totals

COMMAND = ("gcc", "-std=c11", "-O3", "-march=native", "-shared", "-fPIC")


class Numbers(ctypes.Structure):
    """See month.c."""

    _fields_ = [
        ("base", ctypes.c_float),
        ("maximum", ctypes.c_float),
        ("horizon", ctypes.c_float),
        ("per_log_depth", ctypes.c_float),
        ("growth", ctypes.c_float),
        ("ceiling", ctypes.c_float),
        ("taste_step", ctypes.c_float),
        ("outside", ctypes.c_float),
        ("key", ctypes.c_uint64),
    ]


class Region(ctypes.Structure):
    """See month.c."""

    names = ("quality", "latency", "price", "size", "tastes", "tenure", "depth", "offer")
    names += ("signs", "free", "free_allowed", "offered", "delay", "unit_price", "use", "firm", "users", "used")
    _fields_ = [(name, ctypes.c_void_p) for name in names]


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled file; raises FileNotFoundError without a compiler."""
    folder = tempfile.mkdtemp(prefix="aimarket-benchmark-")
    path = Path(folder) / "month.so"
    subprocess.run([*COMMAND, str(Path(__file__).with_name("month.c")), "-o", str(path), "-lm"], check=True)
    return ctypes.CDLL(str(path))


def plain(crowd: Crowd) -> Month:
    """User by user."""
    return _months(crowd, library().plain_month)


def blocked(crowd: Crowd) -> Month:
    """Users in the inner loop."""
    return _months(crowd, library().blocked_month)


def _months(crowd: Crowd, function: ctypes._CFuncPtr) -> Month:
    numbers = Numbers(*(getattr(given, name.upper()) for name, _ in Numbers._fields_))
    users, used = np.zeros((given.REGIONS, given.OFFERS)), np.zeros((given.REGIONS, given.OFFERS))
    own = {name: getattr(crowd, name).copy() for name in ("tenure", "depth", "offer")}
    by_user = {name: getattr(crowd, name) for name in ("quality", "latency", "price", "size")} | own
    # As for the compiled kernels: who signs, pays nothing or is new is asked, although here it makes no difference.
    none, every = np.zeros(len(crowd), np.uint8), np.ones(given.OFFERS, np.uint8)
    prices = np.repeat(crowd.unit_price[:, :, None], 4, axis=2)
    calls = []
    for region in range(given.REGIONS):
        start, stop = int(crowd.starts[region]), int(crowd.starts[region + 1])
        columns = {name: column[start:] for name, column in by_user.items()}
        columns |= {name: getattr(crowd, name)[region] for name in ("delay", "use")}
        columns |= {"unit_price": prices[region], "signs": none[start:], "free": none[start:], "free_allowed": every}
        columns |= {"tastes": crowd.tastes[:, start:], "offered": crowd.offered, "firm": crowd.firm}
        columns |= {"users": users[region], "used": used[region]}
        calls.append((Region(*(columns[name].ctypes.data for name in Region.names)), stop - start, start))

    def month(number: int) -> Totals:
        users[:], used[:] = 0, 0
        for of, count, first in calls:
            long = (ctypes.c_long(value) for value in (count, len(crowd), first, number))
            function(ctypes.byref(numbers), ctypes.byref(of), *long)
        return users.copy(), used.copy()

    month.keeps = (own, crowd, none, every, prices)  # type: ignore[attr-defined]  # what C points to must outlive the call
    return month
