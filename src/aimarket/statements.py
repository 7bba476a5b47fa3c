"""The three statements of every provider: income, cash flow and balance sheet; rows of the table of that name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aimarket.identities import Identity, Stocks, check_all
from aimarket.ledger import EXPENSES, FINANCING, INCOME, NON_CASH, SERVING_COST, Accounts
from aimarket.units import MONTHS_PER_YEAR

if TYPE_CHECKING:
    from aimarket.market import Market

Floats = NDArray[np.float64]
Lines = dict[str, Floats]  # (F,) each

HEADINGS = ("operating", "investing", "financing")
_BELOW_OPERATIONS = ("interest", "write_off", "tax")


def income_statement(accounts: Accounts) -> Lines:
    """From what users paid to what is left for the owners; USD in the step."""
    lines = {name: accounts.moved(name) for name in INCOME} | {name: accounts.spent(name) for name in EXPENSES}
    gross = accounts.moved(*INCOME) - accounts.spent(*SERVING_COST)
    other = [name for name in EXPENSES if name not in SERVING_COST + _BELOW_OPERATIONS]
    operating = gross - accounts.spent(*other)
    return lines | {
        "gross_profit": gross,
        "profit_after_training": gross - accounts.spent("training"),
        "operating_profit": operating,
        "net_income": operating - accounts.spent(*_BELOW_OPERATIONS),
    }


def cash_flow_statement(accounts: Accounts, before: Floats) -> Lines:
    """Where cash came from and went to; USD in the step.

    Interest and tax count with operations, and whatever is neither income, nor expense, nor financing is investment.

    before : (F,) float, USD of cash at the end of the last step
    source : direct method and headings of FASB ASC 230
    """
    sums = {f"{heading}_cash_flow": np.zeros_like(before) for heading in HEADINGS}
    for account, amount in accounts.paid.items():
        operating, financing = account in INCOME + EXPENSES, account in FINANCING
        heading = "operating" if operating else "financing" if financing else "investing"
        sums[f"{heading}_cash_flow"] += amount
    return sums | {
        "capex": accounts.spent("capex"),
        "subsidy": accounts.moved("subsidy"),
        "resale": accounts.moved("resale"),
        "borrowing": accounts.moved("borrowing"),
        "equity_raised": accounts.moved("capital"),
        "dividends": accounts.spent("dividends"),
        "change_in_cash": accounts.balance["cash"] - before,
    }


def balance_sheet(accounts: Accounts) -> Lines:
    """What the provider has, and whose it is; USD at the end of the step."""
    return accounts.balance | {
        "assets": accounts.assets,
        "equity": accounts.equity,
        "claims": accounts.balance["debt"] + accounts.equity,
    }


def economic_profit[Amount: (float, Floats)](
    net_income: Amount, interest: Amount, capital: Amount, cost_of_capital: Amount, months: float
) -> Amount:
    """Net income after a charge for all capital employed, whoever gave it; USD in the step.

    capital         : (...) float, USD of GPUs and orders at book value when the step started
    cost_of_capital : (...) float, 1/year
    source          : residual income, Preinreich (1937), Accounting Review 12(2)
    """
    charge = capital * np.expm1(np.log1p(cost_of_capital) * months / MONTHS_PER_YEAR)
    return net_income + interest - charge


def statements(market: "Market", accounts: Accounts, before: Stocks) -> dict[str, Any]:
    """Rows of the table of statements, one a provider: flows a month, stocks at the end of the step.

    accounts : the books at the end of the step
    before   : stocks at the end of the last step
    raises   : IdentityBreach if the statements contradict one another, or the ledger
    """
    months, opening = market.clock.months, before.balance
    names = tuple(p.name for p in market.providers)
    income = income_statement(accounts)
    cash, balance = cash_flow_statement(accounts, opening["cash"]), balance_sheet(accounts)
    retained = balance["retained"] - opening["retained"]
    check_all(_agreements(income, cash, balance, retained, accounts.scale, names), market.steps)
    common = market.settings.hardware.discount_rate
    own = [p.settings.cost_of_capital for p in market.providers]
    rates = np.array([common if rate is None else rate for rate in own])
    employed = opening["fleet"] + opening["orders"]
    profit = economic_profit(income["net_income"], income["interest"], employed, rates, months)
    flows = income | cash | {"economic_profit": profit}
    return {"provider": list(names)} | {name: amount / months for name, amount in flows.items()} | balance


def _agreements(
    income: Lines, cash: Lines, balance: Lines, retained: Floats, scale: Floats, names: tuple[str, ...]
) -> Iterator[Identity]:
    """The three statements tell one story.

    retained : (F,) USD, change in retained earnings since the last balance sheet
    scale    : (F,) USD, largest amount in the books
    """
    sections = sum((cash[f"{heading}_cash_flow"] for heading in HEADINGS), np.zeros_like(scale))
    yield Identity("cash-flow statement = change in cash", sections, cash["change_in_cash"], scale, names)
    kept = income["net_income"] - cash["dividends"]
    yield Identity("income statement - dividends = change in retained earnings", kept, retained, scale, names)
    paid = cash["operating_cash_flow"] - sum((income[account] for account in NON_CASH), np.zeros_like(scale))
    yield Identity("operating cash flow - what no cash paid for = net income", paid, income["net_income"], scale, names)
    yield Identity("balance sheet balances", balance["assets"], balance["claims"], scale, names)
