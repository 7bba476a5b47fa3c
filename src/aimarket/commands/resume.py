"""`aimarket resume PATH`: what was interrupted goes on from its last checkpoint."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aimarket.complaints import ResultsError, SettingsError
from aimarket.options import Options

if TYPE_CHECKING:
    from aimarket.sweep import Point

_WHAT = """Finish interrupted runs from their last checkpoints (`run.checkpoint_every`), to the byte as if nothing had
happened. PATH is a study (a folder, or the name of one in outputs/), all of whose runs that have a checkpoint are
finished, or the folder STUDY/.checkpoints/RUN_ID of one run. Points of a sweep that had not begun are run by the
command that started it, given again, which resumes the others too."""


def main(arguments: list[str]) -> None:
    """Exits with 0 if all is complete, 1 if a run failed, 2 if there is nothing to go on from."""
    parser = Options("aimarket resume", description=_WHAT)
    parser.add_argument("path", help="a study, or the checkpoints of one run")
    parser.add_argument("override", nargs="*", help="who does the work from now on, such as run.threads=4")
    options = parser.parse_args(arguments)
    points = [_point(place, options.override) for place in _unfinished(_places(options.path))]
    if len(points) == 1:
        from aimarket.commands.run import run_one

        run_one(points[0].settings, points[0].overrides)
    elif points:
        from aimarket.commands.run import tell
        from aimarket.sweep import run_points

        tell(points, run_points(points, retry_failed=True))


def _places(path: str) -> list[Path]:
    """Folders of runs that have checkpoints."""
    from aimarket.workspaces import CHECKPOINTS, HEADER

    if Path(path).absolute().parent.name == CHECKPOINTS:
        runs = [Path(path)]
    else:
        runs = sorted(run for study in (Path("outputs") / path, Path(path)) for run in (study / CHECKPOINTS).glob("*"))
    if found := [run for run in runs if any(run.glob(f"*/{HEADER}"))]:
        return found
    raise ResultsError(f"{path}: no checkpoint to go on from, neither in outputs/ nor here")


def _unfinished(places: list[Path]) -> list[Path]:
    """Without those of runs that were interrupted just when they were complete: what is left of these goes."""
    from aimarket.checkpoints import discard
    from aimarket.conditions import finished

    found = []
    for place in places:
        study = place.absolute().parents[1]
        if finished(study, place.name):
            discard(study, place.name)
            print(f"{study}: run {place.name} is already complete")
        else:
            found.append(place)
    return found


def _point(place: Path, overrides: Sequence[str]) -> "Point":
    """The run whose checkpoints are in a folder, with its results where the folder is."""
    from aimarket.checkpoints import read
    from aimarket.configuration import run_id, validate
    from aimarket.sweep import Point
    from aimarket.workspaces import HEADER

    header = read(min(place.glob(f"*/{HEADER}")).parent)
    node: dict[str, Any] = header["settings"]
    settings = validate(node | {"run": node["run"] | _who(overrides)})
    study = place.absolute().parents[1]
    if (Path(settings.outputs) / settings.study).absolute() != study:
        settings = dataclasses.replace(settings, outputs=str(study.parent), study=study.name)
    if run_id(settings) != place.name:
        raise ResultsError(f"{place} holds checkpoints of run {header['run_id']}, its settings make {run_id(settings)}")
    return Point(tuple(header["overrides"]), settings, place.name)


def _who(overrides: Sequence[str]) -> dict[str, int]:
    from aimarket.schema import HOW_FAST

    who = {}
    for override in overrides:
        key, _, value = override.partition("=")
        if key not in (allowed := [f"run.{name}" for name in HOW_FAST]):
            raise SettingsError(f"{override}: a run goes on as it began; allowed: {', '.join(allowed)}")
        if not value.isascii() or not value.isdigit():
            raise SettingsError(f"{key}: should be a whole number (got {value})")
        who[key.removeprefix("run.")] = int(value)
    return who
