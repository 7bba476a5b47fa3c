"""A study, or what of it a path names, checked; see `aimarket.audit.run` for what is checked of each run."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from aimarket.audit.faults import Fault
from aimarket.audit.run import Finding, check_checkpoints, check_run
from aimarket.collection import COLLECTED, agrees
from aimarket.complaints import ResultsError, one_line
from aimarket.conditions import RUNS
from aimarket.manifests import read_manifests, swept_settings
from aimarket.plans import PLANS, read_plans, standings
from aimarket.pool import cores, outcomes
from aimarket.schema import TABLES
from aimarket.workspaces import CHECKPOINTS

_MANY = 16  # runs, from which on it pays to hire processes


class Report(NamedTuple):
    """What a check found: faults of the study itself, and one finding a run."""

    path: Path
    faults: list[Fault]
    runs: list[Finding]

    @property
    def clean(self) -> bool:
        """Whether there are runs, every one is complete, and nothing is wrong."""
        return bool(self.runs) and not self.faults and all(run.state == "clean" for run in self.runs)

    def summary(self) -> str:
        """The report in a line."""
        states: Counter[str] = Counter(run.state for run in self.runs)
        told = [f"{states[state]} {state}" for state in ("clean", "faulty", "not complete") if states[state]]
        faults = len(self.faults) + sum(len(run.faults) for run in self.runs)
        runs = f"{len(self.runs)} run{'s' * (len(self.runs) != 1)}{': ' * bool(told)}{', '.join(told)}"
        return f"{self.path}: {runs}; {faults} fault{'s' * (faults != 1)} found"


def check(path: str | Path, outputs: str | Path = "outputs", processes: int | None = None) -> Report:
    """Check a study by its name in `outputs` or its folder, one run by its manifest, or checkpoints by their folder.

    processes : work on many runs at once; None: as many as there are cores

    raises : ResultsError for a path that is none of these
    """
    for place in (Path(outputs) / path, Path(path)):
        if place.suffix == ".json" and place.parent.name == RUNS and place.is_file():
            return Report(place, [], [check_run(place.parents[1], place.stem)])
        if (
            CHECKPOINTS in (place.name, place.parent.name, place.parents[1].name if place.parts[2:] else "")
            and place.is_dir()
        ):
            every = sorted(place.iterdir()) if place.name == CHECKPOINTS else [place]
            return Report(place, [], [check_checkpoints(run) for run in every])
        if any((place / kind).is_dir() for kind in (RUNS, PLANS, CHECKPOINTS, *TABLES)):
            return _check_study(place, cores() if processes is None else processes)
    raise ResultsError(f"no study, manifest or checkpoints at {str(path)!r} in {outputs} or here")


def _check_study(folder: Path, processes: int) -> Report:
    found = sorted(path.stem for path in (folder / RUNS).glob("*.json"))
    runs = [*_check_runs(folder, found, processes if len(found) >= _MANY else 1)]
    complete = [run.run_id for run in runs if run.state != "not complete"]
    faults = [*_strangers(folder, complete), *_plans(folder)]
    if not faults and all(run.state != "faulty" for run in runs):
        faults += _collected(folder)
    runs += [check_checkpoints(place) for place in sorted((folder / CHECKPOINTS).glob("*")) if place.is_dir()]
    return Report(folder, faults, [*runs, *_absent(folder, {run.run_id for run in runs})])


def _absent(folder: Path, found: Collection[str]) -> Iterator[Finding]:
    """Runs that the study is to hold, or that somebody is at, and of which it holds nothing."""
    with suppress(ResultsError):  # a plan that cannot be read is told as a fault
        for run in standings(folder):
            if run.run_id not in found:
                yield Finding(run.run_id, "not complete", [], run.state)


def _check_runs(folder: Path, run_ids: Sequence[str], processes: int) -> Iterator[Finding]:
    """One finding a run, in their order."""
    if processes == 1:
        yield from (check_run(folder, run_id) for run_id in run_ids)
        return
    findings: dict[int, Finding] = {}
    with closing(outcomes(_check_task, [(folder, run_id) for run_id in run_ids], processes)) as results:
        for position, finding in results:
            if isinstance(finding, Exception):
                raise finding
            findings[position] = finding
    yield from (findings[position] for position in range(len(run_ids)))


def _check_task(task: tuple[Path, str]) -> Finding:
    return check_run(*task)


def _strangers(folder: Path, complete: Sequence[str]) -> Iterator[Fault]:
    """Files among the results that belong to no complete run, and so to nobody."""
    for kind, suffix in ((RUNS, ".json"), *((table, ".parquet") for table in TABLES)):
        for path in sorted((folder / kind).glob("*")):
            if path.suffix != suffix or (kind != RUNS and path.stem not in complete):
                yield Fault(f"{kind}/{path.name}", "no complete run says that it wrote this")


def _plans(folder: Path) -> Iterator[Fault]:
    try:
        read_plans(folder)
    except ResultsError as error:
        yield Fault(PLANS, one_line(str(error)))


def _collected(folder: Path) -> Iterator[Fault]:
    """Collected files that would be read and do not hold what the runs do."""
    manifests = [manifest for manifest in read_manifests(folder) if manifest["status"] == "complete"]
    for path in sorted((folder / COLLECTED).glob("*")):
        place = f"{COLLECTED}/{path.name}"
        if path.stem not in TABLES or path.suffix != ".parquet":
            yield Fault(place, "no table is collected there")
            continue
        try:
            same = agrees(folder, manifests, swept_settings(manifests), path.stem)
            what = "does not hold what the runs do"
        except (OSError, ValueError, ResultsError, pa.ArrowException) as error:
            same, what = False, f"cannot be read ({one_line(str(error))})"
        if not same:
            yield Fault(place, f"{what}; delete it, and it is made again")
