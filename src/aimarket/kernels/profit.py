"""Expected value of a firm's prices on a panel of users, with its gradient: one compiled pass over the users.

Whatever depends on an offer and a group of users alone is reckoned once a pass; what is left for each user is a logit.
Numba takes long to import, so nothing imports this module before a firm asks what its prices are worth.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.effort import Response
from aimarket.kernels.elementary import exp, log

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
    weight      : (K,) float, users       a panel user stands for
    review      : (K,) float, 1           probability of choosing anew this step
    rest        : (K,) float, utils       inclusive value of every other alternative
    sensitivity : (K,) float, utils per log point, or per USD/Mtok
    size        : (K,) float, tasks/step  at the reference price
    utility     : (M, K) float, utils     of own offers without price

    Groups:
    mix             : (G, M) float, 1         price of the token mix over that of the reference mix
    time_price      : (G, M) float, USD/Mtok
    felt            : (G, M) float, 1         price that counts in the choice over the price posted
    tokens_per_task : (G,) float, Mtok        without thinking
    thinking        : (G,) float, Mtok        thinking tokens at the reference price
    paid            : (G,) float, 1           share of the posted price that is paid
    newcomer        : (G,) bool               no customer of the firm: faces the second row of prices if there are two
    foresight       : (G,) float, 1           weight a newcomer gives to the first row, which he pays later

    Users whom no price moves count in `steady_hours`, and in what the firm has at stake.
    """

    first: Integers
    current: Integers
    weight: Floats
    review: Floats
    rest: Floats
    sensitivity: Floats
    size: Floats
    utility: Floats
    mix: Floats
    time_price: Floats
    felt: Floats
    tokens_per_task: Floats
    thinking: Floats
    paid: Floats
    newcomer: Flags
    foresight: Floats
    response: Response
    metric: str
    price_rise_review: float  # hazard of a review per log point of price rise
    previous_prices: Floats  # (M,) USD/Mtok
    hours: Floats  # (M,) reference-GPU-hours/Mtok
    capacity: float = np.inf  # reference-GPU-hours a step that can be worked
    steady_hours: float = 0.0  # reference-GPU-hours
    price_cap: float = np.inf  # USD/Mtok; a price above it counts as the cap, to which it will be cut


class ExpectedValue:
    """Expected margin of the step plus the value of the users kept or won, as a function of prices.

    costs        : (M,) float, USD/Mtok
    user_value   : (K,) float, USD    of having the user after this step; 0 for a firm that does not look ahead
    steady_value : float, USD         expected of users whom no price moves, in this step and after it
    """

    def __init__(self, demand: Demand, costs: Floats, user_value: Floats, steady_value: float = 0.0) -> None:
        d, r, of_groups = demand, demand.response, demand.mix.shape
        column = lambda values: np.broadcast_to(np.reshape(values, (-1, 1)), of_groups)  # noqa: E731
        # Few arrays instead of many: a compiled function takes a moment to look at each.
        self._users = np.stack([d.weight, d.review, d.rest, d.sensitivity, d.size, user_value])
        groups = (d.tokens_per_task, d.thinking, d.paid, d.foresight)
        self._groups = np.stack([d.mix, d.time_price, d.felt, *map(column, groups)])
        self._offers = np.stack([costs, d.hours, d.previous_prices])
        everything = np.log(r.ceiling) / r.elasticity if r.elasticity > 0 else np.inf
        of_use = (np.log(r.reference_price), r.elasticity, r.curvature, everything, r.difficulty)
        of_firm = (d.price_rise_review, d.capacity, d.price_cap, d.steady_hours, steady_value)
        self._numbers = np.array([*of_use, *of_firm, d.metric == "linear"], dtype=float)
        self._rest = d.first, d.newcomer, d.current, d.utility

    def __call__(self, prices: Floats) -> tuple[float, Floats]:
        """The value and its gradient in log prices.

        prices  : (M,) float, USD/Mtok; or (2, M): the first row for own customers, the second for newcomers
        returns : USD; float like `prices`, USD per log point
        """
        rows = prices.reshape(-1, self._offers.shape[1])
        value, slope = _expected_value(rows, self._users, self._groups, self._offers, self._numbers, *self._rest)
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
def _offer_terms(
    terms: Floats, posted: Floats, later: Floats, group: Floats, of_offers: Floats, numbers: Floats, linear: bool
) -> None:
    """What M offers are to a group at the prices posted to it, and at those its members would pay later.

    terms : (6, M) to write to: utility of the price per unit of sensitivity, and its slope in the log price felt;
            margin per unit of size in USD, and its slope in the log price; work in hours, and its slope
    group, of_offers, numbers : as `ExpectedValue` packs them
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
def _choose(
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
def _total(
    share: Floats,
    chooses: Floats,
    stays: Floats,
    held: Integers,
    sensitivity: Floats,
    size: Floats,
    flat: Floats,
    worth: Floats,
    worth_slope: Floats,
    utility_slope: Floats,
    leaving: Floats,
    foresight: float,
    now: Floats,
    later: Floats,
    mean: Floats,
) -> float:
    """Expected sum over n users of what each is worth on the offer he ends up with; its gradient is added to two rows.

    share              : (M, n or more) of own offers among those who choose
    chooses, stays     : (n,) users who do, and holders who do not
    held               : (n,) own offer, -1 for none
    flat               : (n,) worth on every offer
    worth, worth_slope : (M,) further worth per unit of size, and its slope in the log price
    utility_slope      : (M,) slope of utility in the log price felt, per unit of sensitivity
    leaving            : (M,) hazard of a review per log point by which the price rises further
    foresight          : weight of the later price in the price felt
    now, later         : (M,) the gradient in the prices posted to these users, and in those they would pay later
    mean               : (n,) room to reckon in
    """
    total = 0.0
    for k in range(len(size)):
        mean[k] = 0.0
    for m in range(len(worth)):
        row = share[m][: len(size)]
        for k in range(len(size)):
            mean[k] += row[k] * (size[k] * worth[m] + flat[k])
    for k in range(len(size)):
        total += chooses[k] * mean[k]
        if held[k] >= 0:
            j = held[k]
            of_holder = size[k] * worth[j] + flat[k]
            total += stays[k] * of_holder
            now[j] += stays[k] * (size[k] * worth_slope[j] + leaving[j] * (mean[k] - of_holder))
    for m in range(len(worth)):
        row, drawn, bought = share[m][: len(size)], 0.0, 0.0
        for k in range(len(size)):  # d share_j / d ln p_m = share_j (1[j = m] - share_m) d utility_m / d ln p_m
            chosen = chooses[k] * row[k]
            drawn += chosen * sensitivity[k] * (size[k] * worth[m] + flat[k] - mean[k])
            bought += chosen * size[k]
        now[m] += (1 - foresight) * utility_slope[m] * drawn + worth_slope[m] * bought
        later[m] += foresight * utility_slope[m] * drawn
    return total


@compiled
def _expected_value(
    asked: Floats,
    users: Floats,
    groups: Floats,
    of_offers: Floats,
    numbers: Floats,
    first: Integers,
    newcomer: Flags,
    current: Integers,
    utility: Floats,
) -> tuple[float, Floats]:
    """See `ExpectedValue`; asked : (R, M) USD/Mtok, and so is the gradient."""
    price_rise_review, capacity, cap, work, value, linear = numbers[5:]
    offers, widest = len(of_offers[2]), 0
    prices, calm, leaving = np.minimum(asked, cap), np.ones(offers), np.zeros(offers)
    for m in range(offers):
        rise = log(prices[0, m] / of_offers[2, m])
        if rise > 0:  # makes holders look around; a cut does not, and neither does what newcomers pay
            calm[m], leaving[m] = exp(-price_rise_review * rise), price_rise_review
    for g in range(len(newcomer)):
        widest = max(widest, first[g + 1] - first[g])
    share, room, terms = np.empty((offers, widest)), np.empty((3, widest)), np.empty((6, offers))
    nothing = np.zeros(widest)
    slope, work_slope = np.zeros_like(prices), np.zeros_like(prices)
    for g in range(len(newcomer)):
        start, end = first[g], first[g + 1]
        weight, review, rest = users[0][start:end], users[1][start:end], users[2][start:end]
        sensitivity, size, user_value = users[3][start:end], users[4][start:end], users[5][start:end]
        held, count = current[start:end], end - start
        chooses, stays, mean = room[0][:count], room[1][:count], room[2][:count]
        row = len(prices) - 1 if newcomer[g] else 0
        _offer_terms(terms, prices[row], prices[0], groups[:, g], of_offers, numbers[:5], linear > 0)
        _choose(share, utility, start, rest, sensitivity, terms[0], stays, mean)
        for k in range(count):
            stays[k] = weight[k] * (1 - review[k]) * calm[held[k]] if held[k] >= 0 else 0.0
            chooses[k] = weight[k] - stays[k] if held[k] >= 0 else weight[k] * review[k]
        of_users = share, chooses, stays, held, sensitivity, size
        how = terms[1], leaving, groups[6, g, 0]
        value += _total(*of_users, user_value, terms[2], terms[3], *how, slope[row], slope[0], mean)
        work += _total(*of_users, nothing[:count], terms[4], terms[5], *how, work_slope[row], work_slope[0], mean)
    if capacity < math.inf and value > 0 and work > 0:  # turning users away is no way out of a loss: the price is
        served, elasticity = smooth_rationing(work / capacity if capacity > 0 else math.inf)
        slope, value = served * (slope + value * elasticity / work * work_slope), served * value
    return value, np.where(asked > cap, 0.0, slope)
