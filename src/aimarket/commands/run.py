"""`aimarket run`: one market, or with -m one for each point, here or by a launcher of Hydra's."""

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aimarket.complaints import ResultsError, SettingsError, fail, one_line, say, shown

if TYPE_CHECKING:
    from argparse import Namespace

    from omegaconf import DictConfig

    from aimarket.settings import Settings
    from aimarket.sweep import Point

_MULTIRUN = ("-m", "--multirun")
_RETRY = "--retry-failed"
_LISTED = 10  # failures that are told one by one


def main(arguments: list[str]) -> None:
    """One run, or with -m a sweep; whatever else concerns Hydra's own machinery is left to it."""
    retry, arguments = _RETRY in arguments, [argument for argument in arguments if argument != _RETRY]
    overrides = [argument for argument in arguments if argument not in _MULTIRUN]
    alone = overrides == arguments
    if alone and retry:
        raise SettingsError(f"{_RETRY}: goes with -m; a run that failed is run again anyway")
    if any(map(_is_for_hydra, overrides)):
        _run_by_hydra(arguments, retry)
    elif alone:
        _run_alone(overrides)
    else:
        from aimarket.sweep import run_points

        points, design = _planned(overrides)
        with _interruptible(points):
            outcome = run_points(points, retry_failed=retry, design=design)
        tell(points, outcome)


def _is_for_hydra(argument: str) -> bool:
    """Whether it is a flag, or a setting of Hydra's own."""
    return argument.startswith("-") or argument.lstrip("+~").startswith("hydra")


def _run_alone(overrides: Sequence[str]) -> None:
    from aimarket.overrides import compose_plain, is_of_design

    if design := next(filter(is_of_design, overrides), None):
        raise SettingsError(f"{design}: a design is of many points; say -m")
    gc.disable()  # until the first step is done, see `_started`
    try:
        _run_composed(compose_plain(overrides), overrides)
    finally:
        gc.enable()


def _run_composed(config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    from aimarket.configuration import validate

    run_one(validate(config), overrides)


def run_one(settings: "Settings", overrides: Sequence[str]) -> None:
    """One run by itself, which is summed up."""
    from aimarket.checkpoints import discard
    from aimarket.compilation import compile_ahead
    from aimarket.conditions import condition, finished
    from aimarket.configuration import run_id
    from aimarket.freed_memory import keep_freed_memory
    from aimarket.report.progress import compiling_announced, progress
    from aimarket.simulation import run
    from aimarket.workspaces import clear

    study, name = Path(settings.outputs) / settings.study, run_id(settings)
    if finished(study, name):
        discard(study, name)  # in case it was interrupted just when it was complete
        clear(study)
        print(f"{study}: run {name} is already complete")
    else:
        keep_freed_memory()
        try:
            steps = settings.run.steps * settings.run.replications
            with compiling_announced() as announce:
                compile_ahead(settings, announce)
                with progress(steps, settings.study) as advance:
                    run(settings, overrides, _started(advance, settings.run.replications))
        except ResultsError:  # of a checkpoint
            raise
        except (ArithmeticError, OSError, MemoryError, ValueError, RuntimeError) as error:
            see = f"; see {study}/runs/{name}.json" if condition(study, name).state == "failed" else ""
            fail(f"run {name} failed: {one_line(str(error)) or type(error).__name__}{see}", code=1)
    _summarise(settings, name)
    print(f"{study}/runs/{name}.json")


# --- sweeps -----------------------------------------------------------------------------------------------------------


def _planned(overrides: Sequence[str]) -> "tuple[list[Point], dict[str, Any] | None]":
    """The points of a sweep, all of them checked, and the design they follow."""
    from aimarket.designs import points_of
    from aimarket.sweep import plan

    points, design = points_of(overrides)
    return plan(points), design


def tell(points: "Sequence[Point]", outcome: Any) -> None:
    """Say what became of a sweep; exits with 1 unless all of it is complete."""
    for reason in outcome.failed[:_LISTED]:
        say(f"run {reason}")
    if more := len(outcome.failed[_LISTED:]):
        say(f"and {more} more")
    folders = sorted({str(point.folder) for point in points})
    counts = [f"{outcome.done} run", f"{outcome.skipped} already complete", f"{len(outcome.failed)} failed"]
    print(f"{', '.join(folders)}: {', '.join(counts)}")
    if outcome.failed:
        before = f"{outcome.left_alone} failed before and were not run again; " if outcome.left_alone else ""
        say(f"{before}`aimarket status {folders[0]}` lists all, the same command with {_RETRY} runs them again")
        sys.exit(1)


@contextmanager
def _interruptible(points: "Sequence[Point]") -> Iterator[None]:
    """Say to who interrupts a sweep what there is of it."""
    try:
        yield
    except KeyboardInterrupt:
        from aimarket.conditions import finished

        kept = f"{sum(finished(point.folder, point.run_id) for point in points)} of {len(points)} points"
        raise KeyboardInterrupt(f"{kept} are complete, the same command runs the others") from None


# --- Hydra ------------------------------------------------------------------------------------------------------------


def _run_by_hydra(arguments: list[str], retry: bool) -> None:
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.errors import HydraException

    from aimarket.composition import FAULTS, check_files, explain
    from aimarket.composition_cache import conf_dir
    from aimarket.sweep import carry_out

    # Hydra would print a composition error over several lines and exit with 1: let it through and say it in one.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    parser = get_args_parser()
    parser.error = lambda message: fail(f"run: {message}; `aimarket run --hydra-help` lists the flags")  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    _check_flags(flags)
    check_files()
    sys.argv = ["aimarket run", *arguments]
    listed = flags.cfg or flags.info
    if flags.multirun and listed:
        raise SettingsError("-m: runs points; leave it out beside --cfg and --info, which list things")
    only_told = listed or flags.help or flags.hydra_help
    try:
        if flags.multirun and not only_told:
            from aimarket.launchers import check_launcher, launch

            check_launcher(flags.overrides)
            points, design = _planned(flags.overrides)
            with _interruptible(points):
                outcome = carry_out(points, lambda due: launch(due, flags.overrides), retry, design)
        else:
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_job)()
            return
    except SettingsError:
        raise
    except FAULTS as error:
        fault = None if flags.multirun else explain(flags.overrides)  # points are composed; what is left is Hydra's
        if fault is None and not isinstance(error, HydraException):
            raise
        raise SettingsError(fault or one_line(str(error))) from None
    tell(points, outcome)


def _check_flags(flags: "Namespace") -> None:
    """Whether Hydra is only asked to show what there is, or to start jobs with a launcher.

    Its other flags and settings would read files that no sweep sees, a pickle among them, or say what code runs.
    """
    for name in ("config_path", "config_name", "config_dir", "experimental_rerun", "shell_completion"):
        if getattr(flags, name):
            raise SettingsError(f"--{name.replace('_', '-')}: should be left out; all is composed of conf/")
    if flags.resolve and not (flags.cfg or flags.help):
        raise SettingsError("--resolve: goes with --cfg")
    for override in flags.overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if not (key.startswith("hydra") or "hydra" in key.partition("@")[2]):
            continue
        if not re.fullmatch(r"hydra(/launcher|\.launcher(\.[A-Za-z]\w*)+)", key) or re.search(r"(?<!\$)\{", value):
            raise SettingsError(
                f"{key}: cannot be set (got {shown(value)}); allowed: hydra/launcher=NAME, hydra.launcher.KEY=VALUE"
            )


def _job(config: "DictConfig") -> None:
    """The only run, composed by Hydra; to what it raised Hydra would add."""
    from hydra.core.hydra_config import HydraConfig

    from aimarket.composition import plain

    try:
        _run_composed(plain(config), [str(item) for item in HydraConfig.get().overrides.task])
    except SettingsError as error:
        fail(str(error))


def _started(advance: Callable[[int, int], None], replications: int) -> Callable[[int, int], None]:
    """Look for garbage from the first step on, and not among what was loaded for it: that stays as long as the process.

    A market that others follow is not kept from being garbage.
    """

    def advance_and_collect(step: int, replication: int) -> None:
        if not gc.isenabled():
            if replications == 1:
                gc.freeze()
            gc.enable()
        advance(step, replication)

    return advance_and_collect


def _summarise(settings: "Settings", run_id: str) -> None:
    """Print the first and the last year of one run of its study."""
    if not {"market", "providers"} <= set(settings.record.tables):
        return
    from rich.console import Console

    from aimarket.report import summary
    from aimarket.results import open_results

    results = open_results(Path(settings.outputs) / settings.study, run_id=run_id)
    market, providers = (results.columns(table, columns) for table, columns in summary.COLUMNS.items())
    console = Console()
    console.print(summary.summary_table(market, providers))
    console.print(summary.share_table(market, providers))
