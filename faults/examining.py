"""A case from its first attempt to the comparison of its bytes with those of the plain run."""

import os
import random
import re
import shutil
import signal
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from aimarket.conditions import RUNS, condition
from aimarket.workspaces import CHECKPOINTS, PARTIAL
from faults.cases import AT_PHASES, AT_WRITES, Attempt, Case, at_moment, case
from faults.judging import Hashes, accepted, hashes, lies, unsaid
from faults.running import Ended, perform, warm

_MEMORY = Path("/dev/shm")  # a disk that is quick to sync
_TEN_YEARS = 10 * 365.25 * 86400  # in seconds
_ADVICE = re.compile(r"delete (\S+) (?:to begin|and run it again)")


class Quiet(NamedTuple):
    """What a study is if nothing happens, and how many moments of each kind its first attempt has."""

    plain: Hashes
    counts: dict[str, int]


@dataclass
class Examined:
    """What came of a case.

    wrong  : what should not be
    totals : cases, attempts and what befell them
    story  : all that happened
    """

    number: int
    wrong: list[str] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)


@cache
def _prepare() -> None:
    """Once in a process that is to examine cases."""
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning)
    warm()


def examine(number: int) -> Examined:
    """Run the case of a number."""
    return examine_case(case(number))


def examine_case(case: Case, quiet: Quiet | None = None) -> Examined:
    """Run a case in a folder of its own.

    quiet : what the same study is if nothing happens, where that is known
    """
    _prepare()
    examined = Examined(case.number, totals=Counter(cases=1))
    with _folder() as folder:
        try:
            Examination(case, Path(folder), examined).go(quiet)
        except Exception as error:
            examined.wrong.append(f"{type(error).__name__}: {error}")
    return examined


def examine_moments(fault: str, only: int | None = None) -> Iterator[Examined]:
    """The same small run once for each of its moments, or for one of them, struck there."""
    _prepare()
    kinds = [kind for kind, faults in (("phase", AT_PHASES), ("write", AT_WRITES)) if fault in faults]
    examined = Examined(0)
    with _folder() as folder:
        quiet = Examination(at_moment(fault, "write", 0, 0), Path(folder), examined).in_peace()
    assert not examined.wrong, examined.wrong
    places = [(kind, number) for kind in kinds for number in range(quiet.counts[kind])]
    for n, (kind, number) in enumerate(places):
        if only in (None, n):
            yield examine_case(replace(at_moment(fault, kind, number, quiet.counts[kind]), number=n), quiet)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)


class Examination:
    """One case, in a folder for the plain run and another for the one that is interrupted."""

    def __init__(self, case: Case, folder: Path, examined: Examined) -> None:
        self._case, self._folder, self._examined = case, folder, examined
        self._study = folder / "here" / "outputs" / "study"
        self._draws = random.Random(f"damage {case.number}")
        self._damaged = False

    def go(self, quiet: Quiet | None = None) -> None:
        """The study in peace, unless that is known; then the attempts, and the comparison."""
        plain, counts = quiet or self.in_peace()
        (self._folder / "here" / "outputs").mkdir(parents=True)
        for attempt in self._case.attempts:
            self._attempt(attempt, plain, counts)
        self._finish(plain)

    def in_peace(self) -> Quiet:
        """By one thread and without checkpoints, and by the hands of the first attempt: the bytes are the same."""
        plain, _ = self._performed("plain", replace(self._case.attempts[-1], threads=1, shards=0, every=0, lost=0))
        first = self._case.attempts[0]
        kept, counts = self._performed("kept", replace(first, strikes=(), file_limit=0, lost=0))
        if kept != plain or not plain:
            self._examined.wrong.append("other bytes without any mishap")
        return Quiet(plain, counts)

    def _performed(self, name: str, attempt: Attempt) -> tuple[Hashes, dict[str, int]]:
        place = self._folder / name
        (place / "outputs").mkdir(parents=True)
        ended = perform(self._case, attempt, place, {})
        if ended.code != 0:
            self._examined.wrong.append(f"{name}: exit code {ended.code}: {ended.said[1].strip()}")
        return hashes(place / "outputs" / "study"), ended.counts

    def _attempt(self, attempt: Attempt, plain: Hashes, counts: dict[str, int]) -> None:
        here = self._folder / "here"

        def meanwhile() -> None:
            rival = replace(attempt, strikes=(), file_limit=0, command="run", threads=1 + attempt.threads % 4)
            self._judge("rival", rival, perform(self._case, rival, here, {}), plain)

        ended = perform(self._case, attempt, here, counts, meanwhile)
        if (cut := here / "cut").is_dir():
            shutil.rmtree(here / "outputs")
            cut.rename(here / "outputs")
        self._judge("attempt", attempt, ended, plain)
        if attempt.damage:
            self._harm(attempt.damage)

    def _judge(self, who: str, attempt: Attempt, ended: Ended, plain: Hashes) -> None:
        self._examined.totals.update(["attempts", *ended.struck])
        self._examined.totals["torn"] += ended.code == -signal.SIGXFSZ
        self._examined.totals["file too large"] += bool(attempt.file_limit and "File too large" in ended.said[1])
        told = " | ".join(line for line in ended.said[1].splitlines() if line.startswith("aimarket"))
        struck = ", ".join(ended.struck) or "nothing"
        self._examined.story.append(f"{who}: {attempt}: {struck} struck, exit code {ended.code}: {told}")
        wrong = unsaid(attempt, ended, self._damaged) + lies(self._study, plain, self._damaged)
        if wrong:
            self._examined.story.append("".join(ended.said))
            self._examined.wrong += [one for one in wrong if one not in self._examined.wrong]

    def _finish(self, plain: Hashes) -> None:
        """Do as one is told until the study is complete; then it is the plain one, and nothing else is left."""
        last = self._case.attempts[-1]
        for _ in range(2 + 2 * self._case.points):
            if self._settled():
                break
            ended = perform(self._case, replace(last, lost=0), self._folder / "here", {})
            self._judge("finish", last, ended, plain)
            for found in _ADVICE.findall(ended.said[1]):
                told = self._folder / "here" / found
                if told.is_dir():
                    shutil.rmtree(told)
                else:
                    told.unlink(missing_ok=True)
            if ended.code == 0:
                self._delete_unreadable()
        if not self._settled():
            self._examined.wrong.append("the study is never complete")
        if hashes(self._study) != plain:
            self._examined.wrong.append("other bytes")
        for place in (PARTIAL, CHECKPOINTS):
            if left := sorted(path.name for path in (self._study / place).glob("*")):
                self._examined.wrong.append(f"left in {place}: {left}")

    def _settled(self) -> bool:
        runs = [path.stem for path in (self._study / RUNS).glob("*.json")]
        left = [*self._study.glob(f"{PARTIAL}/*"), *self._study.glob(f"{CHECKPOINTS}/*")]
        return len(runs) == self._case.points and not left and all(accepted(self._study, run) for run in runs)

    def _delete_unreadable(self) -> None:
        """What the reader says of a file that was changed; a sweep, which reads none, is content with its size."""
        for path in (self._study / RUNS).glob("*.json"):
            if condition(self._study, path.stem).state == "done" and not accepted(self._study, path.stem):
                path.unlink()

    def _harm(self, how: str) -> None:
        """Change a file of the study by hand, or the times of all."""
        files = sorted(path for path in self._study.rglob("*") if path.is_file())
        if how == "clocks":
            for path in files:
                when = path.stat().st_mtime + self._draws.uniform(-_TEN_YEARS, _TEN_YEARS)
                os.utime(path, (when, when))
        elif files:
            self._damaged = True
            path = self._draws.choice(files)
            good = path.read_bytes()
            at = self._draws.randrange(len(good) + 1)
            match how:
                case "gone":
                    path.unlink()
                case "flipped" if at < len(good) and path.suffix != ".json":
                    path.write_bytes(good[:at] + bytes([good[at] ^ self._draws.randrange(1, 256)]) + good[at + 1 :])
                case "emptied":
                    path.write_bytes(b"")
                case _:
                    path.write_bytes(good[:at])
            self._examined.story.append(f"{how}: {path.relative_to(self._study)}")
        self._examined.totals[f"files {how}"] += 1
