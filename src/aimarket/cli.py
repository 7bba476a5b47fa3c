"""The command line. Each command is a file of `aimarket.commands`, imported when it is called."""

import importlib
import os
import sys
from collections.abc import Sequence

from aimarket.complaints import ResultsError, SettingsError, fail

_USAGE = """usage: aimarket COMMAND ...

  run [-m] [override ...]      run a market, or with -m one for each point; `aimarket run --help` lists the settings;
                               with --retry-failed also the points that failed before
  resume PATH [run.threads=N]  finish what was interrupted, from checkpoints; PATH: a study, or those of one run
  status STUDY [--all]         what a study holds: done, running, failed, stale, to do; exit code 1 unless all is done
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
    *("run", "resume", "status", "figures", "report", "collect", "data"),
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
        importlib.import_module(f"aimarket.commands.{arguments[0]}").main(arguments[1:])
    except (SettingsError, ResultsError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; complete runs are kept, and of others what their last checkpoint holds", code=130)
    except BrokenPipeError:  # the reader, say `head`, has had enough; nothing more may be written, not even on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OSError, MemoryError) as error:  # of the machine: a name too long, a full disk
        fail(str(error) or "out of memory", code=1)
