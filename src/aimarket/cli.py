"""The command line: `aimarket run`, `figures`, `collect`, `data`, `validate`, `collusion`."""

import argparse
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from aimarket.complaints import ResultsError, SettingsError, one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from aimarket.settings import Settings

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


_MULTIRUN = ("-m", "--multirun")


class RunFailedError(RuntimeError):
    """A run that broke off; what was wrong is in its manifest. The other points of a multirun go on."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exits with 0, 1 for a run that failed, 2 for bad input, 130 if interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {
        "run": _run,
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
        _fail(f"{arguments[0]}: no such command; allowed: {', '.join(commands)}")
    try:
        commands[arguments[0]](arguments[1:])
    except (SettingsError, ResultsError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; complete runs are kept, this one is not", code=130)
    except BrokenPipeError:  # the reader, say `head`, has had enough; nothing more may be written, not even on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(message: str, code: int = 2) -> NoReturn:
    _say(message)
    sys.exit(code)


def _say(message: str) -> None:
    print(f"aimarket: {message}", file=sys.stderr)


# ── run ──


def _run(arguments: list[str]) -> None:
    """One run, or with -m one after another; whatever else concerns Hydra's own machinery is left to it."""
    overrides = [argument for argument in arguments if argument not in _MULTIRUN]
    if any(_is_for_hydra(override) for override in overrides):
        _run_by_hydra(arguments)
        return
    from aimarket.composition import compose_plain, expand
    from aimarket.configuration import validate

    alone, failed = overrides == arguments, False
    points = [overrides] if alone else expand(overrides)
    if not alone:
        for point in points:  # all are checked before the first runs
            validate(compose_plain(point))
    for point in points:
        try:
            _job(compose_plain(point), point, alone)
        except RunFailedError as error:
            _say(str(error))
            failed = True
    if failed:
        sys.exit(1)


def _is_for_hydra(argument: str) -> bool:
    """Whether it is a flag, a setting of Hydra's own, or something that only a job of Hydra's can resolve."""
    return argument.startswith("-") or "${" in argument or argument.lstrip("+~").startswith("hydra")


def _run_by_hydra(arguments: list[str]) -> None:
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException

    from aimarket.composition import FAULTS, compose_plain, conf_dir, expand, explain, plain
    from aimarket.configuration import validate

    # Hydra would print a composition error over several lines and exit with 1: let it through and say it in one.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    parser = get_args_parser()
    parser.error = lambda message: _fail(f"run: {message}; `aimarket run --hydra-help` lists the flags")  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    sys.argv = ["aimarket run", *arguments]
    if flags.multirun:
        for point in expand(flags.overrides):
            validate(compose_plain(point))
    failures = []

    def job(config: "DictConfig") -> None:
        # Hydra adds a line of its own to whatever is raised here.
        job = HydraConfig.get()
        overrides = [str(item) for item in job.overrides.task]
        try:
            _job(plain(config), overrides, alone=job.mode is None or job.mode.name == "RUN")
        except (SettingsError, ResultsError) as error:
            _fail(str(error))
        except RunFailedError as error:
            _say(str(error))
            failures.append(error)

    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()
    except FAULTS as error:
        if (fault := explain(flags.overrides)) is None and not isinstance(error, HydraException):
            raise
        raise SettingsError(fault or one_line(str(error))) from None
    if failures:
        sys.exit(1)


def _job(config: Mapping[str, Any], overrides: Sequence[str], alone: bool) -> None:
    """One run: a point of a multirun, or the only one, which is summed up."""
    from aimarket.configuration import run_id, validate
    from aimarket.recorder import finished
    from aimarket.report.progress import progress
    from aimarket.simulation import run

    settings = validate(config)
    study, name = Path(settings.outputs) / settings.study, run_id(settings)
    if finished(study, name):
        print(f"{study}: run {name} is already complete")
    else:
        try:
            with progress(settings.run.steps * settings.run.replications, settings.study) as advance:
                run(settings, overrides, advance)
        except (ArithmeticError, OSError, MemoryError, ValueError) as error:
            raise RunFailedError(f"run {name} failed: {error}; see {study}/runs/{name}.json") from error
    if alone:
        _summarise(settings, name)
    print(f"{study}/runs/{name}.json")


def _summarise(settings: "Settings", run_id: str) -> None:
    """Print the first and the last year of one run of its study."""
    if not {"market", "providers"} <= set(settings.record.tables):
        return
    from rich.console import Console

    from aimarket.report import summary
    from aimarket.results import open_results

    results = open_results(Path(settings.outputs) / settings.study, run_id=run_id)
    market, providers = (results.frame(table, columns) for table, columns in summary.COLUMNS.items())
    console = Console()
    console.print(summary.summary_table(market, providers))
    console.print(summary.share_table(market, providers))


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
            _fail(str(error))
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
        _fail(str(error))
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
