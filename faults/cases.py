"""What a number stands for: a market, the points of a study, and all that befalls it until it is left in peace."""

import random
from dataclasses import dataclass
from typing import Any

from compositions import composed
from drawing import drawn_market

MOST_STEPS = 5
SMALLEST_CHUNK = 25  # users: markets of a hundred have several chunks, for several threads and shards
PARTS = (600, 600, 3, 2)  # steps of a part of the recording

# What can happen, and at moments of which kind. `full`, `read-only` and `broken` last from then on.
AT_PHASES = ("kill", "kill", "interrupt", "memory", "rival")
AT_WRITES = ("kill", "kill", "power", "power", "interrupt", "full", "read-only", "broken", "rival")
DAMAGE = ("cut short", "flipped", "emptied", "gone", "clocks")


@dataclass(frozen=True)
class Strike:
    """Something that happens at a moment of a run.

    kind  : of the moment, "phase" or "write"
    share : of the moments of that kind that come before it, in [0, 1)
    """

    fault: str
    kind: str
    share: float


@dataclass(frozen=True)
class Attempt:
    """A command that is given to finish the study, by whose hands, and what befalls it.

    every      : `run.checkpoint_every`
    lost       : the call to a shard's worker that one dies over; 0: none
    file_limit : bytes no file may exceed; 0: as large as it likes
    torn       : what meets the limit dies, and is not only told
    damage     : done to the study afterwards
    """

    command: str = "run"
    threads: int = 1
    shards: int = 0
    every: int = 0
    lost: int = 0
    strikes: tuple[Strike, ...] = ()
    file_limit: int = 0
    torn: bool = False
    damage: str = ""


@dataclass(frozen=True)
class Case:
    """A study and the attempts to finish it; the last one is left in peace."""

    number: int
    config: dict[str, Any]
    points: int
    part: int
    attempts: tuple[Attempt, ...]

    def overrides(self, attempt: Attempt) -> list[str]:
        """What is said on the command line of who does the work."""
        who = {"threads": attempt.threads, "shards": attempt.shards, "checkpoint_every": attempt.every, "processes": 1}
        if attempt.shards:
            who["shard_checkpoint_every"] = attempt.every  # of the shards' own
        return [f"run.{name}={value}" for name, value in who.items()]

    def seeds(self) -> list[str]:
        """The seed of each point, as an override."""
        first = self.config["run"]["seed"]
        return [f"run.seed={(first + point) % 2**63}" for point in range(self.points)]

    def command(self, attempt: Attempt) -> list[str]:
        """The arguments of `aimarket`."""
        if attempt.command == "resume":
            return ["resume", "study", *self.overrides(attempt)]
        if self.points == 1:
            return ["run", *self.seeds(), *self.overrides(attempt)]
        swept = f"run.seed={','.join(seed.removeprefix('run.seed=') for seed in self.seeds())}"
        return ["run", "-m", "--retry-failed", swept, *self.overrides(attempt)]


def case(number: int) -> Case:
    """The case of a number, the same anywhere."""
    draws = random.Random(f"fault {number}")
    config = drawn_market(number)
    config |= {"outputs": "outputs", "study": "study"}
    config["users"]["size"] = min(config["users"]["size"], 4 * SMALLEST_CHUNK)
    config["run"] |= {"panel": 40, "steps": draws.randint(2, MOST_STEPS), "replications": draws.choice([1, 1, 1, 2])}
    points = draws.choice([1, 1, 1, 2, 3])
    later = [_attempt(draws, ["run", "run", "resume"]) for _ in range(draws.choice([0, 1, 1, 2, 2]))]
    attempts = (_attempt(draws, ["run"]), *later, _who(draws, "run"))
    return Case(number, config, points, draws.choice(PARTS), attempts)


def at_moment(fault: str, kind: str, number: int, of: int) -> Case:
    """One small run that something befalls at a certain moment, counted from 0, of so many of its kind."""
    config = composed("roster=duopoly") | {"outputs": "outputs", "study": "study"}
    config["users"]["size"] = 2 * SMALLEST_CHUNK
    config["run"] |= {"panel": 40, "steps": 3}
    struck = Attempt(every=2, strikes=(Strike(fault, kind, (number + 0.5) / max(of, 1)),))
    return Case(number, config, 1, 2, (struck, Attempt(every=2)))


def _who(draws: random.Random, command: str) -> Attempt:
    shards = draws.choice([0, 0, 1, 2, 3])
    lost = draws.choice([0, draws.randint(1, 40)]) if shards else 0
    return Attempt(command, draws.randint(1, 4), shards, draws.choice([0, 1, 1, 2, 3]), lost)


def _attempt(draws: random.Random, commands: list[str]) -> Attempt:
    made = vars(_who(draws, draws.choice(commands)))
    if draws.random() < 0.15:
        made |= {"file_limit": int(10 ** draws.uniform(1, 5.5)), "torn": draws.choice([False, True])}
    else:
        made["strikes"] = tuple(_strike(draws) for _ in range(draws.choice([1, 1, 1, 2])))
    if draws.random() < 0.15:
        made["damage"] = draws.choice(DAMAGE)
    return Attempt(**made)


def _strike(draws: random.Random) -> Strike:
    kind = draws.choice(["phase", "write", "write"])
    return Strike(draws.choice(AT_PHASES if kind == "phase" else AT_WRITES), kind, draws.random())
