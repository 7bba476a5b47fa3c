"""`aimarket figures STUDY`: the figures of a study."""

import argparse
from pathlib import Path

from aimarket.complaints import ResultsError


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("aimarket figures", description="Draw the figures of a study, SVG and PNG.")
    parser.add_argument("study", help="a folder, or the name of one in outputs/")
    parser.add_argument("--to", type=Path, help="folder for the figures; default: figures/ in the study")
    options = parser.parse_args(arguments)
    from aimarket.report import figures
    from aimarket.results import open_results

    results = open_results(options.study)
    if results.market.empty or results.providers.empty:
        raise ResultsError(f"{results.folder}: the tables market and providers were not recorded (record.tables)")
    for path in figures.draw_figures(results.market, results.providers, options.to or results.folder / "figures"):
        print(path)
