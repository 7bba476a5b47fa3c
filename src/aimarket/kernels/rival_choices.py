"""What users do after firms have moved their prices: sums by firm, and how they change with prices; compiled."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import exp

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
compiled = njit(nogil=True, cache=True, error_model="numpy")

BASE, SALES, RESPONSE, OF_SALES, OF_RESPONSE, STEEPER, LEAVING = range(7)
"""Rows of sums by firm: users held at the end of the step; their spend; how that changes per log point of the firm's
price, at a given margin; the last two by users, each times 1 + his elasticity; the part of that change that comes from
users who are lost; and the change of the first row."""


class Choices(NamedTuple):
    """What K users of some weights, which may be negative, do among F firms."""

    totals: Floats  # (7, F) see `BASE`
    coming: Floats  # (3, F, K) users who choose a firm, their spend there, and how that responds to its price
    drawn: Floats  # (F, K) share of a choice that a log point of the firm's price draws to it


@compiled
def moved(of_firms: Floats, moves: Floats, dollars: bool) -> Floats:
    """`Rivalry.of_firms` after firms have moved all their prices by some log points, (F,)."""
    result = of_firms.copy()
    for f in range(len(moves)):
        if moves[f] == 0:
            continue
        attraction, slope, spend, elasticity = result[0, f], result[1, f], result[2, f], of_firms[3, f]
        factor = exp(moves[f]) if dollars else 1.0
        felt = factor - 1 if dollars else moves[f]
        for k in range(len(slope)):
            attraction[k] *= exp(slope[k] * felt)
        for k in range(len(slope)):
            spend[k] *= exp((1 + elasticity[k]) * moves[f])
        for k in range(len(slope)):
            slope[k] *= factor
    return result


@compiled
def choices(of_users: Floats, of_firms: Floats, held: Integers, weight: Floats) -> Choices:
    """What users do; loops of a few arrays each, to be vectorised.

    of_users, of_firms : as in `Rivalry`
    held               : (K,) firm, -1 for none
    weight             : (K,) users stood for
    """
    review, remains, outside = of_users
    firms, count = of_firms.shape[1:]
    totals, coming, drawn = np.zeros((7, firms)), np.empty((3, firms, count)), np.empty((firms, count))
    total, chooses = np.empty(count), np.empty(count)
    for k in range(count):
        total[k] = outside[k] * (remains[k] if held[k] >= 0 else 1.0)
    for k in range(count):
        chooses[k] = weight[k] * review[k]
    for f in range(firms):
        attraction, pull = of_firms[0, f], drawn[f]
        for k in range(count):
            pull[k] = attraction[k] * (1.0 if held[k] < 0 or held[k] == f else remains[k])
        for k in range(count):
            total[k] += pull[k]
    for k in range(count):
        total[k] = 1 / total[k]
    for f in range(firms):
        slope, spend, elasticity, share = of_firms[1, f], of_firms[2, f], of_firms[3, f], drawn[f]
        comes, wins, bends = coming[0, f], coming[1, f], coming[2, f]
        for k in range(count):
            share[k] *= total[k]
        for k in range(count):
            comes[k] = chooses[k] * share[k]
        for k in range(count):
            wins[k] = spend[k] * comes[k]
        for k in range(count):  # d share_k / d ln p_l = share_k (1[k = l] - share_l) slope_l
            share[k] *= slope[k]
        for k in range(count):
            bends[k] = wins[k] * (slope[k] - 2 * share[k] + elasticity[k])
        base = sales = response = of_sales = of_response = steeper = leaving = 0.0
        for k in range(count):
            kept = comes[k] + (weight[k] - chooses[k] if held[k] == f else 0.0)
            sale, lost = spend[k] * kept, wins[k] * (slope[k] - share[k])
            answer, more = lost + sale * elasticity[k], 1 + elasticity[k]
            base, sales, response = base + kept, sales + sale, response + answer
            of_sales, of_response = of_sales + more * sale, of_response + more * answer
            steeper, leaving = steeper + lost, leaving + comes[k] * (slope[k] - share[k])
        for row, total_of_firm in enumerate((base, sales, response, of_sales, of_response, steeper, leaving)):
            totals[row, f] = total_of_firm
    return Choices(totals, coming, drawn)


@compiled
def add_slopes(slopes: Floats, users: Choices, of_firms: Floats, mix: Floats, times: float) -> None:
    """Add the change of sums of the first firm per log point of the second's prices, through choices only.

    slopes : (F, F) to add to
    mix    : (3, F) how much of its base, of its sales to users who choose and of their response is looked at, by firm
    times  : weight of these users
    """
    firms, count = users.drawn.shape
    by_user, looked_at = np.empty((count, firms)), np.empty(count)
    for g in range(firms):
        for k in range(count):
            by_user[k, g] = users.drawn[g, k]
    for f in range(firms):
        comes, wins, bends, row = users.coming[0, f], users.coming[1, f], users.coming[2, f], slopes[f]
        slope, of_base, of_sales, of_response = of_firms[1, f], times * mix[0, f], times * mix[1, f], times * mix[2, f]
        for k in range(count):
            looked_at[k] = of_base * comes[k] + of_sales * wins[k] + of_response * bends[k]
        whole = count // 4 * 4
        for k in range(0, whole, 4):  # firms innermost, users by four: vectorised, and added up alike on any machine
            a, b, c, d = looked_at[k], looked_at[k + 1], looked_at[k + 2], looked_at[k + 3]
            first, second, third, fourth = by_user[k], by_user[k + 1], by_user[k + 2], by_user[k + 3]
            for g in range(firms):
                row[g] -= (a * first[g] + b * second[g]) + (c * third[g] + d * fourth[g])
        for k in range(whole, count):
            for g in range(firms):
                row[g] -= looked_at[k] * by_user[k, g]
        own = 0.0
        for k in range(count):
            own += looked_at[k] * slope[k]
        row[f] += own


@compiled
def won_by(users: Choices, firm: int, moves: Floats) -> float:
    """Sales that a firm wins from others as those move their prices by some log points, (F,)."""
    lost = np.zeros(users.drawn.shape[1])
    for g in range(len(moves)):
        if g != firm:
            for k in range(len(lost)):
                lost[k] += moves[g] * users.drawn[g, k]
    sales = 0.0
    for k in range(len(lost)):
        sales += users.coming[1, firm, k] * lost[k]
    return -sales
