"""Studies under fire: random markets, interrupted in every way at random moments, must give the bytes of the plain run.

    python -m faults --cases 10000 --first 0 --jobs 2
    python -m faults --case 4711
    python -m faults --moments power

A case is a number, and the same number is the same market, the same hands and the same mishaps anywhere: what fails is
printed with the command that runs it alone. With --moments the cases are all the moments of one small run.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from aimarket.pool import outcomes
from faults.cases import AT_PHASES, AT_WRITES
from faults.examining import Examined, examine, examine_moments


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--case", type=int, help="the only one, with all that happens in it")
    parser.add_argument("--moments", choices=sorted({*AT_PHASES, *AT_WRITES}), help="what befalls one run at each")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    alone = options.case is not None
    started, totals, failed = time.perf_counter(), Counter[str](), 0
    for examined in _examined(options):
        totals.update(examined.totals)
        if alone:
            print(*examined.story, sep="\n")
        if examined.wrong:
            failed += 1
            print(f"FAILED {examined.number}: {'; '.join(examined.wrong)}")
            which = f"--moments {options.moments} " if options.moments else ""
            print(f"  python -m faults {which}--case {examined.number}", flush=True)
        if totals["cases"] % 50 == 0:
            print(f"{totals['cases']} cases, {failed} failed, {time.perf_counter() - started:.0f} s", flush=True)
    print(f"{failed} of {totals.pop('cases')} cases failed")
    print(", ".join(f"{count} {what}" for what, count in sorted(totals.items()) if count))
    return 1 if failed else 0


def _examined(options: argparse.Namespace) -> Iterator[Examined]:
    chosen = [options.case] if options.case is not None else range(options.first, options.first + options.cases)
    if options.moments:
        yield from examine_moments(options.moments, options.case)
    elif len(chosen) == 1 or options.jobs == 1:
        yield from map(examine, chosen)
    else:
        for _, examined in outcomes(examine, chosen, options.jobs):  # which end with this process
            if isinstance(examined, Exception):
                raise examined
            yield examined


if __name__ == "__main__":
    sys.exit(main())
