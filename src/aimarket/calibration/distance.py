"""How far simulated moments are from their targets, and what the trials say of the parameters: functions of arrays.

Moments are weighted by the inverse of their variances: that of the target, and that of the simulated mean over seeds.
Both are held fixed while parameters move, so that no point looks better for being noisier. Targets come from sources
that know nothing of each other, so covariances among them are taken to be 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = 0.95  # of intervals and regions


def variance(error: Floats, simulated: Floats, seeds: int) -> Floats:
    """Variance of target less simulated mean, (moments,).

    error     : standard errors of the targets, (moments,)
    simulated : moments by seed at one point, (seeds there, moments)
    seeds     : how many seeds the mean to be weighted is over
    """
    return np.asarray(error**2 + simulated.var(axis=0, ddof=1) / seeds, dtype=np.float64)


def distance(simulated: Floats, target: Floats, weight: Floats) -> float:
    """Σ weight · (mean simulated − target)².

    simulated : (seeds, moments)
    weight    : 1/variance, (moments,)
    """
    return float(np.sum(weight * (simulated.mean(axis=0) - target) ** 2))


@dataclass(frozen=True)
class Overidentification:
    """Hansen's J: at the true parameters the distance is χ² with as many degrees as moments exceed parameters."""

    statistic: float
    degrees: int
    probability: float  # of a distance this large or larger if the model holds; nan without a degree of freedom


def overidentification(least: float, moments: int, parameters: int) -> Overidentification:
    """Hansen (1982), with the variances above for weights."""
    from scipy.special import chdtrc

    degrees = moments - parameters
    return Overidentification(least, degrees, float(chdtrc(degrees, least)) if degrees > 0 else float("nan"))


def nearly_best(distances: Floats, parameters: int = 1) -> NDArray[np.bool_]:
    """Which trials fit nearly as well as the best, (trials,): within the χ² quantile of so many degrees of freedom.

    The reach of one parameter among them is its profile interval; with all parameters the region is a joint one. Only
    points that were tried count, so either is too small where trials are few.
    """
    from scipy.special import chdtri

    return np.asarray(distances <= distances.min() + chdtri(parameters, 1 - LEVEL))


def standard_errors(values: Floats, moments: Floats, distances: Floats, weight: Floats) -> Floats:
    """Standard errors from local curvature, (parameters,): √ diag (D'WD)⁻¹, D the slopes of moments; nan if singular.

    values  : parameters by trial on a scale of 0 to 1, (trials, parameters)
    moments : means over seeds, (trials, moments)

    D comes of least squares on the trials of least distance, five for each slope.
    """
    parameters = values.shape[1]
    near = np.argsort(distances, kind="stable")[: 5 * (parameters + 1)]
    design = np.column_stack([np.ones(len(near)), values[near]])
    if len(near) <= parameters + 1 or np.linalg.matrix_rank(design) <= parameters:
        return np.full(parameters, np.nan)
    slopes = np.linalg.lstsq(design, moments[near], rcond=None)[0][1:].T
    information = slopes.T @ (weight[:, None] * slopes)
    if np.linalg.cond(information) > 1e12:
        return np.full(parameters, np.nan)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(information))), dtype=np.float64)
