"""Results in words: numbers with their uncertainty, the verdicts on the screen, and what is said below them."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from aimarket.claims.conditions import Division, close_calls, divisions
from aimarket.claims.evaluation import Result
from aimarket.claims.inference import Estimate, Verdict, verdicts_within
from aimarket.claims.registration import Claim
from aimarket.claims.statistics import STATISTICS
from aimarket.claims.trials import Measured

MOST = 3  # settings that are named where a page or a screen names those that matter most

# ── numbers ──


def number(value: float) -> str:
    """Three significant digits, with a proper minus; a dash for what does not exist."""
    if np.isnan(value):
        return "–"
    text = f"{value + 0.0:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−").replace("inf", "∞")


def interval(estimate: Estimate) -> str:
    """A mean with its 95 % interval."""
    return f"{number(estimate.mean)} [{number(estimate.low)}, {number(estimate.high)}]"


def percent(estimate: Estimate) -> str:
    """A share with its 95 % interval, per cent."""
    return f"{100 * estimate.mean:.0f} % [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def p_value(value: float) -> str:
    """A p-value after the letter."""
    return "< .001" if value < 0.001 else f"= {value:.3f}"


# ── sentences ──


def share_in_words(result: Result) -> str:
    """The share of the box, what else its interval allows, and how many of its points are too near to call."""
    box = result.box_share
    words = f"The claim holds in {percent(box)} of the box ({box.count} points, one pair of runs each)"
    others = verdicts_within(result.p_holds_corrected, result.p_fails_corrected, box)[1:]
    words += f"; the interval leaves room for {_quoted(others)}." if others else "."
    close = close_calls(result)
    if not close.count:
        return words
    return (
        f"{words} At {close.count} of the points the effect is too near to the smallest of interest for one pair to "
        f"tell (standard deviation between seeds at the default: {number(result.scatter)}); the claim would hold in "
        f"{100 * close.none_holds:.0f} to {100 * close.all_hold:.0f} % if it did at none or at all of these."
    )


def _quoted(verdicts: Sequence[Verdict]) -> str:
    return " or ".join(f'"{verdict}"' for verdict in verdicts)


def parted_by(result: Result) -> str:
    """On which setting of the box it depends most whether the claim holds, and whether others part it as well."""
    told = [division for division in divisions(result) if division.told]
    if not told:
        return "No setting alone parts the box for sure."
    others = "; ".join(_halves(division) for division in told[1:])
    return f"What parts the box most is {_halves(told[0])}." + (f" So does {others}." if others else "")


def _halves(division: Division) -> str:
    change = division.difference
    points = [f"{100 * value:+.0f}".replace("-", "−") for value in (change.mean, change.low, change.high)]
    return (
        f"`{division.axis}`: below its median of {number(division.median)} the claim holds at "
        f"{percent(division.lower)} of the points, from there on at {percent(division.upper)} "
        f"(difference {points[0]} [{points[1]}, {points[2]}], corrected p {p_value(division.p)})"
    )


# ── the screen ──


def verdict_table(results: Sequence[Result], quick: bool) -> Table:
    """The verdicts as they are printed."""
    title = "Claims (quick: this tests the machinery, not the claims)" if quick else "Claims"
    table = _table(title)
    for column in ("claim", "effect [95 %]", "needed", "Holm p", "box share", "verdict"):
        table.add_column(column, no_wrap=column not in ("effect [95 %]", "box share"))  # a narrow screen breaks these
    for result in results:
        table.add_row(
            result.name,
            interval(result.comparisons[result.statistic].effect),
            needed(result),
            p_value(result.p_holds_corrected).removeprefix("= "),
            percent(result.box_share),
            result.verdict,
        )
    return table


def needed(claim: Claim | Result) -> str:
    """The smallest effect of interest, with the side on which effects have to lie."""
    return f"{'≥' if claim.sign > 0 else '≤'} {number(claim.sign * claim.smallest)}"


def details(result: Result, width: int) -> str:
    """What is printed below the verdicts: on what it depends, what moves the effect, where the claim does worst.

    width : of the screen, in characters; commands are longer, for they are to be copied
    """
    axes = [f"{i.axis} ({number(i.mu_star)} ± {number(i.half_width)})" for i in result.influences[:MOST]]
    found = result.counter_example
    known = "Counter-example" if found.confirmed else "No sure counter-example; worst place"
    paragraphs = [
        f"{STATISTICS[result.statistic].meaning} ({STATISTICS[result.statistic].unit}).",
        share_in_words(result),
        parted_by(result),
        f"Moved most by {', '.join(axes) or 'nothing that could be told'}.",
        f"{known} ({found.where}): {number(found.effect)}; with fresh seeds {', '.join(map(number, found.effects))}.",
    ]
    if result.failed:
        paragraphs.append(f"{result.failed} of {result.runs} runs failed; `aimarket status` tells why.")
    lines = [
        fill(words, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
        for words in paragraphs
    ]
    return "\n".join([result.name, *lines, f"    {found.commands[0]}"])


def answer(result: Result) -> str:
    """The verdict in a paragraph of plain text."""
    quick = "Quick run: this tests the machinery, not the claim. " if result.quick else ""
    return (
        f"{quick}{result.verdict.capitalize()}. {effect_in_words(result)} {share_in_words(result)} {parted_by(result)}"
    )


def effect_in_words(result: Result) -> str:
    """The effect, and what was of interest."""
    effect, statistic = result.comparisons[result.statistic].effect, STATISTICS[result.statistic]
    return (
        f"{statistic.meaning}, treatment less control: {interval(effect)} {statistic.plain_unit}over {effect.count} "
        f"paired seeds; {number(result.sign * result.smallest)} was the smallest effect of interest."
    )


def pair_table(claim: Claim, measured: Measured) -> Table:
    """One pair of runs as it is printed: every statistic of the claim in both arms, the one that is tested first."""
    table = _table(f"{claim.title} (seed {measured.pairs[0].seed}; {claim.statistic} {needed(claim)} is needed)")
    table.add_column("statistic")
    for column in ("treatment", "control", "effect"):
        table.add_column(column, no_wrap=True, justify="right")
    for name in map(str, measured.effects.columns):
        arms = (frame[name].iloc[0] for frame in (measured.treatment, measured.control, measured.effects))
        table.add_row(f"{STATISTICS[name].meaning} ({STATISTICS[name].unit})", *map(number, arms))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
