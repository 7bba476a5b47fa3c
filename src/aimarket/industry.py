"""Who is in business and who owns what: entry, mergers and break-ups.

Tastes, names and private technology belong to a brand and stay with its offers; prices, fleet, money and the users one
need not win over belong to their owner.
"""

import copy
from dataclasses import fields, replace

import numpy as np

from aimarket import procurement
from aimarket.build import by_name, expected_work
from aimarket.kernels.sums import ordered_sum
from aimarket.population import Menu, Segments, over_step
from aimarket.provider import Provider
from aimarket.state import Event
from aimarket.views import EntryRule, Floats, Integers, Panel, PricingRule, Prospect, View
from aimarket.world import World

_TRIALS = 20  # quotes within which a rule should have found the prices it would enter with
_SETTLED = 1e-6  # relative change of a quote that counts as none


def restructure(market: World) -> None:
    """Mergers and break-ups of the policy, in the step in which it starts; nothing if a firm it names is gone."""
    policy = market.settings.policy
    market.gpus_transferred, market.orders_transferred = np.zeros((2, len(market.providers), *market.gpu_shape))
    if not market.policy_on or market.months_so_far - market.clock.months >= policy.start:
        return
    firm = {p.name: p for p in market.providers}
    if policy.merger and policy.merger_allowed:
        acquirer, target = firm[policy.merger.acquirer], firm[policy.merger.target]
        if acquirer.active and target.active:
            merge(market, acquirer, target)
    if policy.break_up:
        giver, taker = firm[policy.break_up.provider], firm[policy.break_up.into]
        named = [f"{giver.name}/{offer}" for offer in policy.break_up.offers]
        offers = np.flatnonzero(np.isin(market.catalogue.names, named))
        if giver.active and taker.waiting and (market.owner[offers] == giver.index).all():
            break_up(market, giver, offers, taker)


def merge(market: World, acquirer: Provider, target: Provider) -> None:
    """The target's offers, users, fleet, orders, money and running costs pass to the acquirer; the target is gone."""
    market.ledger.close_equity(target.name)
    _hand_over(market, target, target.offers, 1.0, acquirer, "merger")
    target.active = False


def break_up(market: World, giver: Provider, offers: Integers, taker: Provider) -> None:
    """Some offers, and the share of fleet, orders and money that they work with, go to a provider that waits for them.

    offers : (n,) int, columns of the menu that `giver` owns
    """
    taker.overhead, taker.waiting, taker.active = 0.0, False, True
    taker.memory["capacity"] = copy.deepcopy(giver.memory["capacity"])
    _hand_over(market, giver, offers, _share_of_work(market, giver, offers), taker, "break_up")


def _share_of_work(market: World, p: Provider, offers: Integers) -> float:
    """Share of some offers in the GPU-hours of their owner last step; in its revenue, or in number, if it has none."""
    for size in (market.by_offer(market.work), market.revenue, np.ones_like(market.revenue)):
        whole = float(ordered_sum(size[p.offers]))
        if whole > 0:
            return min(1.0, float(ordered_sum(size[offers])) / whole)
    return 0.0


def _hand_over(market: World, giver: Provider, offers: Integers, share: float, taker: Provider, account: str) -> None:
    """Offers change their owner, and a share of everything the owner has goes along."""
    market.owner = market.owner.copy()  # menus seen so far stay as they were
    market.owner[offers] = taker.index
    for p in (giver, taker):
        p.offers = np.flatnonzero(market.owner == p.index)
        p.memory["pricing"].clear()  # what was learnt was learnt with other offers
    balance = market.ledger.books[giver.name].balance
    amounts = {name: share * balance[name] for name in ("cash", "orders", "fleet", "debt")}
    market.ledger.hand_over(giver.name, taker.name, amounts, account)
    room = share * giver.room
    giver.room, taker.room = giver.room - room, taker.room + room
    for delivered, moved in ((True, market.gpus_transferred), (False, market.orders_transferred)):
        gpus = share * giver.fleet.installed(*market.gpu_shape, delivered=delivered)
        moved[giver.index] -= gpus
        moved[taker.index] += gpus
    giver.fleet.hand_over(share, taker.fleet)
    for name in ("overhead", "cash_cost", "burn", "tax_losses", "training_effort"):
        part = share * getattr(giver, name)
        setattr(giver, name, getattr(giver, name) - part)
        setattr(taker, name, getattr(taker, name) + part)
    taker.months_in_training = max(taker.months_in_training, giver.months_in_training)
    market.events.append(Event(account, giver.name, taker.name, share))


def let_enter(market: World) -> None:
    """At its intervals the entry rule lets the first waiting provider in that wants to come; at most one a step."""
    rule: EntryRule = market.settings.entry
    if not rule.interval or market.steps % max(1, market.clock.steps(rule.interval)):
        return
    awaited = market.settings.policy.break_up.into if market.settings.policy.break_up else None
    for p in market.providers:
        if p.waiting and len(p.offers) and p.name != awaited:
            prospect = look_ahead(market, p)
            if rule.enters(prospect, p.memory["entry"], market.streams):
                _start_business(market, p, prospect)
                return


def look_ahead(market: World, p: Provider) -> Prospect:
    """What a waiting provider sees: all adopted users choosing, its offers on sale at prices its own rule would ask."""
    rule: PricingRule = p.settings.pricing
    prices = market.price[p.offers]
    plain = market.view(p)
    same = {f.name: getattr(plain, f.name) for f in fields(View)} | {"workable": np.inf}
    money = {"overhead": p.settings.overhead, "entry_cost": p.settings.cash, "tax_rate": market.tax_rate}
    for _ in range(_TRIALS):
        menu = _menu_with(market, p, prices)
        panel = _without_contracts(market.survey(menu, np.zeros(len(market.segments.names)), _all_choose(market)))
        asked = {"prices": prices, "newcomer_prices": prices}
        prospect = Prospect(**same | asked | {"panel": panel, "cash": p.settings.cash} | money)
        quoted = rule.quote(prospect, {}, market.streams)
        # Who recognises customers asks two prices, and has nobody yet but newcomers.
        quoted = np.minimum(quoted[-1] if quoted.ndim > 1 else quoted, market.price_cap)
        if np.allclose(quoted, prices, rtol=_SETTLED, atol=0):
            break
        prices = quoted
    return prospect


def _menu_with(market: World, p: Provider, prices: Floats) -> Menu:
    """The menu as if the provider sold at some prices, (M,) USD/Mtok."""
    menu = market.menu()
    price, newcomer_price, on_sale = menu.price.copy(), menu.newcomer_price.copy(), menu.on_sale.copy()
    price[p.offers], newcomer_price[p.offers], on_sale[p.offers] = prices, prices, True
    return replace(menu, price=price, newcomer_price=newcomer_price, on_sale=on_sale)


def _all_choose(market: World) -> Segments:
    return replace(market.segments, review=np.ones(len(market.segments.names)))


def _without_contracts(panel: Panel) -> Panel:
    """The panel as if every contract ended now: in the long run they all do."""
    review = np.where(panel.bound, 1.0, panel.review)
    return replace(panel, review=review, bound=np.zeros(len(review), dtype=bool))


def _start_business(market: World, p: Provider, prospect: Prospect) -> None:
    """Investors pay cash and a fleet of new GPUs, enough for the users who look around within a lead time."""
    for posted in ("price", "newcomer_price", "posted_before"):
        prices = getattr(market, posted).copy()  # menus seen so far stay as they were
        prices[p.offers] = prospect.prices
        setattr(market, posted, prices)
    # A lead time's worth of a month's probability; the survey goes by the length of the step.
    soon = replace(market.segments, review=over_step(market.segments.review, float(prospect.lead_time)))
    panel = market.survey(prospect.menu, np.zeros(len(market.segments.names)), soon)
    work = expected_work(panel, market.hours_per_mtok, market.clock.months)
    generation = int(market.generation[p.index])
    price, given = float(market.roadmap.price[generation]), p.settings.fleet.gpus
    needed = float(ordered_sum(work[p.offers])) / market.settings.hardware.planned_utilisation
    gpus = needed / prospect.gpu_throughput if given is None else given
    sites = by_name(p.settings.fleet.regions, market.network.names, market.network.weights, p.name)
    p.fleet.add(generation, gpus * sites, market.steps + 1, price, delivered=True)
    for flow in (market.gpus_ordered, market.gpus_delivered):  # at once
        flow[p.index, generation] += gpus * sites
    market.ledger.open(p.name, p.settings.cash, p.settings.debt, p.fleet.book_value(market.steps + 1, market.life))
    procurement.open_sites(market, p)
    p.cash_cost = p.overhead + gpus * market.settings.hardware.hosting
    p.waiting, p.active = False, True
    market.events.append(Event("entry", p.name, "", gpus))
