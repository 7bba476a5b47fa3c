"""`aimarket status STUDY`: what a study was to hold, and what it does."""

import sys
from collections import Counter
from pathlib import Path

from aimarket.complaints import ResultsError
from aimarket.options import Options

_STYLES = {"done": "green", "running": "cyan", "failed": "red", "stale": "yellow", "to do": "dim"}


def main(arguments: list[str]) -> None:
    """Exits with 0 if every run is done, with 1 otherwise."""
    parser = Options("aimarket status", description="What a study was to hold, and what it does.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    parser.add_argument("--all", action="store_true", help="list the runs that are done, too")
    options = parser.parse_args(arguments)
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from aimarket.plans import STATES, distinguishing, standings

    folder = _folder(options.study)
    runs = standings(folder)
    swept = distinguishing([run.overrides for run in runs])
    listed = Table("run", "state", "point", "why")
    for run, point in zip(runs, swept, strict=True):
        if options.all or run.state != "done":
            state = f"[{_STYLES[run.state]}]{run.state}[/]"
            listed.add_row(run.run_id, state, escape(point), escape(run.reason))
    console = Console(width=None if sys.stdout.isatty() else 220)
    if listed.row_count:
        console.print(listed)
    counts: Counter[str] = Counter(run.state for run in runs)
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    console.print(f"{escape(str(folder))}: {len(runs)} runs{': ' * bool(told)}{told}", highlight=False)
    if counts["done"] != len(runs):
        sys.exit(1)


def _folder(study: str) -> Path:
    from aimarket.conditions import RUNS
    from aimarket.plans import PLANS
    from aimarket.workspaces import CHECKPOINTS, PARTIAL

    for place in (Path("outputs") / study, Path(study)):
        if any((place / kind).is_dir() for kind in (PLANS, RUNS, PARTIAL, CHECKPOINTS)):
            return place
    raise ResultsError(f"no study {study!r} in outputs/ or here")
