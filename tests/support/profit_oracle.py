"""The expected value of prices in plain NumPy: what the compiled kernel is held against, gradient included."""

import numpy as np

from aimarket.kernels.choice import price_utility, price_utility_slope
from aimarket.kernels.effort import use, use_elasticities
from aimarket.kernels.profit import Demand, smooth_rationing

Floats = np.ndarray


class _Users:
    """What is known of each user, that of his group included, at the prices asked."""

    def __init__(self, demand: Demand, prices: Floats) -> None:
        d = self.demand = demand
        self.weight, self.review, self.sensitivity, self.size = d.users
        self.mix, self.time_price, self.felt, plain, thinking, paid, foresight = d.groups
        self.plain, self.thinking, self.share_paid, self.foresight = (
            x[:, 0] for x in (plain, thinking, paid, foresight)
        )
        self.group = np.repeat(np.arange(len(d.newcomer)), np.diff(d.first))
        rows = np.minimum(prices, d.price_cap).reshape(-1, prices.shape[-1])
        self.row = np.where(d.newcomer[self.group], len(rows) - 1, 0)
        self.posted, self.own = rows[self.row], rows[0]
        self.paid = self.posted * self.share_paid[self.group, None]
        self.tokens, self.elasticity = self._use()
        self.share, self.slope = self._choice()

    def _use(self) -> tuple[Floats, Floats]:
        d, g = self.demand, self.group
        price, plain, one = self.mix[g] * self.paid, self.plain[g, None], np.ones(())
        count, thinking = use(self.size[:, None], one, self.thinking[g, None], price, self.time_price[g], d.response)
        extensive, intensive = use_elasticities(price, self.time_price[g], d.response)
        tokens = count * (plain + thinking) * self.mix[g]
        return tokens, extensive + thinking / (plain + thinking) * intensive

    def _choice(self) -> tuple[Floats, Floats]:
        d, g = self.demand, self.group
        felt = self.mix[g] * self.posted * (self.own / self.posted) ** self.foresight[g, None] * self.felt[g]
        sensitivity = self.sensitivity[:, None]
        utility = d.utility.T + price_utility(felt, sensitivity, d.metric, d.response.reference_price)
        top = np.maximum(utility.max(axis=1), d.rest)
        weight = np.exp(utility - top[:, None])
        share = weight / (weight.sum(axis=1) + np.exp(d.rest - top))[:, None]
        return share, price_utility_slope(felt, sensitivity, d.metric)

    def total(self, worth: Floats, worth_slope: Floats) -> tuple[Floats, Floats]:
        """Expected sum of what users are worth where they end up, and its gradient; (K, M) -> (), (R, M)."""
        d = self.demand
        rise = np.maximum(np.log(self.own / d.previous_prices), 0.0)
        holds = d.current[:, None] == np.arange(len(self.own))
        stays = self.weight * np.where(holds, (1 - self.review)[:, None] * np.exp(-d.price_rise_review * rise), 0.0).T
        stays = stays.T
        chooses = (
            np.where(holds.any(axis=1), self.weight - stays.sum(axis=1), self.weight * self.review)[:, None]
            * self.share
        )
        mean = (self.share * worth).sum(axis=1)[:, None]
        of_choice = chooses * self.slope * (worth - mean)
        leaves = stays * np.where(rise > 0, d.price_rise_review, 0.0) * (mean - worth)
        now = chooses * worth_slope + stays * worth_slope + leaves
        foresight = np.where(d.newcomer, self.foresight, 0.0)[self.group, None]
        gradient = np.zeros((2, len(self.own)))
        np.add.at(gradient, self.row, now + (1 - foresight) * of_choice)
        gradient[0] += (foresight * of_choice).sum(axis=0)
        return (chooses * worth + stays * worth).sum(), gradient


def expected_value(
    demand: Demand, prices: Floats, costs: Floats, user_value: Floats, steady_value: float = 0.0
) -> tuple[float, Floats]:
    """As `kernels.profit.ExpectedValue`."""
    users, d = _Users(demand, prices), demand
    margin = users.tokens * (users.paid - costs)
    value, slope = users.total(margin + user_value[:, None], users.tokens * users.paid + margin * users.elasticity)
    hours = users.tokens * d.hours
    work, work_slope = users.total(hours, hours * users.elasticity)
    value, work = value + steady_value, work + d.steady_hours
    if np.isfinite(d.capacity) and value > 0 and work > 0:
        served, elasticity = smooth_rationing(work / d.capacity if d.capacity > 0 else np.inf)
        slope, value = served * (slope + value * elasticity * work_slope / work), served * value
    slope = slope if prices.ndim > 1 else slope[:1]
    return float(value), np.where(prices > d.price_cap, 0.0, slope.reshape(prices.shape))


def expected_hours(demand: Demand, prices: Floats) -> float:
    """Reference-GPU-hours of the users whom prices can move."""
    users = _Users(demand, prices)
    hours = users.tokens * demand.hours
    return float(users.total(hours, hours)[0])
