"""Bass diffusion: adoption driven by innovation (p) and by imitation (q) of those who have adopted.

Source: Bass (1969), A new product growth for model consumer durables, Management Science 15(5).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def bass_adopted(time: ArrayLike, innovation: float, imitation: float) -> Floats:
    """(...) share of eventual adopters who have adopted by `time`, from none at time 0.

    F(t) = (1 - e^-(p+q)t) / (1 + (q / p) e^-(p+q)t)

    time                  : (...) years, >= 0
    innovation, imitation : p and q, per year, p > 0
    raises                : ValueError if p is not above 0
    """
    decay = np.exp(-_speed(innovation, imitation) * np.asarray(time, float))
    return np.asarray((1 - decay) / (1 + imitation / innovation * decay))


def bass_rate(time: ArrayLike, innovation: float, imitation: float) -> Floats:
    """(...) adopters per year at `time`, as a share of eventual adopters: (p + q F)(1 - F)."""
    adopted = bass_adopted(time, innovation, imitation)
    return np.asarray((innovation + imitation * adopted) * (1 - adopted))


def bass_peak_time(innovation: float, imitation: float) -> float:
    """Years until adoption is fastest, ln(q / p) / (p + q), or 0 where imitation is the weaker force."""
    speed = _speed(innovation, imitation)
    return max(0.0, math.log(imitation / innovation) / speed) if imitation > 0 else 0.0


def bass_peak_rate(innovation: float, imitation: float) -> float:
    """Adopters per year at the peak, (p + q)^2 / (4 q), or p where the peak is at the start."""
    _speed(innovation, imitation)
    return (innovation + imitation) ** 2 / (4 * imitation) if imitation > innovation else innovation


def _speed(innovation: float, imitation: float) -> float:
    if innovation <= 0 or imitation < 0:
        raise ValueError("innovation must be above 0 and imitation at least 0")
    return innovation + imitation
