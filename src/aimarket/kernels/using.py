"""Those who hold an offer use it, and their workflows grow and fall.

At posted prices all that users pay and use is their own size (tasks a month times workflows) times a number of the
offer, so it is enough to add up sizes. Users who do not pay are capped one by one, and users under contract have a
price of their own. Numbers of the offer are tables by *place*: the terms on which a user holds an offer, and which.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.counter import words
from aimarket.kernels.elementary import exp, log
from aimarket.kernels.reviewing import is_routed, patience_from
from aimarket.kernels.tables import (
    DEPTH,
    FREE,
    FREE_DECLINED,
    FREE_TOKENS,
    NEW,
    NEW_SIZE,
    OVER,
    OWN,
    OWN_SIZE,
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

_OWN, _NEW, _FREE, _SIGNED = range(4)  # terms
_NOTHING, _NAN = np.float32(0), np.float32(np.nan)
_ROUNDING = 1e-6  # log points of a price in single precision: firms like to post the very price at which all is done


class Worth(NamedTuple):
    """What offers are to the users of one stratum, by place: (4 (J + 1),) each; before offers stands none."""

    quality: Singles  # logits
    delay: Singles  # log points
    price: Singles  # utils per unit of sensitivity; 0 to those who do not pay, and where it is not known yet
    amount: Floats  # counted per task a month of own size: that size itself, Mtok of those who do not pay
    allowance: Floats  # of that amount


@njit(nogil=True, cache=True)
def worth(choosing: Choosing, tables: Using, s: int, r: int) -> Worth:
    """The table of one stratum."""
    offers = len(choosing.quality)
    places = 4 * (offers + 1)
    quality, delay, price = np.empty(places, np.float32), np.empty(places, np.float32), np.empty(places, np.float32)
    amount, allowance = np.empty(places), np.empty(places)
    for terms in range(4):
        none = terms * (offers + 1)
        quality[none], delay[none], price[none] = _NAN, _NAN, _NOTHING
        amount[none], allowance[none] = 1.0, np.inf
        for j in range(offers):
            p, free = none + 1 + j, terms == _FREE
            quality[p], delay[p] = choosing.quality[j], choosing.delay[s, r, j]
            posted = tables.worth[0 if terms == _OWN else 1, s, j]
            price[p] = posted if terms in (_OWN, _NEW) else _NOTHING
            amount[p], allowance[p] = (tables.free_tokens[s, j], tables.allowance[j]) if free else (1.0, np.inf)
    return Worth(quality, delay, price, amount, allowance)


@njit(nogil=True, cache=True)
def use(
    users: Users,
    offers: Worth,
    share: float,
    start: int,
    stop: int,
    cost: Singles,
    joined: Flags,
    place: NDArray[np.uint16],
    surplus: Singles,
    signed: Integers,
    used: Floats,
    by_stratum: Floats,
) -> int:
    """What the users in the rows start..stop of one stratum do with their offers, but for those under contract.

    share  : of its users, who choose through a router
    cost   : (n,) float, utils of leaving, from the row `start` on
    joined : (n,) bool, who comes from another provider or from none, likewise
    place  : (n,) written over
    surplus: (n,) float, filled with utils of the offers held, the price under contract left out; nan without one
    signed : (n,) int, filled with the rows of users under contract
    used   : (4 (J + 1), 3) float, by place: users, what they use and what is declined; added to
    returns: int, how many are under contract
    """
    offer, free, router = users.offer[start:stop], users.free[start:stop], users.router[start:stop]
    contract, depth, tenure = users.contract_price[start:stop], users.depth[start:stop], users.tenure[start:stop]
    quality, latency, price = users.quality[start:stop], users.latency[start:stop], users.price[start:stop]
    tasks, n = users.tasks[start:stop], stop - start
    of_quality, of_delay, of_price, amount, allowance = offers
    columns, routers, bound = len(of_price) // 4, 0, np.empty(n, np.bool_)
    embedded, stayed, leaving = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        holds, routed = offer[i] >= 0, is_routed(free[i], router[i], share)
        bound[i] = holds & (not free[i]) & (contract[i] == contract[i])  # nan: none
        posted = _NEW if joined[i] else _OWN
        place[i] = (_FREE if free[i] else (_SIGNED if bound[i] else posted)) * columns + offer[i] + 1
        routers += routed & holds
        embedded[i], stayed[i] = depth[i] if holds else _NOTHING, tenure[i] if holds else _NOTHING
        leaving[i] = cost[i] if holds & (not routed) else _NOTHING
    by_stratum[ROUTED] += routers
    all_depth, all_tenure, all_costs, count = by_stratum[DEPTH], by_stratum[TENURE], by_stratum[SWITCHING_COST], 0
    for i in range(n):  # one loop, so that no sum waits for another
        p = place[i]
        all_depth += embedded[i]
        all_tenure += stayed[i]
        all_costs += leaving[i]
        surplus[i] = quality[i] * of_quality[p] - latency[i] * of_delay[p] + price[i] * of_price[p]
        wanted = np.float64(tasks[i]) * depth[i] * amount[p]
        had = min(wanted, allowance[p])
        used[p, 0] += 1
        used[p, 1] += had
        used[p, 2] += wanted - had
        signed[count] = start + i
        count += bound[i]
    by_stratum[DEPTH], by_stratum[TENURE], by_stratum[SWITCHING_COST] = all_depth, all_tenure, all_costs
    return count


@njit(nogil=True, cache=True)
def count_use(used: Floats, by_offer: Floats) -> None:
    """Use of a stratum by offer, from use by place."""
    table = used.reshape(4, -1, 3)[:, 1:]
    for j in range(len(by_offer)):
        by_offer[j, OWN], by_offer[j, OWN_SIZE] = table[_OWN, j, 0], table[_OWN, j, 1]
        by_offer[j, NEW], by_offer[j, NEW_SIZE] = table[_NEW, j, 0], table[_NEW, j, 1]
        by_offer[j, FREE], by_offer[j, FREE_TOKENS], by_offer[j, FREE_DECLINED] = table[_FREE, j]


@njit(nogil=True, cache=True)
def use_under_contract(
    users: Users, tables: Using, s: int, start: int, surplus: Singles, signed: Integers, by_offer: Floats
) -> None:
    """What the users in the rows `signed`, of one stratum, use at prices of their own; their contracts run down.

    surplus : as `use` leaves it; of these users the price is added
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
        surplus[i - start] += users.price[i] * worth
        users.contract_left[i] -= months
        if users.contract_left[i] <= OVER:
            users.due[i] = True


@njit(nogil=True, cache=True)
def deepen(users: Users, tables: Using, s: int, start: int, stop: int, surplus: Singles) -> None:
    """Who holds an offer embeds more workflows; some are dropped if its surplus falls, and without an offer.

    surplus : (n,) float, utils of the offers held now, nan without one; from the row `start` on
    """
    growth, ceiling, log_kept = tables.growth[s], tables.ceiling[s], tables.log_kept[s]
    months = np.float32(tables.months)
    depth, offer, before = users.depth[start:stop], users.offer[start:stop], users.surplus[start:stop]
    tenure, adopted = users.tenure[start:stop], users.adopted[start:stop]
    for i in range(len(depth)):
        holds, fall = offer[i] >= 0, before[i] - surplus[i]
        idle = months if adopted[i] else _NOTHING
        loss = (fall if fall > 0 else _NOTHING) if holds else idle  # nobody falls from nan
        gap = max(ceiling - depth[i], _NOTHING) if holds else _NOTHING
        depth[i] = (depth[i] + growth * gap) * exp(log_kept * loss)
        tenure[i] += months if holds else _NOTHING
        before[i] = surplus[i]


@njit(nogil=True, cache=True)
def begin_to_pay(users: Users, tables: Reviewing, s: int, first: int, start: int, stop: int, begins: Integers) -> None:
    """Some users who paid nothing pay from now on, and choose in the next step; the clock of `reviewing` tells who.

    first  : int, number of the user in row 0
    begins : (n,) int, written over
    """
    hazard, all_begin = tables.conversion[s], tables.conversion[s] == np.inf
    patience, free, adopted = users.patience[start:stop], users.free[start:stop], users.adopted[start:stop]
    pays = np.empty(len(free), np.bool_)
    for i in range(len(free)):
        may = free[i] & adopted[i]
        patience[i] -= hazard if may & (not all_begin) else _NOTHING
        pays[i] = may & (all_begin | (patience[i] <= 0))
    count = 0
    for i in range(len(free)):
        begins[count] = start + i
        count += pays[i]
    for i in begins[:count]:
        users.free[i], users.due[i], users.surplus[i] = False, True, np.nan
        if users.patience[i] <= 0:
            users.patience[i] = patience_from(words(tables.key, tables.step, first + i)[2])
