"""Points of a sweep on other processes and machines, by the launchers for Hydra that others keep."""

import importlib.metadata
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from aimarket.complaints import SettingsError, one_line, say
from aimarket.composition import FAULTS, hydra_at_work, plain
from aimarket.conditions import condition, manifest_path
from aimarket.configuration import run_id, validate
from aimarket.freed_memory import keep_freed_memory
from aimarket.report.progress import sweep_progress
from aimarket.sweep import Point, Reasons, run_point

_LAUNCHERS = {"on_ray": ("hydra-ray-launcher", "ray"), "on_slurm": ("hydra-submitit-launcher", "slurm")}
_EVERY = 0.5  # seconds between looks at what points elsewhere have written


def check_launcher(overrides: Sequence[str]) -> None:
    """Whether what starts the launcher that overrides choose is installed.

    raises : SettingsError if it is not
    """
    for name, (package, extra) in _LAUNCHERS.items():
        if f"hydra/launcher={name}" in overrides and not list(importlib.metadata.distributions(name=package)):
            raise SettingsError(f"hydra/launcher={name}: {package} is not installed; pip install 'aimarket[{extra}]'")


def launch(points: Sequence[Point], overrides: Sequence[str]) -> Reasons:
    """Give points to the launcher that overrides choose, and wait for it; why points failed is in their manifests.

    points    : nothing swept
    overrides : of the command line, among which are those that choose and set up the launcher
    returns   : for every point, why the launcher itself failed, as where a cluster does not answer; else nothing
    """
    with sweep_progress(len(points), points[0].settings.study) as advance, _watched(points, advance):
        try:
            _give([point.overrides for point in points], overrides)
        except FAULTS:  # of what was asked for
            raise
        except Exception as error:
            return {point.run_id: f"{type(error).__name__}: {error}" for point in points}
    return {}


def _give(points: Sequence[Sequence[str]], overrides: Sequence[str]) -> None:
    """Hydra's own sweeper is passed over: it knows no designs, and composes every point once more to check it."""
    with hydra_at_work():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        chosen = [*overrides, "hydra.mode=MULTIRUN"]
        config = hydra.compose_config("config", chosen, RunMode.MULTIRUN, with_log_configuration=True)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
        launcher = Plugins.instance().instantiate_launcher(context, _job, config)
        launcher.launch(points, initial_job_idx=0)


def _job(config: DictConfig) -> None:
    """A point that a launcher started, maybe on another machine. It never ends the process, which others may share."""
    keep_freed_memory()
    overrides, settings = HydraConfig.get().overrides.task, validate(plain(config))
    name = run_id(settings)
    if reason := run_point(Point(tuple(map(str, overrides)), settings, name)):
        say(f"run {name}: {one_line(reason)}")


@contextmanager
def _watched(points: Sequence[Point], advance: Callable[[bool], None]) -> Iterator[None]:
    """Tell of points as their manifests appear, whoever writes them."""

    def written(point: Point) -> int | None:
        with suppress(OSError):
            return manifest_path(point.folder, point.run_id).stat().st_mtime_ns
        return None

    before = {point.run_id: written(point) for point in points}
    over = threading.Event()

    def watch() -> None:
        waiting = list(points)
        last = False
        while waiting and not last:
            last = over.wait(_EVERY)
            ended = [point for point in waiting if written(point) not in (None, before[point.run_id])]
            for point in ended:
                waiting.remove(point)
                advance(condition(point.folder, point.run_id).state != "done")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
