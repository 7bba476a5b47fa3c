"""Adoption of a new product."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def bass_adoption(adopted: ArrayLike, innovation: ArrayLike, imitation: ArrayLike, years: ArrayLike) -> Floats:
    """Probability that someone who has not adopted does so within `years`, from the exact solution of Bass's equation.

    Exact over a step of any length: two half steps give the same adoption as one.

    adopted               : (...) float, 1       share adopted when the step starts
    innovation, imitation : (...) float, 1/year  Bass p and q
    years                 : (...) float, year    length of the step (times any factor on the hazard)
    returns               : (...) float, 1
    source                : Bass (1969), Management Science 15(5)
    """
    share, p, q, time = np.broadcast_arrays(*(np.asarray(x, float) for x in (adopted, innovation, imitation, years)))
    # With y = (1 - F)/(p + qF) the equation dF/dt = (p + qF)(1 - F) reads dy/dt = -(p + q) y; solved for F and then for
    # (F(t) - F)/(1 - F), all differences of near equals cancel.
    hazard, decayed = p + q * share, np.exp(-(p + q) * time)
    below = hazard + q * (1 - share) * decayed
    return np.divide(-hazard * np.expm1(-(p + q) * time), below, out=np.zeros(share.shape), where=hazard > 0)
