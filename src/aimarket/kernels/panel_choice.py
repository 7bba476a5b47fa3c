"""What panel users of one group do at some prices of one firm, compiled: their choices, and sums over them."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import exp, log

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def _tokens(price: float, time_price: float, plain: float, thinking: float, numbers: Floats) -> tuple[float, float]:
    """Mtok for each task there is at the reference price, and their elasticity to price; as in `effort.use`.

    plain, thinking : Mtok a task without thinking, and of thinking at the reference price
    numbers         : log reference price, elasticity, curvature, log of the cheapness at which everything is done, and
                      exponent of difficulty; see `effort.Response`
    """
    log_reference, elasticity, curvature, log_everything, difficulty = numbers
    log_cheap = log_reference - log(price)
    many = log_cheap < log_everything  # there are tasks left to do
    count, extensive = elasticity * (log_cheap if many else log_everything), -elasticity if many else 0.0
    log_thinking = (log_reference - log(price + time_price)) / (1 + curvature)
    intensive = -price / (price + time_price) / (1 + curvature)
    if elasticity > 0:  # or the same tasks are done at any price
        log_thinking += difficulty * min(log_cheap, log_everything)
        intensive -= difficulty if many else 0.0
    thinking *= exp(log_thinking)
    return exp(count) * (plain + thinking), extensive + thinking / (plain + thinking) * intensive


@compiled
def offer_terms(
    terms: Floats, posted: Floats, later: Floats, group: Floats, of_offers: Floats, numbers: Floats, linear: bool
) -> None:
    """What M offers are to a group at the prices posted to it, and at those its members would pay later.

    terms : (6, M) to write to: utility of the price per unit of sensitivity, and its slope in the log price felt;
            margin per unit of size in USD, and its slope in the log price; work in hours, and its slope
    group, of_offers, numbers : as `profit.ExpectedValue` holds them
    """
    for m in range(len(posted)):
        mix, time_price, felt, plain, thinking, paid, foresight = group[:, m]
        cost, hours, _ = of_offers[:, m]
        felt *= mix * posted[m]
        if later[m] != posted[m]:
            felt *= exp(foresight * log(later[m] / posted[m]))
        paid *= posted[m]
        tokens, elasticity = _tokens(mix * paid, time_price, plain, thinking, numbers)
        tokens *= mix
        margin = tokens * (paid - cost)
        terms[0, m], terms[1, m] = (-felt, -felt) if linear else (numbers[0] - log(felt), -1.0)
        terms[2, m], terms[3, m] = margin, tokens * paid + margin * elasticity
        terms[4, m], terms[5, m] = tokens * hours, tokens * hours * elasticity


@compiled
def choose(
    share: Floats,
    utility: Floats,
    start: int,
    rest: Floats,
    sensitivity: Floats,
    of_price: Floats,
    top: Floats,
    total: Floats,
) -> None:
    """Shares of own offers among n users who choose; `top` and `total`, (n,), are room to reckon in.

    share    : (M, n or more) to write to
    utility  : (M, K) utils without price, of these users from `start` on
    of_price : (M,) utility of the prices per unit of sensitivity
    """
    offers, count = len(of_price), len(rest)  # loops of a few contiguous arrays each, to be vectorised
    for k in range(count):
        top[k] = rest[k]
    for m in range(offers):
        row, without = share[m][:count], utility[m][start : start + count]
        for k in range(count):
            row[k] = without[k] + sensitivity[k] * of_price[m]
            top[k] = max(top[k], row[k])
    for k in range(count):
        total[k] = exp(rest[k] - top[k])
    for m in range(offers):
        row = share[m][:count]
        for k in range(count):
            row[k] = exp(row[k] - top[k])
            total[k] += row[k]
    for k in range(count):
        total[k] = 1 / total[k]
    for m in range(offers):
        row = share[m][:count]
        for k in range(count):
            row[k] *= total[k]


@compiled
def totals(
    share: Floats,
    chooses: Floats,
    stays: Floats,
    held: Integers,
    sensitivity: Floats,
    size: Floats,
    flat: Floats,
    terms: Floats,
    leaving: Floats,
    foresight: float,
    now: Floats,
    later: Floats,
    room: Floats,
) -> tuple[float, float]:
    """Expected sums over n users of what each is worth, and works, on the offer he ends up with.

    Both come in one pass: sums term after term wait for one another. Gradients are added to `now` and `later`.

    share          : (M, n or more) of own offers among those who choose
    chooses, stays : (n,) users who do, and holders who do not
    held           : (n,) own offer, -1 for none
    flat           : (n,) worth on every offer
    terms          : (6, M) see `offer_terms`
    leaving        : (M,) hazard of a review per log point by which the price rises further
    foresight      : weight of the later price in the price felt
    now, later     : (2, M) the gradients in the prices posted to these users, and in those they would pay later
    room           : (2, n or more) to reckon in
    returns        : USD; reference-GPU-hours
    """
    utility_slope, worth, worth_slope, hours, hours_slope = terms[1], terms[2], terms[3], terms[4], terms[5]
    mean, work = room[0][: len(size)], room[1][: len(size)]
    for k in range(len(size)):
        mean[k] = 0.0
    for k in range(len(size)):
        work[k] = 0.0
    for m in range(len(worth)):
        row = share[m][: len(size)]
        for k in range(len(size)):
            mean[k] += row[k] * (size[k] * worth[m] + flat[k])
        for k in range(len(size)):
            work[k] += row[k] * (size[k] * hours[m])
    value = worked = 0.0
    for k in range(len(size)):
        value, worked = value + chooses[k] * mean[k], worked + chooses[k] * work[k]
        if held[k] >= 0:
            j = held[k]
            of_holder, of_work = size[k] * worth[j] + flat[k], size[k] * hours[j]
            value, worked = value + stays[k] * of_holder, worked + stays[k] * of_work
            now[0, j] += stays[k] * (size[k] * worth_slope[j] + leaving[j] * (mean[k] - of_holder))
            now[1, j] += stays[k] * (size[k] * hours_slope[j] + leaving[j] * (work[k] - of_work))
    for m in range(len(worth)):
        row, drawn, drawn_work, bought = share[m][: len(size)], 0.0, 0.0, 0.0
        for k in range(len(size)):  # d share_j / d ln p_m = share_j (1[j = m] - share_m) d utility_m / d ln p_m
            chosen = chooses[k] * row[k]
            drawn += chosen * sensitivity[k] * (size[k] * worth[m] + flat[k] - mean[k])
            drawn_work += chosen * sensitivity[k] * (size[k] * hours[m] - work[k])
            bought += chosen * size[k]
        now[0, m] += (1 - foresight) * utility_slope[m] * drawn + worth_slope[m] * bought
        now[1, m] += (1 - foresight) * utility_slope[m] * drawn_work + hours_slope[m] * bought
        later[0, m] += foresight * utility_slope[m] * drawn
        later[1, m] += foresight * utility_slope[m] * drawn_work
    return value, worked
