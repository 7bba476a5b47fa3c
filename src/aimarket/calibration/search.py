"""The search: trials in batches, every trial a few seeds, every result on disk before the next.

A trial's parameters depend on the trials of the batches before it and on the seed, and on nothing else: not on the
number of processes, nor on when the search was broken off. So Optuna proposes a batch in memory, from what the journal
holds of the batches before, and the journal gets each trial once it is complete. A search that goes on proposes the
unfinished batch again and skips what the journal has of it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aimarket.calibration.distance import Floats, distance, variance
from aimarket.calibration.running import Sample, Simulate
from aimarket.calibration.targets import Targets
from aimarket.complaints import ResultsError
from aimarket.configuration import run_id
from aimarket.rng import Streams

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

BATCH = 8  # trials proposed together; fixed, so that more processes propose nothing else
PILOT = 8  # seeds at the start and, others, at the end
_PILOT = "pilot"
_JOURNAL = "calibration.journal"


@dataclass(frozen=True)
class Search:
    """One calibration in its folder.

    seeds : a trial's moments are means over so many
    """

    targets: Targets
    seeds: int
    folder: Path

    @cached_property
    def study(self) -> "Study":
        """Optuna's record in the folder.

        raises : ResultsError if the folder holds another calibration
        """
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(self.folder / _JOURNAL)
        storage = JournalStorage(JournalFileBackend(str(self.folder / _JOURNAL)))
        study = optuna.create_study(storage=storage, study_name="calibration", load_if_exists=True)
        of = study.user_attrs.get("of")
        if of is None:
            study.set_user_attr("of", self._fingerprint)
        elif of != self._fingerprint:
            raise ResultsError(f"{self.folder} holds another calibration; name a new one with study=...")
        return study

    @property
    def trials(self) -> list["FrozenTrial"]:
        """What is on disk, in order."""
        return self.study.get_trials(deepcopy=False)

    def complete(self) -> tuple[Floats, Floats, Floats]:
        """Parameters, moments averaged over seeds, and distances of the trials that could be measured, in order."""
        from optuna.trial import TrialState

        done = [trial for trial in self.trials if trial.state is TrialState.COMPLETE]
        values = np.array([[trial.params[p.name] for p in self.targets.parameters] for trial in done])
        moments = np.array([np.mean(trial.user_attrs["moments"], axis=0) for trial in done])
        return values, moments, np.array([trial.value for trial in done])

    def failures(self) -> list[str]:
        """Why trials could not be measured."""
        return [trial.user_attrs["fault"] for trial in self.trials if "fault" in trial.user_attrs]

    def runs_left(self, trials: int) -> int:
        """Runs until so many trials are there, and the runs before and after them."""
        missing = max(0, trials - len(self.trials))
        places = [_PILOT, _end(self._start)]
        if not missing and len(self.complete()[0]):
            places.append(_end(self.best))
        known = len(self.study.user_attrs.keys() & set(places))
        return missing * self.seeds + PILOT * (3 - known)

    @property
    def best(self) -> list[float]:
        """Parameters of the trial of least distance."""
        values, _, distances = self.complete()
        return [float(value) for value in values[distances.argmin()]]

    def weight(self, simulate_all: Simulate) -> Floats:
        """Weights of the fitted moments: 1/variance, its simulated part from the start; nothing moves them later."""
        pilot = self._sample(_PILOT, self._start, self._first_seed, simulate_all)
        fitted = self.targets.fitted
        errors = np.array([self.targets.moments[position].error for position in fitted])
        return 1 / variance(errors, pilot[:, fitted], self.seeds)

    def at(self, values: Sequence[float], simulate_all: Simulate) -> Floats:
        """Moments at a point by seeds that the search has not seen, (seeds, moments)."""
        return self._sample(_end(values), values, self._first_seed + max(PILOT, self.seeds), simulate_all)

    def go_on(self, trials: int, weight: Floats, simulate_all: Simulate) -> None:
        """Add trials until there are so many."""
        while len(self.trials) < trials:
            first = len(self.trials) // BATCH * BATCH
            batch = self._proposed(first)[len(self.trials) - first : trials - first]
            seeds = range(self._first_seed, self._first_seed + self.seeds)
            samples = simulate_all([(self.targets.at(values), seed) for values in batch for seed in seeds])
            for values in batch:
                self._add(values, [next(samples) for _ in seeds], weight)

    @property
    def _start(self) -> list[float]:
        return [parameter.start for parameter in self.targets.parameters]

    @property
    def _first_seed(self) -> int:
        return self.targets.settings.run.seed

    @property
    def _fingerprint(self) -> str:
        """What the trials depend on: the market and this version, what moves and what is to be met."""
        moments = [(m.name, m.kind, m.arguments, m.value, m.error, m.fit) for m in self.targets.moments]
        parameters = [asdict(parameter) for parameter in self.targets.parameters]
        parts = [run_id(self.targets.settings), self.seeds, parameters, moments]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _sample(self, name: str, values: Sequence[float], seed: int, simulate_all: Simulate) -> Floats:
        """Moments at a point by seed, kept in the journal, (PILOT, moments)."""
        if name not in self.study.user_attrs:
            point = self.targets.at(values)
            samples = list(simulate_all([(point, seed + more) for more in range(PILOT)]))
            if faults := [sample.fault for sample in samples if sample.fault]:
                raise ResultsError(f"no moments at {' '.join(point)}: {faults[0]}")
            self.study.set_user_attr(name, [sample.moments for sample in samples])
        return np.array(self.study.user_attrs[name])

    def _proposed(self, first: int) -> list[list[float]]:
        """The batch that begins with trial `first`; the very first trial is the start."""
        import optuna

        drawn = Streams(self._first_seed, 0).at("calibration.sampler", step=first // BATCH).uniform(0, 1)[0]
        parameters = self.targets.parameters
        startup = 2 * BATCH if len(parameters) <= 4 else 4 * BATCH  # spread out before the search narrows down
        sampler = optuna.samplers.TPESampler(seed=int(drawn * 2**32), multivariate=True, n_startup_trials=startup)
        study = optuna.create_study(sampler=sampler)
        study.add_trials(self.trials[:first])
        if first == 0:
            study.enqueue_trial({p.name: value for p, value in zip(parameters, self._start, strict=True)})
        asked = [study.ask(self._space()) for _ in range(BATCH)]
        return [[trial.params[parameter.name] for parameter in parameters] for trial in asked]

    def _space(self) -> dict[str, "BaseDistribution"]:
        from optuna.distributions import FloatDistribution

        return {p.name: FloatDistribution(p.low, p.high, log=p.log) for p in self.targets.parameters}

    def _add(self, values: Sequence[float], samples: Sequence[Sample], weight: Floats) -> None:
        import optuna

        faults = [sample.fault for sample in samples if sample.fault]
        state = optuna.trial.TrialState.FAIL if faults else optuna.trial.TrialState.COMPLETE
        moments = [sample.moments for sample in samples]
        fitted = self.targets.fitted
        target = np.array([self.targets.moments[position].value for position in fitted])
        parameters = self.targets.parameters
        self.study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=None if faults else distance(np.array(moments)[:, fitted], target, weight),
                params={parameter.name: value for parameter, value in zip(parameters, values, strict=True)},
                distributions=self._space(),
                user_attrs={"fault": faults[0]} if faults else {"moments": moments},
            )
        )


def _end(values: Sequence[float]) -> str:
    """Under what name the journal keeps the fresh seeds of a point."""
    return f"end {json.dumps(list(values))}"


def _cut_torn_line(path: Path) -> None:
    """Cut what a process that was killed left of its last line."""
    if path.is_file():
        whole = path.read_bytes()
        if not whole.endswith(b"\n"):
            path.write_bytes(whole[: whole.rfind(b"\n") + 1])
