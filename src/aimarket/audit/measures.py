"""Prices, margins, concentration, surplus and cost drivers, reckoned anew."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from aimarket.audit.arithmetic import Flags, Floats, after_first, change, last, ratio
from aimarket.audit.faults import Law, at_least, at_most, exists
from aimarket.audit.tables import Tables

_LIST_PRICES = ("input_price", "cached_price", "output_price")
_DRIVEN = ("depreciation", "hosting", "rental", "energy")  # costs that drivers are found for
_GAINS = {"consumer": "consumer_surplus", "producer": "net_income", "treasury": "taxes"}
_LEAST = 1e-300  # more than nothing
_NEAR_NOTHING = 1e-3  # logits: of less quality than that, what a logit is worth cannot be told


def concentration(tables: Tables) -> Iterator[Law]:
    """Indices of concentration, from the shares of providers."""
    market, share = tables["market"], np.sort(tables["providers"]["share"], axis=-1)
    law = partial(Law, "market")
    yield law("hhi", "sum of squared shares", market["hhi"], (share**2).sum(-1))
    yield law("cr4", "share of the four largest", market["cr4"], share[..., -4:].sum(-1))
    yield law("leader_share", "largest share", market["leader_share"], share.max(-1, initial=0.0))
    yield law("effective_providers", "1 / HHI", market["effective_providers"], ratio(1.0, market["hhi"]))


def margins(tables: Tables, table: str) -> Iterator[Law]:
    """Lerner index and markup of price over long-run marginal cost."""
    rows = tables[table]
    price, cost = rows["price"], rows["marginal_cost"]
    over = ratio(cost, price)
    yield Law(table, "lerner", "1 - cost over price", rows["lerner"], 1 - over, np.maximum(1.0, over))
    yield Law(table, "markup", "price over cost - 1", rows["markup"], ratio(price, cost) - 1, 1.0)
    yield at_least(table, "marginal_cost", "never negative", cost, 0.0)


def prices_of_market(tables: Tables) -> Iterator[Law]:
    """The price of the market is what is paid for a token; quality takes off it what users give for that."""
    market = tables["market"]
    price = ratio(market["spend"], market["tokens_served"])
    yield Law("market", "price", "spend over tokens served", market["price"], price)
    yield from margins(tables, "market")
    adjusted = market["price"] * np.exp(-market["mean_quality"] * _premium(tables)[:, None])
    found, where = market["quality_adjusted_price"], np.isfinite(adjusted)
    name = "price less what users give for quality, as in other steps"
    yield Law("market", "quality_adjusted_price", name, found, adjusted, 10 * adjusted, where)


def prices_of_providers(tables: Tables) -> Iterator[Law]:
    """The price of a provider is what is paid for a token."""
    firms = tables["providers"]
    price = ratio(firms["revenue"], firms["tokens_served"])
    yield Law("providers", "price", "revenue over tokens served", firms["price"], price)
    yield from margins(tables, "providers")
    yield exists("providers", "marginal_cost", firms["marginal_cost"], firms["tokens_served"] > 0)


def costs(tables: Tables) -> Iterator[Law]:
    """Long-run cost of the market is that of its providers, weighted by tokens."""
    market, firms = tables["market"], tables["providers"]
    cost = np.nan_to_num(firms["marginal_cost"]) * firms["tokens_served"]
    mean = ratio(cost.sum(-1), market["tokens_served"])
    yield Law("market", "marginal_cost", "mean over providers", market["marginal_cost"], mean)


def posted(tables: Tables) -> Iterator[Law]:
    """List prices keep their ratios, margins are of the price posted, and answers take their time."""
    rows = tables["offers"]
    yield from margins(tables, "offers")
    for name in ("price", "newcomer_price"):
        yield at_least("offers", name, "above zero", rows[name], _LEAST)
    for name in _LIST_PRICES:
        kept = np.median(ratio(rows[name], rows["price"]), axis=1, keepdims=True) * rows["price"]
        yield Law("offers", name, "list prices keep their ratios", rows[name], kept)
    one_price = [_one_price(p["pricing"]) for p in tables.settings["providers"].values() for _ in p["offers"]]
    where = np.array(one_price, bool) & (rows["owner"] == rows["provider"])
    name = "the price posted, by a rule with one price"
    yield Law("offers", "newcomer_price", name, rows["newcomer_price"], rows["price"], 0.0, where)
    for name in ("latency", "time_to_first_token"):
        yield exists("offers", name, rows[name], rows["users"] > 0)
        yield at_least("offers", name, "never negative", rows[name], 0.0)
    yield at_least("offers", "latency", "the first token, or later", rows["latency"], rows["time_to_first_token"])


def _one_price(rule: Any) -> bool:
    """Whether a pricing rule, and those inside it, ask the same of everybody."""
    if not isinstance(rule, dict):
        return True
    return rule.get("kind") != "customer_recognition" and all(map(_one_price, rule.values()))


# --- quality and indices ----------------------------------------------------------------------------------------------


def qualities(tables: Tables) -> Iterator[Law]:
    """The frontier is the best on offer, and nothing is better on average."""
    market, rows = tables["market"], tables["offers"]
    frontier, none = market["frontier_quality"], -np.inf
    best = rows["quality"].max(-1, initial=none)
    yield at_most("market", "frontier_quality", "best of all offers, or less", frontier, best, np.abs(best))
    on_sale = np.where(rows["active"], rows["quality"], none).max(-1, initial=none)
    steady = (last(rows["active"]) == rows["active"]).all(-1) & after_first(frontier) & np.isfinite(on_sale)
    yield Law("market", "frontier_quality", "best on sale", frontier, on_sale, 0.0, steady)
    served = np.where(rows["tokens_served"] > 0, rows["quality"], none).max(-1, initial=none)
    some = np.isfinite(served)
    yield at_most("market", "mean_quality", "best that is served", market["mean_quality"], served, 1.0, some)
    for name in ("frontier_quality", "mean_quality"):
        yield exists("market", name, market[name], some, elsewhere=True)


def indices(tables: Tables) -> Iterator[Law]:
    """Chained indices begin at 1 and move as posted prices did: no further than the extremes, and by a mean of them.

    What was spent at posted prices is told only where nobody pays another price, or nothing: there the mean is known.
    """
    market, rows = tables["market"], tables["offers"]
    moves = change(np.log(rows["price"]))
    better = _premium(tables)[:, None, None] * change(rows["quality"])
    sold = (rows["tokens_served"] > 0) & (last(rows["tokens_served"]) > 0)
    linear = tables.settings["users"]["price_metric"] == "linear"  # quality then has no price in logs
    yield exists("market", "quality_adjusted_index", market["quality_adjusted_index"], not linear, elsewhere=True)
    for column, moved in (("price_index", moves), ("quality_adjusted_index", moves - better)):
        index, start = market[column], np.ones((1, 1))
        yield at_least("market", column, "above zero", index, _LEAST)
        yield Law("market", column, "1 in the first step", index, start, 0.0, ~after_first(index) & ~np.isnan(index))
        found = change(np.log(index))
        for bounded, extreme, none in ((at_most, np.max, -np.inf), (at_least, np.min, np.inf)):
            limit = extreme(np.where(sold, moved, none), axis=-1, initial=none)
            limit = np.where(np.isfinite(limit), limit, 0.0)
            where = np.isfinite(found) & np.isfinite(moved.sum(-1))
            yield bounded("market", column, "between the moves of offers", found, limit, 1.0, where)
    found, (mean, known) = change(np.log(market["price_index"])), _mean_move(tables, moves)
    yield Law("market", "price_index", "mean of the moves of offers", found, mean, 1.0, known)


def _premium(tables: Tables) -> Floats:
    """(R,) log points of price that users give for a logit of quality, the same in every step; nan if nothing tells it.

    It is what the quality-adjusted price was made with, as most steps have it.
    """
    market = tables["market"]
    premium = -ratio(np.log(ratio(market["quality_adjusted_price"], market["price"])), market["mean_quality"])
    known = np.isfinite(premium) & (np.abs(market["mean_quality"]) > _NEAR_NOTHING)
    return np.array([np.median(row[some]) if some.any() else np.nan for row, some in zip(premium, known, strict=True)])


def _mean_move(tables: Tables, moves: Floats) -> tuple[Floats, Flags]:
    """(R, T) mean of the moves of offers sold in both steps, by their shares in both, and whether it is known."""
    market, rows = tables["market"], tables["offers"]
    plain = (market["contract_share"] == 0) & (market["free_share"] == 0)
    plain &= (rows["newcomer_price"] == rows["price"]).all(-1)
    now, before = rows["revenue"], last(rows["revenue"])
    both = (now > 0) & (before > 0)
    shares = [ratio(part, np.where(both, part, 0.0).sum(-1, keepdims=True)) for part in (now, before)]
    mean = np.where(both, (shares[0] + shares[1]) / 2 * moves, 0.0).sum(-1)
    return mean, plain & last(plain) & after_first(plain)


# --- surplus and cost drivers -----------------------------------------------------------------------------------------


def surplus(tables: Tables) -> Iterator[Law]:
    """Welfare is what users, owners and the treasury get, and each has a share of it."""
    market = tables["market"]
    law = partial(Law, "market")
    parts = {who: market[column] for who, column in _GAINS.items()}
    scale = np.sum([np.abs(part) for part in parts.values()], axis=0)
    welfare = parts["consumer"] + parts["producer"] + parts["treasury"]
    yield law("welfare", "consumer surplus + net income + taxes", market["welfare"], welfare, scale)
    shared = np.where(market["welfare"] > 0, market["welfare"], np.nan)
    for who, part in parts.items():
        column = f"{who}_surplus_share"
        yield law(column, f"{_GAINS[who]} over welfare", market[column], part / shared, scale / shared)


def drivers(tables: Tables) -> Iterator[Law]:
    """What drivers did to unit cost adds up to what became of it, for every provider and for the market."""
    firms, lines = tables["providers"], tables["statements"]
    tokens = tables.by_owner(np.where(tables.frame.bought, 0.0, tables["offers"]["tokens_served"]))
    cost = np.sum([lines[name] for name in _DRIVEN], axis=0)
    serves = (firms["gpus"] > 0) & (tokens > 0) & (cost > 0) & (firms["inference_gpu_hours"] > 0)
    serves &= ~np.isnan(firms["utilisation"])
    names = [name for name in firms if name.startswith("cost_")]
    for name in names:
        yield exists("providers", name, firms[name], np.logical_or.accumulate(serves, axis=1))
        yield Law("providers", name, "as it was: it did not serve", firms[name], last(firms[name]), 0.0, ~serves)
    since = _since_first(ratio(cost, tokens), serves)
    yield _sum_of_drivers("providers", [firms[name] for name in names], since, serves)
    if tables.has("market"):
        parts = [tables["market"][name] for name in (*names, "cost_mix")]
        mean, some = ratio((cost * serves).sum(-1), (tokens * serves).sum(-1)), serves.any(-1)
        yield _sum_of_drivers("market", parts, _since_first(mean, some), some)


def _sum_of_drivers(table: str, parts: list[Floats], since: Floats, where: Flags) -> Law:
    """Rounding in logs is of the order of one, not of the change."""
    scale = np.maximum(1.0, np.max(np.nan_to_num(np.abs(parts)), axis=0))
    return Law(table, "cost_*", "drivers = change in log unit cost", np.sum(parts, axis=0), since, scale, where)


def _since_first(values: Floats, known: Flags) -> Floats:
    """Change of the log since the first step in which a number was known."""
    logs = np.log(np.where(known & (values > 0), values, 1.0))
    first = np.expand_dims(known.argmax(axis=1), 1)
    return np.asarray(logs - np.take_along_axis(logs, first, axis=1))
