"""Figures of chance: when markets tip, and how much the number of replications leaves open."""

import warnings

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy import stats

from aimarket.report import charts, style
from aimarket.report.format import decimals, percent
from aimarket.report.labels import EndLabel
from aimarket.report.periods import KEYS, steps_per_year
from aimarket.report.plates import Chart, Plate
from aimarket.report.study import NotShownError, Study

TIPPED = 2 / 3  # of tokens, for a year running
_FEWEST = 3
_MOST_GROUPS = 4


def tipping(study: Study) -> Plate:
    """Share of simulations that have tipped by a date; those that have not by their end are censored there."""
    if len(study.design) < _FEWEST:
        raise NotShownError(f"tipping times need {_FEWEST} simulations or more")
    if study.providers["provider"].nunique() < 2:
        raise NotShownError("a market of one provider cannot tip")
    times = tipping_times(study.market)
    if not times["tipped"].any():
        raise NotShownError(
            f"in none of {study.simulations()} does a provider serve {percent(TIPPED)} of tokens for a year running"
        )
    groups = study.points if 1 < len(study.points) <= _MOST_GROUPS else {"": list(study.market["run_id"].unique())}
    run_ids = times.index.get_level_values("run_id")
    heading, words = charts.point_names(list(groups), 26)
    end = float(study.market["year"].max())

    def paint(axes: Axes) -> list[EndLabel]:
        labels = []
        for place, (name, ids) in enumerate(zip(words, groups.values(), strict=True)):
            own = times[run_ids.isin(ids)]
            colour, tipped = style.COLOURS[place], int(own["tipped"].sum())
            sample = stats.CensoredData(own.loc[own["tipped"], "year"], right=own.loc[~own["tipped"], "year"])
            curve = stats.ecdf(sample).cdf
            x = np.concatenate([[0.0], curve.quantiles, [end]])
            y = np.concatenate([[0.0], curve.probabilities, curve.probabilities[-1:]])
            axes.step(x, y, where="post", color=colour, linestyle=_dashes(place))
            if len(own) > 1 and tipped:
                with warnings.catch_warnings():  # it has no interval where all or none have tipped: drawn without
                    warnings.simplefilter("ignore", RuntimeWarning)
                    band = curve.confidence_interval(0.95, method="log-log")
                low, high = (np.nan_to_num(side.probabilities) for side in (band.low, band.high))
                below, above = (np.concatenate([[0.0], side, side[-1:]]) for side in (low, high))
                axes.fill_between(x, below, above, step="post", color=colour, alpha=0.15, linewidth=0)
            text = f"{name}\n{tipped} of {len(own)}" if name else f"{tipped} of {len(own)}"
            labels.append(EndLabel(text, colour, end, float(y[-1])))
        axes.set_title(heading, loc="left", fontsize=9.5, color=style.INK, pad=6)
        axes.set_xlim(0.0, end)
        axes.set_ylim(0.0, 1.02)
        charts.write_y(axes, percent)
        axes.set_xlabel("years since the start")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=end > 2))
        return labels

    tipped = times.loc[times["tipped"], "year"]
    title = (
        f"{len(tipped)} of {len(times)} markets tip, half of these within {decimals(float(tipped.median()), 1)} years"
    )
    note = (
        f"Tipped: from that month on one provider serves {percent(TIPPED)} of tokens or more for a year. Kaplan–Meier "
        "distribution; simulations that end untipped are censored there; bands: 95 % (log-log)."
    )
    return Plate("tipping", title, note, ((Chart(paint, "share of markets tipped", 3.0, heading),),))


def _dashes(place: int) -> str | tuple[int, tuple[float, ...]]:
    return (0, style.DASHES[place]) if style.DASHES[place] else "-"


def tipping_times(market: pd.DataFrame) -> pd.DataFrame:
    """When each simulation tipped (`year`, `tipped`), or until when it was watched without tipping.

    market : `leader_share` by simulation and step
    """
    year = steps_per_year(market)
    rows = market.sort_values([*KEYS, "step"])
    holds = (rows["leader_share"] >= TIPPED).groupby([rows[key] for key in KEYS])
    full = holds.rolling(year).min().droplevel([0, 1]).reindex(rows.index) == 1  # of the year that ends here
    start = rows["year"] - (year - 1) / year
    tipped = start[full].groupby([rows.loc[full, key] for key in KEYS]).min()
    watched = start.groupby([rows[key] for key in KEYS]).max().clip(lower=1e-9)
    return pd.DataFrame(
        {"year": tipped.reindex(watched.index).fillna(watched), "tipped": watched.index.isin(tipped.index)}
    )


def replicates(study: Study) -> Plate:
    """Running mean of the outcome, and its 95 % interval, against the number of seeds and replications."""
    series = study.by_point.dropna().mean(axis=1).to_numpy()
    if len(series) < _FEWEST:
        raise NotShownError(f"replicate diagnostics need {_FEWEST} seeds or replications of every point")
    if np.ptp(series) <= 1e-9 * np.abs(series).max():
        raise NotShownError(f"the {study.outcome.name} is the same in every replication")
    many = np.arange(1, len(series) + 1)
    mean = np.cumsum(series) / many
    spread = pd.Series(series).expanding().std(ddof=1).to_numpy()[1:]
    half = stats.t.ppf(0.975, many[1:] - 1) * spread / np.sqrt(many[1:])
    write, name = study.outcome.write, study.outcome.name

    def paint(axes: Axes) -> list[EndLabel]:
        axes.fill_between(many[1:], mean[1:] - half, mean[1:] + half, color=style.COLOURS[0], alpha=0.18, linewidth=0)
        axes.plot(many, mean, color=style.COLOURS[0])
        axes.plot(many, series, "o", color=style.GREY, markersize=3, alpha=0.8)
        reach = max(float(np.ptp(series)), 2 * float(half[-1]), 1e-9)
        middle = (float(series.min()) + float(series.max())) / 2
        axes.set_ylim(middle - 0.85 * reach, middle + 0.85 * reach)
        axes.set_xlim(0.5, many[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.set_xlabel("seeds and replications, in their order")
        charts.write_y(axes, write)
        return [EndLabel(f"mean\n{write(float(mean[-1]))}", style.COLOURS[0], float(many[-1]), float(mean[-1]))]

    error, needed = float(half[-1]), 4 * len(series)
    exact = write(error) if write(error).strip("0.,$ %") else decimals(error, 4)
    title = (
        f"After {len(series)} replications the {name} is known to ±{exact} (95 %); half of that takes about {needed}"
    )
    over = f", mean over {study.by_point.shape[1]} points" if study.by_point.shape[1] > 1 else ""
    note = (
        f"{name[0].upper()}{name[1:]} in the last {study.periods.word}{over}: single replications (dots), running mean "
        "and its 95 % interval (t)."
    )
    return Plate("replicates", title, note, ((Chart(paint, name, 2.8),),))
