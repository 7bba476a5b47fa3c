"""What charts without a time axis are made of: rows with bars or intervals, and names beside points."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from aimarket.report import style
from aimarket.report.format import count, decimals
from aimarket.report.measures import Write

_Box = tuple[float, ...]  # left, bottom, right, top
ROW = 0.27  # inches a row
_BESIDE = (  # where a name may stand: offset in points, horizontal and vertical alignment
    (6, 0, "left", "center"),
    (-6, 0, "right", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (5, 5, "left", "bottom"),
    (5, -5, "left", "top"),
    (-5, 5, "right", "bottom"),
    (-5, -5, "right", "top"),
)


def name_rows(axes: Axes, names: Sequence[str]) -> np.ndarray:
    """Give each row its name at the left, the first on top; returns their heights on the axis."""
    heights = np.arange(len(names), dtype=float)[::-1]
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.yaxis.set_major_locator(FixedLocator(list(heights[::-1])))
    names_upwards = list(names)[::-1]
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: names_upwards[round(value)] if 0 <= round(value) < len(names) else "")
    )
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    return heights


def short(value: float) -> str:
    """Write a tick that counts things: 25 M."""
    return style.trimmed(count(value))


def point_names(names: Sequence[str], most: int) -> tuple[str, list[str]]:
    """What to call points where there is little room, and a heading.

    "base = 2, review = 0.5" becomes "2, 0.5" under the heading "base, review" where all points have the same keys and
    some would be too long; names that are too long for all that are cut.
    """
    if max(map(len, names)) <= most:
        return "", list(names)
    parts = [[part.partition(" = ") for part in name.split(", ")] for name in names]
    keys = [[key for key, _, _ in part] for part in parts]
    if all(own == keys[0] for own in keys) and all(sign for part in parts for _, sign, _ in part):
        return ", ".join(keys[0]), [shorten(", ".join(value for *_, value in part), most) for part in parts]
    return "", [shorten(name, most) for name in names]


def shorten(name: str, most: int = 34) -> str:
    """Cut a long name in its middle."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2) + 1 :]}"


def write_x(axes: Axes, write: Write, label: str, most: int = 6) -> None:
    """Even ticks along the horizontal axis, written out."""
    _write(axes.xaxis, write, axes.get_xlim(), most)
    axes.set_xlabel(label)


def write_y(axes: Axes, write: Write, most: int = 6) -> None:
    """Even ticks along the vertical axis, written out."""
    _write(axes.yaxis, write, axes.get_ylim(), most)


def _write(axis: Axis, write: Write, limits: tuple[float, float], most: int) -> None:
    """Even ticks inside the limits, with more decimals where they would read the same."""
    low, high = limits
    ticks = [
        float(tick) for tick in MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high
    ]
    words = [style.trimmed(write(tick)) for tick in ticks]
    if len({(word, tick < 0) for word, tick in zip(words, ticks, strict=True)}) < len(words):
        digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0])))
        words = [decimals(tick, digits) for tick in ticks]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter(words))


def nought(axes: Axes) -> None:
    """Mark nought along the horizontal axis."""
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)


def name_points(
    axes: Axes, x: Sequence[float], y: Sequence[float], names: Sequence[str], lines: Sequence[_Box] = ()
) -> None:
    """Write each name beside its point, where it meets no other name, no point and no edge; else not at all.

    lines : upright or level ones, from x, y to x, y; a name crosses one only where it has no other place
    """
    figure = axes.figure
    points = axes.transData.transform(np.column_stack([x, y]))
    room = 4 * figure.dpi / 72  # a point's radius and a little air
    taken = [(px - room, py - room, px + room, py + room) for px, py in points]
    drawn = [tuple(axes.transData.transform(np.reshape(line, (2, 2))).ravel()) for line in lines]
    frame = axes.get_window_extent()
    for at, name in zip(zip(x, y, strict=True), names, strict=True):
        for (dx, dy, across, along), avoided in _places(taken, drawn):
            text = axes.annotate(
                name, at, (dx, dy), textcoords="offset points", ha=across, va=along, fontsize=8, color=style.INK
            )
            box = text.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
            mine = (box.x0, box.y0, box.x1, box.y1)
            inside = box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1
            if inside and not any(_meet(mine, other) for other in avoided):
                taken.append(mine)
                break
            text.remove()


def _places(taken: Sequence[_Box], lines: Sequence[_Box]) -> Iterator[tuple[tuple[int, int, str, str], list[_Box]]]:
    """Where a name may stand and what it may not meet there: first neither names nor lines, then no names."""
    return ((place, avoided) for avoided in ([*taken, *lines], list(taken)) for place in _BESIDE)


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
