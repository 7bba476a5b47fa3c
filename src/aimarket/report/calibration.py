"""A calibration as tables for the terminal."""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from aimarket.calibration.answer import Answer, Met


def tables(result: "Answer") -> Iterator[Table]:
    """Parameters; moments that were fitted; moments that were only checked, if there are any."""
    yield _parameters(result)
    yield _moments("Fitted moments", (met for met in result.moments if met.fit))
    if not all(met.fit for met in result.moments):
        yield _moments("Checked moments: not fitted", (met for met in result.moments if not met.fit))


def lines(result: "Answer") -> Iterator[str]:
    """What the tables do not say."""
    test = result.test
    fit = f"distance {result.distance:.4g}, at the start {result.distance_at_start:.4g}"
    yield f"{fit}; {result.trials} trials of {result.seeds} seeds, checked on {result.checked_on} other seeds"
    if test.degrees > 0:
        freedom = f"{test.degrees} degrees of freedom, p = {test.probability:.3g}"
        yield f"overidentification: J = {test.statistic:.2f}, {freedom}"
    else:
        yield "as many parameters as moments: a perfect fit would prove nothing"
    yield f"{100 * result.accepted:.1f} % of the trials lie in the joint 95 % region"
    if result.failures:
        yield f"{len(result.failures)} trials could not be measured, the first: {result.failures[0]}"


def _parameters(result: "Answer") -> Table:
    table = _table("Parameters", ("parameter", "start", "fitted", "95 % interval", "s.e.", "bounds", "verdict"))
    for p in result.parameters:
        error = "–" if math.isnan(p.standard_error) else _number(p.standard_error)
        table.add_row(p.name, _number(p.start), _number(p.value), _pair(p.interval), error, _pair(p.bounds), p.verdict)
    return table


def _moments(title: str, moments: "Iterable[Met]") -> Table:
    table = _table(title, ("moment", "target", "95 % interval", "start", "simulated", "± s.e.", "s.e. off", "unit"))
    for m in moments:
        off = f"[bold red]{m.off:+.1f}" if abs(m.off) > 2 else f"{m.off:+.1f}"
        table.add_row(
            m.name,
            _number(m.target),
            _pair(m.interval),
            _number(m.start),
            _number(m.simulated),
            _number(m.simulation_error),
            off,
            m.unit,
        )
    return table


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for name in columns:
        words = name in ("parameter", "moment", "verdict", "unit")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    return table


def _pair(pair: tuple[float, float]) -> str:
    return f"{_number(pair[0])} to {_number(pair[1])}"


def _number(value: float) -> str:
    return f"{value:.4g}"
