"""One market run for the page, in a process that does nothing else."""

import gzip
import json
import math
import multiprocessing
import os
import signal
import threading
import time
from enum import IntEnum
from typing import Any

from aimarket.lab.presets import Point

MARKET = (
    *("lerner", "price", "marginal_cost", "leader_share", "effective_providers", "spend", "tokens_served"),
    *("tokens_per_task", "cost_per_task", "adopted_users", "consumer_surplus", "churn", "unserved_share"),
    *("utilisation", "rental_price", "active_providers"),
)
PROVIDERS = ("share", "price", "lerner")
SECONDS = 20.0  # of processor time that a run may take


class Sign(IntEnum):
    """What the server tells those who run markets, by a number that they share."""

    NOBODY_WAITS = 0
    SOMEBODY_WAITS = 1  # whoever runs ahead breaks off
    THE_END = 2  # everybody does


class DisplacedError(RuntimeError):
    """A run broke off: somebody waits for another, and nobody for this; or the server ends."""


def play(point: Point, ahead: bool = False) -> bytes:
    """Run a market and say how it went, as gzipped JSON.

    ahead   : whether to break off as soon as somebody waits for another
    returns : `market` {column: [by month]}, `providers` {provider: {column: [by month]}}, `command` that does the same
    raises  : TimeoutError; DisplacedError
    """
    from aimarket.configuration import load
    from aimarket.recording import arrays
    from aimarket.simulation import simulate

    overrides = point.overrides()
    settings = load(overrides)
    recording = simulate(settings, _within(SECONDS, ahead))
    market, providers = (arrays(recording.tables[table]) for table in ("market", "providers"))
    told = {
        "market": {name: _numbers(market[name]) for name in MARKET},
        "providers": {
            firm: {name: _numbers(providers[name][providers["provider"] == firm]) for name in PROVIDERS}
            for firm in settings.providers
        },
        "command": " ".join(["aimarket run", *overrides]),
    }
    return gzip.compress(json.dumps(told, allow_nan=False).encode(), compresslevel=1, mtime=0)


def _numbers(values: Any) -> list[float | None]:
    """Floats to the last bit, which JSON has; None for what does not exist."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _within(seconds: float, ahead: bool) -> Any:
    begun: list[float] = []

    def advance(step: int, replication: int) -> None:
        for shared in _shared:
            if shared.value >= (Sign.SOMEBODY_WAITS if ahead else Sign.THE_END):
                raise DisplacedError
        begun.append(time.process_time())  # others use the machine, and the first step may compile
        if begun[-1] > begun[0] + seconds:
            raise TimeoutError(f"the market takes longer than {seconds:g} s; it had come to step {step}")

    return advance


_shared: list[Any] = []  # in a process that runs markets for a server: its sign


def begin(sign: Any) -> None:
    """What a process does first: leave Ctrl-C to the server, and end when it does."""
    _shared.append(sign)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Any = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
