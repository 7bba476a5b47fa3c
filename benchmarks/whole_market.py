"""The whole market: speed, memory and phases by the number of users, and what a start costs.

Each market runs in a process of its own, `python -m benchmarks.whole_market USERS STEPS THREADS`, which prints what it
saw as JSON.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measuring import Row, run_process

STEPS = {10**3: 24, 10**4: 24, 10**5: 12, 10**6: 6, 10**7: 3, 10**8: 2}


def measured(users: int, steps: int, threads: int) -> dict:
    """Run the default market; peak memory in bytes, seconds by phase."""
    from aimarket import load
    from aimarket.simulation import run

    with tempfile.TemporaryDirectory() as folder:
        where = [f"outputs={folder}", "study=benchmark"]
        overrides = [f"users.size={users}", f"run.steps={steps}", f"run.threads={threads}", *where]
        manifest = json.loads(run(load(overrides)).read_text(encoding="utf-8"))
    return {"users": users, "steps": steps, "threads": threads, "peak": _peak(), "seconds": manifest["seconds"]}


def _peak() -> int:
    """Most memory this process has had, bytes; on Linux `getrusage` counts what started it as well, up to its exec."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return 1024 * int(lines["VmHWM"].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def market(users: int, steps: int, threads: int = 1) -> dict:
    """`measured` in a process of its own."""
    arguments = ["-m", "benchmarks.whole_market", *map(str, (users, steps, threads))]
    return json.loads(run_process(arguments).output.splitlines()[-1])


def rows(say: Callable[[str], None], largest: int) -> list[Row]:
    """Speed of the users' step, memory a user beyond over the smallest market, and phases of a step."""
    found, smallest = [], min(STEPS)
    market(smallest, STEPS[smallest])  # compiles what is not on disk yet, which takes memory
    for users, steps in STEPS.items():
        if users <= largest:
            say(f"default market, {users:,} users, {steps} steps")
            found.append(market(users, steps))
    table, first = [], found[0]
    for one in found:
        per_step = one["seconds"]["choose"] / one["steps"]
        name, speed = f"{one['users']:,} users", one["users"] / per_step / 1e6
        table.append(Row("users' step", name, speed, "million user-months/s"))
    base = table[0].value
    table = [Row(r.section, r.name, r.value, r.unit, r.value / base, "over the smallest") for r in table]
    if (last := found[-1]) is not first:
        memory = (last["peak"] - first["peak"]) / (last["users"] - first["users"])
        table.append(Row("memory", f"{last['users']:,} users", memory, "bytes a user, peak over the smallest market"))
    slope, fixed = np.polyfit([o["users"] for o in found], [o["seconds"]["choose"] / o["steps"] for o in found], 1)
    table.append(Row("users' step", "each million users", 1e9 * slope, "ms a step, least squares"))
    table.append(Row("users' step", "whatever their number", 1e3 * fixed, "ms a step, least squares"))
    for one in found:
        phases = {k: v / one["steps"] for k, v in one["seconds"].items() if k != "build"}
        whole = sum(phases.values())
        section = f"phases, {one['users']:,} users"
        table += [Row(section, k, 1e3 * v, "ms a step", v / whole, "over the step") for k, v in phases.items()]
    return table


def thread_rows(say: Callable[[str], None], users: int = 10**6) -> list[Row]:
    """The users' step of the market by one and two threads."""
    say(f"default market, {users:,} users, 1 and 2 threads")
    table: list[Row] = []
    one, of = 0.0, "one thread over it"
    for threads in (1, 2):
        found = market(users, STEPS[users], threads)
        seconds = found["seconds"]["choose"] / found["steps"]
        one = one or seconds
        table.append(Row("threads", f"users' step of the market, {threads}", 1e3 * seconds, "ms", one / seconds, of))
    return table


def start_rows(say: Callable[[str], None], rounds: int = 3) -> list[Row]:
    """Processor time of cold processes, with compiled functions on disk as after a first run."""
    with tempfile.TemporaryDirectory() as folder:
        where = [f"outputs={folder}", "study=benchmark"]
        starts = {
            "python, nothing": ["-c", "pass"],
            "import aimarket": ["-c", "import aimarket"],
            "aimarket --help": ["-m", "aimarket", "--help"],
            "10,000 users, 120 months": ["-m", "aimarket", "run", "users.size=10000", "run.seed={round}", *where],
        }
        say(f"start-up: {', '.join(starts)}")
        seconds = {}
        for name, words in starts.items():  # a run that is there already would not run again
            times = [run_process([word.format(round=k) for word in words]).processor for k in range(rounds)]
            seconds[name] = min(times)
    return [
        Row("start-up", k, v, "s of processor time", v / seconds["python, nothing"], "over python")
        for k, v in seconds.items()
    ]


if __name__ == "__main__":
    print(json.dumps(measured(*map(int, sys.argv[1:]))))
