"""`aimarket claims`: the registered claims put to the test."""

from pathlib import Path

from aimarket.complaints import SettingsError
from aimarket.options import Options


def main(arguments: list[str]) -> None:
    parser = Options("aimarket claims", description="Put claims to the test and print the verdicts.")
    parser.add_argument("names", nargs="*", metavar="NAME|FILE|override", help="claims; default: all registered")
    parser.add_argument("--quick", action="store_true", help="few and small runs: the machinery, no evidence")
    parser.add_argument("--processes", type=int, default=0, help="that run at once; default: one a core")
    parser.add_argument("--outputs", default="outputs", help="folder for results; default: outputs")
    parser.add_argument(
        "--readme", type=Path, metavar="FOLDER", help="also bring the READMEs of studies in FOLDER up to date"
    )
    parser.add_argument(
        "--pair", type=int, metavar="SEED", help="one pair of runs of one claim, such as a counter-example"
    )
    parser.add_argument("--cell", default="", metavar="NAME", help="with --pair: in this cell of the claim")
    options = parser.parse_intermixed_args(arguments)
    from rich.console import Console

    from aimarket.claims import readme, testing, wording
    from aimarket.claims.registration import load_claim, registered

    overrides = [word for word in options.names if "=" in word]
    names = [word for word in options.names if "=" not in word] or registered()
    if options.processes < 0:
        raise SettingsError(f"--processes: should be 0 or more (got {options.processes})")
    claims = [load_claim(name) for name in names]
    if options.cell and options.pair is None:
        raise SettingsError("--cell: should come with --pair")
    if options.pair is not None:
        if len(claims) != 1 or options.quick or options.readme:
            raise SettingsError("--pair: should come with one claim, and without --quick and --readme")
        (claim,) = claims
        pair = testing.one_pair(claim, options.pair, options.cell, options.processes, options.outputs, overrides)
        Console().print(wording.pair_table(claim, pair))
        return
    results = testing.put_to_test(claims, options.quick, options.processes, options.outputs, overrides)
    screen = Console()
    screen.print(wording.verdict_table(results, options.quick))
    for result in results:
        print(wording.details(result, screen.width), end="\n\n")
    for path in testing.write(claims, results, Path(options.outputs), overrides):
        print(path)
    if options.readme:
        for path in readme.bring_up_to_date(options.readme, claims, results):
            print(path)
