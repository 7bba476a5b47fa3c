"""Who adopts and who looks around, told by one clock a user.

A user's *patience* is drawn from the unit exponential. The hazards of every step are taken off it, and when none is
left the user acts and draws anew. The chance of acting in a step of hazard h is then 1 - e^-h whatever came before, as
if it were drawn afresh in every step, but only those who act draw. One clock serves every cause, since hazards run one
after the other and what is left of an exponential wait is another one. Who is forced to act keeps what is left.
"""

import numpy as np
from numba import njit

from aimarket.kernels.elementary import inlined, log
from aimarket.kernels.tables import ADOPTED, BEFORE, OVER, Floats, Integers, Reviewing, Users


@inlined
def patience_from(word: np.uint64) -> np.float32:
    """Unit exponential by inversion of a word of 32 bits; float32, never 0."""
    return np.float32(-log((np.float64(word) + 0.5) * 2.0**-32))


@inlined
def is_routed(free: bool, router: float, share: float) -> bool:
    """Whether a user chooses through a router; see `population.routes`."""
    return not free and router < share


@njit(nogil=True, cache=True)
def who_acts(
    users: Users,
    tables: Reviewing,
    s: int,
    r: int,
    start: int,
    stop: int,
    by_offer: Floats,
    by_stratum: Floats,
    acting: Integers,
) -> int:
    """Adoption and review of the rows start..stop of one stratum; patience runs.

    s, r       : its segment and region
    by_offer   : (J, OFFER_COLUMNS) float, by_stratum : (STRATUM_COLUMNS,) float, counts that are added to
    acting     : (n,) int, filled with the rows that choose an offer now, adopters among them
    returns    : int, how many
    """
    count = 0
    review, adoption, share = tables.review[s], tables.adoption[s], tables.multihoming[s]
    for i in range(start, stop):
        if not users.adopted[i]:
            if adoption < np.inf:
                users.patience[i] -= adoption
            if adoption == np.inf or users.patience[i] <= 0:
                users.adopted[i] = True
                by_stratum[ADOPTED] += 1
                acting[count] = i
                count += 1
            continue
        by_stratum[ADOPTED] += 1
        held, routed = users.offer[i], is_routed(users.free[i], users.router[i], share)
        hazard, must = tables.router if routed else review, users.due[i]
        if held >= 0:
            if not routed:
                by_offer[held, BEFORE] += 1
            if not tables.on_sale[held]:
                must = True
            elif users.contract_left[i] > OVER:
                continue  # bound, whatever happens
            else:
                # A price rise or an outage at one's own provider adds to the hazard; who does not pay feels no price.
                hazard += tables.outage[s, r, held]
                if not users.free[i]:
                    hazard += tables.rise[held]
        if not must and hazard < np.inf:
            users.patience[i] -= hazard
        if must or hazard == np.inf or users.patience[i] <= 0:
            acting[count] = i
            count += 1
    return count
