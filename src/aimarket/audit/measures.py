"""Prices, concentration, surplus, cost drivers and events, reckoned anew."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aimarket.audit.faults import Fault, Floats, Law, at_least, at_most, ratio
from aimarket.audit.quantities import margins
from aimarket.audit.tables import Tables

_LIST_PRICES = ("input_price", "cached_price", "output_price")
_KINDS = (
    *("generation_released", "model_launched", "outage", "price_change", "delivery", "sale", "equity_round"),
    *("entry", "exit", "merger", "break_up"),
)
_DRIVEN = ("depreciation", "hosting", "rental", "energy")  # costs that drivers are found for


def concentration(tables: Tables) -> Iterator[Law]:
    """Indices of concentration, from the shares of providers."""
    market, share = tables["market"], np.sort(tables["providers"]["share"], axis=-1)
    law = partial(Law, "market")
    yield law("hhi", "sum of squared shares", market["hhi"], (share**2).sum(-1))
    yield law("cr4", "share of the four largest", market["cr4"], share[..., -4:].sum(-1))
    yield law("leader_share", "largest share", market["leader_share"], share.max(-1, initial=0.0))
    yield law("effective_providers", "1 / HHI", market["effective_providers"], ratio(1.0, market["hhi"]))


def prices(tables: Tables) -> Iterator[Law]:
    """Unit values, margins and what quality takes off them."""
    market = tables["market"]
    law = partial(Law, "market")
    yield law("price", "spend over tokens served", market["price"], ratio(market["spend"], market["tokens_served"]))
    yield from margins(tables, "market")
    # Of the same price and quality, the quality-adjusted price is one price a logit lower, in every step the same.
    premium = -ratio(np.log(ratio(market["quality_adjusted_price"], market["price"])), market["mean_quality"])
    known = np.isfinite(premium) & (np.abs(market["mean_quality"]) > _NEAR_NOTHING)
    usual = np.array([np.median(row[some]) if some.any() else np.nan for row, some in zip(premium, known, strict=True)])
    adjusted = market["price"] * np.exp(-market["mean_quality"] * usual[:, None])
    where = np.isfinite(adjusted)
    name = "price less what users give for quality, as in other steps"
    yield law("quality_adjusted_price", name, market["quality_adjusted_price"], adjusted, adjusted * 10, where)


_NEAR_NOTHING = 1e-3  # logits: of less quality than that, what a logit is worth cannot be told


def costs_of_providers(tables: Tables) -> Iterator[Law]:
    """Long-run cost of the market is that of its providers, weighted by tokens."""
    market, firms = tables["market"], tables["providers"]
    cost = np.nan_to_num(firms["marginal_cost"]) * firms["tokens_served"]
    mean = ratio(cost.sum(-1), market["tokens_served"])
    yield Law("market", "marginal_cost", "mean over providers", market["marginal_cost"], mean)


def posted(tables: Tables) -> Iterator[Law]:
    """List prices keep their ratios, and margins are of the price posted."""
    rows = tables["offers"]
    yield from margins(tables, "offers")
    for name in _LIST_PRICES:
        kept = np.median(ratio(rows[name], rows["price"]), axis=1, keepdims=True) * rows["price"]
        yield Law("offers", name, "list prices keep their ratios", rows[name], kept)
    yield at_least("offers", "latency", "the first token, or later", rows["latency"], rows["time_to_first_token"])
    one_price = [_one_price(p["pricing"]) for p in tables.settings["providers"].values() for _ in p["offers"]]
    where = np.array(one_price, bool) & (rows["owner"] == rows["provider"])
    name = "the price posted, by a rule with one price"
    yield Law("offers", "newcomer_price", name, rows["newcomer_price"], rows["price"], 0.0, where)


def _one_price(rule: object) -> bool:
    """Whether a pricing rule, and those inside it, ask the same of everybody."""
    if not isinstance(rule, dict):
        return True
    return rule.get("kind") != "customer_recognition" and all(map(_one_price, rule.values()))


def qualities(tables: Tables) -> Iterator[Law]:
    """The frontier is the best on offer, and nothing is better on average; prices move by what offers did."""
    market, rows = tables["market"], tables["offers"]
    frontier, best = market["frontier_quality"], rows["quality"].max(-1, initial=-np.inf)
    yield at_most("market", "frontier_quality", "best of all offers, or less", frontier, best, np.abs(best))
    after = np.where(rows["active"], rows["quality"], -np.inf).max(-1, initial=-np.inf)
    was = np.concatenate([rows["active"][:, :1], rows["active"][:, :-1]], axis=1)
    steady = (was == rows["active"]).all(-1)
    steady[:, 0] = False
    yield Law("market", "frontier_quality", "best on sale", frontier, after, 0.0, steady & np.isfinite(after))
    bound = np.where(rows["tokens_served"] > 0, rows["quality"], -np.inf).max(-1, initial=-np.inf)
    yield at_most("market", "mean_quality", "best that is served", market["mean_quality"], bound, 1.0, np.isfinite(bound))
    log_price = np.log(rows["price"])
    change = np.diff(np.log(market["price_index"]), axis=1)
    steps = np.diff(log_price, axis=1)
    sold = (rows["tokens_served"][:, 1:] > 0) & (rows["tokens_served"][:, :-1] > 0)
    for bounded, extreme, fill in ((at_most, np.max, -np.inf), (at_least, np.min, np.inf)):
        most = extreme(np.where(sold, steps, fill), axis=-1, initial=fill)
        most = np.where(np.isfinite(most), most, 0.0)
        at = np.concatenate([np.zeros_like(change[:, :1]), change], axis=1)
        limit = np.concatenate([np.zeros_like(change[:, :1]), most], axis=1)
        yield bounded("market", "price_index", "between the changes of posted prices", at, limit, 1.0)
    yield Law("market", "price_index", "1 in the first step", market["price_index"][:, :1], 1.0)
    yield Law("market", "quality_adjusted_index", "1 in the first step", market["quality_adjusted_index"][:, :1], 1.0)


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


_GAINS = {"consumer": "consumer_surplus", "producer": "net_income", "treasury": "taxes"}


def drivers(tables: Tables) -> Iterator[Law]:
    """What drivers did to unit cost adds up to what became of it, for every provider and for the market."""
    firms, lines, rows = tables["providers"], tables["statements"], tables["offers"]
    tokens = tables.by_owner(np.where(tables.frame.bought, 0.0, rows["tokens_served"]))
    cost = np.sum([lines[name] for name in _DRIVEN], axis=0)
    unit_cost = ratio(cost, tokens)
    serves = (firms["gpus"] > 0) & (tokens > 0) & (cost > 0) & (firms["inference_gpu_hours"] > 0)
    serves &= ~np.isnan(firms["utilisation"])
    names = [name for name in firms if name.startswith("cost_")]
    total = np.sum([firms[name] for name in names], axis=0)
    scale = np.maximum(1.0, np.nanmax(np.abs([firms[name] for name in names]), axis=0, initial=0.0))
    for name in names:
        exists = np.where(np.logical_or.accumulate(serves, axis=1), np.nan_to_num(firms[name]), np.nan)
        yield Law("providers", name, "known since it first served", firms[name], exists)
    name = "cost drivers = change in log unit cost"
    yield Law("providers", "cost_*", name, total, _since_first(unit_cost, serves), scale, serves)
    if not tables.has("market"):
        return
    market = tables["market"]
    mean, some = ratio((cost * serves).sum(-1), (tokens * serves).sum(-1)), serves.any(-1)
    parts = np.array([market[name] for name in (*names, "cost_mix")])
    scale = np.maximum(1.0, np.nanmax(np.abs(parts), axis=0, initial=0.0))
    name = "cost drivers and mix = change in log unit cost"
    yield Law("market", "cost_*", name, parts.sum(0), _since_first(mean, some), scale, some)


def _since_first(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Change of the log since the first step in which a number was known."""
    logs = np.log(np.where(known & (values > 0), values, 1.0))
    first = np.expand_dims(known.argmax(axis=1), 1)
    return np.asarray(logs - np.take_along_axis(logs, first, axis=1))


# --- events -----------------------------------------------------------------------------------------------------------


def happenings(tables: Tables) -> Iterator[Fault]:
    """Events are of a known kind, and say what the tables say."""
    events = tables.events
    for row in np.flatnonzero(~np.isin(events["kind"], _KINDS))[:1]:
        yield Fault(f"events.kind, row {row + 1}", f"{events['kind'][row]!r} found, which is no kind of event")


def told(tables: Tables) -> Iterator[Law]:
    """Who came and went, what was raised and how far prices moved, as events tell it."""
    if tables.has("providers"):
        active = tables["providers"]["active"].astype(float)
        joined = _counted(tables, "entry") + _counted(tables, "break_up", "subject")
        left = _counted(tables, "exit") + _counted(tables, "merger")
        expected = np.concatenate([active[:, :1], active[:, :-1] + (joined - left)[:, 1:]], axis=1)
        yield Law("providers", "active", "in business last step, or came, and did not leave", active, expected)
    if tables.has("statements"):
        raised = by_firm(tables, "equity_round") / tables.months
        opened = _counted(tables, "entry") > 0
        lines = tables["statements"]["equity_raised"]
        yield Law("statements", "equity_raised", "rounds among the events", lines, raised, 0.0, ~opened)
    if tables.has("offers"):
        yield from _moves(tables)


def _moves(tables: Tables) -> Iterator[Law]:
    """Prices moved by what events of that kind say; smaller moves are none."""
    rows, events, names = tables["offers"], tables.events, tables.frame.rows["offers"]
    place = {name: j for j, name in enumerate(names)}
    chosen = np.flatnonzero(events["kind"] == "price_change")
    offer = [place.get(f"{events['provider'][n]}/{events['subject'][n]}", -1) for n in chosen]
    said = np.full((*tables.shape, len(names)), np.nan)
    said[(*(at[chosen] for at in tables.at(events)), offer)] = events["value"][chosen]
    log_price = np.log(rows["price"])
    change = np.diff(log_price, axis=1, prepend=log_price[:, :1])
    same = rows["active"] & np.concatenate([rows["active"][:, :1], rows["active"][:, :-1]], axis=1)  # who enters posts anew
    same[:, 0] = False
    yield Law("offers", "price", "price_change among the events", change, said, 1.0, same & ~np.isnan(said))


def by_firm(tables: Tables, kind: str) -> Floats:
    """Sums of the values of events of a kind; (R, T, F)."""
    return _added(tables, kind, "provider", tables.events["value"])


def _counted(tables: Tables, kind: str, column: str = "provider") -> Floats:
    """Numbers of events of a kind, by the provider that stands in a column; (R, T, F)."""
    return _added(tables, kind, column, np.ones(len(tables.events["value"])))


def _added(tables: Tables, kind: str, column: str, values: Floats) -> Floats:
    events, made = tables.events, np.zeros((*tables.shape, len(tables.firms)))
    firm = tables.firm_of(events, column)
    chosen = (events["kind"] == kind) & (firm >= 0)
    np.add.at(made, (*(at[chosen] for at in tables.at(events)), firm[chosen]), values[chosen])
    return made
