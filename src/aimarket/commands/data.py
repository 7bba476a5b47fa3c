"""`aimarket data`: what a run starts from, and what it records."""

import sys

from aimarket.complaints import fail
from aimarket.options import Options


def main(arguments: list[str]) -> None:
    from datetime import date

    parser = Options("aimarket data", description="What a run starts from, and what it records.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("show", help="what a run starts from").add_argument("overrides", nargs="*")
    again = actions.add_parser("refresh", help="make the table of list prices again")
    again.add_argument("--as-of", type=date.fromisoformat, default=date.today(), help="YYYY-MM-DD")
    actions.add_parser("dictionary", help="every recorded column")
    options = parser.parse_args(arguments)
    if options.action == "dictionary":
        from aimarket import dictionary

        print(dictionary.markdown(), end="")
    elif options.action == "refresh":
        from aimarket.data import refresh

        try:
            print(refresh.refresh(options.as_of))
        except (ImportError, ValueError) as error:
            fail(str(error))
    else:
        _show(options.overrides)


def _show(overrides: list[str]) -> None:
    """Every offer and every documented number of a composed configuration."""
    from rich.console import Console

    from aimarket.configuration import documented, validate
    from aimarket.data import list_prices, show
    from aimarket.overrides import compose_plain

    config = compose_plain(overrides)
    settings = validate(config)
    table = list_prices()
    used = {offer.model for p in settings.providers.values() for offer in p.offers.values() if offer.model}
    console = Console(width=None if sys.stdout.isatty() else 220)
    for part in show.describe(documented(config), {key: table[key] for key in sorted(used)}):
        console.print(part)
