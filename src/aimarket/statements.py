"""The three statements of every provider: income, cash flow and balance sheet; rows of the table of that name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from aimarket.identities import Identity, Stocks
from aimarket.ledger import EXPENSES, FINANCING, INCOME, NON_CASH, SERVING_COST, Books
from aimarket.units import MONTHS_PER_YEAR

if TYPE_CHECKING:
    from aimarket.market import Market

HEADINGS = ("operating", "investing", "financing")
_BELOW_OPERATIONS = ("interest", "write_off", "tax")
Line = dict[str, float]


def income_statement(books: Books) -> Line:
    """From what users paid to what is left for the owners; USD in the step."""
    lines = {name: books.moved(name) for name in INCOME} | {name: books.spent(name) for name in EXPENSES}
    gross = books.moved(*INCOME) - books.spent(*SERVING_COST)
    other = [name for name in EXPENSES if name not in SERVING_COST + _BELOW_OPERATIONS]
    operating = gross - books.spent(*other)
    return lines | {
        "gross_profit": gross,
        "profit_after_training": gross - books.spent("training"),
        "operating_profit": operating,
        "net_income": operating - books.spent(*_BELOW_OPERATIONS),
    }


def cash_flow_statement(books: Books, before: float) -> Line:
    """Where cash came from and went to; USD in the step.

    Interest and tax count with operations, and whatever is neither income, nor expense, nor financing is investment.

    before : float, USD of cash at the end of the last step
    source : direct method and headings of FASB ASC 230
    """
    sums = {f"{heading}_cash_flow": 0.0 for heading in HEADINGS}
    for (account, counterparty), amount in books.flows.items():
        if counterparty:
            operating, financing = account in INCOME + EXPENSES, account in FINANCING
            heading = "operating" if operating else "financing" if financing else "investing"
            sums[f"{heading}_cash_flow"] += amount
    return sums | {
        "capex": books.spent("capex"),
        "subsidy": books.moved("subsidy"),
        "resale": books.moved("resale"),
        "borrowing": books.moved("borrowing"),
        "equity_raised": books.moved("capital"),
        "dividends": books.spent("dividends"),
        "change_in_cash": books.balance["cash"] - before,
    }


def balance_sheet(books: Books) -> Line:
    """What the provider has, and whose it is; USD at the end of the step."""
    balance = books.balance
    return dict(balance) | {
        "assets": books.assets,
        "equity": books.equity,
        "claims": balance["debt"] + books.equity,
    }


def economic_profit(net_income: float, interest: float, capital: float, cost_of_capital: float, months: float) -> float:
    """Net income after a charge for all capital employed, whoever gave it; USD in the step.

    capital         : float, USD of GPUs and orders at book value when the step started
    cost_of_capital : float, 1/year
    source          : residual income, Preinreich (1937), Accounting Review 12(2)
    """
    charge = capital * np.expm1(np.log1p(cost_of_capital) * months / MONTHS_PER_YEAR)
    return float(net_income + interest - charge)


def statements(market: "Market", before: Stocks) -> dict[str, Any]:
    """Rows of the table of statements, one a provider: flows a month, stocks at the end of the step.

    before : stocks at the end of the last step
    raises : IdentityBreach if the statements contradict one another, or the ledger
    """
    months, rows = market.clock.months, []
    for p in market.providers:
        books, opening = market.ledger.books[p.name], before.balance[p.name]
        income = income_statement(books)
        cash, balance = cash_flow_statement(books, opening["cash"]), balance_sheet(books)
        retained = balance["retained"] - opening["retained"]
        scale = max(books.largest, *map(abs, books.balance.values()), *map(abs, books.flows.values()))
        for identity in _agreements(income, cash, balance, retained, scale, p.name):
            identity.check(market.steps)
        rate = market.settings.hardware.discount_rate
        rate = rate if p.settings.cost_of_capital is None else p.settings.cost_of_capital
        employed = opening["fleet"] + opening["orders"]
        profit = economic_profit(income["net_income"], income["interest"], employed, rate, months)
        flows = income | cash | {"economic_profit": profit}
        rows.append({name: amount / months for name, amount in flows.items()} | balance)
    names = [p.name for p in market.providers]
    return {"provider": names} | {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _agreements(
    income: Line, cash: Line, balance: Line, retained: float, scale: float, name: str
) -> Iterator[Identity]:
    """The three statements tell one story.

    retained : USD, change in retained earnings since the last balance sheet
    scale    : USD, largest amount in the books
    """
    sections = sum(cash[f"{heading}_cash_flow"] for heading in HEADINGS)
    yield Identity(f"cash-flow statement = change in cash ({name})", sections, cash["change_in_cash"], scale)
    kept = income["net_income"] - cash["dividends"]
    yield Identity(f"income statement - dividends = change in retained earnings ({name})", kept, retained, scale)
    paid = cash["operating_cash_flow"] - sum(income[account] for account in NON_CASH)
    yield Identity(
        f"operating cash flow - what no cash paid for = net income ({name})", paid, income["net_income"], scale
    )
    yield Identity(f"balance sheet balances ({name})", balance["assets"], balance["claims"], scale)
