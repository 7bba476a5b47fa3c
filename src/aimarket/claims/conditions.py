"""On what it depends whether a claim holds: settings that part the box, and how far its single pairs can be trusted."""

from dataclasses import dataclass

import numpy as np

from aimarket.claims import inference
from aimarket.claims.evaluation import Result
from aimarket.claims.inference import LEVEL, Estimate

NEAR = 1.96  # standard deviations between seeds within which one pair tells nothing


@dataclass(frozen=True)
class Division:
    """How differently a claim fares in the two halves of the box that the median of one setting makes."""

    axis: str
    median: float
    lower: Estimate  # share in which the claim holds
    upper: Estimate
    difference: Estimate  # upper less lower, in shares
    p: float  # of no difference, Holm-corrected over the settings

    @property
    def told(self) -> bool:
        """Whether the halves differ by more than luck."""
        return self.p < LEVEL


def divisions(result: Result) -> list[Division]:
    """One division a setting of the box, greatest difference first; none of a box too small to halve."""
    holds = np.array([result.sign * point.effect >= result.smallest for point in result.box_points])
    if len(holds) < 2:
        return []
    halves = {}
    for axis in result.box_points[0].place:
        places = np.array([point.place[axis] for point in result.box_points])
        below = places < np.median(places)
        if below.any():
            halves[axis] = (float(np.median(places)), list(holds[below]), list(holds[~below]))
    compared = {axis: inference.share_difference(lower, upper) for axis, (_, lower, upper) in halves.items()}
    corrected = inference.holm({axis: p for axis, (_, p) in compared.items()}, list(halves))
    made = [
        Division(axis, median, inference.share(lower), inference.share(upper), compared[axis][0], corrected[axis])
        for axis, (median, lower, upper) in halves.items()
    ]
    return sorted(made, key=lambda division: -abs(division.difference.mean))


@dataclass(frozen=True)
class CloseCalls:
    """Points of the box so near to the smallest effect of interest that one pair does not tell if it is reached."""

    count: int
    none_holds: float  # share of the box in which the claim holds if it does at none of them
    all_hold: float


def close_calls(result: Result) -> CloseCalls:
    """The points within `NEAR` standard deviations, as between seeds at the default, of the smallest of interest."""
    margins = np.array([result.sign * point.effect - result.smallest for point in result.box_points])
    close = np.abs(margins) < NEAR * result.scatter  # of a run that broke off nothing is near
    sure = float(np.mean(~close & (margins >= 0)))
    return CloseCalls(int(close.sum()), sure, sure + float(close.mean()))
