"""How GPUs are bought: what the industry can make is shared out among orders, and arrives where there is room for it.

A site is a provider's place in a region, with power for so many GPUs. What fits the live sites comes after the lead
time; the rest waits for a new site to be built, which then has room for more.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aimarket import finance
from aimarket.build import retire_and_deliver
from aimarket.kernels.purchase import affordable_quantity, order_cost, volume_effect
from aimarket.kernels.rationing import share_out
from aimarket.kernels.sums import ordered_sum
from aimarket.provider import Provider
from aimarket.rental import share_bought

if TYPE_CHECKING:
    from aimarket.views import CapacityRule, View
    from aimarket.world import World

Floats = NDArray[np.float64]

_FULL = 1e-9  # a site is full when less than this share of its power is left: rounding leaves no room


def count_anew(market: "World") -> None:
    """Start a step's counts of GPUs."""
    by_site = (len(market.providers), *market.gpu_shape)
    market.gpus_retired, market.gpus_delivered, market.gpus_ordered = np.zeros((3, *by_site))
    market.gpus_scrapped, market.gpus_bought, market.gpus_sold = np.zeros((3, *by_site))
    market.gpus_wanted, market.gpus_unmet = np.zeros((2, len(market.providers)))
    market.condemned = np.zeros(by_site, dtype=bool)


# --- sites ------------------------------------------------------------------------------------------------------------


def open_sites(market: "World", p: Provider) -> None:
    """Give a provider sites with room for the fleet it starts with, and for growth."""
    p.room = _with_headroom(market, _drawn(market, p, ~p.fleet.new_site))


def _drawn(market: "World", p: Provider, cohorts: NDArray[np.bool_]) -> Floats:
    """(R,) kW that some of a provider's cohorts draw at full load."""
    return p.fleet.power(cohorts, market.roadmap, market.gpu_shape[1])


def _with_headroom(market: "World", power: Floats) -> Floats:
    """Power of sites planned for GPUs that draw `power`, kW."""
    return np.asarray(power * (1 + (market.settings.hardware.headroom or 0.0)))


def _room_left(market: "World", p: Provider) -> Floats:
    """(R,) kW free in live sites; GPUs on order for them have taken their place already."""
    if market.settings.hardware.headroom is None:
        return np.full(market.gpu_shape[1], np.inf)
    left = p.room - _drawn(market, p, ~p.fleet.new_site)
    return np.where(left > _FULL * p.room, left, 0.0)


def _sites(market: "World", p: Provider) -> Floats:
    """(R,) shares in which new GPUs go to a provider's sites; zeros if none of them may get any."""
    sites, barred = market.site_shares[p.index], market.barred_regions
    if not barred.any():
        return sites
    sites = np.where(barred, 0.0, sites)
    return np.divide(sites, sites.sum(), out=np.zeros_like(sites), where=sites.sum() > 0)


def deliver(market: "World", p: Provider) -> float:
    """GPUs at the end of their life go, orders that are due arrive, sites built for them open; GPUs delivered."""
    fleet = p.fleet
    opening = fleet.new_site & (fleet.arrival <= market.steps)
    if opening.any():
        p.room = p.room + _with_headroom(market, _drawn(market, p, opening))
        fleet.new_site[opening] = False
    retired, delivered, cost = retire_and_deliver(fleet, market.steps, market.life, market.gpu_shape)
    market.gpus_retired[p.index], market.gpus_delivered[p.index] = retired, delivered
    market.ledger.transfer(p.name, "orders", "fleet", cost)
    return float(delivered.sum())


def redirect_orders(market: "World", p: Provider) -> None:
    """What is on order for a region under an export limit goes to the provider's other sites, or is paid back."""
    fleet, barred = p.fleet, market.barred_regions
    if not barred.any():
        return
    stopped = ~fleet.delivered & barred[fleet.region]
    if not stopped.any():
        return
    before = fleet.installed(*market.gpu_shape, delivered=False)
    sites, refund = _sites(market, p), float((fleet.gpus * fleet.unit_cost)[stopped].sum())
    for i in np.flatnonzero(stopped):
        fleet.add(
            int(fleet.generation[i]),
            fleet.gpus[i] * sites,
            int(fleet.arrival[i]),
            float(fleet.unit_cost[i]),
            delivered=False,
            new_site=bool(fleet.new_site[i]),
        )
    fleet.keep(~np.append(stopped, np.zeros(len(fleet.gpus) - len(stopped), dtype=bool)))
    if not sites.any():
        market.ledger.pay("vendors", p.name, refund, "capex")
    market.gpus_ordered[p.index] += fleet.installed(*market.gpu_shape, delivered=False) - before


# --- orders -----------------------------------------------------------------------------------------------------------


def order_gpus(market: "World", views: Mapping[Provider, "View"]) -> None:
    """Providers say what they want, supply is shared out, and what is to be had is paid for.

    Everybody asks for the generation cheapest to run. Who gets too little asks for the next best, as long as its hours
    would earn what they cost at posted prices.
    """
    throughput = market.roadmap.throughput
    missing = np.zeros(len(market.providers))  # reference GPUs
    for p, view in views.items():
        rule: CapacityRule = p.settings.capacity
        wanted = rule.order(view, p.memory["capacity"], market.streams)
        missing[p.index] = wanted * view.gpu_throughput if _sites(market, p).any() else 0.0
    costs = {p: market.gpu_hour_costs[p.index] for p in views if missing[p.index] > 0}
    on_sale = market.roadmap.on_sale(market.months_so_far)
    terms = market.settings.hardware.rental
    if market.rental is not None and terms is not None and terms.lease_or_buy:
        for p, cost in costs.items():
            missing[p.index] *= share_bought(market.rental.price, float(cost[on_sale].min()))
    ranking = {p: on_sale[np.argsort(cost[on_sale], kind="stable")] for p, cost in costs.items()}
    supply = _Supply(market)
    for choice in range(len(on_sale)):
        bids = np.zeros((len(market.providers), len(throughput)))
        for p, generations in ranking.items():
            g = generations[choice]
            if choice == 0 or costs[p][g] <= market.hour_earned(p):
                bids[p.index, g] = min(missing[p.index] / throughput[g], _affordable(market, p, g))
        if choice == 0:
            market.gpus_wanted, missing = bids.sum(axis=1), bids @ throughput
        for g in map(int, np.flatnonzero(bids.any(axis=0))):
            granted = supply.share_out(bids[:, g], g, market.settings.hardware.supply_priority)
            for p in ranking:
                if granted[p.index] > 0:
                    _buy(market, p, g, float(granted[p.index]))
            missing = np.where(bids[:, g] > 0, (bids[:, g] - granted) * throughput[g], missing)
        if not bids.any() or not missing.any():
            break
    for p in views:
        first = ranking[p][0] if p in ranking else 0
        p.unmet = float(missing[p.index])
        market.gpus_unmet[p.index] = p.unmet / throughput[first]


class _Supply:
    """What the industry can still take orders for in this step, GPUs."""

    def __init__(self, market: "World") -> None:
        self.left = market.gpu_supply
        finite = self.left < np.inf
        self.by_generation = self.left * market.ramped if finite else np.full(len(market.ramped), np.inf)

    def share_out(self, bids: Floats, generation: int, priority: float) -> Floats:
        """Give bidders for a generation what there is of it; (F,) GPUs."""
        granted = share_out(bids, max(0.0, min(self.left, float(self.by_generation[generation]))), priority)
        taken = float(ordered_sum(granted))
        self.left -= taken
        self.by_generation[generation] -= taken
        return granted


def _keep(market: "World", p: Provider) -> float:
    """Cash that is not spent on what can wait, USD."""
    return market.settings.finance.cash_buffer * p.cash_cost


def _affordable(market: "World", p: Provider, generation: int) -> float:
    """GPUs of a generation that a provider could pay for."""
    hardware = market.settings.hardware
    money = finance.purchasing_power(market.ledger.books[p.name], market.settings.finance, _keep(market, p))
    price = float(market.roadmap.price[generation]) * (1 - market.compute_subsidy)
    return affordable_quantity(money, price, hardware.volume_discount, hardware.volume_scale * market.clock.months)


def _buy(market: "World", p: Provider, generation: int, gpus: float) -> None:
    """Pay for an order, with what the treasury adds, and say when and where it arrives."""
    hardware, ledger, share = market.settings.hardware, market.ledger, market.compute_subsidy
    scale = hardware.volume_scale * market.clock.months
    price = float(market.roadmap.price[generation])
    cost = order_cost(gpus, price, hardware.volume_discount, scale) * (1 - share)
    if cost <= 0:
        return
    paid = finance.spend(ledger, p.name, "vendors", cost, "capex", market.settings.finance, _keep(market, p))
    if share > 0:
        ledger.pay("treasury", p.name, paid * share / (1 - share), "subsidy")
        ledger.pay(p.name, "vendors", paid * share / (1 - share), "capex")
    ordered = gpus * (paid / cost) * _sites(market, p)
    earlier = hardware.early_delivery * volume_effect(gpus, scale)
    live = np.minimum(ordered, _room_left(market, p) / market.roadmap.power[generation])
    for where, months, new_site in (
        (live, hardware.lead_time, False),
        (ordered - live, hardware.new_site_lead_time, True),
    ):
        arrival = market.steps + market.delivery_steps(max(0.0, months - earlier))
        p.fleet.add(generation, where, arrival, cost / gpus, delivered=False, new_site=new_site)
    market.gpus_ordered[p.index, generation] += ordered
