"""`aimarket calibrate`: parameters that bring simulated moments near to observed ones."""

import argparse
import importlib.util
import sys
from pathlib import Path

from aimarket.complaints import ResultsError, fail
from aimarket.options import Options


def main(arguments: list[str]) -> None:
    options, overrides = _options(arguments)
    if importlib.util.find_spec("optuna") is None:
        fail("calibrate: Optuna is not installed; pip install 'aimarket[studies]'")
    from rich.console import Console

    from aimarket.calibration.answer import answer, write
    from aimarket.calibration.running import workers
    from aimarket.calibration.search import Search
    from aimarket.calibration.targets import read_targets
    from aimarket.compilation import compile_ahead
    from aimarket.report.calibration import lines, tables
    from aimarket.report.progress import compiling_announced, progress

    if not any(item.startswith("study=") for item in overrides):
        overrides = [f"study=calibration-{Path(options.targets).stem}", *overrides]
    targets = read_targets(options.targets, overrides)
    search = Search(targets, options.seeds, Path(targets.settings.outputs) / targets.settings.study)
    with compiling_announced() as announce:
        compile_ahead(targets.settings, announce)
    with (
        progress(search.runs_left(options.trials), targets.settings.study) as advance,
        workers(targets.moments, options.processes, lambda: advance(0, 0)) as simulate_all,
    ):
        weight = search.weight(simulate_all)
        search.go_on(options.trials, weight, simulate_all)
        if not len(search.complete()[0]):
            raise ResultsError(f"no trial could be measured; the first: {search.failures()[0]}")
        result = answer(search, weight, simulate_all)
    console = Console(width=None if sys.stdout.isatty() else 180)
    for table in tables(result):
        console.print(table)
        console.print()
    for line in lines(result):
        console.print(line, highlight=False)
    for path in write(result, options.to or search.folder / "fitted.yaml"):
        print(path)
    print(result.command)


def _options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options, and the overrides among the words: what has a `=`."""
    parser = Options(
        "aimarket calibrate", description="Fit parameters to target moments; goes on where it was broken off."
    )
    parser.add_argument("words", nargs="*", metavar="TARGETS override", help="targets by name or file; settings")
    parser.add_argument("--trials", type=_count, default=200, help="points to try, those on disk included; default 200")
    parser.add_argument("--seeds", type=_count, default=2, help="runs averaged at each; default 2")
    parser.add_argument("--processes", type=_whole, default=0, help="default: one a core")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the fitted market; default: fitted.yaml in the study")
    options = parser.parse_intermixed_args(arguments)
    named = [word for word in options.words if "=" not in word and not word.startswith("~")]
    if len(named) > 1:
        parser.error(f"one file of targets is fitted at a time (got {', '.join(named)})")
    options.targets = named[0] if named else "inference"
    return options, [word for word in options.words if word not in named]


def _whole(text: str) -> int:
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError("should be a whole number, at least 0")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("should be a whole number, at least 1")
    return value
