"""Expected value of a firm's prices on a panel of users, with its gradient, and the search for the best prices."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from aimarket.kernels.choice import price_utility, price_utility_slope
from aimarket.kernels.effort import tasks, thinking_elasticity, thinking_tokens

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SHARPNESS = 32.0  # of the corner between serving everything and serving what capacity allows
_BESIDE = 1e-9  # log points: how near to a kink its sides are looked at
_CROSSINGS = 6  # of kinks, at most
_NO_SLOPE = 1e-10  # per log point, relative: as good as flat

Objective = Callable[[Floats], tuple[float, Floats]]


@dataclass(frozen=True)
class Demand:
    """What K panel users would do at other prices of one firm's M offers, the rest of the market as it stands.

    weight              : (K,) float, users a panel user stands for
    review              : (K,) float, 1         probability of choosing anew this step
    current             : (K,) int              own offer now held, -1 for none of them
    rest                : (K,) float, utils     inclusive value of every other alternative
    utility             : (K, M) float, utils   of own offers without price
    sensitivity         : (K,) float, utils per log point, or per USD/Mtok
    mix                 : (K, M) float, 1       price of the user's token mix over that of the reference mix
    tasks_at_reference  : (K,) float, tasks/step
    depth               : (K,) float, 1
    tokens_per_task     : (K,) float, Mtok      without thinking
    thinking_reference  : (K,) float, Mtok      thinking tokens at the reference price
    time_price          : (K, M) float, USD/Mtok
    """

    weight: Floats
    review: Floats
    current: Integers
    rest: Floats
    utility: Floats
    sensitivity: Floats
    mix: Floats
    tasks_at_reference: Floats
    depth: Floats
    tokens_per_task: Floats
    thinking_reference: Floats
    time_price: Floats
    metric: str
    reference_price: float
    usage_elasticity: float
    effort_curvature: float
    price_rise_review: float  # hazard of a review per log point of price rise
    previous_prices: Floats  # (M,) USD/Mtok
    hours: Floats  # (M,) reference-GPU-hours/Mtok
    capacity: float  # reference-GPU-hours a step that can be worked; inf without limit


def usage(demand: Demand, prices: Floats) -> tuple[Floats, Floats]:
    """Tokens a step of each panel user on each own offer, and their elasticity to its price.

    prices  : (M,) float, USD/Mtok
    returns : (K, M) float, Mtok of the reference mix; (K, M) float, 1
    """
    price = demand.mix * prices
    count = tasks(
        demand.tasks_at_reference[:, None],
        demand.depth[:, None],
        price,
        demand.reference_price,
        demand.usage_elasticity,
    )
    thinking = thinking_tokens(
        demand.thinking_reference[:, None], price, demand.reference_price, demand.time_price, demand.effort_curvature
    )
    per_task = demand.tokens_per_task[:, None] + thinking
    elasticity = -demand.usage_elasticity + thinking / per_task * thinking_elasticity(
        price, demand.time_price, demand.effort_curvature
    )
    return count * per_task * demand.mix, elasticity


def choice_shares(demand: Demand, prices: Floats) -> tuple[Floats, Floats]:
    """Probability that a reviewing panel user picks each own offer, and the slope of its utility in log price.

    prices  : (M,) float, USD/Mtok
    returns : (K, M) float, 1; (K, M) float, utils per log point
    """
    price = demand.mix * prices
    sensitivity = demand.sensitivity[:, None]
    utility = demand.utility + price_utility(price, sensitivity, demand.metric, demand.reference_price)
    top = np.maximum(utility.max(axis=1), demand.rest)
    weight = np.exp(utility - top[:, None])
    share = weight / (weight.sum(axis=1) + np.exp(demand.rest - top))[:, None]
    return share, price_utility_slope(price, sensitivity, demand.metric)


def review_probability(demand: Demand, prices: Floats) -> tuple[Floats, Floats]:
    """Probability of a review once prices are known, and its slope in the log price of the offer held.

    A price rise makes holders look around; a cut does not.

    returns : (K,) float, 1; (K,) float, 1 per log point
    """
    rise = np.append(np.maximum(np.log(prices / demand.previous_prices), 0.0), 0.0)[demand.current]
    calm = (1 - demand.review) * np.exp(-demand.price_rise_review * rise)
    return 1 - calm, np.where(rise > 0, demand.price_rise_review * calm, 0.0)


def expected_value(demand: Demand, prices: Floats, costs: Floats, user_value: Floats) -> tuple[float, Floats]:
    """Expected margin of the step plus the value of the users kept or won, and its gradient in log prices.

    prices, costs : (M,) float, USD/Mtok
    user_value    : (K,) float, USD         of having the user after this step; 0 for a firm that does not look ahead
    returns       : USD; (M,) float, USD per log point
    """
    tokens, elasticity = usage(demand, prices)
    margin = tokens * (prices - costs)
    chances = _Chances(demand, prices)
    value, slope = chances.total(margin + user_value[:, None], tokens * prices + margin * elasticity)
    if not np.isfinite(demand.capacity) or value <= 0:  # turning users away is no way out of a loss: the price is
        return value, slope
    hours = tokens * demand.hours
    work, work_slope = chances.total(hours, hours * elasticity)
    served, served_elasticity = smooth_rationing(work / demand.capacity if demand.capacity > 0 else np.inf)
    if work <= 0:
        return value, slope
    return served * value, served * (slope + value * served_elasticity * work_slope / work)


def smooth_rationing(load: float) -> tuple[float, float]:
    """Share served at some load over capacity, and its elasticity to load: about min(1, 1/load), rounded at the corner.

    Load peaks within the day, so some of it is turned away before its mean reaches capacity.
    """
    if load <= 1:
        power = load**_SHARPNESS
        return float((1 + power) ** (-1 / _SHARPNESS)), -power / (1 + power)
    power = load**-_SHARPNESS
    return float((1 + power) ** (-1 / _SHARPNESS) / load), -1 / (1 + power)


class _Chances:
    """Probabilities that panel users end the step with each own offer at given prices."""

    def __init__(self, demand: Demand, prices: Floats) -> None:
        self.weight = demand.weight
        self.share, self.slope = choice_shares(demand, prices)
        self.review, self.review_slope = review_probability(demand, prices)
        self.held = demand.current[:, None] == np.arange(len(prices))  # (K, M)

    def total(self, worth: Floats, worth_slope: Floats) -> tuple[float, Floats]:
        """Expected sum over users of what each is worth on the offer it ends up with, and its gradient in log prices.

        worth       : (K, M) float
        worth_slope : (K, M) float, derivative of `worth` in the log of the offer's price
        """
        share, review, held = self.share, self.review[:, None], self.held
        of_chooser = (share * worth).sum(axis=1)
        of_holder = np.where(held, worth, 0.0).sum(axis=1)
        value = self.review * of_chooser + (1 - self.review) * of_holder
        # d share_j / d ln p_m = share_j (1[j = m] - share_m) slope_m
        gradient = review * share * (self.slope * (worth - of_chooser[:, None]) + worth_slope)
        gradient += np.where(held, (1 - review) * worth_slope, 0.0)
        gradient += np.where(held, (self.review_slope * (of_chooser - of_holder))[:, None], 0.0)
        return float((self.weight * value).sum()), (self.weight[:, None] * gradient).sum(axis=0)


def best_prices(objective: Objective, start: Floats, floor: Floats, ceiling: Floats, grid: Floats) -> Floats:
    """Prices that maximise `objective`: a grid of common price moves, then a quasi-Newton polish from the best of them.

    The grid guards against local maxima of mixed-logit profit, the polish gives the accuracy. Where a price stays as it
    is the objective may have a kink, because users notice a rise and not a cut: the polish keeps each price on one side
    of its start, and crosses over only if there is more to be had there.

    objective      : (M,) prices -> value, (M,) gradient in log prices
    start          : (M,) float, USD/Mtok
    floor, ceiling : (M,) float, USD/Mtok
    grid           : (G,) float, log points added to the start
    returns        : (M,) float, USD/Mtok
    """

    def at(moves: Floats) -> tuple[float, Floats]:  # in log points from the start, so that the unit of money is nothing
        return objective(start * np.exp(moves))

    low, high = np.log(floor / start), np.log(ceiling / start)
    below, above = np.clip(-_BESIDE, low, high), np.clip(_BESIDE, low, high)  # on either side of the kink
    candidates = [np.clip(move, low, high) for move in grid]
    values = [at(candidate)[0] for candidate in candidates]
    first, scale = candidates[int(np.argmax(values))], max(abs(v) for v in values) or 1.0

    def descent(moves: Floats) -> tuple[float, Floats]:
        value, gradient = at(moves)
        return -value / scale, -gradient / scale

    moves, up = first, np.where(first == 0, at(above)[1] > 0, first > 0)
    for _ in range(_CROSSINGS):
        box = np.where(up, above, low), np.where(up, high, below)
        found = minimize(
            descent,
            np.clip(moves, *box),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(*box, strict=True)),
            options={"ftol": 1e-15, "gtol": 1e-10, "maxfun": 40},
        )
        moves, stays = found.x, np.where(up, found.x <= above, found.x >= below)
        slope = at(np.where(stays, np.where(up, below, above), moves))[1]  # on the other side
        crosses = stays & (np.where(up, -slope, slope) > _NO_SLOPE * scale)
        if not crosses.any():
            break
        up = up ^ crosses
    best = np.where(stays & (low <= 0) & (high >= 0), 0.0, moves)
    return start * np.exp(best if -found.fun * scale >= max(values) else first)
