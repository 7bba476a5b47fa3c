"""Two studies, or two parts of one, held against each other, paired by seed and replication.

Firms and users of a pair draw the same numbers, so that most of what differs by luck cancels in the difference.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aimarket.complaints import ResultsError, near
from aimarket.results import Results
from aimarket.schema import TABLES

_PAIR = ["seed", "replication"]
_SHOWN = 5  # of a list in an error

Statistic = str | Sequence[str] | Callable[[pd.DataFrame], float]
Window = Callable[[pd.DataFrame], "pd.Series[bool]"]


def compare(
    treatment: Results,
    control: Results,
    statistic: Statistic,
    when: Window | None = None,
    *,
    table: str = "market",
    by: Sequence[str] = (),
    level: float = 0.95,
    drop_unpaired: bool = False,
) -> pd.DataFrame:
    """Mean difference, treatment less control, over pairs of the same seed and replication.

        compare(study.where({"users.portability": 1}), study.where({"users.portability": 0}), "lerner", last_year)

    statistic     : column or columns, of which a replication's value is the mean over its rows; or a function from the
                    rows of a replication to a number
    when          : says of the rows of a table which ones count, such as `last_year`; None: all
    by            : columns (`year`, `provider`, a swept parameter) for each of whose values there is a comparison
    level         : coverage of the interval
    drop_unpaired : leave out seeds that only one side has; those are no pairs, and may be missing for a reason

    returns : a row a statistic and value of `by`: means of both sides, difference, ends of its interval, pairs. The
              interval is Student's t over pairs, without correction for many comparisons. A replication in which the
              statistic does not exist (NaN, or no rows) makes no pair; fewer than two pairs have no interval.
    raises  : ResultsError for an unknown column, seeds that do not pair or settings that do not
    """
    if not 0 < level < 1:
        raise ResultsError(f"level should be between 0 and 1 (got {level})")
    sides = {"treatment": treatment, "control": control}
    _check_pairs(_pairs(treatment, "treatment", by), _pairs(control, "control", by), drop_unpaired)
    values = {name: _values(results, statistic, when, table, by) for name, results in sides.items()}
    return _differences(pd.DataFrame(values), by, level)


def last_year(rows: pd.DataFrame) -> "pd.Series[bool]":
    """The rows of the last year of each run, in a table that has rows in every step."""
    return rows["year"] > rows.groupby("run_id")["year"].transform("max") - 1 + 1e-9


def first_year(rows: pd.DataFrame) -> "pd.Series[bool]":
    """The rows of the first year."""
    return rows["year"] < 1 + 1e-9


def _pairs(results: Results, side: str, by: Sequence[str]) -> set[tuple[int, int]]:
    """Seeds and replications of one side; each must name one run, or the interval would count its luck many times."""
    runs, apart = results.runs, ["seed", *(name for name in by if name in results.swept)]
    if runs.duplicated(apart).any():
        others = [n for n in results.swept if n not in ("run.seed", *by) and runs[n].nunique(dropna=False) > 1]
        raise ResultsError(
            f"the {side} has several runs of a seed, which differ in {', '.join(others) or 'no setting'}; "
            "choose with where(), or name it in by"
        )
    return {(seed, draw) for seed, n in zip(runs["seed"], runs["replications"], strict=True) for draw in range(n)}


def _check_pairs(treatment: set[tuple[int, int]], control: set[tuple[int, int]], drop_unpaired: bool) -> None:
    if not treatment & control:
        seeds = [_some(sorted({seed for seed, _ in side})) for side in (treatment, control)]
        raise ResultsError(f"no seed pairs: the treatment has {seeds[0]}; the control has {seeds[1]}")
    if (alone := sorted(treatment ^ control)) and not drop_unpaired:
        raise ResultsError(
            f"only one side has (seed, replication) {_some(alone)}; run the other, or drop them: drop_unpaired=True"
        )


def _some(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:_SHOWN])) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def _values(results: Results, statistic: Statistic, when: Window | None, table: str, by: Sequence[str]) -> pd.Series:
    """The statistic by seed, replication, `by` and name of the statistic."""
    names = [] if callable(statistic) else [statistic] if isinstance(statistic, str) else list(statistic)
    recorded = {column.name: column.kind for column in TABLES.get(table, ())}
    numbers = [name for name, kind in recorded.items() if kind in ("float64", "bool")]
    for name, allowed in (*((n, numbers) for n in names), *((n, [*recorded, *results.swept]) for n in by)):
        if recorded and name not in allowed:
            raise ResultsError(f"table {table} has no such column to compare: {name}{near(name, allowed)}")
    whole = callable(statistic) or when is not None  # either may look at any column
    frame = results.frame(table, None if whole else [*names, *(name for name in by if name in recorded)])
    frame["seed"] = frame["run_id"].map(results.runs.set_index("run_id")["seed"])
    rows = frame if when is None else frame[when(frame)]
    if rows.empty:
        raise ResultsError(f"table {table} of {results.folder} has no rows to compare" + (" then" if when else ""))
    groups = rows.groupby([*_PAIR, *by], dropna=False)
    if callable(statistic):
        found = pd.Series({key: float(statistic(group)) for key, group in groups})
        made = found.rename_axis([*_PAIR, *by]).to_frame(getattr(statistic, "__name__", "statistic"))
    else:
        made = groups[names].mean()
    return made.melt(var_name="statistic", ignore_index=False).set_index("statistic", append=True)["value"]


def _differences(values: pd.DataFrame, by: Sequence[str], level: float) -> pd.DataFrame:
    """Means over pairs, and the interval of the difference, by statistic and `by`."""
    values["difference"] = values["treatment"] - values["control"]
    values.loc[values["difference"].isna(), ["treatment", "control"]] = np.nan  # means of both are over the same pairs
    groups = values.groupby(level=[*by, "statistic"], sort=False, dropna=False)
    made = groups[["treatment", "control", "difference"]].mean()
    pairs = groups["difference"].count()
    half = stdtrit(pairs - 1, (1 + level) / 2) * groups["difference"].std() / np.sqrt(pairs)
    return made.assign(low=made["difference"] - half, high=made["difference"] + half, pairs=pairs).reset_index()
