"""What is measured at the end of a step: the rows of every table of `schema.TABLES`. Flows are per month."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aimarket.attribution import COLUMNS, MARKET_COLUMNS, Attribution, MarketAttribution, attribute
from aimarket.identities import Identity, Stocks, audit
from aimarket.indices import Indices, quality_premium
from aimarket.kernels.concentration import concentration_ratio, herfindahl, shares
from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import INCOME, NON_CASH, SERVING_COST, Accounts
from aimarket.population import Floats
from aimarket.statements import statements
from aimarket.surplus import consumer_surplus, divide_surplus
from aimarket.tallies import Sums, sums_by_offer, sums_by_segment
from aimarket.units import HOURS_PER_MONTH, TRACE

if TYPE_CHECKING:
    from aimarket.market import Market

Tables = dict[str, dict[str, Any]]

_SERVING_CASH = tuple(account for account in SERVING_COST if account not in NON_CASH)
_MARKET_ACCOUNTS = (  # of the statements, summed over providers
    *("training", "gross_profit", "net_income", "economic_profit"),
    *("capex", "subsidy", "borrowing", "equity_raised", "dividends"),
)
GPU_FLOWS = ("gpus_retired", "gpus_scrapped", "gpus_bought", "gpus_sold")


@dataclass
class History:
    """What the next measurement is compared with."""

    stocks: Stocks
    costs: Attribution
    market_cost: MarketAttribution
    indices: Indices = field(default_factory=Indices)

    @classmethod
    def of(cls, market: "Market") -> "History":
        """Before the first step."""
        firms = len(market.providers)
        return cls(Stocks.of(market, market.ledger.accounts()), Attribution(firms), MarketAttribution(firms))


def ratio(numerator: Any, denominator: Any) -> Any:
    """Quotient, nan where there is nothing to divide by."""
    if isinstance(denominator, float):
        return numerator / denominator if abs(denominator) > TRACE else np.nan * numerator
    some = np.abs(denominator) > TRACE
    return np.where(some, numerator / np.where(some, denominator, 1.0), np.nan)[()]


def measure(market: "Market", history: History) -> Tables:
    """Check the identities of the step, then count what is recorded (`record.tables`).

    raises : IdentityBreach
    """
    accounts = market.ledger.accounts()
    before, history.stocks = history.stocks, audit(market, accounts, history.stocks)
    stated = statements(market, accounts, before)
    attribute(market, accounts, history.stocks.gpus, history.costs, history.market_cost)
    by_segment, by_offer = sums_by_segment(market), sums_by_offer(market)
    providers = _providers(market, history, accounts, stated, by_offer)
    surplus = consumer_surplus(market)
    adopted = float(ordered_sum(by_segment["adopted"]))
    market.surplus_per_user = surplus / adopted if adopted > 0 else np.nan
    if np.isnan(market.first_surplus_per_user):
        market.first_surplus_per_user = market.surplus_per_user
    whole = _market(market, history, by_segment, by_offer, stated | providers, surplus)
    whole |= divide_surplus(market, accounts, before, surplus)
    names, months, gpus = list(market.segments.names), market.clock.months, history.stocks.gpus
    tables: dict[str, Callable[[], dict[str, Any]]] = {
        "market": lambda: whole,
        "providers": lambda: providers,
        "statements": lambda: stated,
        "offers": lambda: _offers(market, by_offer, gpus),
        "segments": lambda: {"segment": names, **_demand(by_segment, months)},
        "ledger": lambda: _columns(
            ("provider", "account", "counterparty", "amount"),
            ((*entry, amount / months) for *entry, amount in market.ledger.rows()),
        ),
        "events": lambda: _columns(
            ("kind", "provider", "subject", "value"),
            ((e.kind, e.provider, e.subject, e.value) for e in market.events),
        ),
    }
    return {name: tables[name]() for name in market.settings.record.tables}


def _columns(names: tuple[str, ...], rows: Any) -> dict[str, list[Any]]:
    """Rows as columns, also if there are none."""
    table = list(rows)
    return {name: [row[i] for row in table] for i, name in enumerate(names)}


def _demand(sums: Any, months: float) -> dict[str, Any]:
    """Users by state, and their tasks, tokens and spend; tokens as users count them, so that mixes do not matter.

    sums : see `sums_by_segment`, or the same over all segments
    """
    adopted, attached, asked = sums["adopted"], sums["attached"], sums["tokens"]
    spend, switches = sums["payments"] / months, sums["leavers"]
    return {
        "potential_users": sums["potential"],
        "adopted_users": adopted,
        "attached_users": attached,
        "outside_share": ratio(adopted - attached, adopted),
        "reviews": sums["reviews"] / months,
        "switches": switches / months,
        "churn": ratio(switches, sums["attached_before"]) / months,
        "depth": ratio(sums["depth"], attached),
        "tenure": ratio(sums["tenure"], attached),
        "switching_cost": ratio(sums["switching_cost"], attached),
        "abandonments": sums["abandonments"] / months,
        "free_share": ratio(sums["free"], attached),
        "multihoming_share": ratio(sums["routed"], attached),
        "contract_share": ratio(sums["contracted"], attached),
        "tasks": sums["tasks"] / months,
        "tokens_wanted": sums["wanted"] / months,
        "tokens_declined": sums["declined"] / months,
        "tokens_served": sums["tokens_served"] / months,
        "tokens_per_task": ratio(asked, sums["tasks"]),
        "task_elasticity": ratio(sums["task_elasticity"], asked),
        "thinking_elasticity": ratio(sums["thinking_elasticity"], asked),
        "spend": spend,
        "committed_spend": sums["shortfall"] / months,
        "cost_per_task": ratio(spend, sums["tasks_served"] / months),
    }


def _offers(market: "Market", sums: Sums, gpus: Floats) -> dict[str, Any]:
    catalogue, totals, months = market.catalogue, market.totals, market.clock.months
    price, cost = market.price, market.marginal_cost
    users = sums["users"]
    relative = catalogue.prices / catalogue.list_price[:, None] * price[:, None]
    owners = [market.providers[f] for f in market.owner]
    return {
        "provider": [catalogue.providers[f] for f in catalogue.provider],
        "offer": list(catalogue.offers),
        "owner": [p.name for p in owners],
        "model": list(catalogue.models),
        "active": [p.active for p in owners],
        "price": price,
        "input_price": relative[:, 0],
        "cached_price": relative[:, 1],
        "output_price": relative[:, 2],
        "newcomer_price": market.newcomer_price,
        "marginal_cost": cost,
        "opportunity_cost": market.opportunity_cost,
        "short_run_cost": market.short_run_costs(gpus),
        "lerner": 1 - cost / price,
        "markup": ratio(price - cost, cost),
        "quality": market.quality,
        "users": users,
        "user_share": ratio(users, float(ordered_sum(totals.adopted))),
        "share": shares(sums["served"]),
        "tokens_wanted": sums["wanted"] / months,
        "tokens_served": sums["served"] / months,
        "revenue": market.revenue / months,
        "latency": ratio(sums["latency"], users),
        "time_to_first_token": ratio(sums["first_token"], users),
    }


def _providers(
    market: "Market", history: History, books: Accounts, stated: dict[str, Any], sums: Sums
) -> dict[str, Any]:
    totals, service, months = market.totals, market.service, market.clock.months
    firms = market.providers
    users, wanted, asked, served, queued = (
        market.by_provider(sums[name]) for name in ("users", "wanted", "tokens", "served", "waited")
    )
    cost = market.by_provider(sums["mix_served"] * market.marginal_cost)
    revenue, booked = books.moved("revenue"), books.spent(*SERVING_COST)
    busy, capacity = service.busy.sum(axis=1), market.capacity_used.sum(axis=1)
    before, left = ordered_sum(totals.attached_before, 0), ordered_sum(totals.leavers, 0)
    return {
        "provider": [p.name for p in firms],
        "archetype": [p.settings.archetype for p in firms],
        "active": [p.active for p in firms],
        "users": users,
        "user_share": shares(users),
        "share": shares(served),
        "revenue_share": shares(revenue),
        "tokens_wanted": wanted / months,
        "tokens_served": served / months,
        "tokens_unserved": (asked - served) / months,
        "price": ratio(revenue, served),
        "unit_cost": ratio(booked, served),
        "marginal_cost": ratio(cost, served),
        "lerner": ratio(revenue - cost, revenue),
        "markup": ratio(revenue - cost, cost),
        "quality": [float(market.quality[p.offers].max()) if len(p.offers) else np.nan for p in firms],
        "gpus": history.stocks.gpus.sum(axis=(1, 2)),
        "gpus_on_order": history.stocks.orders.sum(axis=(1, 2)),
        **{name: getattr(market, name).sum(axis=(1, 2)) / months for name in GPU_FLOWS},
        "gpus_wanted": market.gpus_wanted / months,
        "gpus_unmet": market.gpus_unmet / months,
        "utilisation": ratio(busy, capacity),
        "peak_utilisation": np.where(capacity > 0, service.peak, np.nan),
        "rented": market.rented,
        "let": market.let,
        "wait": ratio(queued, served),
        "training_gpu_hours": market.training_compute() / months,
        "inference_gpu_hours": (busy + market.rented) * HOURS_PER_MONTH,
        "inference_cash": (revenue - books.spent(*_SERVING_CASH)) / months,
        "retention": (1 - ratio(left, before)) ** (1 / months),
        "continuation_value": [p.memory["pricing"].get("continuation_value", 0.0) for p in firms],
        **{name: stated[name] for name in ("revenue", "training", "net_income", "capex", "cash", "debt", "equity")},
        **dict(zip(COLUMNS, history.costs.total.T, strict=True)),
    }


def _market(
    market: "Market", history: History, by_segment: Sums, by_offer: Sums, rows: dict[str, Any], surplus: float
) -> dict[str, Any]:
    service, months = market.service, market.clock.months
    numbers = {name: column for name, column in rows.items() if isinstance(column, np.ndarray)}
    total = dict(zip(numbers, ordered_sum(np.array(list(numbers.values()))).tolist(), strict=True))
    sums = ordered_sum(np.stack(list(by_segment.values()))).tolist()
    demand = _demand(dict(zip(by_segment, sums, strict=True)), months)
    spend, served, wanted = demand["spend"], demand["tokens_served"], demand["tokens_wanted"]
    quantity = by_offer["mix_served"] / months
    cost = float(ordered_sum(quantity * market.marginal_cost))
    share = np.asarray(rows["share"])
    quality = float(ratio(ordered_sum(quantity * market.quality), ordered_sum(quantity)))
    history.indices.advance(market, quantity * market.price)
    unserved = wanted - demand["tokens_declined"] - served
    Identity("spend of segments = revenue of providers", spend, total["revenue"]).check(market.steps)
    hhi, on_sale = herfindahl(share), market.panel_menu.on_sale
    busy, capacity = (float(ordered_sum(ordered_sum(gpus, 0))) for gpus in (service.busy, market.capacity_used))
    return {
        **demand,
        "tokens_unserved": unserved,
        "thinking_share": ratio(ordered_sum(by_offer["thinking"]), ordered_sum(by_offer["tokens"])),
        "price": ratio(spend, served),
        "price_index": float(np.exp(history.indices.posted)),
        "quality_adjusted_index": float(np.exp(history.indices.adjusted)),
        "quality_adjusted_price": ratio(spend, served) * np.exp(-quality * quality_premium(market)),
        "unit_cost": ratio(sum(total[name] for name in SERVING_COST), served),
        "marginal_cost": ratio(cost, served),
        "lerner": ratio(spend - cost, spend),
        "markup": ratio(spend - cost, cost),
        "hhi": hhi,
        "cr4": concentration_ratio(share),
        "effective_providers": ratio(1.0, hhi),
        "leader_share": float(share.max(initial=0.0)),
        "active_providers": float(len(market.active_providers)),
        "frontier_quality": float(market.quality[on_sale].max()) if on_sale.any() else np.nan,
        "mean_quality": quality,
        "gpus": total["gpus"],
        "gpus_on_order": total["gpus_on_order"],
        "gpu_supply": market.gpu_supply / months if np.isfinite(market.gpu_supply) else np.nan,
        "gpus_wanted": total["gpus_wanted"],
        "gpus_rationed": ratio(total["gpus_unmet"], total["gpus_wanted"]),
        "gpus_scrapped": total["gpus_scrapped"],
        "utilisation": ratio(busy, capacity),
        "rental_price": np.nan if market.rental is None else market.rental.price,
        "scarcity": market.scarcity,
        "rented": total["rented"],
        "let": total["let"],
        "training_gpu_hours": total["training_gpu_hours"],
        "inference_gpu_hours": total["inference_gpu_hours"],
        "wait": ratio(ordered_sum(np.nan_to_num(np.asarray(rows["wait"])) * rows["tokens_served"]), served),
        "unserved_share": ratio(unserved, wanted),
        "consumer_surplus": surplus,
        "producer_surplus": sum(total[name] for name in INCOME) - sum(total[name] for name in _SERVING_CASH),
        **{name: total[name] for name in _MARKET_ACCOUNTS},
        **dict(zip(MARKET_COLUMNS, history.market_cost.total, strict=True)),
    }
