"""All checks, section by section, in two processes; and their table."""

import csv
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.table import Table

from aimarket.validation import (
    algorithms,
    capacity,
    concentration,
    cost_accounting,
    demand,
    entry,
    price_competition,
    switching_costs,
)
from aimarket.validation.check import Check, Task

SECTIONS: dict[str, tuple[Task, ...]] = {
    "price_competition": price_competition.TASKS,
    "algorithms": algorithms.TASKS,
    "switching_costs": switching_costs.TASKS,
    "demand": demand.TASKS,
    "capacity": capacity.TASKS,
    "entry": entry.TASKS,
    "cost_accounting": cost_accounting.TASKS,
    "concentration": concentration.TASKS,
}
_PROCESSES = 2


def validate(sections: Sequence[str] = ()) -> Iterator[tuple[str, list[Check]]]:
    """The checks of the sections named, or of all, as they come: (section, checks).

    raises : ValueError naming a section that does not exist
    """
    for name in sections:
        if name not in SECTIONS:
            raise ValueError(f"{name}: no such section; allowed: {', '.join(SECTIONS)}")
    tasks = [(name, task) for name in SECTIONS if not sections or name in sections for task in SECTIONS[name]]
    # A fresh interpreter for each process: a fork of one with threads may hang.
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(task) for _, task in tasks]
        for (name, _), checks in zip(tasks, done, strict=True):
            yield name, checks.result()


def table(section: str, checks: Iterable[Check]) -> Table:
    """A section as a table for the terminal."""
    result = Table(title=section.replace("_", " ").capitalize(), title_justify="left", show_edge=False)
    for name, justify in (("check", "left"), ("known", "right"), ("simulated", "right"), ("tolerance", "right"),
                          ("verdict", "left"), ("how", "left")):  # fmt: skip
        result.add_column(name, justify=justify, no_wrap=name != "how")  # type: ignore[arg-type]
    for check in checks:
        verdict = "ok" if check.passed else "[bold red]FAILS"
        result.add_row(
            check.name, number(check.known), number(check.simulated), f"{check.tolerance:.0e}", verdict, check.how
        )
    return result


def number(value: float) -> str:
    """Seven decimals, or eleven digits of a large number."""
    return f"{value:,.2f}" if abs(value) >= 1e5 else f"{value:.7f}".rstrip("0").rstrip(".")


def write_csv(path: Path, rows: Iterable[tuple[str, Check]]) -> None:
    """One row a check."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("section", "check", "known", "simulated", "tolerance", "verdict", "how"))
        for section, c in rows:
            verdict = "ok" if c.passed else "fails"
            writer.writerow(
                (
                    section,
                    c.name,
                    repr(float(c.known)),
                    repr(float(c.simulated)),
                    repr(float(c.tolerance)),
                    verdict,
                    c.how,
                )
            )
