"""Every law that the tables of a run permit to be checked, and what breaks one."""

from collections.abc import Callable, Iterator

import numpy as np

from aimarket.audit import accounts, capacity, demand, events, measures
from aimarket.audit.faults import Fault, Law
from aimarket.audit.ledger import entries
from aimarket.audit.tables import Tables

_LAWS: tuple[tuple[Callable[[Tables], Iterator[Law]], str], ...] = (  # with the tables that they need
    (accounts.income, "statements"),
    (accounts.cash_flows, "statements"),
    (accounts.balances, "statements"),
    (accounts.charges, "statements"),
    (accounts.of_providers, "providers statements"),
    (accounts.totals, "market statements"),
    (accounts.books, "statements ledger"),
    (accounts.taxes, "market ledger"),
    (demand.segments, "market segments"),
    (demand.offers, "providers offers"),
    (demand.providers, "providers"),
    (demand.stayers, "market providers events"),
    (demand.totals, "market providers"),
    (demand.shares, "market offers"),
    (capacity.work, "providers"),
    (capacity.totals, "market providers"),
    (capacity.arrivals, "providers events"),
    (capacity.bills, "providers ledger"),
    (capacity.market_of_gpus, "market"),
    (capacity.opportunity_costs, "market offers"),
    (measures.concentration, "market providers"),
    (measures.prices_of_market, "market"),
    (measures.prices_of_providers, "providers"),
    (measures.costs, "market providers"),
    (measures.posted, "offers"),
    (measures.qualities, "market offers"),
    (measures.indices, "market offers"),
    (measures.surplus, "market"),
    (measures.drivers, "providers statements offers"),
    (events.comings_and_goings, "providers events"),
    (events.rounds, "statements events"),
    (events.price_changes, "offers events"),
)


def breaches(tables: Tables) -> list[Fault]:
    """What contradicts itself in tables whose rows are all there."""
    with np.errstate(all="ignore"):
        found = [fault for law in _laws(tables) for fault in law.faults(tables.frame.rows(law.table))]
    return [*found, *entries(tables.ledger, tables.firms), *events.kinds(tables)]


def _laws(tables: Tables) -> Iterator[Law]:
    for laws, needed in _LAWS:
        if tables.has(*needed.split()):
            yield from laws(tables)
    for table in ("market", "segments"):
        if tables.has(table):
            yield from demand.users(tables, table)
