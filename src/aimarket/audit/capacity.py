"""GPUs and what they work, reckoned anew: they come, go, take room, are let and are full as the tables say."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from aimarket.audit.arithmetic import after_first, last, ratio
from aimarket.audit.events import counted, valued
from aimarket.audit.faults import Law, at_least, at_most, exists
from aimarket.audit.tables import Tables

_HOURS = 365.25 * 24 / 12  # a month
_SUMMED = (
    *("gpus", "gpus_on_order", "gpus_wanted", "gpus_scrapped", "rented", "let"),
    *("training_gpu_hours", "inference_gpu_hours"),
)
_NEVER_NEGATIVE = (
    *_SUMMED,
    *("gpus_retired", "gpus_bought", "gpus_sold", "gpus_unmet", "wait", "utilisation", "peak_utilisation"),
)


def work(tables: Tables) -> Iterator[Law]:
    """No more is served than there is capacity for."""
    firms = tables["providers"]
    law, most, least = partial(Law, "providers"), partial(at_most, "providers"), partial(at_least, "providers")
    for name in _NEVER_NEGATIVE:
        yield least(name, "never negative", firms[name], 0.0, last(firms["gpus"]) if name == "gpus" else 0.0)
    for name in ("utilisation", "peak_utilisation"):
        yield most(name, "served from capacity", firms[name], 1.0)
    yield least("peak_utilisation", "the peak", firms["peak_utilisation"], firms["utilisation"])
    yield exists("providers", "peak_utilisation", firms["peak_utilisation"], ~np.isnan(firms["utilisation"]))
    yield exists("providers", "wait", firms["wait"], firms["tokens_served"] > 0)
    yield most("gpus_scrapped", "retired", firms["gpus_scrapped"], firms["gpus_retired"])
    yield most("gpus_unmet", "of those wanted", firms["gpus_unmet"], firms["gpus_wanted"])
    worked = firms["inference_gpu_hours"] / _HOURS
    yield least("inference_gpu_hours", "rented, or more", worked - firms["rented"], 0.0, worked)
    idle = np.where(firms["utilisation"] > 0, 0.0, worked - firms["rented"])
    yield law("utilisation", "above zero where work is done", idle, 0.0, worked)


def totals(tables: Tables) -> Iterator[Law]:
    """What the market shows of GPUs is the sum, or the mean, over its providers."""
    market, firms = tables["market"], tables["providers"]
    law = partial(Law, "market")
    for name in _SUMMED:
        yield law(name, "sum over providers", market[name], firms[name].sum(-1), np.abs(firms[name]).sum(-1))
    rationed = ratio(firms["gpus_unmet"].sum(-1), market["gpus_wanted"])
    yield law("gpus_rationed", "not to be had over wanted", market["gpus_rationed"], rationed)
    wait = np.nan_to_num(firms["wait"]) * firms["tokens_served"]
    yield law("wait", "mean over providers", market["wait"], ratio(wait.sum(-1), market["tokens_served"]))
    yield law("active_providers", "in business", market["active_providers"], firms["active"].sum(-1))
    busy = firms["inference_gpu_hours"] / _HOURS - firms["rented"]
    capacity = np.nan_to_num(ratio(busy, firms["utilisation"])).sum(-1)  # of those whose utilisation tells it
    used, scale = ratio(busy.sum(-1), capacity), market["inference_gpu_hours"] / _HOURS / np.maximum(capacity, 1e-300)
    told = ~(firms["utilisation"] == 0).any(-1)
    yield law("utilisation", "mean over providers", market["utilisation"], used, scale, told)
    yield at_most("market", "utilisation", "mean over providers, or less", market["utilisation"], used, scale)
    yield at_least("market", "utilisation", "never negative", market["utilisation"], 0.0)


def arrivals(tables: Tables) -> Iterator[Law]:
    """GPUs installed are those of the last step, what came and was bought, less what retired and was sold."""
    firms, gpus = tables["providers"], tables["providers"]["gpus"]
    delivered = valued(tables, "delivery") + valued(tables, "entry")
    flows = (firms["gpus_bought"] - firms["gpus_retired"] - firms["gpus_sold"]) * tables.months
    expected = np.where(after_first(gpus), last(gpus) + delivered + flows, gpus)
    scale = np.maximum.accumulate(gpus, axis=1)
    name = "last step's + delivered + bought - retired - sold"
    yield Law("providers", "gpus", name, gpus, expected, scale, tables.settled[..., None])
    yield Law("market", "gpus", f"{name}, of all", gpus.sum(-1), expected.sum(-1), scale.sum(-1))


def bills(tables: Tables) -> Iterator[Law]:
    """Room is paid for by the GPU, and hours are rented at one price, by all in business who did not just come."""
    firms, hardware = tables["providers"], tables.settings["hardware"]
    paid = firms["active"] & last(firms["active"]) & (counted(tables, "entry") == 0)
    paid = paid & (after_first(paid) | tables.has("events"))
    there = firms["gpus"] + (firms["gpus_sold"] - firms["gpus_bought"]) * tables.months
    housed = -tables.moved.all("hosting") / (hardware["hosting"] or np.nan)
    where = paid & np.isfinite(housed)
    yield Law("providers", "gpus", "hosting paid over its price", there, housed, firms["gpus"], where)
    if not tables.has("market") or hardware["rental"] is None:
        return
    hour = tables["market"]["rental_price"][..., None] * _HOURS
    for account, sign, column in (("rental", -1, "rented"), ("rental_income", 1, "let")):
        name, cost = f"account {account} over the rental price", sign * tables.moved.all(account)
        yield Law("providers", column, name, firms[column] * hour, cost, hour, paid)


def market_of_gpus(tables: Tables) -> Iterator[Law]:
    """What the industry takes orders for, by the settings, and what an hour is worth."""
    market, hardware, shock = tables["market"], tables.settings["hardware"], tables.settings["shock"]
    months = np.arange(tables.shape[1]) * tables.months  # when a step begins
    shocked = (months >= shock["start"]) & (months < shock["start"] + shock["months"])
    limit = np.nan if hardware["supply"] is None else hardware["supply"]
    taken = limit * np.exp(hardware["supply_growth"] * months / 12) * np.where(shocked, shock["gpu_supply"], 1.0)
    yield Law("market", "gpu_supply", "supply, its growth and shock", market["gpu_supply"], taken)
    rents = hardware["rental"] is not None
    yield exists("market", "rental_price", market["rental_price"], rents)
    for name in ("rental_price", "scarcity"):
        yield at_least("market", name, "never negative", market[name], 0.0)
    if not rents:
        yield Law("market", "scarcity", "1 where nothing is rented", market["scarcity"], 1.0)


def opportunity_costs(tables: Tables) -> Iterator[Law]:
    """Rules see cost times one scarcity, that of the last step, unless a new generation moved what an hour costs."""
    market, rows = tables["market"], tables["offers"]
    cost, seen, own = rows["marginal_cost"], rows["opportunity_cost"], ~tables.frame.bought
    told = own & (cost > 0)
    factor = np.where(told, ratio(seen, cost), np.nan)
    factor = np.where(np.isnan(factor).all(-1, keepdims=True), 1.0, factor)
    scarcity = np.nanmedian(factor, axis=-1) if own.any() else np.ones(tables.shape)
    name = "marginal cost times one scarcity for all"
    yield Law("offers", "opportunity_cost", name, seen, cost * scarcity[..., None], 0.0, told)
    for column in ("opportunity_cost", "short_run_cost"):
        yield Law("offers", column, "what is bought costs what is paid for it", rows[column], cost, 0.0, ~own)
        yield at_least("offers", column, "never negative", rows[column], 0.0)
    released = tables.events["kind"] == "generation_released"
    steady = told.any(-1) & after_first(scarcity) & tables.has("events")
    steady[tuple(at[released] for at in tables.at(tables.events))] = False
    name = "as rules saw it in the next step"
    where = np.roll(steady, -1, axis=1)  # no step sees that of the last
    yield Law("market", "scarcity", name, market["scarcity"], np.roll(scarcity, -1, axis=1), 0.0, where)
