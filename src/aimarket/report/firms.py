"""Figures of providers: profit against share, and who wins and loses users."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import stats

from aimarket.report import charts, style
from aimarket.report.format import between, count, decimals, percent
from aimarket.report.labels import EndLabel
from aimarket.report.periods import KEYS, period_masks, steps_per_year
from aimarket.report.plates import Chart, Plate
from aimarket.report.study import NotShownError, Study

_WORST = -1.0  # a margin below this is off the scale
_MOST_FIRMS = 16


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
        _share_axis(axes, shown["share"], low["share"], high["share"])
        margins = [*shown["margin"], *low["margin"], *high["margin"], 0.0]
        room = 0.1 * max(max(margins) - min(margins), 0.1)
        axes.set_ylim(min(margins) - room, max(margins) + room)
        charts.write_y(axes, percent)
        return []

    def name(axes: Axes) -> None:
        lines = [] if len(study.design) == 1 else _crosses(shown, low, high)
        charts.name_points(axes, list(shown["share"]), list(shown["margin"]), list(map(str, shown.index)), lines)

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


def _share_axis(axes: Axes, middle: pd.Series, low: pd.Series, high: pd.Series) -> None:
    """Shares along the horizontal axis, in logarithms where some are five times as large as others."""
    smallest, largest = float(middle.min()), float(middle.max())
    if largest < 5 * smallest:
        axes.set_xlim(max(float(low.min()) - 0.1, 0.0), min(float(high.max()) + 0.1, 1.05))
        charts.write_x(axes, style.share_tick, "share of tokens served")
        return
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


def _crosses(middle: pd.DataFrame, low: pd.DataFrame, high: pd.DataFrame) -> list[tuple[float, ...]]:
    """The two lines through each point, from x, y to x, y."""
    level = zip(low["share"], middle["margin"], high["share"], middle["margin"], strict=True)
    upright = zip(middle["share"], low["margin"], middle["share"], high["margin"], strict=True)
    return [*level, *upright]


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
