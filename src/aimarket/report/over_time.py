"""Figures over time beyond the three of every run: shares by rank, price and cost by tier, welfare."""

import numpy as np
import pandas as pd

from aimarket.report.findings import lines_and_bands
from aimarket.report.format import decimals, grown, money, percent
from aimarket.report.panels import Line, Panel
from aimarket.report.periods import KEYS, Periods, paths, period_masks, share_paths, share_periods
from aimarket.report.plates import Plate
from aimarket.report.study import NotShownError, Study
from aimarket.report.style import COLOURS, DASHES, INK, REST, REST_DASHES

_RANKS = ("largest", "second", "third", "fourth")
_TIERS = ("frontier", "middle", "budget")
_SURPLUS = (("consumer_surplus", "users"), ("net_income", "providers"), ("taxes", "treasury"))


def shares_by_rank(study: Study) -> Plate:
    """Share of the largest, the second largest, … provider of each month, whoever it is."""
    wide = share_paths(study.providers)
    if wide.shape[1] < 2:
        raise NotShownError("shares by rank need two providers or more")
    ranked = pd.DataFrame(-np.sort(-wide.fillna(-1.0).to_numpy(), axis=1), wide.index).mask(wide.isna().all(axis=1))
    columns = {name: ranked[place] for place, name in enumerate(_RANKS[: wide.shape[1]])}
    if wide.shape[1] > len(_RANKS):
        columns[f"{wide.shape[1] - len(_RANKS)} others"] = ranked.iloc[:, len(_RANKS) :].sum(axis=1, min_count=1)
    table = pd.DataFrame(columns)
    ends = share_periods(table)
    first, last = (frame.median() for frame in ends)
    lines = tuple(
        Line(
            f"{name} {percent(last[name])}",
            table[name].droplevel("step").unstack(KEYS).sort_index(),
            REST if name not in _RANKS else COLOURS[place],
            REST_DASHES if name not in _RANKS else DASHES[place],
        )
        for place, name in enumerate(map(str, table))
    )
    title = f"The largest provider serves {percent(last.iloc[0])} of tokens"
    before = percent(first.iloc[0])
    if wide.shape[1] > len(_RANKS) - 1:
        three = [percent(frame.iloc[:, :3].sum(axis=1).median()) for frame in ends]
        title, before = f"{title}, the three largest {three[1]}", f"{before} and {three[0]}"
    title += f"; at the start {before}" if study.periods.span > 0 else ""
    what = f"Share of tokens served by rank in the month; labels: mean of the last {study.periods.word}."
    panel = Panel(lines, "share of tokens served", "share", 3.0)
    return Plate("shares_by_rank", title, f"{what} {_lines(study)}", ((panel,),))


def price_by_tier(study: Study) -> Plate:
    """Posted price and long-run marginal cost of the better, the middling and the lesser offers of each month."""
    offers = study.table("offers", ["active", "price", "marginal_cost", "quality", "tokens_served"])
    sold = offers[(offers["tokens_served"] > 0) & (offers["price"] > 0) & (offers["marginal_cost"] > 0)]
    moment = sold.groupby([*KEYS, "step"])["quality"]
    if sold.empty or moment.nunique().median() < len(_TIERS):
        raise NotShownError("price and cost by tier need offers of three qualities in most months")
    place = (moment.rank(method="average") - 0.5) / moment.transform("count")  # 0: least, 1: best
    sold = sold.assign(tier=np.select([place >= 2 / 3, place >= 1 / 3], _TIERS[:2], _TIERS[2]))
    for measure in ("price", "marginal_cost"):
        sold[measure] *= sold["tokens_served"]
    sums = sold.groupby(["tier", *KEYS, "step", "year"])[["price", "marginal_cost", "tokens_served"]].sum()
    means = sums[["price", "marginal_cost"]].div(sums["tokens_served"], axis=0).reset_index()
    rows, margins = [], []
    for tier in _TIERS:
        own = means[means["tier"] == tier]
        last = own[period_masks(own)[1]].groupby(KEYS)[["price", "marginal_cost"]].mean().median()
        margins.append(f"{tier} {decimals(1 - last['marginal_cost'] / last['price'])}")
        lines = tuple(
            Line(f"{name} {money(last[measure])}", paths(own, measure), COLOURS[place], DASHES[place])
            for place, (measure, name) in enumerate((("price", "price"), ("marginal_cost", "cost")))
        )
        rows.append((Panel(lines, "USD per Mtok", "money", 1.25, tier, timed=tier == _TIERS[-1]),))
    title = f"Margins over marginal cost by tier, last {study.periods.word}: {', '.join(margins)}"
    what = (
        "Posted price and long-run marginal cost per million tokens (Mtok), weighted by tokens, log axis; tiers: "
        "thirds of the offers sold in a month by quality."
    )
    return Plate("price_by_tier", title, f"{what} {_lines(study)}", tuple(rows))


def welfare(study: Study) -> Plate:
    """Surplus of users, net income of providers, taxes, and their sum."""
    market, periods = study.market, study.periods
    first, last = periods.first, periods.last
    if not (last["welfare"].abs() > 0).any():
        raise NotShownError("welfare is nought throughout")
    lines = [
        Line(f"{name} {money(last[measure].median())}", paths(market, measure), colour, DASHES[place])
        for place, ((measure, name), colour) in enumerate(zip(_SURPLUS, COLOURS, strict=False))
    ]
    whole = Line(f"welfare {money(last['welfare'].median())}", paths(market, "welfare"), INK)
    above = Panel((whole, lines[0]), "USD a month", "amount", 2.2, timed=False)
    below = Panel(tuple(lines[1:]), "of it, USD a month", "amount", 1.6, "without users")
    what = (
        "Consumer surplus over the outside option, net income of all providers and net taxes; welfare is their sum. "
        f"Labels: mean of the last {periods.word}."
    )
    return Plate("welfare", _welfare_finding(first, last, periods), f"{what} {_lines(study)}", ((above,), (below,)))


def _welfare_finding(first: pd.DataFrame, last: pd.DataFrame, periods: Periods) -> str:
    level = last["welfare"].median()
    title = f"Welfare is {money(level)} a month in the last {periods.word}"
    growth = (last["welfare"] / first["welfare"]).where((first["welfare"] > 0) & (last["welfare"] > 0)).median()
    if periods.span > 0 and growth > 0:
        title += f", {grown(growth)} on the first"
    if level > 0:
        parts = [f"{name} {percent((last[column] / last['welfare']).median())}" for column, name in _SURPLUS]
        title += f": {', '.join(parts)}"
    return title


def _lines(study: Study) -> str:
    return lines_and_bands(study.design.index, [])
