"""What made tokens cheaper: the drivers of unit cost as a waterfall."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from aimarket.report import charts, style
from aimarket.report.findings import multiplied
from aimarket.report.format import decimals, grown, signed_percent
from aimarket.report.labels import EndLabel
from aimarket.report.periods import KEYS
from aimarket.report.plates import Chart, Plate
from aimarket.report.study import NotShownError, Study

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
