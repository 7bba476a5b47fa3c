"""Who adopts and who looks around, told by one clock a user.

A user's *patience* is drawn from the unit exponential. The hazards of every step are taken off it, and when none is
left the user acts and draws anew. The chance of acting in a step of hazard h is then 1 - e^-h whatever came before, as
if it were drawn afresh in every step, but only those who act draw. One clock serves every cause, since hazards run one
after the other and what is left of an exponential wait is another one. Who is forced to act keeps what is left.

A user's hazard is one number of a table by *place*: the terms on which the user takes part, and the offer held.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import inlined, log
from aimarket.kernels.tables import ADOPTED, BEFORE, OVER, Floats, Integers, Reviewing, Singles, Users

_PAYS, _PAYS_NOTHING, _ROUTED, _WAITS = range(4)  # terms; those who wait have not adopted
_MUST = np.float32(-1)  # instead of a hazard: the offer held is not on sale
_OVER = np.float32(OVER)
_NEVER, _ALWAYS = np.float32(0), np.float32(np.inf)


@inlined
def patience_from(word: np.uint64) -> np.float32:
    """Unit exponential by inversion of a word of 32 bits; float32, never 0."""
    return np.float32(-log((np.float64(word) + 0.5) * 2.0**-32))


@inlined
def is_routed(free: bool, router: float, share: float) -> bool:
    """Whether a user chooses through a router; see `population.routes`."""
    return (not free) & (router < share)


@njit(nogil=True, cache=True)
def hazards(tables: Reviewing, s: int, r: int) -> Singles:
    """Hazards of looking around in one stratum, (4 (J + 1),) by terms and offer held; before offers stands none.

    A price rise or an outage at one's own provider adds to the hazard; who does not pay feels no price.
    """
    offers = len(tables.on_sale)
    table = np.empty((4, offers + 1), np.float32)
    for place in range(offers + 1):
        table[_PAYS, place] = table[_PAYS_NOTHING, place] = tables.review[s]
        table[_ROUTED, place], table[_WAITS, place] = tables.router, tables.adoption[s]
    for j in range(offers):
        for terms in range(_WAITS):
            rise = _NEVER if terms == _PAYS_NOTHING else tables.rise[j]
            hazard = table[terms, j + 1] + tables.outage[s, r, j] + rise
            table[terms, j + 1] = hazard if tables.on_sale[j] else _MUST
    return table.ravel()


@njit(nogil=True, cache=True)
def who_acts(
    users: Users,
    table: Singles,
    share: float,
    start: int,
    stop: int,
    place: NDArray[np.uint16],
    seen: Integers,
    acting: Integers,
    by_stratum: Floats,
) -> int:
    """Adoption and review of the rows start..stop of one stratum; patience runs.

    table      : its `hazards`
    share      : of its users, who choose through a router
    place      : (n,) written over
    seen       : (4 (J + 1),) int, how many stood where in the table; added to, as is
    by_stratum : (STRATUM_COLUMNS,) float
    acting     : (n,) int, filled with the rows that choose an offer now, adopters among them
    returns    : int, how many
    """
    adopted, offer, free, router = (
        users.adopted[start:stop], users.offer[start:stop], users.free[start:stop], users.router[start:stop],
    )  # fmt: skip
    patience, left, due = users.patience[start:stop], users.contract_left[start:stop], users.due[start:stop]
    n, columns = len(offer), len(table) // 4
    hazard, acts = np.empty(n, np.float32), np.empty(n, np.bool_)
    for i in range(n):
        terms = _ROUTED if is_routed(free[i], router[i], share) else (_PAYS_NOTHING if free[i] else _PAYS)
        place[i] = (terms if adopted[i] else _WAITS) * columns + offer[i] + 1
    for i in range(n):
        hazard[i] = table[place[i]]
        seen[place[i]] += 1
    count = 0
    for i in range(n):
        bound = (left[i] > _OVER) & (hazard[i] >= 0)  # whatever happens
        now = _NEVER if bound else hazard[i]
        must = (now < 0) | (now == _ALWAYS) | (due[i] & adopted[i] & (not bound))
        patience[i] -= _NEVER if must else now
        acts[i] = must | (patience[i] <= 0)
        adopted[i] |= acts[i]
        count += adopted[i]
    by_stratum[ADOPTED] += count
    count = 0
    for i in range(n):
        acting[count] = start + i
        count += acts[i]
    return count


@njit(nogil=True, cache=True)
def count_held(seen: Integers, by_offer: Floats) -> None:
    """How many of a stratum held each offer without a router, by where they stood in the table of hazards."""
    table = seen.reshape(4, len(by_offer) + 1)
    for j in range(len(by_offer)):
        by_offer[j, BEFORE] += table[_PAYS, j + 1] + table[_PAYS_NOTHING, j + 1]
