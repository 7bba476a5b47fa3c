"""Figures of providers: profit against share, who wins and loses users, and what made tokens cheaper."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import stats

from aimarket.report import charts, style
from aimarket.report.findings import multiplied
from aimarket.report.format import between, count, decimals, grown, percent, signed_percent
from aimarket.report.labels import EndLabel
from aimarket.report.periods import KEYS, period_masks, steps_per_year
from aimarket.report.plates import Chart, Plate
from aimarket.report.study import NotShownError, Study

_WORST = -1.0  # a margin below this is off the scale
_MOST_FIRMS = 16
_DRIVERS = {
    "capital": "depreciation, hosting",
    "rental": "GPU-hours rented",
    "energy": "energy",
    "hardware": "GPU generations",
    "software": "software",
    "distillation": "distillation",
    "architecture": "architecture",
    "learning": "learning by doing",
    "quality": "quality and mix",
    "utilisation": "utilisation",
    "mix": "shares, entry, exit",
}


def profit_and_share(study: Study) -> Plate:
    """Net margin of each provider against its share of tokens, both in the last year."""
    last = study.providers[period_masks(study.providers)[1]]
    grouped = last.groupby([*KEYS, "provider"])
    rows = grouped[["net_income", "revenue"]].sum().assign(share=grouped["share"].mean())
    rows = rows[(rows["revenue"] > 0) & (rows["share"] > 0)]
    rows["margin"] = rows["net_income"] / rows["revenue"]
    firms = rows.groupby("provider")[["share", "margin"]]
    if len(firms) < 2:
        raise NotShownError("profit against share needs two providers with revenue in the last year")
    middle, low, high = firms.median(), firms.quantile(0.25), firms.quantile(0.75)
    middle = middle.sort_values("share", ascending=False)
    if middle["margin"].max() < _WORST:
        raise NotShownError("profit against share has nothing to show: every provider loses more than it earns")
    low, high = low.loc[middle.index].clip(lower=_WORST), high.loc[middle.index].clip(lower=_WORST)
    shown = middle.clip(lower=pd.Series({"share": 0.0, "margin": _WORST}), axis=1)

    def paint(axes: Axes) -> list[EndLabel]:
        if len(study.design) > 1:
            axes.hlines(shown["margin"], low["share"], high["share"], color=style.COLOURS[0], alpha=0.4, linewidth=1.2)
            axes.vlines(shown["share"], low["margin"], high["margin"], color=style.COLOURS[0], alpha=0.4, linewidth=1.2)
        axes.plot(shown["share"], shown["margin"], "o", color=style.COLOURS[0], markersize=5)
        axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
        smallest, largest = float(shown["share"].min()), float(shown["share"].max())
        axes.set_xscale("log")
        ends = smallest / 1.8, largest * 1.8
        axes.set_xlim(*ends)
        powers = range(math.floor(math.log10(smallest)), 1)
        steps = (1, 2, 5) if len(powers) <= 2 else (1, 3) if len(powers) <= 4 else (1,)
        ticks = [step * 10.0**power for power in powers for step in steps]
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if ends[0] <= tick <= ends[1]]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.share_tick(value)))
        axes.set_xlabel("share of tokens served, log")
        margins = [*shown["margin"], *low["margin"], *high["margin"], 0.0]
        room = 0.1 * max(max(margins) - min(margins), 0.1)
        axes.set_ylim(min(margins) - room, max(margins) + room)
        charts.write_y(axes, percent)
        return []

    def name(axes: Axes) -> None:
        charts.name_points(axes, list(shown["share"]), list(shown["margin"]), list(map(str, shown.index)))

    word = study.periods.word
    note = f"Net income over revenue and share of tokens served, last {word}; {study.simulations()}."
    if len(study.design) > 1:
        note += " Dots: medians; lines: the middle 50 %."
    if (middle["margin"] < _WORST).any():
        note += f" Margins below {percent(_WORST)} are drawn there."
    table = pd.DataFrame(
        {"share of tokens": middle["share"].map(percent), "net margin": middle["margin"].map(percent)},
        index=middle.index.rename("provider"),
    )
    chart = Chart(paint, "net income over revenue", 3.3, name=name)
    return Plate("profit_and_share", _size_finding(rows, middle), note, ((chart,),), table)


def _size_finding(rows: pd.DataFrame, middle: pd.DataFrame) -> str:
    """Whether larger providers earn more: Spearman's rank correlation in each simulation."""
    if len(middle) < 4:
        words = {
            name: percent(m) if m >= _WORST else f"below {percent(_WORST)}" for name, m in middle["margin"].items()
        }
        parts = [f"{name} {word}" for name, word in words.items()]
        return f"Of revenue the providers keep, from the largest to the smallest: {', '.join(parts)}"
    each = [group for _, group in rows.groupby(level=KEYS) if len(group) >= 4]
    found = pd.Series([stats.spearmanr(group["share"], group["margin"]).statistic for group in each]).dropna()
    if found.empty:
        return "Providers' shares and margins do not vary"
    rank = float(found.median())
    says = "Larger providers keep more of their revenue" if rank > 0 else "Larger providers keep less of their revenue"
    if abs(rank) < 0.2:
        says = "Size and margin hardly go together"
    spread = between(*(decimals(float(found.quantile(part))) for part in (0.05, 0.95)))
    return f"{says}: rank correlation {decimals(rank)}" + (f" (5–95 %: {spread})" if len(found) > 1 else "")


def switching(study: Study) -> Plate:
    """Users whom each provider won and lost a month in the last year; the recordings do not say from whom to whom."""
    frame = study.providers.sort_values([*KEYS, "provider", "step"])
    months = 12 / steps_per_year(frame)
    before = frame.groupby([*KEYS, "provider"])["users"].shift()
    lost = before * (1 - frame["retention"].fillna(1.0) ** months)
    flows = frame.assign(lost=lost / months, won=(frame["users"] - before + lost) / months, before=before)
    last = flows[period_masks(flows)[1]].dropna(subset=["before"])
    means = last.groupby([*KEYS, "provider"])[["won", "lost", "before"]].mean()
    middle = means.groupby("provider").median()
    middle["won"] = middle["won"].clip(lower=0.0)  # a merger or a break-up moves users who did not choose
    middle = middle[(middle["won"] + middle["lost"]) > 0]
    if len(middle) < 2:
        raise NotShownError("switching flows need two providers that win or lose users")
    middle["net"] = means.assign(net=means["won"] - means["lost"])["net"].groupby("provider").median()
    middle["net"] = middle["net"].mask(middle["net"].abs() < 1e-6 * middle["before"], 0.0)  # rounding is no movement
    middle = middle.sort_values("before", ascending=False).head(_MOST_FIRMS)
    names = [f"{charts.shorten(str(name), 20)}  {_signed(net)}" for name, net in middle["net"].items()]

    def paint(axes: Axes) -> list[EndLabel]:
        rows = charts.name_rows(axes, names)
        axes.barh(rows, middle["won"], height=0.62, color=style.COLOURS[0])
        axes.barh(
            rows, -middle["lost"], height=0.62, color=style.COLOURS[1], hatch="////", edgecolor="white", linewidth=0
        )
        charts.nought(axes)
        reach = float(middle[["won", "lost"]].to_numpy().max()) * 1.08
        axes.set_xlim(-reach, reach)
        charts.write_x(axes, lambda value: charts.short(abs(value)), "users a month: lost (striped), won", 4)
        return []

    net = middle["net"]
    best, worst = str(net.idxmax()), str(net.idxmin())
    churn = percent(float(study.periods.last["churn"].median()))
    title = f"{churn} of users leave their provider in a month; {best} gains most, {_signed(net[best])} users a month"
    if net[worst] < 0:
        title += f", {worst} loses most, {_signed(net[worst])}"
    note = (
        f"Users won and lost a month, mean of the last {study.periods.word}, with the net beside the name; "
        f"{'medians of ' * (len(study.design) > 1)}{study.simulations()}. Lost: from retention; won: the change in "
        "users and those lost, first choices included. Who went from whom to whom is not recorded."
    )
    table = middle[["won", "lost"]].map(count).assign(net=net.map(_signed)).rename_axis("provider")
    chart = Chart(paint, height=0.2 + charts.ROW * len(middle))
    return Plate("switching", title, note, ((chart,),), table)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + count(value)


def cost_drivers(study: Study) -> Plate:
    """What moved booked unit cost from the first month to the last: a waterfall of factors."""
    market = study.market
    columns = [f"cost_{name}" for name in _DRIVERS]
    ends = market.dropna(subset=columns).sort_values("step").groupby(KEYS)[columns].last()
    if ends.empty or not ends.to_numpy().any():
        raise NotShownError("cost by driver needs providers that serve from GPUs of their own for two steps or more")
    points = ends.rename(columns=dict(zip(columns, _DRIVERS.values(), strict=True)))
    total = points.sum(axis=1)
    middle = points.mean()  # means add up, medians do not
    middle = middle[middle.abs() > 5e-4].sort_values()
    if middle.empty:
        raise NotShownError("unit cost did not move")
    spread = (
        points[middle.index].quantile([0.05, 0.95]).T - np.column_stack([middle, middle]) if len(points) > 1 else None
    )
    table = _cost_table(points[middle.index])
    title = _cost_finding(middle, float(total.mean()))
    note = (
        "Booked unit cost of tokens from providers' own GPUs, last month over first, as a product of factors (log "
        f"axis); {'geometric means of ' * (len(points) > 1)}{study.simulations()}."
        + (" Whiskers: 5–95 % of a driver's contribution." if spread is not None else "")
    )
    chart = Chart(_waterfall(middle, spread), height=0.2 + charts.ROW * (len(middle) + 1), name=_factor_ticks)
    return Plate("cost_drivers", title, note, ((chart,),), table)


def _waterfall(middle: pd.Series, spread: pd.DataFrame | None) -> Callable[[Axes], list[EndLabel]]:
    starts, total = middle.cumsum() - middle, float(middle.sum())

    def paint(axes: Axes) -> list[EndLabel]:
        names = [f"{name}  {change_label(math.exp(value))}" for name, value in middle.items()]
        rows = charts.name_rows(axes, [*names, f"together  {grown(math.exp(total))}"])
        colours = [style.COLOURS[0] if value < 0 else style.COLOURS[1] for value in middle]
        bars = axes.barh(rows[:-1], middle, left=starts, height=0.62, color=colours)
        for bar, value in zip(bars, middle, strict=True):
            bar.set_hatch("" if value < 0 else "////")
            bar.set_edgecolor("white")
            bar.set_linewidth(0)
        axes.barh(rows[-1], total, height=0.62, color=style.REST)
        axes.vlines(middle.cumsum(), rows[:-1] - 1.31, rows[:-1] + 0.31, color=style.GREY, linewidth=0.6)
        edges = [0.0, *starts, *middle.cumsum()]
        if spread is not None:
            at = (starts + middle).to_numpy()
            axes.hlines(rows[:-1], at + spread[0.05], at + spread[0.95], color=style.INK, linewidth=1.1)
            edges += [*(at + spread[0.05]), *(at + spread[0.95])]
        room = 0.05 * (max(edges) - min(edges))
        axes.set_xlim(min(edges) - room, max(edges) + room)
        charts.nought(axes)
        axes.set_xlabel("unit cost, first month = ×1, log")
        return []

    return paint


def _factor_ticks(axes: Axes) -> None:
    """Write a horizontal axis in log points as factors."""
    low, high = (math.exp(end) for end in axes.get_xlim())
    ticks = style.ladder(low, high)
    room = axes.get_window_extent().width / axes.figure.dpi / 0.8  # inches a tick, written out
    ticks = ticks[:: -max(1, math.ceil(len(ticks) / room))]
    axes.xaxis.set_major_locator(FixedLocator([math.log(tick) for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.factor_tick(float(f"{math.exp(value):.6g}"))))


def change_label(ratio: float) -> str:
    """Write what a driver did to cost: −34 %, ×3.2, 1/12."""
    return grown(ratio) if ratio >= 2 or ratio < 0.1 else signed_percent(ratio - 1)


def _cost_table(points: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"log points": points.mean().map(decimals), "factor": np.exp(points.mean()).map(change_label)})
    if len(points) > 1:
        low, high = points.quantile(0.05), points.quantile(0.95)
        table["5–95 %"] = [f"{decimals(a)} to {decimals(b)}" for a, b in zip(low, high, strict=True)]
    return table.rename_axis("driver")


def _cost_finding(middle: pd.Series, total: float) -> str:
    title = f"Unit cost {multiplied(math.exp(total), 'rose')}"
    falling = middle[middle < 0]
    if total < 0 and len(falling) > 1:
        parts = [f"{name} {change_label(math.exp(value))}" for name, value in falling.head(3).items()]
        title += f", most by {', '.join(parts)}"
    return title
