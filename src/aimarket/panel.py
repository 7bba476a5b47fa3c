"""A market-research panel of users: what each would choose, use and pay, as every firm may know it."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

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
from aimarket.standing import Standing

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
_EVERYONE = slice(None)


@dataclass(frozen=True)
class Panel:
    """A random sample of users within each segment, as market research reports it to every firm; K users, J offers.

    Users of a kind, one of 2 S, are of one segment and on the same terms: 2 segment, and 1 more if they sign contracts.
    """

    menu: Menu  # what they were asked about
    settings: config.Users
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
    size: Floats  # (K,) tasks/step at the reference price
    signs: Flags  # (K,) signs a contract with whatever offer is picked
    free: Flags  # (K,) pays nothing
    pays_some_day: Floats  # (K,) probability of paying before the next review is past
    bound: Flags  # (K,) under a contract that runs on
    contract_price: Floats  # (K,) USD/Mtok, nan: none
    contract_utility: Floats  # (K,) utils of that price, nan: none
    commitment: Floats  # (K,) Mtok of the reference mix a step
    tokens_per_task: Floats  # (S,) Mtok
    thinking: Floats  # (S,) Mtok
    time_price: Floats  # (S, J) USD/Mtok
    paid: Floats  # (2 S,) share of the posted price: less for those who sign a contract
    felt: Floats  # (2 S, J) price that counts in a choice over the price own customers pay
    foresight: Floats  # (2 S,) weight a newcomer gives to the price own customers pay

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of: answers. What was reckoned from them can be again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def kind(self) -> Integers:
        """(K,) what kind of user each is."""
        return 2 * self.segment + self.signs

    @cached_property
    def standing(self) -> Standing:
        """How firms stand with these users."""
        return Standing(self)

    @property
    def utility_now(self) -> Floats:
        """(K, J) utils of every offer at posted prices, switching cost paid; -inf to users bound to another."""
        return self.utility_to(_EVERYONE)

    def utility_to(self, users: Integers | slice) -> Floats:
        """(n, J) rows of `utility_now`."""
        utility = self.utility[users] + self.price_utility[users]
        utility -= np.where(self._own[users], 0.0, self.leaving_cost[users, None])
        bound, rows, j = self._held_by(users)
        utility[bound] = -np.inf
        utility[bound, j] = self.utility[rows, j] + self.contract_utility[rows]
        return utility

    @property
    def outside_now(self) -> Floats:
        """(K,) utils of having no provider, switching cost paid; -inf to users bound to one."""
        return np.where(self.bound, -np.inf, self.outside - self.leaving_cost)

    @cached_property
    def _own(self) -> Flags:
        """(K, J) offers of the provider the user is with."""
        return self.provider[:, None] == self.menu.provider

    def _held_by(self, users: Integers | slice) -> tuple[Integers, Integers, Integers]:
        """Which of some users are under contract, who they are, and the offers that it binds them to."""
        bound = np.flatnonzero(self.bound[users])
        rows = bound if isinstance(users, slice) else users[bound]
        return bound, rows, self.offer[rows]

    @cached_property
    def price_paid(self) -> Floats:
        """(K, J) USD a user would pay in this step for a Mtok of the reference mix of each offer."""
        return self._price(self._own, np.where(self.free, 0.0, self.paid[self.kind]))

    def _price(self, own: Flags, share: Floats) -> Floats:
        """(K, J) USD/Mtok: a share, (K,), of what is posted to own customers, (K, J), and newcomers; or by contract."""
        price = terms.posted_price(own, self.menu) * share[:, None]
        _, rows, j = self._held_by(_EVERYONE)
        price[rows, j] = self.contract_price[rows]
        return price

    @cached_property
    def tokens_by_kind(self) -> Floats:
        """(2 S, J) Mtok of the reference mix per task at the reference price, for users who pay as own customers do."""
        return self._tokens_by_kind(self.menu.price)

    def _tokens_by_kind(self, posted: Floats) -> Floats:
        return self._tokens(np.arange(len(self.paid)) // 2, slice(None), posted * self.paid[:, None])

    def _tokens(self, segment: Integers, offer: Integers | slice, price: Floats) -> Floats:
        """Mtok of the reference mix per task at the reference price, for users of some segments at some prices."""
        one, wait, mix = np.ones(()), self.time_price[segment, offer], self.menu.mix[segment, offer]
        shape = segment.shape + (1,) * (price.ndim - segment.ndim)
        thinking, plain = self.thinking[segment].reshape(shape), self.tokens_per_task[segment].reshape(shape)
        count, more = use(one, one, thinking, price * mix, wait, terms.response(self.settings))
        return np.asarray(count * (plain + more) * mix)

    @cached_property
    def tokens(self) -> Floats:
        """(K, J) Mtok of the reference mix each user would use in a step on each offer at posted prices."""
        return self.tokens_of(_EVERYONE)

    def tokens_of(self, users: Integers | slice) -> Floats:
        """(n, J) rows of `tokens`."""
        menu, size, kind = self.menu, self.size[users, None], self.kind[users]
        tokens = size * self.tokens_by_kind[kind]
        if menu.recognises:
            tokens = np.where(self._own[users], tokens, size * self._tokens_by_kind(menu.newcomer_price)[kind])
        free = np.flatnonzero(self.free[users])
        if free.size:
            segments, s = np.arange(len(menu.mix)), self.segment[users][free]
            most = self._tokens(segments, slice(None), self.settings.reference_price / menu.mix)
            tokens[free] = np.minimum(size[free] * most[s], (menu.allowance * menu.mix)[s])
        bound, rows, j = self._held_by(users)
        tokens[bound, j] = self._tokens_held(rows, j)
        return tokens

    def _tokens_held(self, users: Integers, offer: Integers) -> Floats:
        """(n,) Mtok of the reference mix that users under contract would use."""
        return self.size[users] * self._tokens(self.segment[users], offer, self.contract_price[users])

    @property
    def contract_spend(self) -> Floats:
        """(n,) USD each user under contract would pay in a step if all he asks for is served, commitment included."""
        _, rows, j = self._held_by(_EVERYONE)
        return self.contract_price[rows] * np.maximum(self._tokens_held(rows, j), self.commitment[rows])

    @property
    def bill(self) -> Floats:
        """(K, J) USD that `tokens` are charged at; to those who do not pay, what they would be if they did."""
        own, share = self._own | self.free[:, None], np.where(self.free, 1.0, self.paid[self.kind])
        return self.tokens * self._price(own, share)


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
        menu=menu,
        settings=settings,
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
        price_utility=terms.menu_price_utility(
            2 * s + signing, terms.is_own(users, menu), np.where(free, 0.0, users.price), menu, segments, settings
        ),
        outside=outside,
        sensitivity=users.price,
        size=users.tasks * months * task_factor * users.depth,
        signs=signing,
        free=free,
        pays_some_day=np.where(free, converts / np.maximum(converts + calm, 1e-9), 1.0),
        bound=bound,
        contract_price=price,
        contract_utility=price_utility(
            price * menu.mix[s, held], users.price, settings.price_metric, settings.reference_price
        ),
        commitment=users.commitment * months,
        tokens_per_task=segments.tokens_per_task,
        thinking=segments.thinking,
        time_price=time_price(segments, menu.speed),
        paid=np.stack([np.ones(len(count)), 1 - segments.discount], axis=1).ravel(),
        felt=counts.factor.swapaxes(0, 1).reshape(-1, len(menu.price)),
        foresight=np.tile(counts.weight, len(count)),
    )


def asked_again(panel: Panel, menu: Menu, segments: Segments) -> Panel:
    """What the same users answer about a menu that differs in its prices alone."""
    sensitivity = np.where(panel.free, 0.0, panel.sensitivity)
    felt = terms.menu_price_utility(panel.kind, panel._own, sensitivity, menu, segments, panel.settings)
    return replace(panel, menu=menu, price_utility=felt)
