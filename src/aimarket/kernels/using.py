"""Those who hold an offer use it, and their workflows grow and fall.

At posted prices all that users pay and use is their own size (tasks a month times workflows) times a number of the
offer, so it is enough to add up sizes. Users who do not pay are capped one by one, and users under contract have a
price of their own.
"""

import math

import numpy as np
from numba import njit

from aimarket.kernels.counter import words
from aimarket.kernels.elementary import exp, log
from aimarket.kernels.reviewing import is_routed, patience_from
from aimarket.kernels.tables import (
    DEPTH,
    FREE,
    FREE_DECLINED,
    FREE_TOKENS,
    NEW,
    OVER,
    OWN,
    ROUTED,
    SIGNED,
    SIGNED_SHORTFALL,
    SIGNED_SPEND,
    SIGNED_TASK_ELASTICITY,
    SIGNED_TASKS,
    SIGNED_THINKING,
    SIGNED_THINKING_ELASTICITY,
    SIGNED_TOKENS,
    SWITCHING_COST,
    TENURE,
    Choosing,
    Flags,
    Floats,
    Integers,
    Reviewing,
    Singles,
    Users,
    Using,
)

_ROUNDING = 1e-6  # log points of a price in single precision: firms like to post the very price at which all is done


@njit(nogil=True, cache=True)
def use(
    users: Users,
    reviewing: Reviewing,
    choosing: Choosing,
    tables: Using,
    s: int,
    r: int,
    start: int,
    stop: int,
    cost: Singles,
    joined: Flags,
    loss: Singles,
    signed: Integers,
    by_offer: Floats,
    by_stratum: Floats,
) -> int:
    """What the users in the rows start..stop of one stratum do with their offers, but for those under contract.

    cost   : (n,) float, utils of leaving, from the row `start` on
    joined : (n,) bool, who comes from another provider or from none, likewise
    loss   : (n,) float, filled with what workflows are lost by: utils of surplus, or months without an offer
    signed : (n,) int, filled with the rows of users under contract
    returns: int, how many are
    """
    count, months, share = 0, np.float32(tables.months), reviewing.multihoming[s]
    for i in range(start, stop):
        j = users.offer[i]
        if j < 0:
            users.surplus[i] = np.nan
            loss[i - start] = months if users.adopted[i] else np.float32(0)
            continue
        depth, free = users.depth[i], users.free[i]
        by_stratum[DEPTH] += depth
        by_stratum[TENURE] += users.tenure[i]
        if is_routed(free, users.router[i], share):
            by_stratum[ROUTED] += 1
        else:
            by_stratum[SWITCHING_COST] += cost[i - start]
        users.tenure[i] += months
        surplus = users.quality[i] * choosing.quality[j] - users.latency[i] * choosing.delay[s, r, j]
        size = np.float64(users.tasks[i]) * depth
        if free:
            wanted = size * tables.free_tokens[s, j]
            used = min(wanted, tables.allowance[j])
            by_offer[j, FREE] += 1
            by_offer[j, FREE_TOKENS] += used
            by_offer[j, FREE_DECLINED] += wanted - used
        elif math.isnan(users.contract_price[i]):
            kind, column = (1, NEW) if joined[i - start] else (0, OWN)
            by_offer[j, column] += 1
            by_offer[j, column + 1] += size
            surplus += users.price[i] * tables.worth[kind, s, j]
        else:
            signed[count] = i
            count += 1
            loss[i - start] = surplus  # kept here until the price is known
            continue
        fall = users.surplus[i] - surplus
        loss[i - start] = fall if fall > 0 else np.float32(0)  # nobody falls from nan
        users.surplus[i] = surplus
    return count


@njit(nogil=True, cache=True)
def use_under_contract(
    users: Users, tables: Using, s: int, start: int, loss: Singles, signed: Integers, by_offer: Floats
) -> None:
    """What the users in the rows `signed`, of one stratum, use at prices of their own; their contracts run down.

    loss : as in `use`, and when called their surplus without the price
    """
    n, months = len(signed), np.float32(tables.months)
    cheaper, full = np.empty(n), np.empty(n)  # price over the reference price, as asked and with the time waited
    for k in range(n):
        i = signed[k]
        j = users.offer[i]
        asked = users.contract_price[i] * tables.mix[s, j]
        cheaper[k], full[k] = asked / tables.reference_price, (asked + tables.time_price[s, j]) / tables.reference_price
    hardest = tables.log_ceiling / tables.elasticity if tables.elasticity > 0 else 0.0
    tasks, thinking = np.empty(n), np.empty(n)
    for k in range(n):
        cheaper[k] = -log(cheaper[k])  # log points from now on
        tasks[k] = tables.tasks * exp(min(tables.elasticity * cheaper[k], tables.log_ceiling))
        harder = tables.difficulty * min(cheaper[k], hardest)
        thinking[k] = tables.thinking[s] * exp(harder - tables.effort * log(full[k]))
    for k in range(n):
        i = signed[k]
        j, price, mix = users.offer[i], np.float64(users.contract_price[i]), tables.mix[s, users.offer[i]]
        done = np.float64(users.tasks[i]) * users.depth[i] * tasks[k]
        tokens = done * (tables.plain[s] + thinking[k])
        missing = max(users.commitment[i] * tables.months - tokens * mix, 0.0)
        extensive = 0.0 if cheaper[k] >= hardest - _ROUNDING else -tables.elasticity
        asked = price * mix
        intensive = -tables.effort * asked / (asked + tables.time_price[s, j])
        if extensive < 0:
            intensive -= tables.difficulty
        by_offer[j, SIGNED] += 1
        by_offer[j, SIGNED_TASKS] += done
        by_offer[j, SIGNED_TOKENS] += tokens
        by_offer[j, SIGNED_THINKING] += done * thinking[k]
        by_offer[j, SIGNED_SPEND] += asked * tokens
        by_offer[j, SIGNED_SHORTFALL] += price * missing
        by_offer[j, SIGNED_TASK_ELASTICITY] += tokens * extensive
        by_offer[j, SIGNED_THINKING_ELASTICITY] += done * thinking[k] * intensive
        worth = cheaper[k] if tables.log_price else -asked
        surplus = np.float32(loss[i - start] + users.price[i] * worth)
        fall = users.surplus[i] - surplus
        loss[i - start] = fall if fall > 0 else np.float32(0)
        users.surplus[i] = surplus
        users.contract_left[i] -= months
        if users.contract_left[i] <= OVER:
            users.due[i] = True


@njit(nogil=True, cache=True)
def deepen(users: Users, tables: Using, s: int, start: int, stop: int, loss: Singles) -> None:
    """Who holds an offer embeds more workflows; some are dropped if its surplus falls, and without an offer.

    loss : (n,) float, as `use` leaves it, from the row `start` on
    """
    growth, ceiling, log_kept, nothing = tables.growth[s], tables.ceiling[s], tables.log_kept[s], np.float32(0)
    depth, offer = users.depth[start:stop], users.offer[start:stop]
    for i in range(len(depth)):
        gap = max(ceiling - depth[i], nothing) if offer[i] >= 0 else nothing
        depth[i] = (depth[i] + growth * gap) * exp(log_kept * loss[i])


@njit(nogil=True, cache=True)
def begin_to_pay(users: Users, tables: Reviewing, s: int, first: int, start: int, stop: int) -> None:
    """Some users who paid nothing pay from now on, and choose in the next step; the clock of `reviewing` tells who.

    first : int, number of the user in row 0
    """
    hazard = tables.conversion[s]
    for i in range(start, stop):
        if not (users.free[i] and users.adopted[i]):
            continue
        if hazard < np.inf:
            users.patience[i] -= hazard
        if hazard == np.inf or users.patience[i] <= 0:
            users.free[i], users.due[i], users.surplus[i] = False, True, np.nan
        if users.patience[i] <= 0:
            users.patience[i] = patience_from(words(tables.key, tables.step, first + i)[2])
