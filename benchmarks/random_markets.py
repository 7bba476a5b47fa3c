"""Soak: random markets, as many as one likes, every accounting identity checked in every step.

    python benchmarks/random_markets.py --cases 10000 --steps 24 --first 0 --jobs 2

A case is a number, and the same number is the same configuration anywhere: what fails is printed with the command that
runs it alone. The configurations are those of tests/property/test_random_settings.py, with more drawn at once.
"""

import argparse
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from drawing import check_market, drawn_case, drawn_market

from aimarket import SettingsError, simulate
from aimarket.configuration import validate


def run(case: int, steps: int) -> tuple[int, str]:
    """A case and what went wrong, or an empty text."""
    try:
        config = drawn_market(case)
        config["run"]["steps"] = steps
        config["run"]["panel"] = 40
        config["users"]["size"] = min(config["users"]["size"], 100)
        settings = validate(config)
    except SettingsError as error:
        return case, f"refused: {error}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_market(simulate(settings), steps)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return case, f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    return case, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--show", action="store_true", help="print what is drawn instead of running it")
    arguments = parser.parse_args()
    cases = range(arguments.first, arguments.first + arguments.cases)
    if arguments.show:
        for case in cases:
            roster, draw = drawn_case(case)
            print(f"{case}: roster={roster}", *map(repr, draw.overrides()))
        return 0
    started, outcomes = time.perf_counter(), Counter[str]()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for case, fault in pool.map(run, cases, [arguments.steps] * len(cases), chunksize=4):
            outcomes["failed" if fault else "ran"] += 1
            if fault:
                print(f"FAILED {case}: {fault[:600]}")
                print(f"  python benchmarks/random_markets.py --first {case} --cases 1 --steps {arguments.steps}")
            done = sum(outcomes.values())
            if fault or done % 100 == 0:
                print(f"{done} cases, {outcomes['failed']} failed, {time.perf_counter() - started:.0f} s", flush=True)
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
