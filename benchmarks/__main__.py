"""Print what the model costs: against peers, by who reviews, by size and phase, at start, threads, points, actors."""

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import against_peers, on_ray, sweeps, users_step, whole_market
from benchmarks.measuring import Row

SECTIONS = ("peers", "users", "market", "start", "threads", "sweep", "ray")


def measured(sections: list[str], largest: int, console: Console) -> list[Row]:
    """The rows of the sections asked for."""

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False, highlight=False)

    rows = []
    if "peers" in sections:
        rows += against_peers.rows(say)
    if "users" in sections:
        rows += users_step.rows(say)
    if "market" in sections:
        rows += whole_market.rows(say, largest)
    if "start" in sections:
        rows += whole_market.start_rows(say)
    if "threads" in sections:
        rows += against_peers.thread_rows(say) + whole_market.thread_rows(say)
    if "sweep" in sections:
        rows += sweeps.rows(say)
    if "ray" in sections:
        rows += on_ray.rows(say)
    return rows


def table(rows: list[Row]) -> Table:
    """One table of all rows; what a section's rows have in common stands in the first."""
    shown = Table("what", "case", "measured", "unit", "ratio", "of")
    for column in ("measured", "ratio"):
        shown.columns[[c.header for c in shown.columns].index(column)].justify = "right"
    for above, row in zip([None, *rows], rows, strict=False):
        begins = above is None or above.section != row.section
        if begins and above:
            shown.add_section()
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        unit = row.unit if begins or above is None or above.unit != row.unit else ""
        of = row.of if begins or above is None or above.of != row.of else ""
        shown.add_row(row.section if begins else "", row.name, f"{row.value:.3g}", unit, ratio, of)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--largest", type=int, default=10**7, metavar="USERS", help="market to measure (default 10^7)")
    parser.add_argument("--huge", action="store_true", help="also 10^8 users: takes some 10 GB and minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    console = Console() if Console().is_terminal else Console(width=120)
    largest = 10**8 if arguments.huge else arguments.largest
    rows = measured(arguments.sections or list(SECTIONS), largest, console)
    console.print(table(rows))
    if arguments.json:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        figures = machine | {"rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
