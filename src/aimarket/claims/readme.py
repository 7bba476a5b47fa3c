"""Results in words and tables: the verdicts on the screen, the answer in a README."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from aimarket.claims.evaluation import Comparison, Result, from_json, to_json
from aimarket.claims.inference import Estimate, share
from aimarket.claims.registration import Claim
from aimarket.claims.statistics import STATISTICS
from aimarket.complaints import ResultsError

BEGIN, END = "<!-- made by `aimarket claims`: begin -->", "<!-- made by `aimarket claims`: end -->"


def number(value: float) -> str:
    """Three significant digits, with a proper minus; a dash for what does not exist."""
    if np.isnan(value):
        return "–"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−")


def interval(estimate: Estimate) -> str:
    """A mean with its 95 % interval."""
    return f"{number(estimate.mean)} [{number(estimate.low)}, {number(estimate.high)}]"


def percent(estimate: Estimate) -> str:
    """A share with its 95 % interval, per cent."""
    return f"{100 * estimate.mean:.0f} % [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def verdict_table(results: Sequence[Result], quick: bool) -> Table:
    """The verdicts as they are printed."""
    title = "Claims (quick: this tests the machinery, not the claims)" if quick else "Claims"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("claim", "effect [95 %]", "needed", "Holm p", "box share", "verdict"):
        table.add_column(column, no_wrap=True)
    for result in results:
        table.add_row(
            result.name,
            interval(result.comparisons[result.statistic].effect),
            f"{'≥' if result.sign > 0 else '≤'} {number(result.sign * result.smallest)}",
            _p(result.p_holds_corrected).removeprefix("= "),
            percent(result.box_share),
            result.verdict,
        )
    return table


def details(result: Result) -> str:
    """What is printed below the verdicts: what moves the effect, and where the claim does worst."""
    axes = [f"{i.axis} ({number(i.mu_star)} ± {number(i.half_width)})" for i in result.influences[:3]]
    found = result.counter_example
    fresh = ", ".join(map(number, found.effects))
    known = "counter-example" if found.confirmed else "no sure counter-example; worst place"
    lines = [
        f"{result.name}: {STATISTICS[result.statistic].meaning} ({STATISTICS[result.statistic].unit})",
        f"  moved most by {', '.join(axes) or 'nothing that could be told'}",
        f"  {known} ({found.where}): {number(found.effect)}; fresh seeds {fresh}",
        *(f"    {command}" for command in found.commands),
    ]
    if result.failed:
        lines.append(f"  {result.failed} of {result.runs} runs failed; `aimarket status` tells why")
    return "\n".join(lines)


def bring_up_to_date(folder: Path, claims: Sequence[Claim], results: Sequence[Result]) -> list[Path]:
    """Put results into the studies of a folder: `NAME/result.json`, `NAME/figure.svg`, the marked part of each README.

    The README of the folder itself gets the verdicts of all results that lie in it.

    raises : ResultsError if a README has no marked part
    """
    from aimarket.claims.figure import draw

    paths = []
    for claim, result in zip(claims, results, strict=True):
        paths.append(_replace(folder / claim.name / "README.md", answer(claim, result)))
        (folder / claim.name / "result.json").write_text(to_json(result), encoding="utf-8")
        draw(claim, result, folder / claim.name / "figure.svg")
    paths.append(_replace(folder / "README.md", verdicts(stored(folder))))
    return paths


def stored(folder: Path) -> list[Result]:
    """The results that lie in the studies of a folder."""
    return [from_json(path) for path in sorted(folder.glob("*/result.json"))]


def marked(path: Path) -> tuple[str, str, str]:
    """A README before, between and after the marks.

    raises : ResultsError if there are none
    """
    try:
        before, rest = path.read_text(encoding="utf-8").split(f"{BEGIN}\n")
        between, after = rest.split(END)
    except (OSError, ValueError):
        raise ResultsError(f"{path} has no part between {BEGIN} and {END}") from None
    return before, between, after


def _replace(path: Path, made: str) -> Path:
    before, _, after = marked(path)
    path.write_text(f"{before}{BEGIN}\n{made}{END}{after}", encoding="utf-8")
    return path


def verdicts(results: Sequence[Result]) -> str:
    """The table of verdicts for a README."""
    head = (
        "| claim | verdict | effect | needed | Holm p | holds in the box | moved most by |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = [
        f"| [{result.title}]({result.name}/README.md) | {result.verdict}{' (quick)' if result.quick else ''} | "
        f"{interval(result.comparisons[result.statistic].effect)} {STATISTICS[result.statistic].plain_unit}| "
        f"{number(result.sign * result.smallest)} | {_p(result.p_holds_corrected).removeprefix('= ')} | "
        f"{percent(result.box_share)} | {', '.join(f'`{i.axis}`' for i in result.influences[:1])} |"
        for result in results
    ]
    return "\n".join([head, *rows]) + "\n"


def answer(claim: Claim, result: Result) -> str:
    """The generated part of a README."""
    parts = [
        f"**Question.** {claim.question}",
        f"**Prediction, written before.** {claim.prediction}",
        _verdict(result),
        _statistics(result),
        _cells(result),
        _others(result),
        _box(result),
        _counter_example(result),
        _registered(claim),
    ]
    if result.quick:
        parts.insert(0, "**Quick run: this tests the machinery, not the claim.**")
    return "\n\n".join(parts) + "\n"


def _verdict(result: Result) -> str:
    effect = result.comparisons[result.statistic].effect
    statistic = STATISTICS[result.statistic]
    return (
        f"**Verdict: {result.verdict}.** {statistic.meaning}, treatment less control: {interval(effect)} "
        f"{statistic.plain_unit}over {effect.count} paired seeds; {number(result.sign * result.smallest)} was the "
        f"smallest effect of interest. One-sided tests, Holm-corrected: it is reached "
        f"(p {_p(result.p_holds_corrected)}), it is missed (p {_p(result.p_fails_corrected)}). "
        f"The claim holds in {percent(result.box_share)} of the box "
        f"({result.box_share.count} points).\n\n"
        f"![Effects in all cells, and over the box](figure.svg)"
    )


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.3f}"


def _statistics(result: Result) -> str:
    head = "| at the default | unit | treatment | control | effect |\n| --- | --- | --- | --- | --- |"
    rows = [
        f"| {STATISTICS[name].meaning} | {STATISTICS[name].unit} | "
        f"{interval(c.treatment)} | {interval(c.control)} | {interval(c.effect)} |"
        for name, c in result.comparisons.items()
    ]
    return "\n".join([head, *rows])


def _cells(result: Result) -> str:
    head = (
        "| cell | kind | what is different | treatment | control | effect | against the default | "
        "theory says it | it |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = []
    for name, cell in result.cells.items():
        found: Comparison = cell.comparisons[result.statistic]
        rows.append(
            f"| `{name}` | {cell.kind} | {cell.text} | {number(found.treatment.mean)} | {number(found.control.mean)} | "
            f"{interval(found.effect)} | {interval(cell.change)} | {cell.expect or ''} | {cell.observed} |"
        )
    return "\n".join([head, *rows])


def _others(result: Result) -> str:
    """Effects on the statistics that are not tested, cell by cell."""
    names = [name for name in result.comparisons if name != result.statistic]
    head = f"| mean effect on | {' | '.join(f'`{name}`' for name in names)} |\n|{' --- |' * (1 + len(names))}"
    parts = {"default": result.comparisons} | {name: cell.comparisons for name, cell in result.cells.items()}
    rows = [
        f"| {name} | {' | '.join(number(comparisons[other].effect.mean) for other in names)} |"
        for name, comparisons in parts.items()
    ]
    return "\n".join([head, *rows])


def _box(result: Result) -> str:
    head = (
        "| moved most by | mean absolute effect (μ*) | mean effect (μ) | spread (σ) | "
        "holds in its lower half | upper half |\n| --- | --- | --- | --- | --- | --- |"
    )
    rows = []
    for influence in result.influences:
        lower, upper = (percent(half) for half in halves(result, influence.axis))
        rows.append(
            f"| `{influence.axis}` | {number(influence.mu_star)} ± {number(influence.half_width)} | "
            f"{number(influence.mu)} | {number(influence.sigma)} | {lower} | {upper} |"
        )
    return "\n".join([head, *rows])


def halves(result: Result, axis: str) -> tuple[Estimate, Estimate]:
    """Share of the box in which the claim holds, where an axis is below its median and where it is not."""
    places = np.array([point.place[axis] for point in result.box_points])
    holds = np.array([result.sign * point.effect >= result.smallest for point in result.box_points])
    low = places < np.median(places)
    return share(list(holds[low])), share(list(holds[~low]))


def _counter_example(result: Result) -> str:
    found = result.counter_example
    fresh = ", ".join(number(effect) for effect in found.effects)
    where = "in the box" if found.where == "box" else f"in the cell `{found.where}`"
    label = "Counter-example" if found.confirmed else "No sure counter-example; the worst place"
    return (
        f"**{label}**, {where}: effect {number(found.effect)}; with fresh seeds {fresh}. "
        f"Treatment and control with the first of these:\n\n```sh\n" + "\n".join(found.commands) + "\n```"
    )


def _registered(claim: Claim) -> str:
    parts = [
        "**Put in:** " + "; ".join(claim.inputs) + ".",
        "**May be found:** " + "; ".join(claim.findings) + ".",
    ]
    if claim.amended:
        parts.append("**Changed after results were seen:** " + "; ".join(claim.amended) + ".")
    return "\n\n".join(parts)
