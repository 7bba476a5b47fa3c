"""Every law that the tables of a run permit to be checked, and what breaks one."""

from collections.abc import Callable, Iterator

import numpy as np

from aimarket.audit import accounts, measures, quantities
from aimarket.audit.faults import Fault, Law
from aimarket.audit.tables import Tables

_MONEY, _FIRMS, _OFFERS, _SEGMENTS = "statements", "providers", "offers", "segments"
_LAWS: tuple[tuple[Callable[[Tables], Iterator[Law]], tuple[str, ...]], ...] = (  # with the tables that they need
    (accounts.income, (_MONEY,)),
    (accounts.cash_flows, (_MONEY,)),
    (accounts.balances, (_MONEY,)),
    (accounts.charges, (_MONEY,)),
    (accounts.of_providers, (_FIRMS, _MONEY)),
    (quantities.signs, ()),
    (quantities.segments, ("market", _SEGMENTS)),
    (quantities.offers, (_FIRMS, _OFFERS)),
    (quantities.providers, (_FIRMS,)),
    (quantities.aggregates, ("market", _FIRMS)),
    (quantities.shares_of_users, ("market", _OFFERS)),
    (measures.concentration, ("market", _FIRMS)),
    (measures.prices, ("market",)),
    (measures.costs_of_providers, ("market", _FIRMS)),
    (measures.posted, (_OFFERS,)),
    (measures.qualities, ("market", _OFFERS)),
    (measures.surplus, ("market",)),
    (measures.drivers, (_FIRMS, _MONEY, _OFFERS)),
    (measures.told, ("events",)),
)


def breaches(tables: Tables) -> list[Fault]:
    """What contradicts itself in whole tables."""
    with np.errstate(all="ignore"):
        found = [fault for law in _laws(tables) for fault in law.faults(_rows(tables, law))]
    if tables.has("ledger"):
        found += accounts.entries(tables)
    if tables.has("events"):
        found += measures.happenings(tables)
    return found


def _laws(tables: Tables) -> Iterator[Law]:
    for laws, needed in _LAWS:
        if tables.has(*needed):
            yield from laws(tables)
    for table in ("market", _SEGMENTS):
        if tables.has(table):
            yield from quantities.users(tables, table)
    moved = accounts.Moved(tables) if tables.has("ledger") else None
    if moved is not None and tables.has(_MONEY):
        yield from accounts.books(tables, moved)
    if moved is not None and tables.has(_FIRMS):
        yield from quantities.fleets(tables, moved)
    if tables.has("market", _MONEY):
        yield from accounts.aggregates(tables, moved)
    if tables.has("events", _FIRMS):
        delivered = measures.by_firm(tables, "delivery") + measures.by_firm(tables, "entry")
        yield from quantities.arrivals(tables, delivered)


def _rows(tables: Tables, law: Law) -> list[str]:
    return list(tables.frame.rows[law.table])
