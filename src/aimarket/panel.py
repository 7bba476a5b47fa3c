"""A market-research panel of users: what each would choose, use and pay, as every firm may know it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket import terms
from aimarket.kernels.choice import price_utility
from aimarket.kernels.effort import use
from aimarket.kernels.tables import Users
from aimarket.population import (
    Menu,
    Segments,
    offer_utility,
    over_step,
    time_price,
    users_switching_cost,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Some = Integers | slice
ALL = slice(None)


@dataclass(frozen=True)
class Panel:
    """A random sample of users within each segment, as market research reports it to every firm; K users, J offers."""

    weight: Floats  # (K,) users stood for
    segment: Integers  # (K,)
    review: Floats  # (K,) probability of choosing this step: adoption for those outside the market
    calm_review: Floats  # (K,) the same without adoption, outage or price rise; under contracts one over its steps
    price_rise_review: Floats  # (K,) hazard of a review per log point of price rise
    offer: Integers  # (K,) -1: none
    provider: Integers  # (K,) -1: none
    leaving_cost: Floats  # (K,) utils, 0 without a provider
    later_leaving_cost: Floats  # (K,) utils, at the next review to be expected
    utility: Floats  # (K, J) utils, without price and switching cost
    price_utility: Floats  # (K, J) utils, at posted prices
    outside: Floats  # (K,) utils
    sensitivity: Floats  # (K,) also of those who do not pay
    mix: Floats  # (K, J)
    tasks: Floats  # (K,) tasks/step at depth 1
    depth: Floats  # (K,)
    tokens_per_task: Floats  # (K,) Mtok
    thinking: Floats  # (K,) Mtok
    time_price: Floats  # (K, J) USD/Mtok
    own: Flags  # (K, J) offers of the provider the user is with
    paid: Floats  # (K,) share of the posted price: less for those who sign a contract
    felt: Floats  # (K, J) price that counts in a choice over the price own customers pay
    foresight: Floats  # (K,) weight a newcomer gives to the price own customers pay
    free: Flags  # (K,) pays nothing
    pays_some_day: Floats  # (K,) probability of paying before the next review is past
    bound: Flags  # (K,) under a contract that runs on
    contract_price: Floats  # (K,) USD/Mtok, nan: none
    contract_utility: Floats  # (K,) utils of that price, nan: none
    commitment: Floats  # (K,) Mtok of the reference mix a step

    def utility_now(self, menu: Menu) -> Floats:
        """(K, J) utils of every offer at posted prices, switching cost paid; -inf to users bound to another."""
        leaving = (self.provider[:, None] >= 0) & (menu.provider != self.provider[:, None])
        utility = self.utility + self.price_utility - np.where(leaving, self.leaving_cost[:, None], 0.0)
        if self.bound.any():
            rows, j = np.flatnonzero(self.bound), self.offer[self.bound]
            utility[rows] = -np.inf
            utility[rows, j] = self.utility[rows, j] + self.contract_utility[rows]
        return utility

    @property
    def outside_now(self) -> Floats:
        """(K,) utils of having no provider, switching cost paid; -inf to users bound to one."""
        return np.where(self.bound, -np.inf, self.outside - self.leaving_cost)

    def held(self, users: Some = ALL, offers: Some = ALL) -> Flags:
        """(K, J) the offer that a contract binds to; of some users and offers, as below."""
        return self.bound[users, None] & (self.offer[users, None] == np.arange(self.mix.shape[1])[offers])

    def price_paid(self, menu: Menu, users: Some = ALL, offers: Some = ALL) -> Floats:
        """(K, J) USD a user would pay in this step for a Mtok of the reference mix of each offer."""
        posted = terms.posted_price(self.own[users][:, offers], menu, offers)
        posted = posted * np.where(self.free, 0.0, self.paid)[users, None]
        held = self.held(users, offers) if self.bound.any() else None
        return posted if held is None else np.where(held, self.contract_price[users, None], posted)

    def tokens(self, menu: Menu, settings: config.Users, users: Some = ALL, offers: Some = ALL) -> Floats:
        """(K, J) Mtok of the reference mix each user would use in a step on each offer at posted prices."""
        free, mix = self.free[users, None], self.mix[users][:, offers]
        price = np.where(free, settings.reference_price, self.price_paid(menu, users, offers) * mix)
        count, thinking = use(
            self.tasks[users, None],
            self.depth[users, None],
            self.thinking[users, None],
            price,
            self.time_price[users][:, offers],
            terms.response(settings),
        )
        tokens = count * (self.tokens_per_task[users, None] + thinking)
        if free.any():
            tokens = np.where(free, np.minimum(tokens, menu.allowance[offers]), tokens)
        return tokens * mix

    def bill(self, menu: Menu, tokens: Floats) -> Floats:
        """(K, J) USD that `tokens` are charged at; to those who do not pay, what they would be if they did."""
        price = self.price_paid(menu)
        return tokens * (np.where(self.free[:, None], menu.price, price) if self.free.any() else price)

    def spend(self, menu: Menu, tokens: Floats, users: Some = ALL, offers: Some = ALL) -> Floats:
        """(K, J) USD each user would pay in a step for `tokens` if all are served, commitments included."""
        missing = np.maximum(self.commitment[users, None] - tokens, 0.0)
        return self.price_paid(menu, users, offers) * (tokens + np.where(self.held(users, offers), missing, 0.0))

    def unmoved(self, menu: Menu, settings: config.Users, offers: Integers) -> tuple[Floats | None, Floats | None]:
        """Use that no posted price moves, and what is paid for it under contract; None if there is no such user.

        offers  : (M,) int
        returns : (K, M) Mtok of the reference mix a step, nan where prices move it; (K,) USD a step
        """
        which = np.flatnonzero(self.free | self.bound)
        if len(which) == 0:
            return None, None
        fixed, locked = np.full((len(self.free), len(offers)), np.nan), np.zeros(len(self.free))
        fixed[which] = self.tokens(menu, settings, which, offers)
        paid = self.spend(menu, fixed[which], which, offers)
        locked[which] = np.where(self.held(which, offers), paid, 0.0).sum(axis=1)
        return fixed, locked


def survey(
    users: Users,
    menu: Menu,
    segments: Segments,
    settings: config.Users,
    adoption: Floats,
    months: float,
    task_factor: float,
) -> Panel:
    """Ask some users everything; their answers are true."""
    s, offer, free = users.segment, users.offer, users.free
    held = np.maximum(offer, 0)
    attached = (offer >= 0) & menu.on_sale[held]
    evicted = (offer >= 0) & ~attached
    outage = np.where(attached, menu.outage[s, users.region, held], 0.0)
    hazard, signing = terms.review_hazard(users, segments, months), terms.signs(users, segments)
    review = 1 - (1 - hazard) * np.exp(-settings.outage_review * months * outage)
    review = np.where(evicted | users.due, 1.0, review)
    bound = attached & terms.is_bound(users, menu)
    count = np.bincount(s, minlength=len(segments.names))
    cost = users_switching_cost(users, segments)  # tenure is that of the next choice already
    calm = np.where(signing, np.minimum(1.0, months / np.maximum(segments.term[s], 1e-9)), hazard)
    to_next_review = months / np.maximum(calm, 1e-9)
    converts = over_step(segments.conversion, months)[s]
    counts = terms.felt(menu, segments, settings)
    price = users.contract_price
    utility = offer_utility(users, menu, settings)
    outside = segments.outside[s]
    if free.any():  # nobody offers them anything: they have no provider, whatever that is worth
        nothing = free & ~np.isfinite(outside) & ~np.isfinite(utility).any(axis=1) & menu.on_sale.any()
        outside = np.where(nothing, 0.0, outside)
    return Panel(
        weight=np.divide(segments.population, count, where=count > 0, out=np.zeros(len(count)))[s],
        segment=s,
        review=np.where(users.adopted, np.where(bound, 0.0, review), adoption[s]),
        calm_review=calm,
        price_rise_review=np.where(free | bound, 0.0, settings.price_rise_review),
        offer=np.where(attached, offer, -1),
        provider=np.where(attached, menu.provider[held], -1),
        leaving_cost=np.where(attached, cost, 0.0),
        later_leaving_cost=users_switching_cost(users, segments, to_next_review),
        utility=utility,
        price_utility=terms.menu_price_utility(users, menu, segments, settings),
        outside=outside,
        sensitivity=users.price,
        mix=menu.mix[s],
        tasks=users.tasks * months * task_factor,
        depth=users.depth,
        tokens_per_task=segments.tokens_per_task[s],
        thinking=segments.thinking[s],
        time_price=time_price(segments, menu.speed)[s],
        own=terms.is_own(users, menu),
        paid=np.where(signing, 1 - segments.discount[s], 1.0),
        felt=counts.factor[signing.astype(np.int64), s],
        foresight=counts.weight[signing.astype(np.int64)],
        free=free,
        pays_some_day=np.where(free, converts / np.maximum(converts + calm, 1e-9), 1.0),
        bound=bound,
        contract_price=price,
        contract_utility=price_utility(
            price * menu.mix[s, held], users.price, settings.price_metric, settings.reference_price
        ),
        commitment=users.commitment * months,
    )
