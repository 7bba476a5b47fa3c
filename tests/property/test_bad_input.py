"""Whatever it is told, the command line answers in one line, runs nothing it was not asked to and stays in its folder.

benchmarks/bad_input.py tries as many cases as one likes.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from bad_input import EXPERIMENT, FAMILIES, PAYLOADS, experiment, tried
from fuzzing import Box
from lab_requests import asked

FEW = {"overrides": 60, "shown": 6, "sweeps": 4, "commands": 25, "experiments": 8}
FEW |= {"targets": 25, "claims": 40, "offers": 60, "results": 20}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_nobody_meant_is_told_in_one_line(family: str, tmp_path: Path) -> None:
    """No traceback, no wait, nothing run, nothing read that was not given, nothing written elsewhere."""
    wrong = {case: faults for case in range(FEW[family]) if (faults := tried(family, case, tmp_path))}
    assert wrong == {}


def test_requests_that_nobody_meant_are_refused() -> None:
    assert {case: faults for case, faults in asked(range(150)) if faults} == {}


REACHING = [
    text
    for text in PAYLOADS
    if not text.startswith("design")
    and any(word in text for word in ("!!python", "${", "ydra", "../", "//", "outputs", "&"))
]


@pytest.mark.parametrize("more", [[], ["--cfg", "hydra"]], ids=["alone", "by Hydra"])
@pytest.mark.parametrize("part", range(4))
def test_an_experiment_is_only_data(part: int, more: list[str], tmp_path: Path) -> None:
    """It runs no code, reads no other file or variable, writes nowhere else, and does not grow when it is read."""
    assert len(REACHING) > 20
    for number, payload in enumerate(REACHING[part::4]):
        box = Box(tmp_path / str(number))
        before = box.outside()
        body = "\n".join(line for line in EXPERIMENT.splitlines() if line.split(":")[0] not in payload) + "\n"
        answer = experiment(
            box, f"# @package _global_\n{payload}\n" if "defaults" in payload else body + payload, *more
        )
        assert (answer.code, answer.faults()) == (2, []), (payload, answer)
        changed = {path for path, size in box.outside().items() if before.get(path) != size}
        assert not {path for path in changed if not path.startswith(f"{box.root}/conf")}, payload


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "study='${oc.env:HOME}'"],
        ["run", "users.size=" + "9" * 5000],
        ["run", "--experimental-rerun=x.pickle"],
        ["run", "hydra.callbacks.x._target_=os.system", "--cfg", "job"],
        ["resume", "../../\udcff"],
        ["status", "a\nb\x1b[31m"],
        ["calibrate", "--trials", "x"],
    ],
)
def test_so_does_the_command_itself(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aimarket", *arguments], cwd=tmp_path, capture_output=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (2, b""), done.stderr
    assert done.stderr.startswith(b"aimarket: ")
    assert done.stderr.count(b"\n") == 1
    assert b"\x1b" not in done.stderr
    assert list(tmp_path.iterdir()) == []
