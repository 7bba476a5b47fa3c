"""`aimarket figures STUDY`: the figures of a study."""

from pathlib import Path

from aimarket.options import Options


def main(arguments: list[str]) -> None:
    parser = Options("aimarket figures", description="Draw the figures of a study, SVG and PNG.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    parser.add_argument("--to", type=Path, help="folder for the figures; default: figures/ in the study")
    options = parser.parse_args(arguments)
    from aimarket.report.kinds import draw_study
    from aimarket.report.page import study_of
    from aimarket.results import open_results

    results = open_results(options.study)
    for path in draw_study(study_of(results), options.to or results.folder / "figures"):
        print(path)
