"""The tables of a run as arrays by replication, step and row, once they are whole: every row is there, in its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aimarket.audit.faults import Fault, Floats
from aimarket.recording import KEYS, arrays
from aimarket.schema import TABLES

_BY_STEP = ("market", "providers", "statements", "offers", "segments")  # a fixed number of rows a step
_NO_NUMBER: Mapping[str, frozenset[str]] = {  # columns in which a number may not exist
    "market": frozenset(
        (
            *("outside_share", "churn", "depth", "tenure", "switching_cost", "free_share", "multihoming_share"),
            *("contract_share", "tokens_per_task", "task_elasticity", "thinking_elasticity", "cost_per_task"),
            *("thinking_share", "price", "quality_adjusted_index", "quality_adjusted_price", "unit_cost", "lerner"),
            *("marginal_cost", "markup", "effective_providers", "frontier_quality", "mean_quality", "gpu_supply"),
            *("gpus_rationed", "utilisation", "rental_price", "wait", "unserved_share", "consumer_surplus"),
            *("welfare", "consumer_surplus_share", "producer_surplus_share", "treasury_surplus_share"),
        )
    ),
    "providers": frozenset(
        (
            *("price", "unit_cost", "marginal_cost", "lerner", "markup", "quality", "utilisation"),
            *("peak_utilisation", "wait", "retention"),
        )
    ),
    "offers": frozenset(("markup", "short_run_cost", "user_share", "latency", "time_to_first_token")),
}


@dataclass(frozen=True)
class Frame:
    """What a run was to record, by its settings.

    tables : those that were to be recorded
    steps  : steps of each replication
    months : length of a step
    rows   : names of the rows of a step, by table
    bought : (J,) whether an offer is bought at wholesale
    """

    run_id: str
    settings: Mapping[str, Any]
    tables: frozenset[str]
    replications: Sequence[int]
    steps: int
    months: float
    rows: Mapping[str, Sequence[str]]
    bought: NDArray[np.bool_]

    @classmethod
    def of(cls, run_id: str, settings: Mapping[str, Any], replications: Sequence[int], steps: int) -> "Frame":
        """raises : LookupError, TypeError or AttributeError for what are no settings of a run."""
        firms = settings["providers"]
        offers = {f"{firm}/{name}": offer for firm in firms for name, offer in firms[firm]["offers"].items()}
        return cls(
            run_id,
            settings,
            frozenset(settings["record"]["tables"]),
            replications,
            steps,
            12 / settings["run"]["steps_per_year"],
            {
                "market": [""],
                "providers": list(firms),
                "statements": list(firms),
                "offers": list(offers),
                "segments": list(settings["users"]["segments"]),
            },
            np.array([offer["wholesale"] is not None for offer in offers.values()], bool),
        )


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
            for table in _BY_STEP
            if table in self.frame.tables
        }

    def _shape_of(self, table: str) -> tuple[int, ...]:
        return self.shape if table == "market" else (*self.shape, len(self.frame.rows[table]))

    @property
    def firms(self) -> Sequence[str]:
        """Names of the providers, in the order of the roster."""
        return self.frame.rows["providers"]

    @cached_property
    def owned(self) -> NDArray[np.bool_]:
        """(R, T, J, F) whether a provider owns an offer at the end of a step."""
        return np.asarray(self["offers"]["owner"][..., None] == np.array(self.firms, np.object_))

    def by_owner(self, of_offers: Floats) -> Floats:
        """Sums over the offers that each provider owns. of_offers : (R, T, J) float; returns : (R, T, F) float."""
        return np.asarray(np.einsum("rtj,rtjf->rtf", of_offers, self.owned))

    def at(self, rows: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Place of each row of the ledger or of the events: replication and step, both counted from 0."""
        return np.searchsorted(np.asarray(self.frame.replications), rows["replication"]), rows["step"] - 1

    def firm_of(self, rows: Mapping[str, NDArray[Any]], column: str = "provider") -> NDArray[np.int64]:
        """Provider of each row of the ledger or of the events, by some column; -1 for those of none."""
        place = {name: f for f, name in enumerate(self.firms)}
        return np.array([place.get(name, -1) for name in rows[column]], np.int64)


def whole(frame: Frame, recorded: Mapping[str, pa.Table]) -> tuple[Tables | None, list[Fault]]:
    """The tables of a run as arrays, if every row is in its place; otherwise what is not."""
    columns, faults = {}, list[Fault]()
    for table in TABLES:
        columns[table] = arrays(recorded[table])
        if table not in frame.tables and recorded[table].num_rows:
            faults.append(Fault(table, f"{recorded[table].num_rows} rows found, none expected: it was not to be recorded"))
        elif table in frame.tables:
            keys = _expected_keys(frame, table) if table in _BY_STEP else None
            faults += _misplaced(frame, table, columns[table], keys)
            faults += _no_numbers(frame, table, columns[table])
    return (None if faults else Tables(frame, columns)), faults


def _expected_keys(frame: Frame, table: str) -> dict[str, NDArray[Any]]:
    """The keys and labels of every row of a table that has the same rows in every step."""
    rows = frame.rows[table]
    replications, steps = np.array(frame.replications, np.int32), np.arange(1, frame.steps + 1, dtype=np.int32)
    keys = {
        "replication": np.repeat(replications, len(steps) * len(rows)),
        "step": np.tile(np.repeat(steps, len(rows)), len(replications)),
    }
    labels = {"segments": {"segment": rows}, "offers": _offer_labels(frame)}
    for name, values in labels.get(table, {"provider": rows} if table != "market" else {}).items():
        keys[name] = np.tile(np.array(values, np.object_), len(replications) * len(steps))
    if table == "providers":
        kinds = [provider["archetype"] for provider in frame.settings["providers"].values()]
        keys["archetype"] = np.tile(np.array(kinds, np.object_), len(replications) * len(steps))
    return keys


def _offer_labels(frame: Frame) -> dict[str, list[str]]:
    firms = frame.settings["providers"]
    each = [(firm, name, offer["model"] or "") for firm in firms for name, offer in firms[firm]["offers"].items()]
    return {label: [row[i] for row in each] for i, label in enumerate(("provider", "offer", "model"))}


def _misplaced(
    frame: Frame, table: str, found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]] | None
) -> Iterator[Fault]:
    """Rows that are missing, too many, out of order or of another run."""
    rows = len(found["step"])
    if expected is not None and rows != len(expected["step"]):
        each = f"{len(frame.replications)} x {frame.steps} x {len(frame.rows[table])}"
        yield Fault(table, f"{rows} rows found, {len(expected['step'])} expected ({each} replications, steps and names)")
        return
    month = found["step"] * frame.months / 12
    same = {name: found[name] == values for name, values in (expected or {}).items()}
    same |= {"run_id": found["run_id"] == frame.run_id, "year": np.abs(found["year"] - month) <= 1e-12 * month}
    if expected is None:
        same |= {
            "replication": np.isin(found["replication"], frame.replications),
            "step": (found["step"] >= 1) & (found["step"] <= frame.steps),
            "provider": np.isin(found["provider"], [*frame.rows["providers"], *[""] * (table == "events")]),
        }
        behind = np.lexsort((found["step"], found["replication"])) != np.arange(rows)
        if behind.any():
            yield Fault(f"{table}, row {behind.argmax() + 1}", "out of order: rows go by replication and step")
    for name, agree in same.items():
        if rows and not np.all(agree):
            row = int(np.argmin(agree))
            should = f", {shown(expected[name][row])} expected" if expected and name in expected else ""
            yield Fault(
                f"{table}.{name}, row {row + 1}",
                f"{shown(found[name][row])} found{should}; {np.sum(~agree)} rows are not what the settings say",
            )


def _no_numbers(frame: Frame, table: str, found: Mapping[str, NDArray[Any]]) -> Iterator[Fault]:
    """Numbers that do not exist where they must, and infinite ones."""
    for column in TABLES[table]:
        if column.kind != "float64" or column.name in KEYS:
            continue
        values, absent = found[column.name], column.name in _NO_NUMBER.get(table, _NO_NUMBER["market"])
        drivers = column.name.startswith("cost_") and table in ("market", "providers")
        wrong = np.isinf(values) if absent or drivers else ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.argmax())
            at = f"row {row + 1}, step {found['step'][row]}"
            name = next((f", {found[key][row]}" for key in ("provider", "segment") if key in found), "")
            more = f" and in {wrong.sum() - 1} more rows" if wrong.sum() > 1 else ""
            yield Fault(f"{table}.{column.name}, {at}{name}", f"{values[row]} found, a finite number expected{more}")


def shown(value: Any) -> str:
    """A value as it is told."""
    return repr(value.item() if isinstance(value, np.generic) else value)
