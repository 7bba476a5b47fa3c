"""Expected value of a firm's prices on a panel of users, with its gradient, and the search for the best prices."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from aimarket.kernels.choice import price_utility, price_utility_slope
from aimarket.kernels.effort import Response, use, use_elasticities

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SHARPNESS = 32.0  # of the corner between serving everything and serving what capacity allows
_BESIDE = 1e-9  # log points: how near to a kink its sides are looked at
_CROSSINGS = 6  # of kinks, at most
_NO_SLOPE = 1e-10  # per log point, relative: as good as flat
_NEAR = 0.2  # log points: how far about the best point a corner is looked for

_OF_OFFERS = ("previous_prices", "hours")  # columns of a demand that are not by user

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

    Users on terms of their own; the neutral defaults are those of a posted price:
    paid      : (K,) float, 1           share of the posted price that is paid; 0: no posted price is
    felt      : (K, M) float, 1         price that counts in the choice over the price posted now
    fixed     : (K, M) float, Mtok of the reference mix a step that no price moves; nan where it does
    locked    : (K,) float, USD         paid a step under a contract whatever the posted price
    newcomer  : (K,) bool               not a customer of the firm: faces the second row of prices if there are two
    foresight : (K,) float, 1           weight a newcomer gives to the first row, which he pays later
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
    price_rise_review: float | Floats  # (K,) hazard of a review per log point of price rise
    previous_prices: Floats  # (M,) USD/Mtok
    hours: Floats  # (M,) reference-GPU-hours/Mtok
    capacity: float  # reference-GPU-hours a step that can be worked; inf without limit
    ceiling: float = np.inf  # tasks there are to do over those done at the reference price
    difficulty: float = 0.0  # exponent of thinking tokens in the mean difficulty of the tasks done
    paid: Floats | None = None
    felt: Floats | None = None
    fixed: Floats | None = None
    locked: Floats | None = None
    newcomer: NDArray[np.bool_] | None = None
    foresight: Floats | None = None

    def of(self, users: NDArray[np.bool_]) -> "Demand":
        """The demand of some of the users, (K,)."""
        if users.all():
            return self
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OF_OFFERS}
        kept: dict[str, Any] = {name: x[users] for name, x in columns.items() if isinstance(x, np.ndarray)}
        return replace(self, **kept)

    @property
    def response(self) -> Response:
        """How use answers to the price of a token."""
        return Response(
            self.reference_price, self.usage_elasticity, self.effort_curvature, self.ceiling, self.difficulty
        )

    def posted(self, prices: Floats) -> Floats:
        """(M,) prices as they are; of (2, M) each user's own row, (K, M) USD/Mtok."""
        if prices.ndim == 1:
            return prices
        newcomer = np.ones(len(self.weight), dtype=bool) if self.newcomer is None else self.newcomer
        return np.where(newcomer[:, None], prices[1], prices[0])

    def pays(self, prices: Floats) -> Floats:
        """What users pay for a Mtok of the reference mix, (M,) or (K, M) USD/Mtok; 0 where no posted price is paid."""
        posted = self.posted(prices)
        return posted if self.paid is None else posted * self.paid[:, None]


def usage(demand: Demand, prices: Floats) -> tuple[Floats, Floats]:
    """Tokens a step of each panel user on each own offer, and their elasticity to its price.

    prices  : (M,) or (2, M) float, USD/Mtok; the first row for own customers, the second for newcomers
    returns : (K, M) float, Mtok of the reference mix; (K, M) float, 1
    """
    price = demand.mix * demand.posted(prices)
    if demand.paid is not None:
        price = price * np.where(demand.paid > 0, demand.paid, 1.0)[:, None]
    response = demand.response
    count, thinking = use(
        demand.tasks_at_reference[:, None],
        demand.depth[:, None],
        demand.thinking_reference[:, None],
        price,
        demand.time_price,
        response,
    )
    per_task = demand.tokens_per_task[:, None] + thinking
    extensive, intensive = use_elasticities(price, demand.time_price, response)
    tokens, elasticity = count * per_task * demand.mix, extensive + thinking / per_task * intensive
    if demand.fixed is None:
        return tokens, elasticity
    moves = np.isnan(demand.fixed)
    return np.where(moves, tokens, demand.fixed), np.where(moves, elasticity, 0.0)


def choice_shares(demand: Demand, prices: Floats) -> tuple[Floats, Floats]:
    """Probability that a reviewing panel user picks each own offer, and the slope of its utility in log price.

    prices  : (M,) or (2, M) float, USD/Mtok
    returns : (K, M) float, 1; (K, M) float, utils per log point of the prices felt
    """
    posted = demand.posted(prices)
    if prices.ndim > 1 and demand.foresight is not None:  # nothing but the own row is felt by own customers
        posted = posted * (prices[0] / posted) ** demand.foresight[:, None]
    price = demand.mix * posted
    if demand.felt is not None:
        price = price * demand.felt
    sensitivity = demand.sensitivity[:, None]
    utility = demand.utility + price_utility(price, sensitivity, demand.metric, demand.reference_price)
    top = functools.reduce(np.maximum, utility.T, demand.rest)  # few offers: a column at a time beats a row at a time
    weight = np.exp(utility - top[:, None])
    share = weight / (np.einsum("km->k", weight) + np.exp(demand.rest - top))[:, None]
    return share, price_utility_slope(price, sensitivity, demand.metric)


def review_probability(demand: Demand, prices: Floats) -> tuple[Floats, Floats]:
    """Probability of a review once prices are known, and its slope in the log price of the offer held.

    A price rise makes holders look around; a cut does not, and neither do prices that newcomers pay.

    returns : (K,) float, 1; (K,) float, 1 per log point
    """
    own = prices if prices.ndim == 1 else prices[0]
    rise = np.append(np.maximum(np.log(own / demand.previous_prices), 0.0), 0.0)[demand.current]
    calm = (1 - demand.review) * np.exp(-demand.price_rise_review * rise)
    return 1 - calm, np.where(rise > 0, demand.price_rise_review * calm, 0.0)


def expected_value(demand: Demand, prices: Floats, costs: Floats, user_value: Floats) -> tuple[float, Floats]:
    """Expected margin of the step plus the value of the users kept or won, and its gradient in log prices.

    prices     : (M,) float, USD/Mtok; or (2, M): the first row for own customers, the second for newcomers
    costs      : (M,) float, USD/Mtok
    user_value : (K,) float, USD            of having the user after this step; 0 for a firm that does not look ahead
    returns    : USD; float like `prices`, USD per log point
    """
    tokens, elasticity = usage(demand, prices)
    pays = demand.pays(prices)
    margin = tokens * (pays - costs)
    chances = _Chances(demand, prices)
    worth = margin + user_value[:, None]
    if demand.locked is not None:
        worth = worth + demand.locked[:, None]
    value, slope = chances.total(worth, tokens * pays + margin * elasticity)
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
        self.demand, self.recognises = demand, prices.ndim > 1
        self.share, self.slope = choice_shares(demand, prices)
        self.review, self.review_slope = review_probability(demand, prices)
        self.holders = np.flatnonzero(demand.current >= 0)
        self.held = self.holders, demand.current[self.holders]
        self.stay = (demand.weight * (1 - self.review))[self.holders]
        self.choosers = (demand.weight * self.review)[:, None] * self.share  # (K, M)

    def total(self, worth: Floats, worth_slope: Floats) -> tuple[float, Floats]:
        """Expected sum over users of what each is worth on the offer it ends up with, and its gradient in log prices.

        worth       : (K, M) float
        worth_slope : (K, M) float, derivative of `worth` in the log of the offer's price
        """
        of_holder, moved = worth[self.held], self.demand.weight * self.review_slope
        total = float(np.einsum("km,km->", self.choosers, worth) + self.stay @ of_holder)
        # d share_j / d ln p_m = share_j (1[j = m] - share_m) slope_m
        of_chooser = np.einsum("km,km->k", self.share, worth)
        of_choice = self.slope * (worth - of_chooser[:, None])
        of_holders = self.stay * worth_slope[self.held] + moved[self.holders] * (of_chooser[self.holders] - of_holder)
        if self.recognises:
            gradient = self.choosers * (of_choice + worth_slope)
            gradient[self.held] += of_holders
            return total, self._by_row(gradient, self.choosers * of_choice)
        gradient = np.einsum("km,km->m", self.choosers, of_choice + worth_slope)
        return total, gradient + np.bincount(self.held[1], of_holders, minlength=len(gradient))

    def _by_row(self, gradient: Floats, of_choice: Floats) -> Floats:
        """(2, M) from (K, M): everybody moves with the row he pays, a newcomer with foresight partly with the first."""
        newcomer = self.demand.newcomer
        mine = np.zeros(len(gradient)) if newcomer is None else ~newcomer * 1.0
        felt_later = 0.0 if self.demand.foresight is None else (1 - mine) * self.demand.foresight
        later = (np.asarray(felt_later)[..., None] * of_choice).sum(axis=0)
        own = mine[:, None] * gradient
        return np.stack([own.sum(axis=0) + later, (gradient - own).sum(axis=0) - later])


def best_prices(objective: Objective, start: Floats, floor: Floats, ceiling: Floats, grid: Floats) -> Floats:
    """Prices that maximise `objective`: a grid of common price moves, then a quasi-Newton polish from the best of them.

    The grid guards against local maxima of mixed-logit profit, the polish gives the accuracy. Where a price stays as it
    is the objective may have a kink, because users notice a rise and not a cut: the polish keeps each price on one side
    of its start, and crosses over only if there is more to be had there. At any other corner, such as that of capacity,
    a line search finds better points but none that is flat, and gives up: sections go on about the best of them.

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

    moves, up = first, np.where(first == 0, at(above)[1] > 0, first > 0)
    for _ in range(_CROSSINGS):
        box = np.where(up, above, low), np.where(up, high, below)
        moves, value = _polish(at, np.clip(moves, *box), box, scale)
        stays = np.where(up, moves <= above, moves >= below)
        slope = at(np.where(stays, np.where(up, below, above), moves))[1]  # on the other side
        crosses = stays & (np.where(up, -slope, slope) > _NO_SLOPE * scale)
        if not crosses.any():
            break
        up = up ^ crosses
    best = np.where(stays & (low <= 0) & (high >= 0), 0.0, moves)
    return start * np.exp(best if value >= max(values) else first)


def _polish(at: Objective, moves: Floats, box: tuple[Floats, Floats], scale: float) -> tuple[Floats, float]:
    """Highest point of a box that a quasi-Newton search finds, and its height; `scale` is the size of the objective."""
    seen, least = moves, np.inf

    def descent(trial: Floats) -> tuple[float, Floats]:
        nonlocal seen, least
        value, gradient = at(trial)
        if -value / scale < least:
            seen, least = trial.copy(), -value / scale
        return -value / scale, -gradient / scale

    found = minimize(
        descent,
        moves,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(*box, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxfun": 40},
    )
    if found.success:
        return found.x, -float(found.fun) * scale
    for m in range(len(moves)):
        low, high = max(box[0][m], seen[m] - _NEAR), min(box[1][m], seen[m] + _NEAR)
        others = seen.copy()
        if low < high:
            minimize_scalar(
                lambda move, m=m, others=others: descent(np.where(np.arange(len(others)) == m, move, others))[0],
                bounds=(low, high),
                options={"xatol": 1e-9, "maxiter": 60},
            )
    return seen, -least * scale
