"""One population over Ray actors on this machine: what an order costs, strong and weak scaling; by the wall clock."""

import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from aimarket.kernels.tables import StepTables
from benchmarks.measuring import Row, fastest
from benchmarks.users_step import STEPS, tables

SMALL, LARGE, ACTORS, ROUNDS = 20_000, 1_000_000, 2, 9


def seconds(users: int, shards: int) -> float:
    """Wall seconds of a users' step, the least of some; with shards of the population, or none."""
    from aimarket import Market, load
    from aimarket.sharding import workers

    settings = load([f"users.size={users}", f"run.shards={max(shards, 1)}"])

    def measured(market: Market) -> float:
        for _ in range(STEPS):
            market.step()
        said: StepTables = tables(market)
        take = {"step": lambda: market.population.take(said)}
        return fastest(take, ROUNDS, time.perf_counter)["step"]

    if not shards:
        return measured(Market(settings))
    with tempfile.TemporaryDirectory() as folder, workers(settings.run, Path(folder)) as populate:
        return measured(Market(settings, populate=populate))


def rows(say: Callable[[str], None]) -> list[Row]:
    """Milliseconds of a step; none without Ray, which is said."""
    if find_spec("ray") is None:
        say("Ray: left out, it is not installed (pip install 'aimarket[ray]')")
        return []
    say(f"Ray: {ACTORS} actors, {SMALL:,} to {ACTORS * LARGE:,} users")
    alone, split = seconds(SMALL, 0), seconds(SMALL, ACTORS)
    overhead = split - alone / ACTORS
    one, strong, weak = seconds(LARGE, 1), seconds(LARGE, ACTORS), seconds(ACTORS * LARGE, ACTORS)
    section, unit, of = "Ray", "ms a step", "one actor over it"
    return [
        Row(section, f"overhead of {ACTORS} actors", 1e3 * overhead, unit),
        Row(section, f"1 actor, {LARGE:,} users", 1e3 * one, unit, 1.0, of),
        Row(section, f"{ACTORS} actors, {LARGE:,} users", 1e3 * strong, unit, one / strong, of),
        Row(section, f"{ACTORS} actors, {ACTORS * LARGE:,} users", 1e3 * weak, unit, one / weak, of),
    ]
