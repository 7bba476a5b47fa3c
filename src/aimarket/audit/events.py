"""What happened, held against what the tables show of it."""

from collections.abc import Iterator

import numpy as np

from aimarket.audit.arithmetic import Floats, after_first, change, last
from aimarket.audit.faults import Fault, Law
from aimarket.audit.tables import Tables

_KINDS = (
    *("generation_released", "model_launched", "outage", "price_change", "delivery", "sale", "equity_round"),
    *("entry", "exit", "merger", "break_up"),
)


def kinds(tables: Tables) -> Iterator[Fault]:
    """Events are of a known kind."""
    events = tables.events
    for row in np.flatnonzero(~np.isin(events["kind"], _KINDS)):
        yield Fault(f"events.kind, row {row + 1}", f"{events['kind'][row]!r} found, which is no kind of event")


def comings_and_goings(tables: Tables) -> Iterator[Law]:
    """Who is in business was so a step before, or came, and did not leave."""
    active = tables["providers"]["active"].astype(float)
    joined = counted(tables, "entry") + counted(tables, "break_up", "subject")
    left = counted(tables, "exit") + counted(tables, "merger")
    expected = np.where(after_first(active), last(active) + joined - left, active)
    yield Law("providers", "active", "in business last step, or came, and did not leave", active, expected)


def rounds(tables: Tables) -> Iterator[Law]:
    """Capital comes in rounds, or when a provider enters; what is left when it exits goes back."""
    raised, found = valued(tables, "equity_round") / tables.months, tables["statements"]["equity_raised"]
    quiet = counted(tables, "entry") + counted(tables, "exit") == 0
    yield Law("statements", "equity_raised", "rounds among the events", found, raised, 0.0, quiet)


def price_changes(tables: Tables) -> Iterator[Law]:
    """Prices moved by what is said of them; small moves are no events, and who enters posts anew."""
    rows, events, names = tables["offers"], tables.events, tables.frame.rows("offers")
    place = {name: j for j, name in enumerate(names)}
    told_of = zip(events["provider"], events["subject"], strict=True)
    of_offer = np.array([place.get("/".join(name), -1) for name in told_of], np.int64)
    chosen = (events["kind"] == "price_change") & (of_offer >= 0)
    said = np.full((*tables.shape, len(names)), np.nan)
    said[(*(at[chosen] for at in tables.at(events)), of_offer[chosen])] = events["value"][chosen]
    where = rows["active"] & last(rows["active"]) & after_first(said) & ~np.isnan(said)
    yield Law("offers", "price", "price_change among the events", change(np.log(rows["price"])), said, 1.0, where)


def valued(tables: Tables, kind: str) -> Floats:
    """Sums of the values of events of a kind; (R, T, F)."""
    return _added(tables, kind, "provider", tables.events["value"])


def counted(tables: Tables, kind: str, column: str = "provider") -> Floats:
    """Numbers of events of a kind, by the provider that stands in a column; (R, T, F)."""
    return _added(tables, kind, column, np.ones(len(tables.events["value"])))


def _added(tables: Tables, kind: str, column: str, values: Floats) -> Floats:
    events, made = tables.events, np.zeros((*tables.shape, len(tables.firms)))
    firm = tables.firm_of(events, column)
    chosen = (events["kind"] == kind) & (firm >= 0)
    np.add.at(made, (*(at[chosen] for at in tables.at(events)), firm[chosen]), values[chosen])
    return made
