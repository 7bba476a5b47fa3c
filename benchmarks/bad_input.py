"""Input that nobody meant, as much as one likes: no traceback, no wait without end, no file where none belongs.

    python benchmarks/bad_input.py --cases 10000 --jobs 2 [--family results] [--first 0]

A case is a number, and the same number is the same input anywhere: what fails is printed with the command that tries it
alone. The families are those of tests/property/test_bad_input.py.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from bad_input import FAMILIES, tried
from lab_requests import asked


def run(family: str, cases: range, folder: str) -> list[tuple[str, int, list[str]]]:
    """Some cases of a family, each with what went wrong."""
    if family == "requests":
        return [(family, case, faults) for case, faults in asked(cases)]
    with tempfile.TemporaryDirectory(dir=folder) as root:
        return [(family, case, tried(family, case, Path(root))) for case in cases]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case of every family")
    parser.add_argument("--family", choices=[*FAMILIES, "requests"], help="default: all, in fixed parts")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    parts = {name: share for name, (_, share) in FAMILIES.items()} | {"requests": 120}
    wanted = {options.family: 1000} if options.family else parts
    batches = []
    for family, share in wanted.items():
        last = options.first + max(1, options.cases * share // 1000)
        batches += [(family, range(first, min(first + 50, last))) for first in range(options.first, last, 50)]
    started, counts, failed = time.perf_counter(), Counter[str](), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool,
    ):
        for made in pool.map(run, *zip(*batches, strict=True), [folder] * len(batches)):
            for family, case, faults in made:
                counts[family] += 1
                if faults:
                    failed += 1
                    print(f"FAILED {family} {case}: {'; '.join(faults)[:600]}")
                    print(f"  python benchmarks/bad_input.py --family {family} --first {case} --cases 1", flush=True)
            done = f"{counts.total()} cases, {failed} failed, {time.perf_counter() - started:.0f} s"
            print(f"{done}: {', '.join(f'{name} {count}' for name, count in counts.items())}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
