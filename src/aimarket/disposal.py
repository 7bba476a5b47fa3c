"""How GPUs go: scrapped when their hours no longer pay, sold when their owner fails."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aimarket import finance
from aimarket.kernels.rationing import share_out
from aimarket.kernels.sums import ordered_sum
from aimarket.provider import Provider
from aimarket.serving import peak_over_mean

if TYPE_CHECKING:
    from aimarket.world import World

Floats = NDArray[np.float64]

_ALL = 1 - 1e-9  # of some GPUs: rounding leaves none behind
_NOTABLE_SALE = 1e-6  # share of what a failed provider had


# --- scrapping --------------------------------------------------------------------------------------------------------


def scrap(market: "World", p: Provider) -> None:
    """Retire GPUs whose hours are worth less than hosting and energy; what is left of their book value is lost.

    GPUs that last step's load needs stay, the least wasteful first, if they earn their cash cost at the provider's own
    prices: until what replaces them has arrived they cannot be done without.
    """
    fleet, throughput = p.fleet, market.roadmap.throughput
    if not fleet.delivered.any():
        return
    condemned = market.condemned[p.index] = market.uneconomic(p)
    if not condemned.any():
        return
    installed = fleet.installed(*market.gpu_shape)
    if not (condemned & (installed > 0)).any():
        return
    cash = market.cash_costs_of_gpus
    useless = condemned & (market.earnings_of_gpus(market.hour_earned(p)) < cash)
    needed = _needed(market, p)
    reference = installed * throughput[:, None]
    going = np.where(useless, 1.0, 0.0)  # (G, R) share scrapped
    spare = float((reference * (1 - going)).sum()) - needed
    waste = cash / throughput[:, None]
    for cell in sorted(zip(*np.nonzero(condemned & ~useless), strict=True), key=lambda cell: -waste[cell]):
        if spare > 0 and reference[cell] > 0:
            share = spare / reference[cell]
            going[cell] = share if share < _ALL else 1.0
            spare -= reference[cell]
    if not (going * installed).any():
        return
    book = fleet.book_value(market.steps, market.life)
    stay = np.where(fleet.delivered, 1.0 - going[fleet.generation, fleet.region], 1.0)
    fleet.gpus[:] *= stay
    fleet.keep(stay > 0)
    lost = installed - fleet.installed(*market.gpu_shape)
    market.gpus_scrapped[p.index] += lost
    market.gpus_retired[p.index] += lost
    market.ledger.write_down(p.name, "fleet", book - fleet.book_value(market.steps, market.life))


def _needed(market: "World", p: Provider) -> float:
    """Reference GPUs that serve last step's load, in the peak hour and at the planned utilisation."""
    hardware, load = market.settings.hardware, float(ordered_sum(market.by_offer(market.work)[p.offers]))
    peak = peak_over_mean(market.work[:, :, p.offers], market.network)
    return load * max(peak / hardware.maximum_utilisation, 1 / hardware.planned_utilisation)


# --- the sale of what a failed provider owned -------------------------------------------------------------------------


def clear_out(market: "World", p: Provider) -> list[tuple[str, float]]:
    """Sell a failed provider's GPUs and orders, as far as they are worth anything; the rest is scrapped or lapses.

    Providers that wanted GPUs and could not get them buy as far as their money goes, in proportion to what they miss;
    dealers outside the market take the rest. All pay the same.

    returns : who bought, and GPUs, those on order included
    """
    fleet = p.fleet
    installed, on_order = (fleet.installed(*market.gpu_shape, delivered=yes) for yes in (True, False))
    value = _used_value(market, p)  # (N,) USD/GPU
    sales: dict[str, float] = {}  # shares of all there is to sell
    if (worth := float((value * fleet.gpus).sum())) > 0:
        offered = float((fleet.gpus * market.roadmap.throughput[fleet.generation])[value > 0].sum())
        wanted = np.array([q.unmet if q.active else 0.0 for q in market.providers])
        shares = share_out(wanted, offered, 0.0) / offered
        for q in market.providers:
            if shares[q.index] > 0:
                sales[q.name] = _buy_used(market, p, q, value, float(shares[q.index]) * worth)
                q.unmet = max(0.0, q.unmet - sales[q.name] * offered)
        sales["dealers"] = max(0.0, 1.0 - sum(sales.values()))
        market.ledger.pay("dealers", p.name, sales["dealers"] * worth, "resale")
    for_sale = float(fleet.gpus[value > 0].sum())
    fleet.keep((value > 0) & fleet.delivered)
    sold = fleet.installed(*market.gpu_shape)
    market.gpus_sold[p.index] += sold
    market.gpus_retired[p.index] += installed - sold
    market.gpus_ordered[p.index] -= on_order
    fleet.keep(np.zeros(len(fleet.gpus), dtype=bool))
    return [(buyer, share * for_sale) for buyer, share in sales.items() if share > _NOTABLE_SALE]


def _used_value(market: "World", p: Provider) -> Floats:
    """What one of each cohort's GPUs fetches, (N,) USD/GPU.

    New capacity of the same throughput, at most the price of the same GPU, times the share of its life left, times
    `resale`; nothing if its hours are worth less than they cost.
    """
    fleet, roadmap = p.fleet, market.roadmap
    price = roadmap.price * (1 - market.compute_subsidy)
    new = np.minimum(
        market.supply_mix(market.gpu_hour_costs[p.index]) @ (price / roadmap.throughput) * roadmap.throughput, price
    )
    life = fleet.remaining(market.steps + 1, market.life)
    pays = ~market.uneconomic(p)[fleet.generation, fleet.region]
    return np.asarray(new[fleet.generation] * life * pays * market.settings.hardware.resale)


def _buy_used(market: "World", seller: Provider, buyer: Provider, value: Floats, amount: float) -> float:
    """Buy up to `amount` USD worth of every cohort of a failed provider; share of its fleet bought.

    The GPUs stay where they are, and so does the power they draw; what is left of their life is depreciated from what
    was paid.
    """
    ledger, fleet, terms = market.ledger, seller.fleet, market.settings.finance
    keep = terms.cash_buffer * buyer.cash_cost
    paid = finance.spend(ledger, buyer.name, seller.name, amount, "resale", terms, keep)
    share = paid / float((value * fleet.gpus).sum())
    gpus = np.where(value > 0, share * fleet.gpus, 0.0)
    life = fleet.remaining(market.steps + 1, market.life)
    unit_cost = np.divide(value, life, out=np.zeros_like(value), where=life > 0)
    ledger.transfer(buyer.name, "fleet", "orders", float((gpus * value)[~fleet.delivered].sum()))
    count = len(buyer.fleet.gpus)
    buyer.fleet.take_over(fleet, gpus, unit_cost)
    bought = np.arange(len(buyer.fleet.gpus)) >= count
    fed = bought & ~buyer.fleet.new_site
    buyer.room = buyer.room + buyer.fleet.power(fed, market.roadmap, market.gpu_shape[1])
    for counts, delivered in ((market.gpus_bought, True), (market.gpus_ordered, False)):
        rows = bought & (buyer.fleet.delivered == delivered)
        where = (buyer.fleet.generation[rows], buyer.fleet.region[rows])
        np.add.at(counts[buyer.index], where, buyer.fleet.gpus[rows])
    return share
