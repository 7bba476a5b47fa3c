"""Expected value of a firm's prices on a panel of users, with its gradient: one compiled pass over the users.

Whatever depends on an offer and a group of users alone is reckoned once a pass; what is left for each user is a logit.
Numba takes long to import, so nothing imports this module before a firm asks what its prices are worth.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numba import njit
from numba.extending import overload
from numpy.typing import NDArray

from aimarket.kernels.effort import Response
from aimarket.kernels.elementary import exp, log
from aimarket.kernels.panel_choice import choose, offer_terms, totals
from aimarket.kernels.price_search import value_at

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
compiled = njit(nogil=True, cache=True, error_model="numpy")
_SHARPNESS = 32.0  # of the corner between serving everything and serving what capacity allows


@dataclass(frozen=True)
class Demand:
    """What panel users would do at other prices of one firm's M offers, the rest of the market as it stands.

    K users whom prices can move, group by group; users of one of the G groups count tokens and feel prices alike:
    first       : (G + 1,) int            where each group begins, and K
    current     : (K,) int                own offer now held, -1 for none of them
    users       : (4, K) float            weight, users a panel user stands for; review, probability of choosing anew
                                          this step; sensitivity, utils per log point or per USD/Mtok; and size,
                                          tasks/step at the reference price
    rest        : (K,) float, utils       inclusive value of every other alternative
    utility     : (M, K) float, utils     of own offers without price

    Groups:
    groups      : (7, G, M) float         mix, price of the token mix over that of the reference mix; time price,
                                          USD/Mtok; price that counts in the choice over the price posted; Mtok a task
                                          without thinking; Mtok of thinking at the reference price; share of the posted
                                          price that is paid; and weight a newcomer gives to the first row of prices,
                                          which he pays later
    newcomer    : (G,) bool               no customer of the firm: faces the second row of prices if there are two

    Users whom no price moves count in `steady_hours`, and in what the firm has at stake.
    """

    first: Integers
    current: Integers
    users: Floats
    rest: Floats
    utility: Floats
    groups: Floats
    newcomer: Flags
    response: Response
    metric: str
    price_rise_review: float  # hazard of a review per log point of price rise
    previous_prices: Floats  # (M,) USD/Mtok
    hours: Floats  # (M,) reference-GPU-hours/Mtok
    capacity: float = np.inf  # reference-GPU-hours a step that can be worked
    steady_hours: float = 0.0  # reference-GPU-hours
    price_cap: float = np.inf  # USD/Mtok; a price above it counts as the cap, to which it will be cut


class ExpectedValue(NamedTuple):
    """Expected margin of the step plus the value of the users kept or won, as a function of prices.

    A few packed arrays, for a compiled function takes a moment to look at each; of M offers, K users and G groups.
    """

    users: Floats  # (4, K) see `Demand`
    rest: Floats  # (K,) utils
    user_value: Floats  # (K,) USD of having the user after this step
    groups: Floats  # (7, G, M) see `Demand`
    offers: Floats  # (3, M) cost, hours, previous price
    numbers: Floats  # (11,) of use, five, see `panel_choice`; of the firm, five; whether price counts in dollars
    first: Integers
    newcomer: Flags
    current: Integers
    utility: Floats

    @classmethod
    def of(cls, demand: Demand, costs: Floats, user_value: Floats, steady_value: float = 0.0) -> Self:
        """What a firm's prices are worth, given

        costs        : (M,) float, USD/Mtok
        user_value   : (K,) float, USD    of having the user after this step; 0 for a firm that does not look ahead
        steady_value : float, USD         expected of users whom no price moves, in this step and after it
        """
        d, r = demand, demand.response
        everything = math.log(r.ceiling) / r.elasticity if r.elasticity > 0 else math.inf
        of_use = (math.log(r.reference_price), r.elasticity, r.curvature, everything, r.difficulty)
        of_firm = (d.price_rise_review, d.capacity, d.price_cap, d.steady_hours, steady_value)
        return cls(
            users=d.users,
            rest=d.rest,
            user_value=user_value,
            groups=d.groups,
            offers=np.array([costs, d.hours, d.previous_prices]),
            numbers=np.array([*of_use, *of_firm, d.metric == "linear"], dtype=float),
            first=d.first,
            newcomer=d.newcomer,
            current=d.current,
            utility=d.utility,
        )

    def __call__(self, prices: Floats) -> tuple[float, Floats]:
        """The value and its gradient in log prices.

        prices  : (M,) float, USD/Mtok; or (2, M): the first row for own customers, the second for newcomers
        returns : USD; float like `prices`, USD per log point
        """
        value, slope = _expected_value(self, prices.reshape(-1, self.offers.shape[1]))
        return value, slope.reshape(prices.shape)


@compiled
def smooth_rationing(load: float) -> tuple[float, float]:
    """Share served at some load over capacity, and its elasticity to load: about min(1, 1/load), rounded at the corner.

    Load peaks within the day, so some of it is turned away before its mean reaches capacity.
    """
    if load <= 1:
        power = load**_SHARPNESS
        return (1 + power) ** (-1 / _SHARPNESS), -power / (1 + power)
    power = load**-_SHARPNESS
    return (1 + power) ** (-1 / _SHARPNESS) / load, -1 / (1 + power)


@overload(value_at, jit_options={"error_model": "numpy"}, strict=False)  # names and types may be put more exactly
def _value_at(objective: Any, prices: Any) -> Any:
    return _value if getattr(objective, "instance_class", None) is ExpectedValue else None


def _value(firm: ExpectedValue, asked: Floats) -> tuple[float, Floats]:
    """See `ExpectedValue`; asked : (R, M) USD/Mtok, and so is the gradient."""
    users, numbers, first = firm.users, firm.numbers, firm.first
    price_rise_review, capacity, cap, work, value, linear = numbers[5:]
    offers, widest = len(firm.offers[2]), 0
    prices, calm, leaving = np.empty(asked.shape), np.ones(offers), np.zeros(offers)
    for r in range(len(asked)):
        for m in range(offers):
            prices[r, m] = cap if asked[r, m] > cap else asked[r, m]
    for m in range(offers):
        rise = log(prices[0, m] / firm.offers[2, m])
        if rise > 0:  # makes holders look around; a cut does not, and neither does what newcomers pay
            calm[m], leaving[m] = exp(-price_rise_review * rise), price_rise_review
    for g in range(len(firm.newcomer)):
        widest = max(widest, first[g + 1] - first[g])
    share, room, terms = np.empty((offers, widest)), np.empty((4, widest)), np.empty((6, offers))
    slope = np.zeros((len(prices), 2, offers))  # of value and of work
    for g in range(len(firm.newcomer)):
        start, end = first[g], first[g + 1]
        weight, review = users[0][start:end], users[1][start:end]
        sensitivity, size = users[2][start:end], users[3][start:end]
        rest, user_value = firm.rest[start:end], firm.user_value[start:end]
        held, count = firm.current[start:end], end - start
        chooses, stays = room[2][:count], room[3][:count]
        row = len(prices) - 1 if firm.newcomer[g] else 0
        offer_terms(terms, prices[row], prices[0], firm.groups[:, g], firm.offers, numbers[:5], linear > 0)
        choose(share, firm.utility, start, rest, sensitivity, terms[0], chooses, stays)
        for k in range(count):
            stays[k] = weight[k] * (1 - review[k]) * calm[held[k]] if held[k] >= 0 else 0.0
            chooses[k] = weight[k] - stays[k] if held[k] >= 0 else weight[k] * review[k]
        of_users = share, chooses, stays, held, sensitivity, size, user_value
        worth, hours = totals(*of_users, terms, leaving, firm.groups[6, g, 0], slope[row], slope[0], room)
        value, work = value + worth, work + hours
    gradient, served, by_work = np.empty(asked.shape), 1.0, 0.0
    rationed = capacity < math.inf and value > 0 and work > 0  # turning users away is no way out of a loss
    if rationed:
        served, elasticity = smooth_rationing(work / capacity if capacity > 0 else math.inf)
        value, by_work = served * value, value * elasticity / work
    for r in range(len(asked)):
        for m in range(offers):
            now = served * (slope[r, 0, m] + by_work * slope[r, 1, m]) if rationed else slope[r, 0, m]
            gradient[r, m] = 0.0 if asked[r, m] > cap else now
    return value, gradient


_expected_value = compiled(_value)
