"""`aimarket check PATH`: whether what was recorded is what was written, and agrees with itself."""

import sys

from aimarket.options import Options

_WHAT = """Check a study, one run of it (STUDY/runs/RUN_ID.json) or its checkpoints (STUDY/.checkpoints, or a folder
in it): files by their hashes, tables by their columns and rows, and the accounting, reckoned anew from the tables
alone. Nothing is changed. Of many runs each that is not clean is told in a line; of one run, every fault."""


def main(arguments: list[str]) -> None:
    """Exits with 0 if all is complete and clean, 1 for a fault or a run that is not complete, 2 for a bad path."""
    parser = Options("aimarket check", description=_WHAT)
    parser.add_argument("path", help="a study (a folder, or the name of one in outputs/), a manifest, or checkpoints")
    parser.add_argument("--all", action="store_true", help="tell every fault of every run")
    options = parser.parse_args(arguments)
    from aimarket.audit.study import check

    report = check(options.path)
    every = options.all or len(report.runs) == 1
    for fault in report.faults:
        print(fault)
    for run in report.runs:
        if run.state == "not complete" and run.reason != "to do":
            print(f"run {run.run_id}: not complete ({run.reason})")
        elif every:
            for fault in run.faults:
                print(f"run {run.run_id}: {fault}")
        elif run.faults:
            print(f"run {run.run_id}: {len(run.faults)} faults; {run.faults[0]}")
    print(report.summary())
    if not report.clean:
        sys.exit(1)
