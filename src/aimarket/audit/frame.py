"""What the tables of a run were to hold, by its settings: which rows, in which order, and where a number must be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.audit.arithmetic import Flags
from aimarket.audit.faults import Fault
from aimarket.recording import KEYS
from aimarket.schema import TABLES

Columns = Mapping[str, NDArray[Any]]

BY_STEP = ("market", "providers", "statements", "offers", "segments")  # a fixed number of rows a step
_OF_USERS = (
    *("outside_share", "churn", "depth", "tenure", "switching_cost", "free_share", "multihoming_share"),
    *("contract_share", "tokens_per_task", "task_elasticity", "thinking_elasticity", "cost_per_task"),
)
_MARGINS = ("price", "unit_cost", "marginal_cost", "lerner", "markup", "utilisation", "wait")
_MAY_BE_MISSING: Mapping[str, frozenset[str]] = {  # a number may not exist there; so may every cost driver's
    "market": frozenset(
        (
            *(*_OF_USERS, *_MARGINS, "thinking_share", "quality_adjusted_index", "quality_adjusted_price"),
            *("effective_providers", "frontier_quality", "mean_quality", "gpu_supply", "gpus_rationed"),
            *("rental_price", "unserved_share", "consumer_surplus", "welfare", "consumer_surplus_share"),
            *("producer_surplus_share", "treasury_surplus_share"),
        )
    ),
    "providers": frozenset((*_MARGINS, "quality", "peak_utilisation", "retention")),
    "offers": frozenset(("markup", "short_run_cost", "user_share", "latency", "time_to_first_token")),
    "segments": frozenset(_OF_USERS),
}


@dataclass(frozen=True)
class Frame:
    """What a run was to record.

    tables : those that were to be recorded
    steps  : of each replication
    months : length of a step
    labels : columns of text that are the same in every step, one value a row, by table
    bought : (J,) whether an offer is bought at wholesale
    """

    run_id: str
    settings: Mapping[str, Any]
    tables: frozenset[str]
    replications: Sequence[int]
    steps: int
    months: float
    labels: Mapping[str, Mapping[str, Sequence[str]]]
    bought: Flags

    @classmethod
    def of(cls, run_id: str, settings: Mapping[str, Any], replications: Sequence[int], steps: int) -> "Frame":
        """raises : LookupError, TypeError, ValueError or AttributeError for what are no settings of a run."""
        firms = settings["providers"]
        offers = [(firm, name, offer) for firm in firms for name, offer in firms[firm]["offers"].items()]
        labels: dict[str, dict[str, list[str]]] = {
            "market": {},
            "providers": {"provider": list(firms), "archetype": [firm["archetype"] for firm in firms.values()]},
            "statements": {"provider": list(firms)},
            "offers": {
                "provider": [firm for firm, _, _ in offers],
                "offer": [name for _, name, _ in offers],
                "model": [offer["model"] or "" for _, _, offer in offers],
            },
            "segments": {"segment": list(settings["users"]["segments"])},
        }
        bought = np.array([offer["wholesale"] is not None for _, _, offer in offers], bool)
        months = 12 / settings["run"]["steps_per_year"]
        recorded = frozenset(settings["record"]["tables"])
        return cls(run_id, settings, recorded, replications, steps, months, labels, bought)

    def rows(self, table: str) -> list[str]:
        """Names of the rows that a table has in every step."""
        labels = self.labels.get(table, {})
        if table == "offers":
            return ["/".join(names) for names in zip(labels["provider"], labels["offer"], strict=True)]
        return list(next(iter(labels.values()), [""]))

    def keys(self, table: str) -> dict[str, NDArray[Any]]:
        """The keys and labels of every row of a table that has the same rows in every step."""
        rows, replications = len(self.rows(table)), np.array(self.replications, np.int32)
        steps = np.arange(1, self.steps + 1, dtype=np.int32)
        times = len(replications) * len(steps)
        labels = {name: np.tile(np.array(values, np.object_), times) for name, values in self.labels[table].items()}
        return labels | {
            "replication": np.repeat(replications, len(steps) * rows),
            "step": np.tile(np.repeat(steps, rows), len(replications)),
        }


def misfits(frame: Frame, table: str, found: Columns) -> Iterator[Fault]:
    """What keeps a table from being what the settings say: rows out of place, and numbers that do not exist."""
    rows = len(found["step"])
    if table not in frame.tables:
        if rows:
            yield Fault(table, f"{rows} rows found, none expected: it was not to be recorded")
        return
    if table not in BY_STEP:
        yield from _out_of_range(frame, table, found)
    elif rows != (expected := len(frame.replications) * frame.steps * len(frame.rows(table))):
        each = f"{len(frame.replications)} replications of {frame.steps} steps of {len(frame.rows(table))} rows"
        yield Fault(table, f"{rows} rows found, {expected} expected ({each})")
    else:
        for name, values in frame.keys(table).items():
            yield from _wrong(table, name, found, found[name] == values, values)
    month = found["step"] * frame.months / 12
    yield from _wrong(table, "year", found, np.abs(found["year"] - month) <= 1e-12 * month, month)
    yield from _wrong(table, "run_id", found, found["run_id"] == frame.run_id)
    yield from _missing(table, found)


def _out_of_range(frame: Frame, table: str, found: Columns) -> Iterator[Fault]:
    """Rows of the ledger, or of the events, of no step or provider of the run, or out of order."""
    firms = [*frame.rows("providers"), *[""] * (table == "events")]
    yield from _wrong(table, "replication", found, np.isin(found["replication"], frame.replications))
    yield from _wrong(table, "step", found, (found["step"] >= 1) & (found["step"] <= frame.steps))
    yield from _wrong(table, "provider", found, np.isin(found["provider"], firms))
    when = found["replication"].astype(np.int64) * 2**32 + found["step"]
    behind = np.flatnonzero(np.diff(when) < 0)
    if len(behind):
        yield Fault(f"{table}, row {behind[0] + 2}", "out of order: rows go by replication and step")


def _wrong(
    table: str, column: str, found: Columns, agree: Flags, expected: NDArray[Any] | None = None
) -> Iterator[Fault]:
    """The first of the rows that do not agree, and how many there are."""
    if np.all(agree):
        return
    row = int(np.argmin(agree))
    should = "" if expected is None else f", {told(expected[row])} expected"
    many = f"{np.sum(~agree)} rows are not what the settings say" if np.sum(~agree) > 1 else "by the settings"
    yield Fault(f"{table}.{column}, row {row + 1}", f"{told(found[column][row])} found{should}; {many}")


def _missing(table: str, found: Columns) -> Iterator[Fault]:
    """Infinite numbers, and those that do not exist where they must."""
    for column in TABLES[table]:
        if column.kind != "float64" or column.name in KEYS:
            continue
        driver = column.name.startswith("cost_") and table in ("market", "providers")
        may = driver or column.name in _MAY_BE_MISSING.get(table, ())
        values = found[column.name]
        wrong = np.isinf(values) if may else ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.argmax())
            who = next((f", {found[key][row]}" for key in ("provider", "segment") if key in found), "")
            more = f" and in {wrong.sum() - 1} more rows" if wrong.sum() > 1 else ""
            place = f"{table}.{column.name}, step {found['step'][row]}{who}"
            yield Fault(place, f"{values[row]} found, a finite number expected{more}")


def told(value: Any) -> str:
    """A value as it is told."""
    return repr(value.item() if isinstance(value, np.generic) else value)
