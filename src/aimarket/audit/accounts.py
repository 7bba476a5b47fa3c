"""The books of every provider, reckoned anew: ledger, statements and balance sheets tell one story."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.audit.arithmetic import Flags, Floats, after_first, last, ratio
from aimarket.audit.faults import Fault, Law, at_least
from aimarket.audit.frame import told
from aimarket.audit.tables import Tables

# How each line of the statements is read off the ledger: account, and the sign it is told with.
LINES = {
    **{name: (name, +1) for name in ("revenue", "rental_income", "subsidy", "resale", "borrowing")},
    **{name: (name, -1) for name in ("energy", "hosting", "wholesale", "rental", "depreciation", "training")},
    **{name: (name, -1) for name in ("overhead", "interest", "write_off", "tax", "capex", "dividends")},
    "equity_raised": ("capital", +1),
}
ACCOUNTS = {account for account, _ in LINES.values()} | {"merger", "break_up"}
SERVING = ("energy", "hosting", "wholesale", "rental", "depreciation")
_OPERATING = (
    *("revenue", "rental_income", "energy", "hosting", "wholesale", "rental"),
    *("overhead", "training", "interest", "tax"),
)
_INVESTING = ("capex", "subsidy", "resale", "merger", "break_up")
_FINANCING = ("borrowing", "capital", "dividends")
_CASHLESS = ("depreciation", "write_off", "dividends", "merger", "break_up")  # may have nobody on the other side
_NEVER_NEGATIVE = (
    *("revenue", "rental_income", "energy", "hosting", "wholesale", "rental", "depreciation", "training"),
    *("overhead", "interest", "tax", "subsidy", "equity_raised"),
)

_law = partial(Law, "statements")


class Moved:
    """What moved on each account, (R, T, F) USD a month: in cash, and without."""

    def __init__(self, tables: Tables) -> None:
        rows, firm = tables.ledger, tables.firm_of(tables.ledger)
        shape = (*tables.shape, len(tables.firms))
        cell = np.ravel_multi_index((*tables.at(rows), firm), shape) if len(firm) else firm
        size = int(np.prod(shape))

        def summed(chosen: NDArray[np.bool_]) -> Floats:
            return np.bincount(cell[chosen], rows["amount"][chosen], size).reshape(shape)

        cashless = rows["counterparty"] == ""
        self.cash = {name: summed((rows["account"] == name) & ~cashless) for name in ACCOUNTS}
        self.booked = {name: summed((rows["account"] == name) & cashless) for name in ACCOUNTS}
        self.treasury = -summed(rows["counterparty"] == "treasury")
        self.largest = np.zeros(shape)
        np.maximum.at(self.largest.ravel(), cell, np.abs(rows["amount"]))

    def all(self, account: str) -> Floats:
        return self.cash[account] + self.booked[account]


def entries(tables: Tables) -> Iterator[Fault]:
    """Rows of the ledger that no book has: unknown accounts, entries twice, one side of a payment without the other."""
    rows = tables.ledger
    unknown = ~np.isin(rows["account"], list(ACCOUNTS))
    cash = rows["counterparty"] != ""
    one_sided = ~cash & ~np.isin(rows["account"], _CASHLESS)
    paid = cash & np.isin(rows["account"], ("depreciation", "write_off"))
    for wrong, column in ((unknown, "account"), (one_sided, "counterparty"), (paid, "counterparty")):
        for row in np.flatnonzero(wrong)[:1]:
            found = told(rows[column][row])
            yield Fault(
                f"ledger.{column}, row {row + 1}, step {rows['step'][row]}, {rows['provider'][row]}",
                f"{found} found on account {rows['account'][row]}, which is not one it may stand with",
            )
    keys = zip(*(rows[key].tolist() for key in _ENTRY), strict=True)
    amounts: dict[tuple[Any, ...], float] = {}
    for row, (key, moved) in enumerate(zip(keys, rows["amount"].tolist(), strict=True)):
        if key in amounts:
            yield Fault(f"ledger, row {row + 1}", f"{', '.join(map(str, key))} stands there twice")
        amounts[key] = moved
    firms = set(tables.firms)
    for (*when, provider, account, other), amount in amounts.items():
        if other in firms and (mirrored := amounts.get((*when, other, account, provider))) != -amount:
            place = f"ledger.amount, step {when[1]}, {provider}, {account} with {other}"
            yield Fault(
                place, f"{amount!r} found, {None if mirrored is None else -mirrored!r} on the other side's books"
            )


_ENTRY = ("replication", "step", "provider", "account", "counterparty")


def income(tables: Tables) -> Iterator[Law]:
    """The income statement adds up."""
    lines = tables["statements"]
    costs = sum((lines[name] for name in SERVING), np.zeros(1))
    sales = lines["revenue"] + lines["rental_income"]
    gross, scale = sales - costs, np.abs(sales) + np.abs(costs)
    yield _law("gross_profit", "sales less five costs of serving", lines["gross_profit"], gross, scale)
    after = lines["gross_profit"] - lines["training"]
    yield _law("profit_after_training", "gross profit less training", lines["profit_after_training"], after, scale)
    operating = after - lines["overhead"]
    yield _law("operating_profit", "less overhead", lines["operating_profit"], operating, scale)
    net = lines["operating_profit"] - lines["interest"] - lines["write_off"] - lines["tax"]
    scale = scale + np.abs(lines["write_off"])
    yield _law("net_income", "less interest, write-offs and tax", lines["net_income"], net, scale)
    for name in _NEVER_NEGATIVE:
        yield at_least("statements", name, "never negative", lines[name], 0.0, _so_far(lines, "fleet"))


def cash_flows(tables: Tables) -> Iterator[Law]:
    """Cash comes from somewhere: by heading, and from one balance sheet to the next."""
    lines, months = tables["statements"], tables.months
    sections = lines["operating_cash_flow"] + lines["investing_cash_flow"] + lines["financing_cash_flow"]
    scale = _largest(lines, *(name for name in lines if name.endswith("_cash_flow")))
    yield _law("change_in_cash", "operating + investing + financing", lines["change_in_cash"], sections, scale)
    earned = lines["net_income"] + lines["depreciation"] + lines["write_off"]
    scale = _largest(lines, "net_income", "depreciation", "write_off", "operating_cash_flow")
    yield _law(
        "operating_cash_flow", "net income and what no cash paid for", lines["operating_cash_flow"], earned, scale
    )
    cash, due = lines["cash"], last(lines["cash"]) + lines["change_in_cash"] * months
    scale = _so_far(lines, "cash")
    yield _law("cash", "last balance + change in cash", cash, due, scale, after_first(cash))


def balances(tables: Tables) -> Iterator[Law]:
    """Balance sheets balance, and profits are retained or paid out."""
    lines, months = tables["statements"], tables.months
    assets, scale = lines["cash"] + lines["orders"] + lines["fleet"], _so_far(lines, "cash", "orders", "fleet", "debt")
    scale = np.maximum(scale, _so_far(lines, "paid_in", "retained"))
    yield _law("assets", "cash + orders + fleet", lines["assets"], assets, scale)
    yield _law("equity", "paid in + retained", lines["equity"], lines["paid_in"] + lines["retained"], scale)
    yield _law("claims", "debt + equity", lines["claims"], lines["debt"] + lines["equity"], scale)
    yield _law("assets", "balance sheet balances", lines["assets"], lines["claims"], scale)
    retained = lines["retained"]
    due = last(retained) + (lines["net_income"] - lines["dividends"]) * months
    yield _law("retained", "last balance + net income - dividends", retained, due, scale, after_first(retained))
    for column in ("orders", "fleet", "debt", "paid_in"):
        yield at_least("statements", column, "never negative", lines[column], 0.0, scale)


def books(tables: Tables, moved: Moved) -> Iterator[Law]:
    """The statements say what the ledger says; debt and capital move by what was paid, or handed over."""
    lines, months = tables["statements"], tables.months
    for line, (account, sign) in LINES.items():
        amount = sign * moved.all(account)
        yield _law(line, f"account {account} of the ledger", lines[line], amount, moved.largest)
    for heading, accounts in (("operating", _OPERATING), ("investing", _INVESTING), ("financing", _FINANCING)):
        total = sum((moved.cash[name] for name in accounts), np.zeros(1))
        column, name = f"{heading}_cash_flow", f"cash on {heading} accounts of the ledger"
        yield _law(column, name, lines[column], total, moved.largest)
    scale = np.maximum(_so_far(lines, "cash", "debt", "paid_in", "retained", "fleet"), moved.largest * months)
    capital = moved.all("capital") + moved.all("merger") + moved.all("break_up") - moved.booked["dividends"]
    due = last(lines["paid_in"]) + capital * months
    name = "last balance + capital paid in or handed over"
    yield _law("paid_in", name, lines["paid_in"], due, scale, after_first(due))
    due = last(lines["debt"]) + moved.all("borrowing") * months
    yield _law("debt", "last balance + borrowing", lines["debt"], due, scale, after_first(due) & _no_debt_moved(moved))


def _no_debt_moved(moved: Moved) -> Flags:
    """(R, T, F) where the ledger tells all there is to tell of debt: none was handed over, and none forgiven.

    On exit it nets debt forgiven and assets lost; it does not say how much of what is handed over is debt.
    """
    handed = np.any([moved.all(name) != 0 for name in ("merger", "break_up")], axis=0)
    return np.asarray(~handed & (moved.booked["write_off"] == 0))


def charges(tables: Tables) -> Iterator[Law]:
    """Economic profit is net income and interest less the cost of what was employed when the step began."""
    lines, months = tables["statements"], tables.months
    common = tables.settings["hardware"]["discount_rate"]
    own = [provider["cost_of_capital"] for provider in tables.settings["providers"].values()]
    rates = np.array([common if rate is None else rate for rate in own], float)
    employed = lines["orders"] + lines["fleet"]
    opening = last(employed)
    profit = lines["net_income"] + lines["interest"] - opening * np.expm1(np.log1p(rates) * months / 12) / months
    scale = np.maximum(opening * rates, np.abs(lines["net_income"]))
    name = "net income + interest - cost of capital"
    yield _law("economic_profit", name, lines["economic_profit"], profit, scale, after_first(employed))


def totals(tables: Tables) -> Iterator[Law]:
    """What the market shows of money is the sum over its providers."""
    market, lines = tables["market"], tables["statements"]
    law = partial(Law, "market")
    names = ("training", "gross_profit", "net_income", "economic_profit", "capex", "subsidy", "borrowing")
    for name in (*names, "equity_raised", "dividends"):
        yield law(name, "sum over providers", market[name], lines[name].sum(-1), np.abs(lines[name]).sum(-1))
    revenue = lines["revenue"].sum(-1)
    yield law("spend", "revenue of providers", market["spend"], revenue)
    sales, paid = revenue + lines["rental_income"].sum(-1), _paid_to_serve(lines).sum(-1)
    name = "sales less the cash cost of serving"
    yield law("producer_surplus", name, market["producer_surplus"], sales - paid, sales + paid)
    unit_cost = ratio(paid + lines["depreciation"].sum(-1), market["tokens_served"])
    yield law("unit_cost", "cost of serving over tokens served", market["unit_cost"], unit_cost)


def taxes(tables: Tables, moved: Moved) -> Iterator[Law]:
    """What the treasury received and paid."""
    received, scale = moved.treasury.sum(-1), np.abs(moved.treasury).sum(-1)
    name = "what the ledger says of the treasury"
    yield Law("market", "taxes", name, tables["market"]["taxes"], received, scale)


def of_providers(tables: Tables) -> Iterator[Law]:
    """The same number stands in both tables."""
    firms, lines = tables["providers"], tables["statements"]
    law = partial(Law, "providers")
    for name in ("revenue", "training", "net_income", "capex", "cash", "debt", "equity"):
        yield law(name, f"statements.{name}", firms[name], lines[name])
    paid, served = _paid_to_serve(lines), firms["tokens_served"]
    left, scale = lines["revenue"] - paid, np.abs(lines["revenue"]) + np.abs(paid)
    yield law("inference_cash", "revenue less the cash cost of serving", firms["inference_cash"], left, scale)
    unit_cost = ratio(paid + lines["depreciation"], served)
    yield law("unit_cost", "cost of serving over tokens served", firms["unit_cost"], unit_cost)


def _paid_to_serve(lines: Mapping[str, Floats]) -> Floats:
    return np.sum([lines[name] for name in ("energy", "hosting", "wholesale", "rental")], axis=0)


def _largest(lines: Mapping[str, Floats], *names: str) -> Floats:
    return np.max([np.abs(lines[name]) for name in names], axis=0)


def _so_far(lines: Mapping[str, Floats], *names: str) -> Floats:
    """The largest balance of a provider up to each step: rounding in books is of its order, even when all is lost."""
    return np.asarray(np.maximum.accumulate(_largest(lines, *names), axis=1))
