"""The ledger as it was recorded: what moved on each account, and entries that no book has."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.audit.arithmetic import Flags, Floats
from aimarket.audit.faults import Fault
from aimarket.audit.frame import Columns, told

# How each line of the statements is read off the ledger: account, and the sign it is told with.
LINES = {
    **{name: (name, +1) for name in ("revenue", "rental_income", "subsidy", "resale", "borrowing")},
    **{name: (name, -1) for name in ("energy", "hosting", "wholesale", "rental", "depreciation", "training")},
    **{name: (name, -1) for name in ("overhead", "interest", "write_off", "tax", "capex", "dividends")},
    "equity_raised": ("capital", +1),
}
ACCOUNTS = [*(account for account, _ in LINES.values()), "merger", "break_up"]
_NEVER_CASH = ("depreciation", "write_off")
_CASHLESS = (*_NEVER_CASH, "dividends", "merger", "break_up")  # may have nobody on the other side
_ENTRY = ("replication", "step", "provider", "account", "counterparty")


class Moved:
    """What moved on each account, (R, T, F) USD a month.

    cash     : by account, where somebody is on the other side
    booked   : by account, where nobody is
    treasury : what the treasury received on balance
    largest  : the largest single amount
    """

    def __init__(self, rows: Columns, cell: tuple[NDArray[Any], ...], shape: tuple[int, ...]) -> None:
        place = np.ravel_multi_index(cell, shape)

        def summed(chosen: Flags) -> Floats:
            return np.bincount(place[chosen], rows["amount"][chosen], int(np.prod(shape))).reshape(shape)

        in_cash = rows["counterparty"] != ""
        self.cash = {name: summed((rows["account"] == name) & in_cash) for name in ACCOUNTS}
        self.booked = {name: summed((rows["account"] == name) & ~in_cash) for name in ACCOUNTS}
        self.treasury = -summed(rows["counterparty"] == "treasury")
        self.largest = np.zeros(shape)
        np.maximum.at(self.largest.ravel(), place, np.abs(rows["amount"]))

    def all(self, account: str) -> Floats:
        """In cash and without."""
        return self.cash[account] + self.booked[account]


def entries(rows: Columns, firms: Collection[str]) -> Iterator[Fault]:
    """Rows of the ledger that no book has: unknown accounts, entries twice, one side of a payment without the other."""
    account, cash = rows["account"], rows["counterparty"] != ""
    unknown = ~np.isin(account, ACCOUNTS)
    one_sided = np.where(cash, np.isin(account, _NEVER_CASH), ~np.isin(account, _CASHLESS)) & ~unknown
    for wrong, column in ((unknown, "account"), (one_sided, "counterparty")):
        for row in np.flatnonzero(wrong).tolist():
            at = f"ledger.{column}, row {row + 1}, step {rows['step'][row]}, {rows['provider'][row]}"
            yield Fault(at, f"{told(rows[column][row])} found, which account {account[row]} never has")
    amounts: dict[tuple[Any, ...], float] = {}
    keys = zip(*(rows[key].tolist() for key in _ENTRY), strict=True)
    for number, (key, amount) in enumerate(zip(keys, rows["amount"].tolist(), strict=True), start=1):
        if key in amounts:
            yield Fault(f"ledger, row {number}", f"{', '.join(map(str, key))} stands there twice")
        amounts[key] = amount
    for (replication, step, provider, filed, other), amount in amounts.items():
        if other in firms and (mirrored := amounts.get((replication, step, other, filed, provider))) != -amount:
            at = f"ledger.amount, step {step}, {provider}, {filed} with {other}"
            yield Fault(at, f"{amount!r} found, {mirrored!r} in the books of the other side")
