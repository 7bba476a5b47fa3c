"""`aimarket report STUDY`: a study as one page to read, print and send."""

from pathlib import Path

from aimarket.options import Options


def main(arguments: list[str]) -> None:
    parser = Options("aimarket report", description="Write the report of a study: one file of HTML.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    parser.add_argument("--to", type=Path, help="file to write; default: report.html in the study")
    options = parser.parse_args(arguments)
    from aimarket.report.page import write_report
    from aimarket.results import open_results

    results = open_results(options.study)
    print(write_report(results, options.to or results.folder / "report.html"))
