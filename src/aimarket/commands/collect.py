"""`aimarket collect STUDY`: many runs in one file a table."""

from aimarket.options import Options


def main(arguments: list[str]) -> None:
    parser = Options("aimarket collect", description="Gather a study into one file a table.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    study = parser.parse_args(arguments).study
    from aimarket.results import collect

    for path in collect(study):
        print(path)
