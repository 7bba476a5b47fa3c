"""The compiled kernels against peers that do the same month, in one process and by turns."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

import numpy as np

from benchmarks.measuring import Row, fastest
from benchmarks.month import Crowd, Month, Totals, crowd
from benchmarks.peers import arrays, c, compiled, objects

USERS, FEW, ROUNDS = 1_000_000, 4_000, 7  # one object a user: fewer, as the time of each is the same
Build = Callable[[Crowd], Month]
BY_COLUMNS: dict[str, Build] = {
    "compiled kernels": compiled.kernel,
    "C, written alike": c.blocked,
    "C, user by user": c.plain,
    "NumPy, float32 in chunks": arrays.chunked,
    "NumPy, float64": arrays.plain,
}
BY_OBJECTS: dict[str, Build] = {"Mesa": objects.mesa, "AgentPy": objects.agentpy}


def available(peers: dict[str, Build], of: Crowd, say: Callable[[str], None]) -> dict[str, Month]:
    """Peers that can be had here; what is missing is said."""
    months = {}
    for name, build in peers.items():
        try:
            months[name] = build(of)
        except ImportError as error:
            say(f"{name}: left out, {error.name} is not installed (pip install 'aimarket[benchmarks]')")
        except FileNotFoundError as error:
            say(f"{name}: left out, there is no {error.filename}")
    return months


def differ(one: Totals, other: Totals) -> bool:
    """Whether two months have users by region and offer that chance alone would not explain, at six deviations."""
    gap, spread = np.abs(one[0] - other[0]), np.sqrt(one[0] + other[0] + 1)
    return bool((gap > 6 * spread).any())


def seconds_of(months: dict[str, Month], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds a month of each, every round one month on; raises ValueError if they do not do the same work."""
    last: dict[str, Totals] = {}
    numbers = {name: count(1) for name in months}

    def act(name: str) -> None:
        last[name] = months[name](next(numbers[name]))

    seconds = fastest({name: partial(act, name) for name in months}, rounds)
    (first, expected), *others = last.items()
    for name, found in others:
        if differ(expected, found):
            raise ValueError(f"{name} does not do the work of {first}")
    return seconds


def rows(say: Callable[[str], None]) -> list[Row]:
    """Millions of user-months a second of each peer, and how many times as fast the kernels are."""
    speed: dict[str, float] = {}
    for peers, users in ((BY_COLUMNS, USERS), (BY_OBJECTS, FEW)):
        say(f"{', '.join(peers)}: {users:,} users")
        months = available(peers, crowd(users), say)
        speed |= {name: users / second / 1e6 for name, second in seconds_of(months).items()} if months else {}
    kernel = speed["compiled kernels"]
    unit = "million user-months/s"
    return [Row("against peers", k, v, unit, kernel / v, "the kernels over it") for k, v in speed.items()]


def thread_rows(say: Callable[[str], None], threads: int = 2) -> list[Row]:
    """Strong scaling, the same users by more threads, and weak, as many users a thread; by the clock on the wall."""
    say(f"1 and {threads} threads: {USERS:,} users")
    with ThreadPoolExecutor(threads) as pool:
        small, large = crowd(USERS), crowd(threads * USERS)
        months = {
            "1": compiled.kernel(small),
            "strong": compiled.kernel(small, pool),
            "weak": compiled.kernel(large, pool),
        }
        numbers = count(1)
        tasks = {name: partial(lambda month: month(next(numbers)), month) for name, month in months.items()}
        seconds = fastest(tasks, 2 * ROUNDS, time.perf_counter)
    cases = {
        "1": "kernels, 1 thread",
        "strong": f"kernels, same users, {threads} threads",
        "weak": f"kernels, {threads} x users, {threads} threads",
    }
    one, of = seconds["1"], "one thread over it"
    return [Row("threads", case, 1e3 * seconds[name], "ms", one / seconds[name], of) for name, case in cases.items()]
