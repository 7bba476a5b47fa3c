"""The command line: `aimarket run`, `figures`, `collect`, `data`, `validate`, `collusion`."""

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from aimarket import running
from aimarket.complaints import ResultsError, SettingsError, fail

# Each command imports what it needs when it is called: `aimarket --help` needs nothing.
_USAGE = """usage: aimarket COMMAND ...

  run [-m] [override ...]      run a market, or with -m one for each point; `aimarket run --help` lists the settings
  figures STUDY [--to FOLDER]  draw the figures of a study, SVG and PNG
  collect STUDY                gather a study of many runs into one file a table
  data show [override ...]     what a run starts from and where each number comes from
  data refresh [--as-of DATE]  make the table of list prices again from the genai-prices package
  data dictionary              print every recorded column with its unit and meaning
  validate [SECTION ...]       known answers from theory against simulated ones; exit code 1 if one fails
  collusion [key=value ...]    do learning algorithms agree on prices? `aimarket collusion --help` lists the keys

STUDY is a folder, or the name of one in outputs/."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exits with 0, 1 for a run that failed, 2 for bad input, 130 if interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {
        "run": running.run,
        "figures": _figures,
        "collect": _collect,
        "data": _data,
        "validate": _validate,
        "collusion": _collusion,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        sys.exit(0 if arguments else 2)
    if arguments[0] not in commands:
        fail(f"{arguments[0]}: no such command; allowed: {', '.join(commands)}")
    try:
        commands[arguments[0]](arguments[1:])
    except (SettingsError, ResultsError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; complete runs are kept, this one is not", code=130)
    except BrokenPipeError:  # the reader, say `head`, has had enough; nothing more may be written, not even on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


# ── after a run ──


def _figures(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("aimarket figures", description="Draw the figures of a study, SVG and PNG.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    parser.add_argument("--to", type=Path, help="folder for the figures; default: figures/ in the study")
    options = parser.parse_args(arguments)
    from aimarket.report import figures
    from aimarket.results import open_results

    results = open_results(options.study)
    if results.market.empty or results.providers.empty:
        raise ResultsError(f"{results.folder}: the tables market and providers were not recorded (record.tables)")
    for path in figures.draw_figures(results.market, results.providers, options.to or results.folder / "figures"):
        print(path)


def _collect(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("aimarket collect", description="Gather a study into one file a table.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    study = parser.parse_args(arguments).study
    from aimarket.results import collect

    for path in collect(study):
        print(path)


def _data(arguments: list[str]) -> None:
    from datetime import date

    parser = argparse.ArgumentParser("aimarket data", description="What a run starts from, and what it records.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("show", help="what a run starts from").add_argument("overrides", nargs="*")
    again = actions.add_parser("refresh", help="make the table of list prices again")
    again.add_argument("--as-of", type=date.fromisoformat, default=date.today(), help="YYYY-MM-DD")
    actions.add_parser("dictionary", help="every recorded column")
    options = parser.parse_args(arguments)
    if options.action == "dictionary":
        from aimarket import dictionary

        print(dictionary.markdown(), end="")
    elif options.action == "refresh":
        from aimarket.data import refresh

        try:
            print(refresh.refresh(options.as_of))
        except (ImportError, ValueError) as error:
            fail(str(error))
    else:
        _show(options.overrides)


def _show(overrides: list[str]) -> None:
    """Every offer and every documented number of a composed configuration."""
    from rich.console import Console

    from aimarket.composition import compose_plain
    from aimarket.configuration import documented, validate
    from aimarket.data import list_prices, show

    config = compose_plain(overrides)
    settings = validate(config)
    table = list_prices()
    used = {offer.model for p in settings.providers.values() for offer in p.offers.values() if offer.model}
    console = Console(width=None if sys.stdout.isatty() else 220)
    for part in show.describe(documented(config), {key: table[key] for key in sorted(used)}):
        console.print(part)


# ── known answers ──


def _validate(arguments: list[str]) -> None:
    from aimarket.validation import suite

    parser = argparse.ArgumentParser("aimarket validate", description="Known answers against simulated ones.")
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


# ── apart from the market ──


def _collusion(arguments: list[str]) -> None:
    from rich.console import Console

    from aimarket import algorithmic_collusion as collusion
    from aimarket.report.collusion import collusion_table, settings_table

    if {"-h", "--help"} & set(arguments):
        print("usage: aimarket collusion [key=value ...]\n")
        Console().print(settings_table(collusion.described()))
        return
    chosen = collusion.environment(arguments)
    with Console(stderr=True).status(f"collusion: {chosen.sessions:,} sessions"):
        outcome = collusion.simulate_sessions(chosen)
    Console().print(collusion_table(outcome))
