"""Users, tokens and GPUs, reckoned anew: nobody and nothing is lost between segments, offers, providers and market."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aimarket.audit.accounts import Moved
from aimarket.audit.faults import Floats, Law, at_least, at_most, ratio
from aimarket.audit.tables import Tables

_HOURS = 365.25 * 24 / 12  # a month
_SUMMED = (  # over segments
    *("potential_users", "adopted_users", "attached_users", "reviews", "switches", "abandonments", "tasks"),
    *("tokens_wanted", "tokens_declined", "tokens_served", "spend", "committed_spend"),
)
_MEANS = ("depth", "tenure", "switching_cost", "free_share", "multihoming_share", "contract_share")  # of those attached
_OF_OFFERS = ("users", "tokens_wanted", "tokens_served", "revenue")
_OF_PROVIDERS = (
    *("tokens_unserved", "gpus", "gpus_on_order", "gpus_wanted", "gpus_scrapped", "rented", "let"),
    *("training_gpu_hours", "inference_gpu_hours"),
)
_SHARES = ("outside_share", "free_share", "multihoming_share", "contract_share", "churn")
_NEVER_NEGATIVE = {
    "segments": (*_SUMMED, *_MEANS, "tokens_per_task", "cost_per_task"),
    "providers": (
        *("users", "tokens_wanted", "tokens_served", "tokens_unserved", "gpus", "gpus_on_order", "gpus_retired"),
        *("gpus_scrapped", "gpus_bought", "gpus_sold", "gpus_wanted", "gpus_unmet", "rented", "let", "wait"),
        *("utilisation", "peak_utilisation", "training_gpu_hours", "inference_gpu_hours", "marginal_cost", "retention"),
    ),
    "offers": (
        *("price", "input_price", "cached_price", "output_price", "newcomer_price", "marginal_cost", "users"),
        *("opportunity_cost", "short_run_cost", "tokens_wanted", "tokens_served", "revenue", "time_to_first_token"),
    ),
}


def signs(tables: Tables) -> Iterator[Law]:
    """What cannot be below zero is not, and a share is no more than the whole."""
    for table, names in _NEVER_NEGATIVE.items():
        for name in names if tables.has(table) else ():
            yield at_least(table, name, "never negative", tables[table][name], 0.0)
    for name in _SHARES if tables.has("segments") else ():
        yield at_most("segments", name, "a share", tables["segments"][name], 1.0)


def users(tables: Tables, table: str) -> Iterator[Law]:
    """Users of a segment, or of the market, are attached, unattached or not aware, and are nowhere twice."""
    rows = tables[table]
    law, most = partial(Law, table), partial(at_most, table)
    everybody, adopted, attached = (rows[f"{who}_users"] for who in ("potential", "adopted", "attached"))
    name = "the population is given"
    yield law("potential_users", name, everybody, everybody[:, :1])
    yield most("adopted_users", "at most everybody", adopted, everybody, everybody)
    yield at_least(table, "adopted_users", "nobody forgets", adopted[:, 1:], adopted[:, :-1], everybody[:, 1:])
    yield most("attached_users", "at most those aware", attached, adopted, everybody)
    outside = 1 - ratio(attached, adopted)
    yield law("outside_share", "1 - attached over aware", rows["outside_share"], outside, 1.0)
    asked = rows["tokens_wanted"] - rows["tokens_declined"]
    name = "tokens wanted and not declined, by task"
    yield law("tokens_per_task", name, rows["tokens_per_task"], ratio(asked, rows["tasks"]), rows["tokens_per_task"])
    yield most("tokens_served", "at most what was wanted and not declined", rows["tokens_served"], asked, rows["tokens_wanted"])
    yield most("abandonments", "at most those who left", rows["abandonments"], rows["switches"])
    yield most("committed_spend", "a part of spend", rows["committed_spend"], rows["spend"])
    fewest = ratio(rows["spend"], rows["tasks"])
    yield at_least(table, "cost_per_task", "spend over tasks, or more", rows["cost_per_task"], fewest)
    for column in (*_MEANS, "outside_share"):
        of = adopted if column == "outside_share" else attached
        exists = np.where(of > 0, np.nan_to_num(rows[column]), np.nan)
        yield law(column, "exists where there are users", rows[column], exists)
    yield from _leavers(tables, table)


def _leavers(tables: Tables, table: str) -> Iterator[Law]:
    """Who was there when the step began has stayed or left."""
    rows, months = tables[table], tables.months
    calm = (rows["multihoming_share"] == 0) | (rows["attached_users"] == 0)
    calm = calm[:, 1:] & calm[:, :-1]  # users with a router are left out, and how many they are is known when they stay
    before = rows["attached_users"][:, :-1]
    left = rows["switches"][:, 1:]
    churn = ratio(left, before)
    yield Law(table, "churn", "switches over users of the last step", *_later(rows["churn"], churn), 0.0, _after(calm))
    stayed = before - rows["abandonments"][:, 1:] * months
    now = rows["attached_users"]
    name = "users of the last step less those who left for nothing, or more"
    yield at_least(table, "attached_users", name, *_later(now, stayed), now, _after(calm))


def _later(found: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """A column, and what it should be from the second step on."""
    return found, np.concatenate([found[:, :1], expected], axis=1)


def _after(where: Floats) -> Floats:
    return np.concatenate([np.zeros_like(where[:, :1]), where], axis=1)


def segments(tables: Tables) -> Iterator[Law]:
    """The market is the sum, or the mean, of its segments."""
    market, rows = tables["market"], tables["segments"]
    law = partial(Law, "market")
    for name in _SUMMED:
        yield law(name, "sum over segments", market[name], rows[name].sum(-1), np.abs(rows[name]).sum(-1))
    attached = rows["attached_users"]
    for name in _MEANS:
        yield law(name, "mean over segments", market[name], _mean(rows[name], attached), 1.0)
    asked = rows["tokens_wanted"] - rows["tokens_declined"]
    for name in ("task_elasticity", "thinking_elasticity"):
        yield law(name, "mean over segments by tokens", market[name], _mean(rows[name], asked), 1.0)
    before, some = ratio(rows["switches"], rows["churn"]), (rows["churn"] > 0).all(-1)
    churn = ratio(rows["switches"].sum(-1), np.nan_to_num(before).sum(-1))
    yield law("churn", "mean over segments", market["churn"], churn, 0.0, some)
    tasks = ratio(rows["spend"], rows["cost_per_task"])
    known = ((rows["spend"] > 0) | (rows["tasks"] == 0)).all(-1)
    cost = ratio(rows["spend"].sum(-1), np.nan_to_num(tasks).sum(-1))
    yield law("cost_per_task", "spend over tasks served of all segments", market["cost_per_task"], cost, 0.0, known)


def offers(tables: Tables) -> Iterator[Law]:
    """Providers have what the offers they own have; shares are shares, and sum to one."""
    firms, rows = tables["providers"], tables["offers"]
    for name in _OF_OFFERS:
        total = tables.by_owner(rows[name])
        yield Law("providers", name, "sum over its offers", firms[name], total, tables.by_owner(np.abs(rows[name])))
    best = np.where(tables.owned, rows["quality"][..., None], -np.inf).max(axis=2, initial=-np.inf)
    yield Law("providers", "quality", "best of its offers", firms["quality"], np.where(np.isinf(best), np.nan, best))
    active = np.einsum("rtjf,rtf->rtj", tables.owned, firms["active"].astype(float))
    yield Law("offers", "active", "its owner is in business", rows["active"].astype(float), active)
    yield Law("offers", "share", "of tokens served", rows["share"], _share(rows["tokens_served"]))


def providers(tables: Tables) -> Iterator[Law]:
    """Shares are shares, ratios are of what they say, and what serves is there."""
    firms = tables["providers"]
    law, most = partial(Law, "providers"), partial(at_most, "providers")
    for name, of in (("user_share", "users"), ("share", "tokens_served"), ("revenue_share", "revenue")):
        yield law(name, f"share of {of}", firms[name], _share(firms[of]))
        total = firms[name].sum(-1, keepdims=True)
        yield law(name, "shares sum to one", np.where(total > 0, total, 1.0), 1.0)
    yield law("price", "revenue over tokens served", firms["price"], ratio(firms["revenue"], firms["tokens_served"]))
    yield from margins(tables, "providers")
    wanted, served = firms["tokens_wanted"], firms["tokens_served"]
    yield most("tokens_served", "at most what was wanted", served, wanted - firms["tokens_unserved"], wanted)
    yield most("utilisation", "served from capacity", firms["utilisation"], 1.0)
    yield most("peak_utilisation", "served from capacity", firms["peak_utilisation"], 1.0)
    yield at_least("providers", "peak_utilisation", "the peak", firms["peak_utilisation"], firms["utilisation"])
    yield most("gpus_scrapped", "retired", firms["gpus_scrapped"], firms["gpus_retired"])
    yield most("gpus_unmet", "of those wanted", firms["gpus_unmet"], firms["gpus_wanted"])
    yield most("retention", "a share", firms["retention"], 1.0)
    busy = firms["inference_gpu_hours"] / _HOURS - firms["rented"]
    yield at_least("providers", "inference_gpu_hours", "rented, or more", busy, 0.0, firms["rented"])


def fleets(tables: Tables, moved: Moved) -> Iterator[Law]:
    """Space is paid for by the GPU, and hours are rented at one price, by all who were in business in two steps."""
    firms, months = tables["providers"], tables.months
    law = partial(Law, "providers")
    paid = firms["active"] & np.roll(firms["active"], 1, axis=1)
    paid[:, 0] = False
    there = firms["gpus"] + (firms["gpus_sold"] - firms["gpus_bought"]) * months
    hosted = -moved.all("hosting") / (tables.settings["hardware"]["hosting"] or np.nan)
    yield law("gpus", "hosting paid over its price", there, hosted, firms["gpus"], paid & np.isfinite(hosted))
    if not tables.has("market") or tables.settings["hardware"]["rental"] is None:
        return
    hour = tables["market"]["rental_price"][..., None] * _HOURS
    for account, sign, column in (("rental", -1, "rented"), ("rental_income", 1, "let")):
        cost = sign * moved.all(account)
        yield law(column, f"account {account} over the rental price", firms[column] * hour, cost, hour, paid)


def arrivals(tables: Tables, delivered: Floats) -> Iterator[Law]:
    """GPUs installed are those of the last step, what came and was bought, less what retired and was sold.

    delivered : (R, T, F) GPUs, of orders and of those who enter
    """
    firms, events = tables["providers"], tables.events
    gpus, flows = firms["gpus"], (firms["gpus_bought"] - firms["gpus_retired"] - firms["gpus_sold"]) * tables.months
    expected = np.concatenate([gpus[:, :1], gpus[:, :-1] + delivered[:, 1:] + flows[:, 1:]], axis=1)
    scale = np.maximum.accumulate(gpus, axis=1)
    handed, quiet = np.isin(events["kind"], ("merger", "break_up")), np.ones(tables.shape, bool)
    quiet[tuple(at[handed] for at in tables.at(events))] = False
    name = "last step's + delivered + bought - retired - sold"
    yield Law("providers", "gpus", name, gpus, expected, scale, quiet[..., None])
    total, due = gpus.sum(-1), expected.sum(-1)
    yield Law("providers", "gpus", f"{name}, of all together", total, due, scale.sum(-1))


def aggregates(tables: Tables) -> Iterator[Law]:
    """What the market shows of quantities is the sum over its providers."""
    market, firms = tables["market"], tables["providers"]
    law = partial(Law, "market")
    yield law("attached_users", "users of providers", market["attached_users"], firms["users"].sum(-1))
    for name in _OF_PROVIDERS:
        scale = market["tokens_wanted"] if name == "tokens_unserved" else np.abs(firms[name]).sum(-1)
        yield law(name, "sum over providers", market[name], firms[name].sum(-1), scale)
    yield law("tokens_served", "sum over providers", market["tokens_served"], firms["tokens_served"].sum(-1))
    yield law("tokens_wanted", "sum over providers", market["tokens_wanted"], firms["tokens_wanted"].sum(-1))
    left = market["tokens_wanted"] - market["tokens_declined"] - market["tokens_served"]
    yield law("tokens_unserved", "wanted, not declined, not served", market["tokens_unserved"], left, market["tokens_wanted"])
    unserved = ratio(market["tokens_unserved"], market["tokens_wanted"])
    yield law("unserved_share", "unserved over wanted", market["unserved_share"], unserved, 1.0)
    rationed = ratio(firms["gpus_unmet"].sum(-1), market["gpus_wanted"])
    yield law("gpus_rationed", "not to be had over wanted", market["gpus_rationed"], rationed)
    wait = np.nan_to_num(firms["wait"]) * firms["tokens_served"]
    yield law("wait", "mean over providers", market["wait"], ratio(wait.sum(-1), market["tokens_served"]))
    yield law("active_providers", "in business", market["active_providers"], firms["active"].sum(-1))
    busy = firms["inference_gpu_hours"] / _HOURS - firms["rented"]
    capacity, known = ratio(busy, firms["utilisation"]), ~(firms["utilisation"] == 0).any(-1)
    used = ratio(busy.sum(-1), np.nan_to_num(capacity).sum(-1))
    scale = market["inference_gpu_hours"] / _HOURS / np.maximum(np.nan_to_num(capacity).sum(-1), 1e-300)
    yield law("utilisation", "mean over providers", market["utilisation"], used, scale, known)
    yield at_most("market", "utilisation", "mean over providers, or less", market["utilisation"], used, scale)


def shares_of_users(tables: Tables) -> Iterator[Law]:
    """Users by offer, and those without one, are all who are aware."""
    market, rows = tables["market"], tables["offers"]
    adopted = market["adopted_users"]
    yield Law("offers", "user_share", "users over those aware", rows["user_share"], ratio(rows["users"], adopted[..., None]))
    total = rows["user_share"].sum(-1) + market["outside_share"]
    yield Law("market", "outside_share", "shares + outside share = 1", np.where(adopted > 0, total, 1.0), 1.0)
    own, free = ~tables.frame.bought, rows["opportunity_cost"] > 0
    seen = np.where(own & free, ratio(rows["opportunity_cost"], rows["marginal_cost"]), np.nan)
    seen = np.where(np.isnan(seen).all(-1, keepdims=True), 1.0, seen)
    common = np.nanmedian(seen, axis=-1, keepdims=True) if own.any() else np.ones((*tables.shape, 1))
    expected = rows["marginal_cost"] * np.where(own, common, 1.0)
    name = "marginal cost times one scarcity for all"
    yield Law("offers", "opportunity_cost", name, rows["opportunity_cost"], expected, 0.0, own & free)
    later, known = np.roll(common[..., 0], -1, axis=1), (own & free).any(-1) & _unmoved(tables)
    name = "as rules saw it in the next step"
    yield Law("market", "scarcity", name, market["scarcity"], later, 0.0, np.roll(known, -1, axis=1))


def _unmoved(tables: Tables) -> NDArray[np.bool_]:
    """(R, T) whether the cost of a GPU-hour stayed as it was since the last step, as far as is known."""
    quiet = np.full(tables.shape, tables.has("events"))
    released = tables.events["kind"] == "generation_released"
    quiet[tuple(at[released] for at in tables.at(tables.events))] = False
    quiet[:, 0] = False
    return quiet


def margins(tables: Tables, table: str) -> Iterator[Law]:
    """Lerner index and markup of price over long-run marginal cost."""
    rows = tables[table]
    price, cost = rows["price"], rows["marginal_cost"]
    over = ratio(cost, price)
    yield Law(table, "lerner", "1 - cost over price", rows["lerner"], 1 - over, np.maximum(1.0, over))
    yield Law(table, "markup", "price over cost - 1", rows["markup"], ratio(price, cost) - 1, 1.0)


def _mean(values: Floats, weights: Floats) -> Floats:
    """Mean along the last axis; what has no weight may be missing."""
    return ratio((np.where(weights > 0, values, 0.0) * weights).sum(-1), weights.sum(-1))


def _share(quantity: Floats) -> Floats:
    total = quantity.sum(-1, keepdims=True)
    return np.where(total > 0, quantity / np.where(total > 0, total, 1.0), 0.0)
