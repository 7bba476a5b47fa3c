"""The command line. Each command is a file of `aimarket.commands`, imported when it is called."""

import atexit
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from aimarket.complaints import ResultsError, SettingsError, fail, one_line, say
from aimarket.interrupts import heard_everywhere

_USAGE = """usage: aimarket COMMAND ...

  run [-m] [override ...]      run a market, or with -m one for each point; `aimarket run --help` lists the settings;
                               with --retry-failed also the points that failed before
  resume PATH [run.threads=N]  finish what was interrupted, from checkpoints; PATH: a study, or those of one run
  status STUDY [--all]         what a study holds: done, running, failed, stale, to do; exit code 1 unless all is done
  check PATH [--all]           whether what a study holds is what was written and agrees with itself; exit code 1 if not
  figures STUDY [--to FOLDER]  draw the figures of a study, SVG and PNG
  report STUDY [--to FILE]     write the report of a study: one file of HTML with findings, figures and tables
  collect STUDY                gather a study of many runs into one file a table
  data show [override ...]     what a run starts from and where each number comes from
  data refresh [--as-of DATE]  make the table of list prices again from the genai-prices package
  data dictionary              print every recorded column with its unit and meaning
  calibrate [TARGETS] [override ...]  fit parameters to target moments; --help lists the options
  validate [SECTION ...]       known answers from theory against simulated ones; exit code 1 if one fails
  claims [NAME ...]            the six claims put to the test, with verdicts; --quick shows how in minutes
  collusion [key=value ...]    do learning algorithms agree on prices? `aimarket collusion --help` lists the keys
  lab [--port N] [--lan] [--no-browser]  Market Lab, a page for a class: guess, run, compare, argue

STUDY is a folder, or the name of one in outputs/."""
_COMMANDS = (
    *("run", "resume", "status", "check", "figures", "report", "collect", "data"),
    *("calibrate", "validate", "claims", "collusion", "lab"),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exits with 0, 1 for a run that failed, 2 for bad input, 130 if interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        sys.exit(0 if arguments else 2)
    if arguments[0] not in _COMMANDS:
        fail(f"{arguments[0]}: no such command; allowed: {', '.join(_COMMANDS)}")
    try:
        with heard_everywhere():
            importlib.import_module(f"aimarket.commands.{arguments[0]}").main(arguments[1:])
    except (SettingsError, ResultsError) as error:
        fail(str(error))
    except KeyboardInterrupt as interrupt:
        _stop(str(interrupt) or "complete runs are kept, and of others what their last checkpoint holds")
    except BrokenPipeError:  # the reader, say `head`, has had enough; nothing more may be written, not even on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OSError, MemoryError) as error:  # of the machine: a full disk, no right to write, a name too long
        fail(one_line(str(error)) or "out of memory", code=1)


def _stop(kept: str) -> NoReturn:
    """End an interrupted process without taking it down piece by piece.

    What an interrupt left half made would complain, and where it came while a text was executed as code, as dataclasses
    do, the interpreter would not end with this exit code but with the signal.
    """
    say(f"interrupted; {kept}")
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(130)
