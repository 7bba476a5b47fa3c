"""Which settings the outcome depends on: by the indices of a design, or else by rank correlation."""

import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from aimarket.complaints import ResultsError
from aimarket.report import charts, style
from aimarket.report.format import decimals, percent
from aimarket.report.labels import EndLabel
from aimarket.report.measures import Write
from aimarket.report.plates import Chart, Plate
from aimarket.report.study import Analysis, NotShownError, Study, short_names

_MOST_SETTINGS = 15
_FEWEST_POINTS = 8
_BOOTSTRAP = "lines: 95 % intervals (bootstrap)"


def sensitivity(study: Study) -> Plate:
    """What each parameter of a Morris or Sobol design does to the outcome; without one, rank correlations."""
    made = study.analysis
    if made is None:
        return _rank_correlation(study)
    by_run = study.outcomes.groupby(level="run_id").mean()
    try:
        found = made.effects(by_run)
    except ResultsError as error:
        return _rank_correlation(study, f"No indices of the {made.kind.title()} design: {error}.")
    found.index = pd.Index(short_names(list(found.index)).values(), name="parameter")
    return _sobol(study, made, found) if made.kind == "sobol" else _morris(study, made, found)


def _sobol(study: Study, made: Analysis, found: pd.DataFrame) -> Plate:
    """Shares of the variance of the outcome, alone and in all."""
    found = found.sort_values("ST", ascending=False, kind="stable")
    whole, alone = _interval(found, "ST"), _interval(found, "S1")
    first = whole.iloc[0]
    name = study.outcome.name
    says = f"Of the variance of the {name} {found.index[0]} makes"
    if first["high"] - first["low"] > 1:
        says = f"Too few points to share out the variance of the {name}: {found.index[0]} would make"
    title = (
        f"{says} {percent(first['middle'])} with its interactions (95 %: {percent(first['low'])} to "
        f"{percent(first['high'])}); beyond chance: {_certain(whole)}"
    )
    note = (
        f"Sobol indices of the {name} of the last {study.periods.word}, {made.points:,} points of the design: share of "
        f"its variance that a parameter makes alone (S1, hollow) and with its interactions (ST, bars); {_BOOTSTRAP}. "
        "With few points a share can come out below 0 or above 1."
    )
    table = pd.DataFrame({"alone (S1)": _written(alone, percent), "in all (ST)": _written(whole, percent)})
    chart = _chart(whole, alone, percent, f"share of the variance of the {name}")
    return Plate("sensitivity", title, note, ((chart,),), table)


def _morris(study: Study, made: Analysis, found: pd.DataFrame) -> Plate:
    """Mean size of the elementary effects on the outcome, and how much they differ across the box."""
    found = found.sort_values("mu_star", ascending=False, kind="stable")
    size = _interval(found, "mu_star")
    size["low"] = size["low"].clip(lower=0.0)
    outcome, first = study.outcome, size.iloc[0]
    write = outcome.write
    title = (
        f"The {outcome.name} depends most on {found.index[0]}: {write(first['middle'])} over its range, on average "
        f"(95 %: {write(first['low'])} to {write(first['high'])})"
    )
    note = (
        f"Elementary effects (Morris) on the {outcome.name} of the last {study.periods.word}, {made.points:,} points "
        "of the design: mean size of the change as one parameter goes through its range (μ*, bars); "
        f"{_BOOTSTRAP}; hollow: its standard deviation σ, large where the effect bends or depends on other parameters."
    )
    table = pd.DataFrame(
        {
            "mean size (μ*)": _written(size, write),
            "mean (μ)": found["mu"].map(write),
            "standard deviation (σ)": found["sigma"].map(write),
        }
    )
    unit = f", {outcome.unit}" if outcome.unit else ""
    spread = pd.DataFrame({"middle": found["sigma"]})
    chart = _chart(size, spread, write, f"change in {outcome.name} over the range{unit}")
    return Plate("sensitivity", title, note, ((chart,),), table)


def _interval(found: pd.DataFrame, column: str) -> pd.DataFrame:
    middle, half = found[column], found[f"{column}_conf"]
    return pd.DataFrame({"middle": middle, "low": middle - half, "high": middle + half})


def _written(found: pd.DataFrame, write: Write) -> pd.Series:
    words = found.map(write)
    return words["middle"] + " (" + words["low"] + " to " + words["high"] + ")"


def _certain(found: pd.DataFrame) -> str:
    """How many intervals leave nought out: "2 of 5 parameters"."""
    certain = int((found["low"] * found["high"] > 0).sum())
    return f"{certain} of {len(found)} {found.index.name}s"


def _rank_correlation(study: Study, remark: str = "") -> Plate:
    """Rank correlation of each swept number with the outcome, over points, with 95 % intervals."""
    rows = study.design.loc[study.outcomes.index, study.swept]
    numbers = [name for name in study.swept if pd.api.types.is_numeric_dtype(rows[name]) and rows[name].notna().all()]
    if not numbers:
        raise NotShownError("sensitivity needs swept settings that are numbers")
    run_ids = rows.index.get_level_values("run_id")
    point = pd.Series({run: place for place, ids in enumerate(study.points.values()) for run in ids})
    means = rows[numbers].astype(float).assign(outcome=study.outcomes).groupby(point.loc[run_ids].to_numpy()).mean()
    if len(means) < _FEWEST_POINTS:
        raise NotShownError(f"sensitivity needs {_FEWEST_POINTS} points or more")
    ranks = means.rank()
    if ranks["outcome"].nunique() < 2:
        raise NotShownError(f"the {study.outcome.name} is the same at every point")
    found = pd.DataFrame(
        [_correlation(ranks[name], ranks["outcome"]) for name in numbers], columns=["middle", "low", "high"]
    )
    found.index = pd.Index([short_names(study.swept)[name] for name in numbers], name="setting")
    found = found.sort_values("middle", key=lambda column: -column.abs(), kind="stable")
    first, name = found.iloc[0], study.outcome.name
    title = (
        f"The {name} follows {found.index[0]} most: rank correlation {decimals(first['middle'])} "
        f"(95 %: {decimals(first['low'])} to {decimals(first['high'])}); beyond chance: {_certain(found)}"
    )
    note = (
        f"Spearman's rank correlation of each swept number with the {name} of the last {study.periods.word}, over "
        f"{len(means):,} points (means over seeds); lines: 95 % intervals (Fisher). A correlation sees trends, neither "
        f"bends nor interactions. {remark}"
    ).strip()
    if left := len(study.swept) - len(numbers):
        note += f" Left out: {left} swept settings that are no numbers."
    table = found.map(decimals).set_axis(["rank correlation", "95 % from", "to"], axis=1)
    chart = _chart(found, None, lambda value: decimals(value, 1), f"rank correlation with the {name}", (-1.03, 1.03))
    return Plate("sensitivity", title, note, ((chart,),), table)


def _correlation(one: pd.Series, other: pd.Series) -> tuple[float, float, float]:
    found = stats.pearsonr(one, other)
    low, high = found.confidence_interval(0.95)
    return float(found.statistic), float(low), float(high)


def _chart(
    found: pd.DataFrame, beside: pd.DataFrame | None, write: Write, label: str, ends: tuple[float, float] | None = None
) -> Chart:
    """A bar with its interval for each setting, and beneath it a hollow point, with an interval if it has one."""
    shown = found.head(_MOST_SETTINGS)

    def paint(axes: Axes) -> list[EndLabel]:
        rows = charts.name_rows(axes, [charts.shorten(str(name), 28) for name in shown.index])
        axes.barh(rows, shown["middle"], height=0.5, color=style.COLOURS[0], alpha=0.35)
        axes.hlines(rows, shown["low"], shown["high"], color=style.COLOURS[0], linewidth=1.6)
        axes.plot(shown["middle"], rows, "o", color=style.COLOURS[0], markersize=4.5)
        if beside is not None:
            other = beside.head(_MOST_SETTINGS)
            if "low" in other:
                axes.hlines(rows - 0.36, other["low"], other["high"], color=style.COLOURS[1], linewidth=1.2)
            axes.plot(other["middle"], rows - 0.36, "o", color=style.COLOURS[1], markersize=4.5, fillstyle="none")
        charts.nought(axes)
        if ends:
            axes.set_xlim(*ends)
        charts.write_x(axes, write, label)
        return []

    return Chart(paint, height=0.3 + 1.1 * charts.ROW * len(shown) * (1 if beside is None else 1.4))
