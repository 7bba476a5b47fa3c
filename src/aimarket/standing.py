"""How offers and firms stand with a panel of users at the prices posted: what all firms look at, reckoned once."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from aimarket import terms
from aimarket.kernels.choice import logit_shares, price_utility_slope
from aimarket.kernels.effort import use, use_elasticities
from aimarket.kernels.rivalry import Rivalry
from aimarket.kernels.sums import ordered_sum, sums_without_each

if TYPE_CHECKING:
    from aimarket.panel import Panel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WANTED = 1e-6  # mean share of choices below which a firm is no rival
_MOVED = 1e-9  # log points: least price change that counts as one
_THIN = 1e-200  # of the attraction of everything: too little to have kept its digits


@dataclass(frozen=True)
class Steady:
    """Users whom no posted price moves: those who pay nothing, and those whose contract runs on."""

    rows: Integers  # (N,) of the panel
    chance: Floats  # (J, N) users stood for, times the probability of ending the step with an offer
    tokens: Floats  # (J,) Mtok of the reference mix that they are expected to use
    paid: Floats  # (J,) USD that they are expected to pay, under contract


@dataclass(frozen=True)
class Movable:
    """Users whom posted prices move, group by group; those of one of the G groups are of one kind."""

    rows: Integers  # (N,) of the panel
    offer: Integers  # (N,) -1: none
    provider: Integers  # (N,) -1: none
    leaving_cost: Floats  # (N,) utils
    numbers: Floats  # (4, N) users stood for, probability of choosing this step, sensitivity, tasks/step
    utility: Floats  # (J, N) utils, without price and switching cost
    rest: Floats  # (F, N) utils of all that is not one firm's, switching cost paid
    kind: Integers  # (G,) of each group
    first: Integers  # (G + 1,) where each group begins, and N

    def parted(self, apart: Flags) -> "tuple[Movable, Flags]":
        """The same users, some of them, (N,), in groups of their own; and which groups these are, (G,)."""
        group = 2 * np.repeat(self.kind, np.diff(self.first)) + apart
        order = np.argsort(group, kind="stable")
        kinds, first = _runs(group[order])
        some = {
            name: column.take(order, axis=-1) for name, column in vars(self).items() if name not in ("kind", "first")
        }
        return Movable(**some, kind=kinds // 2, first=first), kinds % 2 == 1


def _runs(sorted_numbers: Integers) -> tuple[Integers, Integers]:
    """The different numbers, (G,), and where each begins, (G + 1,) with the count at the end."""
    numbers, first = np.unique(sorted_numbers, return_index=True)
    return numbers, np.append(first, len(sorted_numbers))


class Standing:
    """Attraction of offers, firms and having none to the users of a panel; K users, J offers, F firms.

    Attractions are exp(utility) over that of what the user likes best; offers and firms come first in every array, so
    that a firm's own are a few rows.
    """

    def __init__(self, panel: "Panel") -> None:
        # The panel keeps this. Kept in turn, both would wait for the garbage collector, some 5 MB a step.
        self._panel, self.menu = ref(panel), panel.menu

    @property
    def panel(self) -> "Panel":
        """Whom this is about; it outlives this."""
        panel = self._panel()
        assert panel is not None
        return panel

    @cached_property
    def utility(self) -> Floats:
        """(J, K) utils at posted prices, nobody paying a switching cost."""
        return np.ascontiguousarray((self.panel.utility + self.panel.price_utility).T)

    @cached_property
    def top(self) -> Floats:
        """(K,) utils of what a user likes best."""
        return np.maximum(self.utility.max(axis=0), self.panel.outside)

    @cached_property
    def offers(self) -> Floats:
        """(J, K) attraction of offers."""
        return np.exp(self.utility - self.top)

    @cached_property
    def outside(self) -> Floats:
        """(K,) attraction of having no provider."""
        return np.exp(self.panel.outside - self.top)

    @cached_property
    def firms(self) -> Floats:
        """(F, K) attraction of firms: that of their offers together."""
        return self._by_firm(self.offers)

    @cached_property
    def rivals(self) -> Floats:
        """(F, K) attraction of all firms but one."""
        return sums_without_each(self.firms)

    @cached_property
    def best_rival(self) -> Floats:
        """(F, K) attraction of the firm that a user likes best, one firm left out; 0 if there is no other."""
        best = self.firms.argmax(axis=0)
        others = self.firms.copy()
        np.put_along_axis(others, best[None], 0.0, axis=0)
        which = np.arange(len(self.firms))[:, None]
        return np.where(which == best, others.max(axis=0), self.firms.max(axis=0))

    @cached_property
    def remains_later(self) -> Floats:
        """(K,) what switching cost at the review to be expected leaves of the attraction of all but the firm held."""
        return np.exp(-self.panel.later_leaving_cost)

    @cached_property
    def _rest(self) -> Floats:
        """(F, K) attraction of all that is not one firm's, once whoever leaves his provider has paid for it."""
        panel = self.panel
        remains = np.exp(-panel.leaving_cost)
        pull = self.firms * remains
        users = np.flatnonzero(panel.provider >= 0)
        pull[panel.provider[users], users] = self.firms[panel.provider[users], users]
        return sums_without_each(pull) + self.outside * remains

    @cached_property
    def movable(self) -> Movable:
        """Users whom prices can move."""
        panel = self.panel
        rows = np.flatnonzero(~(panel.free | panel.bound))
        rows = rows[np.argsort(panel.kind[rows], kind="stable")]
        kind, first = _runs(panel.kind[rows])
        columns = (panel.weight, panel.review, panel.sensitivity, panel.size)
        return Movable(
            rows=rows,
            offer=panel.offer[rows],
            provider=panel.provider[rows],
            leaving_cost=panel.leaving_cost[rows],
            numbers=np.array([column[rows] for column in columns]),
            utility=panel.utility.T.take(rows, axis=1),
            rest=self._utils_of_rest(rows),
            kind=kind,
            first=first,
        )

    @cached_property
    def of_kinds(self) -> Floats:
        """(7, 2 S, J) what an offer is to users of a kind: see `groups` of `kernels.profit.Demand`."""
        panel, kinds = self.panel, np.arange(len(self.panel.paid))
        rows = [self.menu.mix[kinds // 2], panel.time_price[kinds // 2], panel.felt]
        of_a_kind = (panel.tokens_per_task[kinds // 2], panel.thinking[kinds // 2], panel.paid, panel.foresight)
        return np.array([*rows, *(np.broadcast_to(x[:, None], panel.felt.shape) for x in of_a_kind)])

    def _utils_of_rest(self, users: Integers) -> Floats:
        """(F, n) utils of all that is not one firm's, switching cost paid, to some users; -inf if that is nothing."""
        rest, panel = self._rest.take(users, axis=1), self.panel
        with np.errstate(divide="ignore"):
            utils = np.log(rest) + self.top[users]
        for firm, k in np.argwhere(rest < _THIN):
            others = panel.utility_to(users[k : k + 1])[0, self.menu.provider != firm]
            utils[firm, k] = np.logaddexp.reduce(np.append(others, panel.outside_now[users[k]]))
        return utils

    @cached_property
    def steady(self) -> Steady:
        """Users whom no posted price moves."""
        panel = self.panel
        rows = np.flatnonzero(panel.free | panel.bound)
        weight, review = panel.weight[rows], panel.review[rows]
        chooses = np.flatnonzero(review > 0)  # nobody whose contract runs on
        some = rows[chooses]
        share, _ = logit_shares(panel.utility_to(some), panel.outside_now[some])
        chance = np.zeros((len(rows), len(self.menu.price)))
        chance[chooses] = (weight * review)[chooses, None] * share
        holders = np.flatnonzero(panel.offer[rows] >= 0)
        held = panel.offer[rows[holders]]
        chance[holders, held] += (weight * (1 - review))[holders]
        bound = np.flatnonzero(panel.bound)
        paid = panel.weight[bound] * (1 - panel.review[bound]) * panel.contract_spend
        return Steady(
            rows=rows,
            chance=np.ascontiguousarray(chance.T),
            tokens=np.einsum("nj,nj->j", chance, panel.tokens_of(rows)),
            paid=np.bincount(panel.offer[bound], paid, len(self.menu.price)),
        )

    def rivalry(self, respondents: int) -> tuple[Rivalry, Rivalry, Integers] | None:
        """The game of prices among the firms somebody wants, as about so many of the panel show it.

        A price rise makes holders look around, a cut does not: a firm that left its prices alone rests on that kink.

        returns : users as they are, the same at the review to be expected, (F,) column of each firm, -1 for none;
                  None without rivals
        """
        if respondents not in self._rivalries:
            self._rivalries[respondents] = self._rivalry(respondents)
        return self._rivalries[respondents]

    @cached_property
    def _rivalries(self) -> dict[int, tuple[Rivalry, Rivalry, Integers] | None]:
        return {}

    def _rivalry(self, respondents: int) -> tuple[Rivalry, Rivalry, Integers] | None:
        panel, menu, settings = self.panel, self.menu, self.panel.settings
        every = max(1, len(panel.weight) // respondents)
        some = np.arange(0, len(panel.weight), every)
        attraction, outside = self.firms[:, some].T, self.outside[some]
        share = attraction / (ordered_sum(attraction) + outside)[:, None]
        wanted = np.flatnonzero(share.mean(axis=0) > _WANTED)
        if len(wanted) < 2:
            return None
        segment, paid = panel.segment[some], panel.price_paid[some]
        price = np.where(panel.free[some, None], settings.reference_price, paid * menu.mix[segment])
        wait, answers, one = panel.time_price[segment], terms.response(settings), np.ones(())
        _, thinking = use(one, one, panel.thinking[segment, None], price, wait, answers)
        extensive, intensive = use_elasticities(price, wait, answers)
        elasticity = extensive + intensive * thinking / (panel.tokens_per_task[segment, None] + thinking)
        sensitivity = np.where(panel.free[some], 0.0, panel.sensitivity[some])[:, None]
        slope = price_utility_slope(price, sensitivity, settings.price_metric)
        weights, spend = self.offers[:, some], (panel.tokens_of(some) * paid).T
        # Weights of a firm's offers are those by which a user picks among them.
        slopes = self._by_firm(weights * slope.T)[wanted].T
        spends = self._by_firm(weights * spend)[wanted].T
        usages = self._by_firm(weights * spend * elasticity.T)[wanted].T
        attraction = attraction[:, wanted]
        some_want, some_buy = attraction > 0, spends > 0
        moves = np.zeros(len(menu.providers), dtype=bool)
        np.logical_or.at(moves, menu.provider, np.abs(menu.rise) > _MOVED)
        column = np.full(len(menu.providers) + 1, -1)  # the last for those without a provider
        column[wanted] = np.arange(len(wanted))
        now = Rivalry(
            weight=panel.weight[some],
            provider=column[panel.provider[some]],
            review=panel.review[some],
            remains=np.exp(-panel.leaving_cost[some]),
            attraction=attraction,
            outside=outside,
            slope=np.divide(slopes, attraction, where=some_want, out=np.zeros_like(slopes)),
            spend=np.divide(spends, attraction, where=some_want, out=np.zeros_like(spends)),
            elasticity=np.divide(usages, spends, where=some_buy, out=np.zeros_like(usages)),
            stays=~moves[wanted] & (settings.price_rise_review > 0),
            dollars=settings.price_metric == "linear",
        )
        later = replace(now, review=panel.calm_review[some], remains=self.remains_later[some])
        return now, later, column[:-1]

    def _by_firm(self, of_offers: Floats) -> Floats:
        """(J, K) summed to (F, K), offers in order."""
        of_firms = np.zeros((len(self.menu.providers), of_offers.shape[1]))
        for offer, firm in enumerate(self.menu.provider):
            of_firms[firm] += of_offers[offer]
        return of_firms
