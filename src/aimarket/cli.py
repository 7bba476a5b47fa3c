"""The command line: `aimarket run`, `figures`, `collect`, `data`, `validate`, `collusion`."""

import argparse
import importlib.metadata
import itertools
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from aimarket import configuration, data, dictionary
from aimarket.complaints import SettingsError, one_line
from aimarket.composition import FAULTS, compose_plain, compose_points, conf_dir, expand, explain, plain
from aimarket.recorder import finished
from aimarket.report.progress import progress
from aimarket.results import ResultsError, collect, open_results
from aimarket.settings import Settings
from aimarket.simulate import run as run_settings

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
    # Hydra would print a composition error over several lines and exit with 1: let it through and say it in one.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    parser = get_args_parser()
    parser.error = lambda message: _fail(f"run: {message}; `aimarket run --hydra-help` lists the flags")  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    sys.argv = ["aimarket run", *arguments]
    points = []
    if flags.multirun:
        _check_launcher(flags.overrides)
        points = [_place(configuration.validate(point)) for point in compose_points(expand(flags.overrides))]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_job)()
    except FAULTS as error:
        fault = None if flags.multirun else explain(flags.overrides)  # points are composed; what is left is Hydra's
        if fault is None and not isinstance(error, HydraException):
            raise
        raise SettingsError(fault or one_line(str(error))) from None
    shown = flags.cfg or flags.info or flags.help or flags.hydra_help or flags.shell_completion
    missing = [] if shown else [place for place in points if not finished(*place)]  # whoever was to run them
    if missing:
        study, run_id = missing[0]
        _fail(f"{len(missing)} of {len(points)} runs are not complete, the first {study}/runs/{run_id}.json", code=1)


_LAUNCHERS = {"on_ray": ("hydra-ray-launcher", "ray"), "on_slurm": ("hydra-submitit-launcher", "slurm")}


def _check_launcher(overrides: Sequence[str]) -> None:
    for name, (package, extra) in _LAUNCHERS.items():
        if f"hydra/launcher={name}" in overrides and not list(importlib.metadata.distributions(name=package)):
            raise SettingsError(f"hydra/launcher={name}: {package} is not installed; pip install 'aimarket[{extra}]'")


def _place(settings: Settings) -> tuple[Path, str]:
    """Study folder and id of a run."""
    return Path(settings.outputs) / settings.study, configuration.run_id(settings)


def _job(config: DictConfig) -> None:
    """One run: a point of a multirun, maybe on another machine, or the only one. To what it raised Hydra would add."""
    alone = HydraConfig.get().mode is not RunMode.MULTIRUN
    try:
        _run_one(config, alone)
    except (SettingsError, ResultsError) as error:
        _fail(str(error))
    except RunFailedError as error:
        if alone:
            _fail(str(error), code=1)
        _say(str(error))  # the other points go on, and whoever started them sees what is missing


def _run_one(config: DictConfig, alone: bool) -> None:
    settings = configuration.validate(plain(config))
    overrides = [str(item) for item in HydraConfig.get().overrides.task]
    study, run_id = _place(settings)
    if finished(study, run_id):
        print(f"{study}: run {run_id} is already complete")
    else:
        try:
            with progress(settings.run.steps * settings.run.replications, settings.study) as advance:
                run_settings(settings, overrides, advance)
        except (ArithmeticError, OSError, MemoryError, ValueError) as error:
            raise RunFailedError(f"run {run_id} failed: {error}; see {study}/runs/{run_id}.json") from error
    if alone:
        _summarise(settings, run_id)
    print(f"{study}/runs/{run_id}.json")


def _summarise(settings: Settings, run_id: str) -> None:
    """Print the first and the last year of one run of its study."""
    if not {"market", "providers"} <= set(settings.record.tables):
        return
    results = open_results(Path(settings.outputs) / settings.study)
    market, providers = (frame[frame["run_id"] == run_id] for frame in (results.market, results.providers))
    from rich.console import Console

    from aimarket.report import summary

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

    results = open_results(options.study)
    if results.market.empty or results.providers.empty:
        raise ResultsError(f"{results.folder}: the tables market and providers were not recorded (record.tables)")
    for path in figures.draw_figures(results.market, results.providers, options.to or results.folder / "figures"):
        print(path)


def _collect(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("aimarket collect", description="Gather a study into one file a table.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    for path in collect(parser.parse_args(arguments).study):
        print(path)


def _data(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("aimarket data", description="What a run starts from, and what it records.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("show", help="what a run starts from").add_argument("overrides", nargs="*")
    again = actions.add_parser("refresh", help="make the table of list prices again")
    again.add_argument("--as-of", type=date.fromisoformat, default=date.today(), help="YYYY-MM-DD")
    actions.add_parser("dictionary", help="every recorded column")
    options = parser.parse_args(arguments)
    if options.action == "dictionary":
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

    from aimarket.data import show

    config = compose_plain(overrides)
    settings = configuration.validate(config)
    table = data.list_prices()
    used = {offer.model for p in settings.providers.values() for offer in p.offers.values() if offer.model}
    console = Console(width=None if sys.stdout.isatty() else 220)
    for part in show.describe(configuration.documented(config), {key: table[key] for key in sorted(used)}):
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
