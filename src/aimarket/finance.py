"""Paying, borrowing and failing: how a provider's step ends in its books."""

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.ledger import EXPENSES, NON_CASH, Books, Ledger
from aimarket.units import MONTHS_PER_YEAR

Floats = NDArray[np.float64]

_ASSETS_BOUGHT = ("capex", "resale")
_CASH_EXPENSES = tuple(account for account in EXPENSES if account not in NON_CASH)


def credit(books: Books, covenant: float) -> float:
    """What may still be borrowed: debt may reach `covenant` times assets, and what is borrowed adds to assets; USD."""
    return max(0.0, (covenant * books.assets - books.balance["debt"]) / (1 - covenant))


def borrow(ledger: Ledger, provider: str, amount: float) -> None:
    """Draw `amount` USD of debt."""
    ledger.pay("lenders", provider, amount, "borrowing")


def spend(
    ledger: Ledger, provider: str, payee: str, amount: float, account: str, finance: config.Finance, keep: float
) -> float:
    """Spend up to `amount` on something that can wait: cash above `keep` first, then debt up to the covenant.

    returns : USD spent, less than `amount` if money is short
    """
    books = ledger.books[provider]
    cash = max(0.0, books.balance["cash"] - keep)
    # Spending on an expense shrinks assets, and with them the covenant: only assets bought may be financed by debt.
    room = credit(books, finance.covenant) if account in _ASSETS_BOUGHT else 0.0
    spent = min(amount, cash + room)
    if spent > cash:
        borrow(ledger, provider, spent - cash)
    ledger.pay(provider, payee, spent, account)
    return spent


def purchasing_power(books: Books, finance: config.Finance, keep: float) -> float:
    """What `spend` could spend on GPUs, USD."""
    return max(0.0, books.balance["cash"] - keep) + credit(books, finance.covenant)


def monthly_cash_cost(books: Books, months: float) -> float:
    """Cash expenses of the step so far, USD a month."""
    return books.spent(*_CASH_EXPENSES) / months


def pay_interest_and_tax(
    ledger: Ledger, name: str, interest_rate: float, tax_rate: float, losses: float, months: float
) -> float:
    """Interest on the debt that stands, then tax on what profit is left after losses carried forward.

    losses  : USD of losses not yet set against profit
    returns : USD of losses to carry forward
    """
    books = ledger.books[name]
    interest = books.balance["debt"] * ((1 + interest_rate) ** (months / MONTHS_PER_YEAR) - 1)
    ledger.pay(name, "lenders", interest, "interest")
    profit = books.net_income - losses
    ledger.pay(name, "treasury", tax_rate * max(0.0, profit), "tax")
    return max(0.0, -profit)


def balance_cash(ledger: Ledger, name: str, finance: config.Finance, months: float) -> None:
    """Borrow what is missing as far as the covenant allows; repay debt from cash beyond twice the buffer."""
    books = ledger.books[name]
    cash = books.balance["cash"]
    if cash < 0:
        borrow(ledger, name, min(-cash, credit(books, finance.covenant)))
        return
    spare = cash - 2 * finance.cash_buffer * monthly_cash_cost(books, months)
    repayment = min(books.balance["debt"], max(0.0, spare))
    ledger.pay(name, "lenders", repayment, "borrowing")


def is_insolvent(books: Books) -> bool:
    """Bills cannot be paid: cash is short and nobody lends."""
    return books.balance["cash"] < 0


def wind_up(ledger: Ledger, name: str) -> None:
    """What cash a sale left repays debt and then goes to the owners; else lenders pay the open bills.

    What lenders are still owed is lost, and so are the assets not sold.
    """
    balance = ledger.books[name].balance
    borrow(ledger, name, max(0.0, -balance["cash"]))
    ledger.pay(name, "lenders", min(balance["debt"], max(0.0, balance["cash"])), "borrowing")
    ledger.pay(name, "investors", max(0.0, balance["cash"]), "capital")
    ledger.write_off(name)
