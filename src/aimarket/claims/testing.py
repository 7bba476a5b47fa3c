"""From claims to results: plan all runs, run what is missing, look for counter-examples, run those, judge."""

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path

from aimarket.claims.evaluation import Result, evaluate, judged, to_json, worst
from aimarket.claims.libraries import library
from aimarket.claims.registration import QUICK, QUICK_OVERRIDES, Claim, family, sizes_of
from aimarket.claims.trials import BOX, Measured, Pair, Trials, measure, pair_study
from aimarket.claims.wording import answer
from aimarket.complaints import ResultsError, SettingsError, near
from aimarket.report.provenance import STATED
from aimarket.results import open_results
from aimarket.sweep import Point, run_points
from aimarket.workspaces import write_json

Points = dict[tuple[str, ...], Point]


def study_name(claim: str, quick: bool) -> str:
    """Name of the study that holds a claim's runs."""
    return f"claims-{claim}-quick" if quick else f"claims-{claim}"


def put_to_test(
    claims: Sequence[Claim], quick: bool, processes: int, outputs: str, overrides: Sequence[str] = ()
) -> list[Result]:
    """Put claims to the test; runs that are complete already are not run again.

    quick     : few and small runs, to see that everything works; the verdicts mean nothing
    overrides : of every run

    raises    : SettingsError before anything runs if one of the runs is not possible
    """
    library("SALib")  # rather now than after an hour of runs
    library("statsmodels")
    extra = [*(QUICK_OVERRIDES if quick else ()), *overrides]
    trials = [
        Trials(claim, QUICK if quick else sizes_of(claim), study_name(claim.name, quick), outputs, extra)
        for claim in claims
    ]
    pairs = [list(each.pairs()) for each in trials]
    points = [each.points(its) for each, its in zip(trials, pairs, strict=True)]
    _run(points, processes, "claims")
    places = []
    for each, its, planned in zip(trials, pairs, points, strict=True):
        candidates = worst(each, measure(each, its, planned))
        where = candidates[0][0]
        cell = None if where == BOX else each.claim.cells[where]
        fresh = [pair for _, place in candidates for pair in each.confirmations(cell, place)]
        places.append(where)
        its += fresh
        planned.update(each.points(fresh))
    _run(points, processes, "counter-examples")
    results = [_result(*of_claim, quick) for of_claim in zip(trials, pairs, points, places, strict=True)]
    return judged(results, family([claim.name for claim in claims]))


def one_pair(
    claim: Claim, seed: int, cell: str, processes: int, outputs: str, overrides: Sequence[str] = ()
) -> Measured:
    """Treatment and control at one seed, as for a counter-example.

    cell      : name of a cell, or empty for the claim as registered
    overrides : of both arms, as they come before what the claim says of either

    raises    : SettingsError if there is no such cell or a run is not possible, ResultsError if one fails
    """
    if cell and cell not in claim.cells:
        raise SettingsError(f"--cell: {claim.name} has no cell {cell}{near(cell, list(claim.cells))}")
    trials = Trials(claim, sizes_of(claim), pair_study(claim), outputs, overrides)
    pairs = [trials.pair(seed, claim.cells.get(cell), {})]
    points = trials.points(pairs)
    failed = run_points(list(points.values()), processes, retry_failed=True, title=claim.name).failed
    if failed:
        raise ResultsError("; ".join(failed))
    return measure(trials, pairs, points)


def _run(points: Sequence[Points], processes: int, title: str) -> None:
    once = {  # other words may mean the same run
        (point.settings.study, point.run_id): point for of_claim in points for point in of_claim.values()
    }
    run_points(list(once.values()), processes, title=title)


def _result(trials: Trials, pairs: list[Pair], points: Points, where: str, quick: bool) -> Result:
    measured: Measured = measure(trials, pairs, points)
    wanted = {point.run_id for point in points.values()}
    runs = open_results(trials.folder).runs
    runs = runs[runs["run_id"].isin(wanted)]
    return evaluate(
        trials,
        measured,
        where,
        quick,
        failed=len(wanted) - len(runs),
        runs=len(wanted),
        seconds=float(runs["seconds"].sum()),
    )


def write(claims: Sequence[Claim], results: Sequence[Result], outputs: Path, overrides: Sequence[str]) -> list[Path]:
    """Write each result as JSON into its study, what the study's report says of it, and the verdicts as one CSV.

    overrides : that every run had
    returns   : the paths of results and verdicts
    """
    paths, quick = [], any(result.quick for result in results)
    for claim, result in zip(claims, results, strict=True):
        folder = outputs / study_name(result.name, quick)
        command = ["aimarket", "claims", claim.called, *["--quick"] * quick, "--outputs", str(outputs), *overrides]
        stated = {"question": claim.question, "prediction": claim.prediction, "answer": answer(result)}
        write_json(folder, STATED, stated | {"command": shlex.join(command)})
        paths.append(folder / "result.json")
        paths[-1].write_text(to_json(result), encoding="utf-8")
    table = outputs / ("claims-quick.csv" if quick else "claims.csv")
    table.write_text(_csv(results), encoding="utf-8")
    return [*paths, table]


def _csv(results: Sequence[Result]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        [
            "claim",
            "statistic",
            "smallest",
            "effect",
            "low",
            "high",
            "pairs",
            "p",
            "verdict",
            "box",
            "box_low",
            "box_high",
        ]
    )
    for result in results:
        effect, box = result.comparisons[result.statistic].effect, result.box_share
        numbers = (effect.mean, effect.low, effect.high, effect.count, result.p_holds_corrected)
        share = (result.verdict, box.mean, box.low, box.high)
        rows.writerow([result.name, result.statistic, result.sign * result.smallest, *numbers, *share])
    return text.getvalue()
