"""Whether what a study holds, and what was said of it, is true."""

import hashlib
import json
import re
import signal
from pathlib import Path

from aimarket.complaints import ResultsError
from aimarket.conditions import RUNS, condition
from aimarket.manifests import checked, opened
from aimarket.schema import TABLES
from faults.cases import Attempt
from faults.running import Ended

_LINE = re.compile(r"aimarket: \S|study: \d+ of \d+ ")  # what may stand on stderr: messages and progress
_DEATHS = {"kill": signal.SIGKILL, "power": signal.SIGKILL}
_REFUSALS = {"memory", "full", "read-only", "broken"}

Hashes = dict[str, str]  # SHA-256 of tables, by their paths in the study


def hashes(study: Path) -> Hashes:
    """Of every table that stands where results do."""
    files = (path for table in TABLES for path in (study / table).glob("*.parquet"))
    return {str(path.relative_to(study)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def accepted(study: Path, run_id: str) -> bool:
    """Whether a run passes for complete with all who ask: the sweep by its sizes, the reader to the byte."""
    if condition(study, run_id).state != "done":
        return False
    try:
        manifest = checked(study, json.loads((study / RUNS / f"{run_id}.json").read_text(encoding="utf-8")))
        for table in TABLES:
            opened(study, manifest, table)
    except (ResultsError, OSError, ValueError):
        return False
    return True


def lies(study: Path, expected: Hashes, damaged: bool) -> list[str]:
    """What a study says that is not so: a run that passes for complete and is not, or is not what it should be.

    damaged : files were changed by hand since they were written, which only reading them finds
    """
    found, ids = hashes(study), {Path(path).stem for path in expected}
    wrong = []
    for run_id in sorted(path.stem for path in (study / RUNS).glob("*.json")):
        state, reason = condition(study, run_id)
        mine = {path: digest for path, digest in expected.items() if Path(path).stem == run_id}
        if run_id not in ids:
            wrong.append(f"run {run_id} is none of this study")
        elif accepted(study, run_id):
            if {path: found.get(path) for path in mine} != mine:
                wrong.append(f"run {run_id} passes for complete with other bytes")
        elif state == "done" and not damaged:
            wrong.append(f"run {run_id} is said to be done, and cannot be read")
        elif state == "stale" and not damaged:
            wrong.append(f"the manifest of run {run_id} came before what it describes, or is torn: {reason}")
    return wrong


def unsaid(attempt: Attempt, ended: Ended, damaged: bool) -> list[str]:
    """What is wrong with how a command ended, and with what it told the user."""
    out, err = ended.said
    wrong = []
    if "Traceback" in out + err or "Exception ignored" in err:
        wrong.append("a traceback")
    elif strange := [line for line in err.splitlines() if not _LINE.match(line)]:
        wrong.append(f"on stderr: {strange[0]}")
    struck = set(ended.struck)
    allowed = {0}
    if attempt.torn:
        allowed.add(-signal.SIGXFSZ)
    if struck & _REFUSALS or attempt.file_limit or damaged:
        allowed |= {1, 2}
    if attempt.command == "resume" and "no checkpoint to go on from" in err:
        allowed.add(2)
    if "interrupt" in struck:
        allowed = {130}
        if not (struck & _DEATHS.keys() or re.search(r"^aimarket: interrupted; .*", err, re.MULTILINE)):
            wrong.append("an interrupt that is not told")
    allowed |= {-_DEATHS[fault] for fault in struck & _DEATHS.keys()}
    if ended.code not in allowed:
        wrong.append(f"exit code {ended.code}")
    if ended.code in (1, 2) and "aimarket: " not in err:
        wrong.append(f"exit code {ended.code} and not a word")
    return wrong
