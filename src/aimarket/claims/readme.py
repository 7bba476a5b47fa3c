"""Results in READMEs: the answer in that of each study, the verdicts in that of the folder."""

from collections.abc import Sequence
from pathlib import Path

from aimarket.claims.conditions import divisions
from aimarket.claims.evaluation import CellResult, Comparison, Result, from_json, judged, to_json
from aimarket.claims.registration import Claim, family, load_claim, registered
from aimarket.claims.statistics import STATISTICS
from aimarket.claims.wording import (
    MOST,
    effect_in_words,
    interval,
    needed,
    number,
    p_value,
    parted_by,
    percent,
    share_in_words,
)
from aimarket.complaints import ResultsError

BEGIN, END = "<!-- made by `aimarket claims`: begin -->", "<!-- made by `aimarket claims`: end -->"


def bring_up_to_date(folder: Path, claims: Sequence[Claim], results: Sequence[Result]) -> list[Path]:
    """Put results into the studies of a folder: `NAME/result.json`, `NAME/figure.svg`, the marked part of each README.

    Registered claims whose results lie there already are judged again with them, for Holm's correction is over all.
    The README of the folder itself gets the verdicts of all results that lie in it.

    raises : ResultsError if a README has no marked part, or a result that lies there is of another version
    """
    from aimarket.claims.figure import draw

    by_name = {claim.name: claim for claim in claims}
    before = [result for result in stored(folder) if result.name in set(registered()) - by_name.keys()]
    by_name |= {result.name: load_claim(result.name) for result in before}
    paths = []
    for result in judged([*results, *before], family([*by_name])):
        claim, study = by_name[result.name], folder / result.name
        paths.append(_replace(study / "README.md", answer(claim, result)))
        (study / "result.json").write_text(to_json(result), encoding="utf-8")
        draw(claim, result, study / "figure.svg")
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
        "| claim | verdict | effect | needed | Holm p | holds in the box | parted most by | moved most by |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = [
        f"| [{result.title}]({result.name}/README.md) | {result.verdict}{' (quick)' if result.quick else ''} | "
        f"{interval(result.comparisons[result.statistic].effect)} {STATISTICS[result.statistic].plain_unit}| "
        f"{needed(result)} | {p_value(result.p_holds_corrected).removeprefix('= ')} | "
        f"{percent(result.box_share)} | {_parts_most(result)} | "
        f"{', '.join(f'`{influence.axis}`' for influence in result.influences[:MOST])} |"
        for result in results
    ]
    return "\n".join([head, *rows]) + "\n"


def _parts_most(result: Result) -> str:
    told = [division for division in divisions(result) if division.told]
    if not told:
        return "no setting alone"
    most = told[0]
    return f"`{most.axis}` ({100 * most.lower.mean:.0f} % below its median, {100 * most.upper.mean:.0f} % above)"


def answer(claim: Claim, result: Result) -> str:
    """The generated part of a README."""
    parts = [
        f"**Question.** {claim.question}",
        f"**Prediction, written before.** {claim.prediction}",
        _verdict(result),
        _statistics(result),
        _cells(result),
        _theory(result),
        _null_models(claim, result),
        _others(result),
        f"**On what it depends.** {parted_by(result)}",
        _box(result),
        _counter_example(result),
        _registered(claim),
    ]
    if result.quick:
        parts.insert(0, "**Quick run: this tests the machinery, not the claim.**")
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(result: Result) -> str:
    return (
        f"**Verdict: {result.verdict}.** {effect_in_words(result)} One-sided tests, Holm-corrected: it is reached "
        f"(p {p_value(result.p_holds_corrected)}), it is missed (p {p_value(result.p_fails_corrected)}). "
        f"{share_in_words(result)}\n\n"
        f"![Effects in all cells, and over the box](figure.svg)"
    )


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
    pairs = min((cell.change.count for cell in result.cells.values()), default=0)
    return "\n".join([head, *rows]) + f"\n\n{pairs} pairs a cell; intervals are not corrected for the number of cells."


def _theory(result: Result) -> str:
    """Where theory had a view on a cell, and whether it was right."""
    seen = {name: cell for name, cell in result.cells.items() if cell.expect}
    groups = {
        "right": [name for name, cell in seen.items() if cell.observed == cell.expect],
        "wrong": [name for name, cell in seen.items() if cell.observed not in (cell.expect, "unclear")],
        "not to be told": [name for name, cell in seen.items() if cell.observed == "unclear"],
    }
    words = [f"{word} in {_listed(names)}" for word, names in groups.items() if names]
    return f"**Theory** has a view on {len(seen)} of the cells: {'; '.join(words)}." if seen else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _null_models(claim: Claim, result: Result) -> str:
    """Whether the claim's effect is more than that of its null models, and concentration more than luck gives."""
    words = [_against(claim, name, cell) for name, cell in result.cells.items() if cell.kind == "null"]
    if luck := result.comparisons.get("hhi_beyond_gibrat"):
        beyond = "more" if luck.treatment.low > 0 else "no more"
        words.append(
            f"Luck alone (Gibrat): the market of the treatment is {beyond} concentrated than luck with its own "
            f"volatility would make it (log Herfindahl index {interval(luck.treatment)} beyond, control "
            f"{interval(luck.control)})."
        )
    return f"**Null models.** {' '.join(words)}" if words else ""


def _against(claim: Claim, name: str, cell: CellResult) -> str:
    """A null model is beaten if its effect is for sure less, in the direction of the claim, at the same seeds."""
    beaten = (cell.change.high if claim.sign > 0 else -cell.change.low) < 0
    effect = cell.comparisons[claim.statistic].effect
    return (
        f"`{name}` ({cell.text}): an effect of {interval(effect)}, {interval(cell.change)} against the claim's own; "
        f"it is {'' if beaten else 'not '}beaten."
    )


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
    halves = {division.axis: division for division in divisions(result)}
    head = (
        "| moved most by | mean absolute effect (μ*) | mean effect (μ) | spread (σ) | "
        "holds below the median | from it on | p |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = []
    for influence in result.influences:
        half = halves.get(influence.axis)
        words = (percent(half.lower), percent(half.upper), p_value(half.p).removeprefix("= ")) if half else ("–",) * 3
        rows.append(
            f"| `{influence.axis}` | {number(influence.mu_star)} ± {number(influence.half_width)} | "
            f"{number(influence.mu)} | {number(influence.sigma)} | {' | '.join(words)} |"
        )
    return "\n".join([head, *rows])


def _counter_example(result: Result) -> str:
    found = result.counter_example
    fresh = ", ".join(number(effect) for effect in found.effects)
    where = "in the box" if found.where == "box" else f"in the cell `{found.where}`"
    label = "Counter-example" if found.confirmed else "No sure counter-example; the worst place"
    return (
        f"**{label}**, {where}: effect {number(found.effect)}; with fresh seeds {fresh}. "
        f"The first of these, and its two runs without the claim:\n\n```sh\n" + "\n".join(found.commands) + "\n```"
    )


def _registered(claim: Claim) -> str:
    parts = [
        "**Put in:** " + "; ".join(claim.inputs) + ".",
        "**May be found:** " + "; ".join(claim.findings) + ".",
    ]
    if claim.amended:
        parts.append("**Changed after results were seen:** " + "; ".join(claim.amended) + ".")
    return "\n\n".join(parts)
