"""The house style: theme, colours, dashes, ticks, and files that are the same bytes every time.

Nothing here touches matplotlib's global state: figures are `matplotlib.figure.Figure`s built inside `house_style()`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from aimarket.report.format import decimals, money, power_of_ten, unbroken

# Okabe & Ito (2008), "Color Universal Design"; the house's first three come first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REST = "#666666"
# The second cue, so that no line is told by its colour alone: on, off, on, off, … in line widths.
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.6), (1.4, 1.2), (6, 1.4, 1.4, 1.4), (3, 1, 3, 2.6), (9, 2))
REST_DASHES: tuple[float, ...] = (1, 2.2)
INK = "#222222"
GREY = "#555555"
_DPI = 200
_THEME = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.7,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.bottom": True,
    "xtick.major.size": 3,
    "xtick.major.width": 0.7,
    "lines.linewidth": 1.8,
    "lines.dash_capstyle": "butt",
    "lines.scale_dashes": True,
    "axes.unicode_minus": True,
    "figure.dpi": _DPI,
    "savefig.dpi": _DPI,
    "svg.hashsalt": "aimarket",
    "svg.fonttype": "path",
    "path.simplify": True,
    "text.usetex": False,
    "text.parse_math": False,  # a $ is a dollar
    "savefig.bbox": None,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the house style to what is drawn and saved inside; the notebook's own style comes back after."""
    plain = {key: value for key, value in mpl.rcParamsDefault.items() if key not in ("backend", "interactive")}
    theme: Any = {**plain, **sns.axes_style("whitegrid"), **sns.plotting_context("paper"), **_THEME}
    with mpl.rc_context(theme):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches that can be measured before it is saved."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def text_ink(colour: str) -> tuple[float, float, float]:
    """Darken a line's colour until text in it reads on white (contrast 4.5 : 1, WCAG 2.1)."""
    shade = to_rgb(colour)
    while 1.05 / (_luminance(shade) + 0.05) < 4.5:
        shade = (shade[0] * 0.95, shade[1] * 0.95, shade[2] * 0.95)
    return shade


def _luminance(shade: tuple[float, float, float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shade]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_size(figure: Figure, text: str, font: Mapping[str, Any]) -> tuple[float, float]:
    """Measure a text in inches."""
    artist = figure.text(0, 0, text, **font)
    box = artist.get_window_extent()
    artist.remove()
    return box.width / figure.dpi, box.height / figure.dpi


def wrap(figure: Figure, text: str, width: float, font: Mapping[str, Any]) -> str:
    """Break a text into the fewest lines of at most `width` inches, of even length, never between number and unit."""
    words = unbroken(text).split(" ")
    sizes = [text_size(figure, word, font)[0] for word in words]
    space = text_size(figure, "n n", font)[0] - text_size(figure, "nn", font)[0]
    lines = _fill(words, sizes, space, width)
    for narrower in (width * part / 50 for part in range(49, 24, -1)):
        tried = _fill(words, sizes, space, narrower)
        if len(tried) > len(lines):
            break
        lines = tried
    return "\n".join(lines)


def _fill(words: list[str], sizes: list[float], space: float, width: float) -> list[str]:
    lines, used = [words[0]], sizes[0]
    for word, size in zip(words[1:], sizes[1:], strict=True):
        if used + space + size <= width:
            lines[-1], used = f"{lines[-1]} {word}", used + space + size
        else:
            lines, used = [*lines, word], size
    return lines


def ladder(low: float, high: float) -> list[float]:
    """Ticks of a log axis: even over a short range, 1-2-5 over a longer one, decades, or every few of them."""
    span = math.log10(high / low)
    if span < 0.6:
        return [tick for tick in _even(low, high, 5) if low <= tick <= high]
    steps, stride = (1, 2, 5) if span < 2.3 else (1,), max(1, math.ceil(span / 7))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{power}") for power in powers if power % stride == 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _even(low: float, high: float, most: int) -> list[float]:
    return [float(tick) for tick in MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def value_axis(axes: Axes, scale: str, low: float, high: float) -> None:
    """Give the vertical axis its scale ("money", "factor", "share", "amount" or "index") and ticks written out."""
    if scale in ("money", "factor"):
        low, high = (low, high) if high / low >= 1.3 else (low / 1.3, high * 1.3)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        ticks = ladder(low, high)
    else:
        high = min(1.0, high) if scale == "share" else high
        low, high = (low, high) if high - low > 0.04 else (low - 0.05, high + 0.05)
        ticks = _even(max(low, 0.0) if scale == "share" else low, high, 3 if scale == "index" else 7)
        axes.set_ylim(ticks[0], ticks[-1])
    write = {"money": money_tick, "factor": factor_tick, "share": share_tick, "amount": amount_tick, "index": decimals}[
        scale
    ]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def share_tick(value: float) -> str:
    """Write a tick in per cent."""
    return f"{value * 100:.3g} %"


def amount_tick(value: float) -> str:
    """Write a tick of a linear axis in USD: −$1.5 M, $0, $200 k."""
    return trimmed(money(value))


def trimmed(text: str) -> str:
    """Leave out noughts behind the decimal point: $2 T for $2.00 T."""
    return re.sub(r"(\.\d*?)0+(?=\D|$)", lambda match: match[1].rstrip("."), text)


def money_tick(value: float) -> str:
    """Write a tick in USD: $1,000, $0.01, $2×10⁻⁷."""
    return "$" + _plain(value)


def factor_tick(value: float) -> str:
    """Write a tick as a multiple of a base: ×1,000, ×0.5, 1/10,000."""
    inverse = 1 / value
    exact = value < 0.11 and abs(inverse / round(inverse) - 1) < 1e-9
    return f"1/{_plain(inverse)}" if exact else f"×{_plain(value)}"


def _plain(value: float) -> str:
    if 1e-4 <= value < 1e9:
        return f"{value:,.0f}" if value >= 10 else f"{float(f'{value:.3g}'):.6f}".rstrip("0").rstrip(".")
    digits = next((digits for digits in (1, 2) if math.isclose(float(f"{value:.{digits - 1}e}"), value)), 3)
    return power_of_ten(value, digits)


def time_axis(axes: Axes, start: float, end: float, written: bool = True) -> None:
    """Make the horizontal axis years with whole ticks, or months where there are few; write it out or not."""
    axes.set_xlim(start, end) if end > start else axes.set_xlim(start - 0.04, start + 0.04)
    if end <= 2:
        months = range(math.ceil(start * 12 - 1e-9), math.floor(end * 12 + 1e-9) + 1)
        stride = math.ceil(len(months) / 12)
        axes.set_xticks([month / 12 for month in months[::stride]], [str(month) for month in months[::stride]])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    if written:
        axes.set_xlabel(f"{'months' if end <= 2 else 'years'} since the start")
    else:
        axes.tick_params(axis="x", labelbottom=False, length=0)
        axes.spines["bottom"].set_visible(False)


def save(figure: Figure, folder: Path, name: str, title: str) -> list[Path]:
    """Write the figure as SVG and PNG with no date and no version in them; return the two paths."""
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    figure.savefig(svg, metadata={"Title": title, "Date": None, "Creator": None})
    figure.savefig(png, metadata={"Title": title, "Software": None})
    return [svg, png]
