"""What a point of a sweep does beside its market is counted, not timed: calls, and waits for the disk."""

import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.sweeps import markets, sweep

WAITS = 16  # for the disk: seven tables and their folders, then the manifest and its folder
CALLS = 55_000  # beside the market, Python's and C's; 43,900 were seen, 30,800 of which plan and check the point


def counted(task: Callable[[], Any]) -> int:
    """How many functions a task calls."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        task()
    finally:
        sys.setprofile(None)
    return calls


def test_a_point_calls_little_beside_its_market(tmp_path):
    for points in (1, 2):  # compiled and composed once
        sweep(tmp_path, points)
    markets(1)
    beside = [counted(lambda n=n: sweep(tmp_path, n)) - counted(lambda n=n: markets(n)) for n in (1, 3)]
    assert (beside[1] - beside[0]) / 2 < CALLS


def test_every_file_of_a_point_is_on_disk_before_it_counts_and_no_more_is_waited_for(tmp_path, monkeypatch):
    synced = []
    wait = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), wait(descriptor)))
    counts = []
    for points in (1, 3):
        synced.clear()
        sweep(tmp_path, points)
        counts.append(len(synced))
    assert counts[1] - counts[0] == 2 * WAITS
