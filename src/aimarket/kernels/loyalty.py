"""What users mean to one firm, compiled: how much likelier they are its own next step, and what they would pay it."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import exp

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def retention_advantage(
    ours: Floats, rival: Floats, others: Floats, outside: Floats, remains: Floats, review: Floats
) -> Floats:
    """How much likelier users are ours after the next step if ours now than if a rival's; K users.

    The rival is the one the user likes best; without rivals, the alternative is having no provider.

    ours, rival, others, outside : (K,) float, 1    attraction of the firm, of that rival (0: none), of all rivals
                                                    together, and of having no provider
    remains                      : (K,) float, 1    what switching cost leaves of the attraction of all but one's firm
    review                       : (K,) float, 1    probability of choosing
    returns                      : (K,) float, 1
    """
    advantage = np.empty(len(ours))
    for k in range(len(ours)):
        elsewhere = others[k] + outside[k]
        stay = ours[k] / (ours[k] + remains[k] * elsewhere)
        joins = remains[k] * ours[k] / (remains[k] * (ours[k] + elsewhere - rival[k]) + rival[k])
        join = joins if rival[k] > 0 else ours[k] / (ours[k] + elsewhere)
        advantage[k] = 1 - review[k] + review[k] * (stay - join)
    return advantage


@compiled
def mean_bill(utility: Floats, own: Integers, bill: Floats, kind: Integers) -> Floats:
    """What users would pay for a task on a firm's offers, by how they would pick among these; K users, M own offers.

    utility : (J, K) float, utils   of all offers; -inf for one that cannot be had
    own     : (M,) int              the firm's
    bill    : (M, 2 S) float, USD   of users of each kind
    kind    : (K,) int
    returns : (K,) float, USD; 0 where no offer can be had
    """
    count = len(kind)
    top, spent, total = np.full(count, -np.inf), np.zeros(count), np.zeros(count)
    for j in own:
        row = utility[j]
        for k in range(count):
            top[k] = max(top[k], row[k])
    for k in range(count):
        top[k] = max(top[k], -1e300)
    weight = np.empty(count)
    for m, j in enumerate(own):
        row = utility[j]
        for k in range(count):
            weight[k] = exp(row[k] - top[k])
        for k in range(count):
            spent[k] += weight[k] * bill[m, kind[k]]
        for k in range(count):
            total[k] += weight[k]
    for k in range(count):
        spent[k] = spent[k] / total[k] if total[k] > 0 else 0.0
    return spent
