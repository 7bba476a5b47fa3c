"""From paired effects to a verdict: intervals, one-sided tests, Holm's correction, the share of the box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from aimarket.claims.libraries import library

LEVEL = 0.05  # of all tests of a family together
BROAD, NARROW = 0.9, 0.1  # shares of the box above which a claim is general, below which it is an exception

Verdict = Literal["supported", "refuted", "depends", "not shown"]


@dataclass(frozen=True)
class Estimate:
    """A mean, or a share, with its 95 % interval, and of how many it is."""

    mean: float
    low: float
    high: float
    count: int


def estimate(values: ArrayLike) -> Estimate:
    """Mean with its 95 % interval by Student's t; without bounds if there are fewer than two values."""
    sample = np.asarray(values, dtype=float)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Estimate(mean, float("-inf"), float("inf"), 1)
    low, high = library("statsmodels.stats.weightstats").DescrStatsW(sample).tconfint_mean(0.05)
    return Estimate(mean, float(low), float(high), len(sample))


def scatter(values: ArrayLike) -> float:
    """Standard deviation of the values that exist; nan of fewer than two."""
    sample = np.asarray(values, dtype=float)
    sample = sample[np.isfinite(sample)]
    return float(sample.std(ddof=1)) if len(sample) > 1 else float("nan")


def exceeds(values: ArrayLike, bound: float) -> float:
    """One-sided p-value of the hypothesis that the mean is not above the bound (t-test); 1 without a sample."""
    sample = np.asarray(values, dtype=float)
    sample = sample[np.isfinite(sample)]
    if len(sample) < 2:
        return 1.0
    if np.ptp(sample) == 0:
        return 0.0 if sample[0] > bound else 1.0
    found = library("statsmodels.stats.weightstats").DescrStatsW(sample).ttest_mean(bound, alternative="larger")
    return float(found[1])


def share(holds: Sequence[bool]) -> Estimate:
    """Share of points at which a claim holds, with Wilson's 95 % interval."""
    if not holds:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    bounds = library("statsmodels.stats.proportion").proportion_confint(sum(holds), len(holds), method="wilson")
    low, high = (min(1.0, max(0.0, float(bound))) for bound in bounds)
    return Estimate(sum(holds) / len(holds), low, high, len(holds))


def share_difference(first: Sequence[bool], second: Sequence[bool]) -> tuple[Estimate, float]:
    """Share of the second less that of the first, with Newcombe's 95 % interval, and Fisher's exact p-value."""
    (hits, count), (hits_before, count_before) = ((sum(sample), len(sample)) for sample in (second, first))
    low, high = library("statsmodels.stats.proportion").confint_proportions_2indep(
        hits, count, hits_before, count_before, method="newcomb", compare="diff"
    )
    table = [[hits, count - hits], [hits_before, count_before - hits_before]]
    difference = hits / count - hits_before / count_before
    p = float(library("scipy.stats").fisher_exact(table).pvalue)
    return Estimate(difference, float(low), float(high), count + count_before), p


def holm(p_values: Mapping[str, float], family: Sequence[str]) -> dict[str, float]:
    """Holm's correction over a family of claims; one that was not run counts as p = 1, which errs on the safe side.

    returns : corrected p-values of those that were run
    """
    names = list(dict.fromkeys([*p_values, *family]))
    corrected = library("statsmodels.stats.multitest").multipletests(
        [p_values.get(name, 1.0) for name in names], LEVEL, method="holm"
    )[1]
    return {name: float(p) for name, p in zip(names, corrected, strict=True) if name in p_values}


def verdict(p_holds: float, p_fails: float, box: Estimate) -> Verdict:
    """The word for a claim.

    p_holds : Holm-corrected p-value of "the effect is not above the smallest of interest"
    p_fails : Holm-corrected p-value of "the effect is not below it"
    box     : share of the box in which the claim holds

    `depends` if it holds in some of the box and fails in some, whatever the default shows; else `supported` if it is
    shown at the default and holds nearly everywhere, `refuted` if the contrary is shown and it holds nearly nowhere;
    else `not shown`: the interval straddles, or the default is not like the box.
    """
    if NARROW <= box.mean <= BROAD:
        return "depends"
    if p_holds < LEVEL and box.mean > BROAD:
        return "supported"
    if p_fails < LEVEL and box.mean < NARROW:
        return "refuted"
    return "not shown"


def verdicts_within(p_holds: float, p_fails: float, box: Estimate) -> list[Verdict]:
    """The verdict, and after it those that the ends of the interval of the share would give instead."""
    ends = (Estimate(share, box.low, box.high, box.count) for share in (box.mean, box.low, box.high))
    return list(dict.fromkeys(verdict(p_holds, p_fails, end) for end in ends))
