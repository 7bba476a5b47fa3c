"""Users and what they use, reckoned anew: nobody is lost between segments, offers, providers and market."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from aimarket.audit.arithmetic import after_first, last, mean, ratio, share
from aimarket.audit.faults import Law, at_least, at_most, exists
from aimarket.audit.tables import Tables

_SUMMED = (  # over segments
    *("potential_users", "adopted_users", "attached_users", "reviews", "switches", "abandonments", "tasks"),
    *("tokens_wanted", "tokens_declined", "tokens_served", "spend", "committed_spend"),
)
_MEANS = ("depth", "tenure", "switching_cost", "free_share", "multihoming_share", "contract_share")  # of those attached
_OF_OFFERS = ("users", "tokens_wanted", "tokens_served", "revenue")
_SHARES = ("outside_share", "free_share", "multihoming_share", "contract_share")


def users(tables: Tables, table: str) -> Iterator[Law]:
    """Users of a segment, or of the market, are attached, unattached or not aware, and are nowhere twice."""
    rows = tables[table]
    law, most, least = partial(Law, table), partial(at_most, table), partial(at_least, table)
    everybody, adopted, attached = (rows[f"{who}_users"] for who in ("potential", "adopted", "attached"))
    yield law("potential_users", "the population is given", everybody, everybody[:, :1])
    yield most("adopted_users", "at most everybody", adopted, everybody, everybody)
    yield least("adopted_users", "nobody forgets", adopted, last(adopted), everybody)
    yield most("attached_users", "at most those aware", attached, adopted, everybody)
    outside = 1 - ratio(attached, adopted)
    yield law("outside_share", "1 - attached over aware", rows["outside_share"], outside, 1.0)
    for column in (*_MEANS, "outside_share"):
        yield exists(table, column, rows[column], (adopted if column == "outside_share" else attached) > 0)
    for column in (*_SUMMED, *_MEANS, "tokens_per_task", "cost_per_task", "churn"):
        yield least(column, "never negative", rows[column], 0.0)
    for column in _SHARES:
        yield most(column, "a share", rows[column], 1.0)
    yield most("churn", "a share of the step", rows["churn"], 1 / tables.months)
    yield from _use(tables, table)
    yield from _leavers(tables, table)


def _use(tables: Tables, table: str) -> Iterator[Law]:
    """Tokens by task, and what is paid for them."""
    rows = tables[table]
    wanted, asked = rows["tokens_wanted"], rows["tokens_wanted"] - rows["tokens_declined"]
    by_task = ratio(asked, rows["tasks"])
    yield Law(table, "tokens_per_task", "wanted and not declined, by task", rows["tokens_per_task"], by_task, by_task)
    name = "at most what was wanted and not declined"
    yield at_most(table, "tokens_served", name, rows["tokens_served"], asked, wanted)
    yield at_most(table, "committed_spend", "a part of spend", rows["committed_spend"], rows["spend"])
    fewest = ratio(rows["spend"], rows["tasks"])
    yield at_least(table, "cost_per_task", "spend over tasks, or more", rows["cost_per_task"], fewest)


def _leavers(tables: Tables, table: str) -> Iterator[Law]:
    """Who was there when the step began has stayed or left; how many had a router is known only if nobody has one."""
    rows, attached = tables[table], tables[table]["attached_users"]
    plain = (rows["multihoming_share"] == 0) | (attached == 0)
    plain = plain & last(plain) & after_first(plain)
    before = np.where(after_first(attached), last(attached), np.nan)
    churn = ratio(rows["switches"], before)
    yield Law(table, "churn", "switches over users of the last step", rows["churn"], churn, 0.0, plain)
    yield at_least(table, "churn", "switches over users of the last step, or more", rows["churn"], churn)
    yield exists(table, "churn", rows["churn"], rows["switches"] > 0, elsewhere=True)
    yield at_most(table, "abandonments", "at most those who left", rows["abandonments"], rows["switches"])
    stayed = before - rows["abandonments"] * tables.months
    name = "those of the last step less those who left for nothing, or more"
    yield at_least(table, "attached_users", name, attached, stayed, last(attached), plain)


def segments(tables: Tables) -> Iterator[Law]:
    """The market is the sum, or the mean, of its segments."""
    market, rows = tables["market"], tables["segments"]
    law = partial(Law, "market")
    for name in _SUMMED:
        yield law(name, "sum over segments", market[name], rows[name].sum(-1), np.abs(rows[name]).sum(-1))
    for name in _MEANS:
        yield law(name, "mean over segments", market[name], mean(rows[name], rows["attached_users"]), 1.0)
    asked = rows["tokens_wanted"] - rows["tokens_declined"]
    for name in ("task_elasticity", "thinking_elasticity"):
        yield law(name, "mean over segments by tokens", market[name], mean(rows[name], asked), 1.0)
    before, known = ratio(rows["switches"], rows["churn"]), (rows["churn"] > 0).all(-1)
    churn = ratio(rows["switches"].sum(-1), np.nan_to_num(before).sum(-1))
    yield law("churn", "mean over segments", market["churn"], churn, 0.0, known)
    served, known = ratio(rows["spend"], rows["cost_per_task"]), ((rows["spend"] > 0) | (rows["tasks"] == 0)).all(-1)
    cost = ratio(rows["spend"].sum(-1), np.nan_to_num(served).sum(-1))
    yield law("cost_per_task", "spend over tasks served of all segments", market["cost_per_task"], cost, 0.0, known)


def offers(tables: Tables) -> Iterator[Law]:
    """Providers have what the offers they own have."""
    firms, rows = tables["providers"], tables["offers"]
    for name in _OF_OFFERS:
        total = tables.by_owner(rows[name])
        yield Law("providers", name, "sum over its offers", firms[name], total, tables.by_owner(np.abs(rows[name])))
    best = np.where(tables.owned, rows["quality"][..., None], -np.inf).max(axis=2, initial=-np.inf)
    yield Law("providers", "quality", "best of its offers", firms["quality"], np.where(np.isinf(best), np.nan, best))
    active = np.einsum("rtjf,rtf->rtj", tables.owned, firms["active"].astype(float))
    yield Law("offers", "active", "its owner is in business", rows["active"].astype(float), active)


def providers(tables: Tables) -> Iterator[Law]:
    """Shares are shares and sum to one; nothing is served that was not wanted."""
    firms = tables["providers"]
    law, most = partial(Law, "providers"), partial(at_most, "providers")
    for name, of in (("user_share", "users"), ("share", "tokens_served"), ("revenue_share", "revenue")):
        yield law(name, f"share of {of}", firms[name], share(firms[of]))
        total = firms[name].sum(-1, keepdims=True)
        yield law(name, "shares sum to one", np.where(total > 0, total, 1.0), 1.0)
    wanted, served = firms["tokens_wanted"], firms["tokens_served"]
    yield most("tokens_served", "at most what was wanted", served, wanted - firms["tokens_unserved"], wanted)
    for name in (*_OF_OFFERS, "tokens_unserved", "retention"):
        yield at_least("providers", name, "never negative", firms[name], 0.0, wanted)
    yield most("retention", "a share", firms["retention"], 1.0)


def stayers(tables: Tables) -> Iterator[Law]:
    """Who left some provider left the market's providers, where nobody has a router and no offer changed its owner."""
    market, firms, months = tables["market"], tables["providers"], tables.months
    plain = tables.settled & (market["multihoming_share"] == 0)
    plain = plain & last(plain) & after_first(plain)
    left = np.nan_to_num(1 - firms["retention"] ** months) * last(firms["users"]) / months
    name = "those who did not stay with their provider"
    yield Law("market", "switches", name, market["switches"], left.sum(-1), market["attached_users"], plain)


def totals(tables: Tables) -> Iterator[Law]:
    """What the market shows of users and tokens is the sum over its providers."""
    market, firms = tables["market"], tables["providers"]
    law, wanted = partial(Law, "market"), market["tokens_wanted"]
    yield law("attached_users", "users of providers", market["attached_users"], firms["users"].sum(-1))
    for name in ("tokens_wanted", "tokens_served", "tokens_unserved"):
        yield law(name, "sum over providers", market[name], firms[name].sum(-1), wanted)
    left = wanted - market["tokens_declined"] - market["tokens_served"]
    yield law("tokens_unserved", "wanted, not declined and not served", market["tokens_unserved"], left, wanted)
    yield law("unserved_share", "over wanted", market["unserved_share"], ratio(market["tokens_unserved"], wanted), 1.0)
    yield at_least("market", "thinking_share", "a share", market["thinking_share"], 0.0)
    yield at_most("market", "thinking_share", "a share", market["thinking_share"], 1.0)


def shares(tables: Tables) -> Iterator[Law]:
    """Users by offer, and those without one, are all who are aware."""
    market, rows = tables["market"], tables["offers"]
    adopted = market["adopted_users"]
    of_aware = ratio(rows["users"], adopted[..., None])
    yield Law("offers", "user_share", "users over those aware", rows["user_share"], of_aware)
    total = rows["user_share"].sum(-1) + market["outside_share"]
    yield Law("market", "outside_share", "shares + outside share = 1", np.where(adopted > 0, total, 1.0), 1.0)
    yield Law("offers", "share", "of tokens served", rows["share"], share(rows["tokens_served"]))
    for name in _OF_OFFERS:
        yield at_least("offers", name, "never negative", rows[name], 0.0)
