"""`aimarket validate`: known answers from theory against simulated ones."""

import itertools
import sys
from pathlib import Path

from aimarket.complaints import fail
from aimarket.options import Options


def main(arguments: list[str]) -> None:
    from aimarket.validation import suite

    parser = Options("aimarket validate", description="Known answers against simulated ones.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"default: all of {', '.join(suite.SECTIONS)}")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table to a file too")
    options = parser.parse_args(arguments)
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 180)
    rows = []
    try:
        for section, tasks in itertools.groupby(suite.validate(options.sections), key=lambda item: item[0]):
            checks = [check for _, some in tasks for check in some]
            rows += [(section, check) for check in checks]
            console.print(suite.table(section, checks))
            console.print()
        if options.csv:
            suite.write_csv(options.csv, rows)
    except (OSError, ValueError) as error:
        fail(str(error))
    failed = sum(not check.passed for _, check in rows)
    console.print(f"{len(rows)} checks, {failed} failed")
    if failed:
        sys.exit(1)
