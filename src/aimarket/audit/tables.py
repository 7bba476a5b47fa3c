"""The tables of a run as arrays by replication, step and row."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.audit.arithmetic import Flags, Floats
from aimarket.audit.frame import BY_STEP, Frame
from aimarket.audit.ledger import Moved


class Tables:
    """The recorded columns: (R, T, N) by table and name, the market's (R, T); those of ledger and events row by row."""

    def __init__(self, frame: Frame, columns: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        self.frame, self.months, self.settings = frame, frame.months, frame.settings
        self.shape = (len(frame.replications), frame.steps)
        self.ledger, self.events = columns["ledger"], columns["events"]
        self._columns = columns

    def has(self, *tables: str) -> bool:
        """Whether all of these were recorded."""
        return self.frame.tables.issuperset(tables)

    def __getitem__(self, table: str) -> dict[str, NDArray[Any]]:
        return self._grids[table]

    @cached_property
    def _grids(self) -> dict[str, dict[str, NDArray[Any]]]:
        return {
            table: {name: column.reshape(self._shape_of(table)) for name, column in self._columns[table].items()}
            for table in BY_STEP
            if table in self.frame.tables
        }

    def _shape_of(self, table: str) -> tuple[int, ...]:
        return self.shape if table == "market" else (*self.shape, len(self.frame.rows(table)))

    @cached_property
    def firms(self) -> Sequence[str]:
        """Names of the providers, in the order of the roster."""
        return self.frame.rows("providers")

    @cached_property
    def owned(self) -> Flags:
        """(R, T, J, F) whether a provider owns an offer at the end of a step."""
        return np.asarray(self["offers"]["owner"][..., None] == np.array(self.firms, np.object_))

    def by_owner(self, of_offers: Floats) -> Floats:
        """Sums over the offers that each provider owns. of_offers : (R, T, J) float; returns : (R, T, F) float."""
        return np.asarray(np.einsum("rtj,rtjf->rtf", of_offers, self.owned))

    @cached_property
    def moved(self) -> Moved:
        """The ledger by account."""
        cell = (*self.at(self.ledger), self.firm_of(self.ledger))
        return Moved(self.ledger, cell, (*self.shape, len(self.firms)))

    @cached_property
    def settled(self) -> Flags:
        """(R, T) whether no firm merged or was broken up in a step, as far as events were recorded."""
        quiet = np.full(self.shape, self.has("events"))
        handed = np.isin(self.events["kind"], ("merger", "break_up"))
        quiet[tuple(at[handed] for at in self.at(self.events))] = False
        return quiet

    def at(self, rows: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Place of each row of the ledger or of the events: replication and step, both counted from 0."""
        return np.searchsorted(np.asarray(self.frame.replications), rows["replication"]), rows["step"] - 1

    def firm_of(self, rows: Mapping[str, NDArray[Any]], column: str = "provider") -> NDArray[np.int64]:
        """Provider of each row of the ledger or of the events, by some column; -1 for those of none."""
        place = {name: f for f, name in enumerate(self.firms)}
        return np.array([place.get(name, -1) for name in rows[column]], np.int64)
