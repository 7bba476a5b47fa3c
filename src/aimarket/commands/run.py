"""`aimarket run`: one market, or with -m one for each point, here or by a launcher of Hydra's."""

import gc
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aimarket.complaints import ResultsError, SettingsError, fail, one_line, say

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from aimarket.settings import Settings

_MULTIRUN = ("-m", "--multirun")
_LAUNCHERS = {"on_ray": ("hydra-ray-launcher", "ray"), "on_slurm": ("hydra-submitit-launcher", "slurm")}


class RunFailedError(RuntimeError):
    """A run that broke off; what was wrong is in its manifest. The other points of a multirun go on."""


def main(arguments: list[str]) -> None:
    """One run, or with -m one after another; whatever else concerns Hydra's own machinery is left to it."""
    overrides = [argument for argument in arguments if argument not in _MULTIRUN]
    if any(_is_for_hydra(override) for override in overrides):
        _run_by_hydra(arguments)
        return
    if overrides == arguments:
        gc.disable()  # until the first step is done, see `_started`
        try:
            _run_points([overrides], alone=True)
        finally:
            gc.enable()
        return
    from aimarket.composition import expand
    from aimarket.configuration import validate
    from aimarket.overrides import compose_plain

    points = expand(overrides)
    for point in points:  # all are checked before the first runs
        validate(compose_plain(point))
    _run_points(points, alone=False)


def _run_points(points: Sequence[Sequence[str]], alone: bool) -> None:
    from aimarket.overrides import compose_plain

    failed = False
    for point in points:
        try:
            _run_point(compose_plain(point), point, alone)
        except RunFailedError as error:
            say(str(error))
            failed = True
    if failed:
        sys.exit(1)


def _is_for_hydra(argument: str) -> bool:
    """Whether it is a flag, a setting of Hydra's own, or something that only a job of Hydra's can resolve."""
    return argument.startswith("-") or "${" in argument or argument.lstrip("+~").startswith("hydra")


def _run_by_hydra(arguments: list[str]) -> None:
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.errors import HydraException

    from aimarket.composition import FAULTS, compose_plain, expand, explain
    from aimarket.configuration import conf_dir, validate
    from aimarket.recorder import finished

    # Hydra would print a composition error over several lines and exit with 1: let it through and say it in one.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    parser = get_args_parser()
    parser.error = lambda message: fail(f"run: {message}; `aimarket run --hydra-help` lists the flags")  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    sys.argv = ["aimarket run", *arguments]
    points = []
    if flags.multirun:
        _check_launcher(flags.overrides)
        points = [_place(validate(compose_plain(point))) for point in expand(flags.overrides)]
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
        study, name = missing[0]
        fail(f"{len(missing)} of {len(points)} runs are not complete, the first {study}/runs/{name}.json", code=1)


def _check_launcher(overrides: Sequence[str]) -> None:
    for name, (package, extra) in _LAUNCHERS.items():
        if f"hydra/launcher={name}" in overrides and not list(importlib.metadata.distributions(name=package)):
            raise SettingsError(f"hydra/launcher={name}: {package} is not installed; pip install 'aimarket[{extra}]'")


def _job(config: "DictConfig") -> None:
    """One run: a point of a multirun, maybe on another machine, or the only one. To what it raised Hydra would add."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from aimarket.composition import plain

    job = HydraConfig.get()
    alone = job.mode is not RunMode.MULTIRUN
    try:
        _run_point(plain(config), [str(item) for item in job.overrides.task], alone)
    except (SettingsError, ResultsError) as error:
        fail(str(error))
    except RunFailedError as error:
        if alone:
            fail(str(error), code=1)
        say(str(error))  # the other points go on, and whoever started them sees what is missing


def _place(settings: "Settings") -> tuple[Path, str]:
    """Study folder and id of a run."""
    from aimarket.configuration import run_id

    return Path(settings.outputs) / settings.study, run_id(settings)


def _run_point(config: Mapping[str, Any], overrides: Sequence[str], alone: bool) -> None:
    """One run; the only one is summed up."""
    from aimarket.configuration import validate
    from aimarket.recorder import finished
    from aimarket.report.progress import compiling_announced, progress
    from aimarket.simulation import run as run_settings

    settings = validate(config)
    study, name = _place(settings)
    if finished(study, name):
        print(f"{study}: run {name} is already complete")
    else:
        try:
            steps = settings.run.steps * settings.run.replications
            with compiling_announced(), progress(steps, settings.study) as advance:
                run_settings(settings, overrides, _started(advance, settings.run.replications))
        except (ArithmeticError, OSError, MemoryError, ValueError) as error:
            raise RunFailedError(f"run {name} failed: {error}; see {study}/runs/{name}.json") from error
    if alone:
        _summarise(settings, name)
    print(f"{study}/runs/{name}.json")


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
