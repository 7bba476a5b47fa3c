"""What a figure shows, in words computed from the data. Every sentence here is true of the frames it was given."""

from collections.abc import Callable
from functools import partial
from math import isnan
from typing import NamedTuple

import pandas as pd

from aimarket.report.format import decimals, grown, listed, money, percent, signed_percent, significant
from aimarket.report.periods import Periods

_STILL = 5e-4  # a relative change smaller than this is none


class Finding(NamedTuple):
    """The title of a figure and what qualifies it in the second line."""

    title: str
    remark: str


def _median(values: pd.Series) -> float:
    return float(values.dropna().median())  # of nothing at all older pandas warns


def _agree(changes: pd.Series, direction: float) -> str:
    """Say in how many simulations a change has the direction of the median."""
    same = int((changes * direction > 0).sum())
    return f"{same} of {len(changes)}"


def _verb(change: float) -> str:
    return "fell" if change < 0 else "rose"


def _moved(change: float, write: Callable[[float], str] = percent) -> str:
    return f"{_verb(change)} {write(abs(change))}" if abs(change) >= _STILL else "did not change"


def _tenths(fraction: float) -> str:
    return f"{decimals(fraction * 100, 1)} %"


def _time(periods: Periods) -> str:
    months = round(periods.span * 12)
    return "a year" if periods.annual else f"in {months} month{'s' if months != 1 else ''}"


def _lerner(periods: Periods) -> Finding:
    first, last = _median(periods.first["lerner"]), _median(periods.last["lerner"])
    if isnan(last):
        return Finding("", "")
    if isnan(first) or periods.span == 0:
        return Finding(f": the Lerner index is {decimals(last)}", "")
    if decimals(first) == decimals(last):
        return Finding(f": the Lerner index stayed at {decimals(last)}", "")
    word = _verb(last - first)
    title = f": the Lerner index {word} from {decimals(first)} to {decimals(last)}"
    changes = periods.last["lerner"] - periods.first["lerner"]
    remark = f"The Lerner index {word} in {_agree(changes, last - first)}." if len(changes) > 1 else ""
    return Finding(title, remark)


def price_and_cost(periods: Periods) -> Finding:
    """How fast price and marginal cost moved and what that did to the margin."""
    price, cost = _median(periods.change("price")), _median(periods.change("marginal_cost"))
    lerner = _lerner(periods)
    if isnan(price) or isnan(cost) or periods.span == 0:
        levels = [
            f"{word} {money(level)}"
            for word, measure in (("price is", "price"), ("marginal cost is", "marginal_cost"))
            if not isnan(level := _median(periods.last[measure]))
        ]
        if not levels:
            return Finding("No tokens were sold at the end of the run", "")
        return Finding(f"At the end, {listed(levels)} per million tokens{lerner.title}", lerner.remark)
    # Where rates that differ would read the same, a decimal more shows which is larger.
    alike = percent(price) == percent(cost) and abs(price - cost) >= 1e-3
    moved = partial(_moved, write=_tenths if alike else percent)
    if abs(price) < _STILL and abs(cost) < _STILL:
        return Finding(f"Price and marginal cost did not change{lerner.title}", lerner.remark)
    together = _verb(price) == _verb(cost) and min(abs(price), abs(cost)) >= _STILL
    second = moved(cost).split(" ", 1)[1] if together else moved(cost)
    return Finding(f"Price {moved(price)} {_time(periods)}, marginal cost {second}{lerner.title}", lerner.remark)


def shares(first: pd.DataFrame, last: pd.DataFrame, periods: Periods) -> Finding:
    """Who leads, with how much, and how many equal providers the market is worth."""
    final = last.median().sort_values(ascending=False, kind="stable")
    if final.empty or isnan(final.iloc[0]):
        return Finding("No tokens were served at the end of the run", "")
    lead = percent(final.iloc[0])
    leaders = [str(name) for name, share in final.items() if percent(share) == lead]
    if len(leaders) == 1:
        title = f"The leader, {leaders[0]}, serves {lead} of tokens"
    elif len(leaders) <= 3:
        title = f"The leaders, {listed(leaders)}, serve {lead} of tokens each"
    else:
        title = f"{len(leaders)} providers lead with {lead} of tokens each"
    now, before = (_median(frame["effective_providers"]) for frame in (periods.last, periods.first))
    if not isnan(now):
        title += f"; {decimals(now, 1)} effective providers"
        if not isnan(before) and periods.span > 0:
            title += f", from {decimals(before, 1)}" if decimals(before, 1) != decimals(now, 1) else ", as at the start"
    served = last.dropna(how="all")  # nobody leads where nobody was served
    ahead = int((served.idxmax(axis=1) == leaders[0]).sum()) if len(last) > 1 and len(leaders) == 1 else 0
    return Finding(title, f"In {ahead} of {len(last)} it is {leaders[0]} that leads." if ahead else "")


def multiplied(ratio: float, up: str) -> str:
    """Say what happened to a level: "grew ×3.1", "fell 34 %", "fell to 1/480"."""
    if isnan(ratio):
        return "is undefined"
    if abs(ratio - 1) < _STILL:
        return "did not change"
    if ratio >= 2:
        return f"{up} {grown(ratio)}"
    if ratio < 0.1:
        return f"fell to {grown(ratio)}"
    return f"{up if ratio > 1 else 'fell'} {percent(abs(ratio - 1))}"


def volumes(periods: Periods) -> Finding:
    """What quantity, price and their product did from the first to the last year."""
    ratio = {measure: _median(periods.ratio(measure)) for measure in ("tokens_served", "price", "spend")}
    if isnan(ratio["tokens_served"]):
        return Finding(f"No tokens were served in the first or the last {periods.word}: no growth to report", "")
    if periods.span == 0:
        return Finding("A single step: no growth to report", "")
    tokens = f"Tokens {multiplied(ratio['tokens_served'], 'grew')}"
    if isnan(ratio["price"]) or isnan(ratio["spend"]):
        return Finding(f"{tokens}; price or spend is zero", "")
    price, spend = multiplied(ratio["price"], "rose"), multiplied(ratio["spend"], "grew")
    return Finding(f"{tokens} while price {price}: spend {spend}", "")


def _span(values: list[float], write: Callable[[float], str]) -> str:
    known = sorted(value for value in values if not isnan(value))
    ends = dict.fromkeys(write(value) for value in (known[0], known[-1])) if known else {"undefined": None}
    return " to ".join(ends)


def price_and_cost_across(runs: list[Periods]) -> Finding:
    """The same for several points side by side: the range of their medians."""
    rates = _span([_median(run.change("price")) for run in runs], signed_percent)
    margins = _span([_median(run.last["lerner"]) for run in runs], decimals)
    return Finding(
        f"Across {len(runs)} settings, price changed by {rates} {_time(runs[0])}; the Lerner index ended at {margins}",
        "",
    )


def shares_across(lasts: list[pd.DataFrame], runs: list[Periods]) -> Finding:
    """The same for several points side by side: the range of their medians."""
    leads = _span([_median(last.max(axis=1)) for last in lasts], percent)
    numbers = _span([_median(run.last["effective_providers"]) for run in runs], lambda value: decimals(value, 1))
    title = f"Across {len(runs)} settings, the leader ends with {leads} of tokens; {numbers} effective providers"
    return Finding(title, "")


def _times(ratio: float) -> str:
    """Write a ratio so that two of them compare at a glance."""
    return grown(ratio) if ratio >= 2 or ratio < 0.1 else f"×{significant(ratio)}"


def volumes_across(runs: list[Periods]) -> Finding:
    """The same for several points side by side: the range of their medians."""
    words = [
        f"{name} {_span([_median(run.ratio(measure)) for run in runs], _times)}"
        for name, measure in (("tokens", "tokens_served"), ("price", "price"), ("spend", "spend"))
    ]
    return Finding(f"Across {len(runs)} settings, first to last {runs[0].word}: {', '.join(words)}", "")


def rate_label(name: str, periods: Periods, measure: str) -> str:
    """Label a line with its name and how fast it moved."""
    change = _median(periods.change(measure))
    if isnan(change) or periods.span == 0:
        return name
    return f"{name}\n{signed_percent(change)} {_time(periods)}"


def level_label(name: str, periods: Periods, measure: str) -> str:
    """Label a line with its name and its mean of the last year."""
    level = _median(periods.last[measure])
    return name if isnan(level) else f"{name}\n{decimals(level)}"


def factor_label(name: str, periods: Periods, measure: str) -> str:
    """Label a line with its name and the last year over the first."""
    ratio = _median(periods.ratio(measure))
    if isnan(ratio) or periods.span == 0:
        return name
    return f"{name} {grown(ratio)}"


def share_label(name: str, share: float) -> str:
    """Label a line with the provider's name and share."""
    return f"{name} {percent(share)}" if not isnan(share) else name


def lines_and_bands(index: pd.Index, side_by_side: list[list[str]]) -> str:
    """Say what lines and bands are, given the simulations (run_id, replication) that were drawn.

    side_by_side : the run ids of each panel; empty if there is one panel for all
    """
    run_ids = index.get_level_values("run_id")
    runs, count = run_ids.nunique(), len(index)
    if count == 1:
        return "Lines: one replication of one run, so no bands."
    bands = "bands: the middle 50 % and 90 %."
    if not side_by_side:
        which = f"all {count} simulations, of {runs} different runs" if runs > 1 else f"{count} replications"
        return f"Lines: medians of {which}; {bands}"
    each = [int(run_ids.isin(ids).sum()) for ids in side_by_side]
    if max(each) == 1:
        return "Lines: one replication in each panel, so no bands."
    words = f"{min(each)}" if min(each) == max(each) else f"{min(each)} to {max(each)}"
    return f"Lines: medians of {words} replications in each panel; {bands}"
