"""The books of every provider, reckoned anew: ledger, statements and balance sheets tell one story."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from aimarket.audit.arithmetic import Flags, Floats, after_first, last, ratio
from aimarket.audit.faults import Law, at_least
from aimarket.audit.ledger import LINES, Moved
from aimarket.audit.tables import Tables

SERVING = ("energy", "hosting", "wholesale", "rental", "depreciation")
_OPERATING = (
    *("revenue", "rental_income", "energy", "hosting", "wholesale", "rental"),
    *("overhead", "training", "interest", "tax"),
)
_INVESTING = ("capex", "subsidy", "resale", "merger", "break_up")
_FINANCING = ("borrowing", "capital", "dividends")
_NEVER_NEGATIVE = (
    *("revenue", "rental_income", "energy", "hosting", "wholesale", "rental", "depreciation", "training"),
    *("overhead", "interest", "tax", "subsidy"),
)
_STOCKS = ("cash", "orders", "fleet", "assets", "debt", "paid_in", "retained", "equity", "claims")

_law = partial(Law, "statements")


def income(tables: Tables) -> Iterator[Law]:
    """The income statement adds up."""
    lines, scale = tables["statements"], _flows(tables)
    law = partial(_law, scale=scale)
    costs = np.sum([lines[name] for name in SERVING], axis=0)
    gross = lines["revenue"] + lines["rental_income"] - costs
    yield law("gross_profit", "sales less five costs of serving", lines["gross_profit"], gross)
    after = lines["gross_profit"] - lines["training"]
    yield law("profit_after_training", "gross profit less training", lines["profit_after_training"], after)
    operating = lines["profit_after_training"] - lines["overhead"]
    yield law("operating_profit", "profit after training less overhead", lines["operating_profit"], operating)
    net = lines["operating_profit"] - lines["interest"] - lines["write_off"] - lines["tax"]
    yield law("net_income", "less interest, write-offs and tax", lines["net_income"], net)
    for name in _NEVER_NEGATIVE:
        yield at_least("statements", name, "never negative", lines[name], 0.0, _stocks(tables))


def cash_flows(tables: Tables) -> Iterator[Law]:
    """Cash comes from somewhere: by heading, and from one balance sheet to the next."""
    lines, scale = tables["statements"], _flows(tables)
    sections = lines["operating_cash_flow"] + lines["investing_cash_flow"] + lines["financing_cash_flow"]
    yield _law("change_in_cash", "operating + investing + financing", lines["change_in_cash"], sections, scale)
    earned = lines["net_income"] + lines["depreciation"] + lines["write_off"]
    name = "net income and what no cash paid for"
    yield _law("operating_cash_flow", name, lines["operating_cash_flow"], earned, scale)
    cash, due = lines["cash"], last(lines["cash"]) + lines["change_in_cash"] * tables.months
    yield _law("cash", "last balance + change in cash", cash, due, _stocks(tables), after_first(cash))


def balances(tables: Tables) -> Iterator[Law]:
    """Balance sheets balance, and profits are retained or paid out."""
    lines, scale = tables["statements"], _stocks(tables)
    law = partial(_law, scale=scale)
    yield law("assets", "cash + orders + fleet", lines["assets"], lines["cash"] + lines["orders"] + lines["fleet"])
    yield law("equity", "paid in + retained", lines["equity"], lines["paid_in"] + lines["retained"])
    yield law("claims", "debt + equity", lines["claims"], lines["debt"] + lines["equity"])
    yield law("assets", "balance sheet balances", lines["assets"], lines["claims"])
    retained, kept = lines["retained"], lines["net_income"] - lines["dividends"]
    due = last(retained) + kept * tables.months
    yield law("retained", "last balance + net income - dividends", retained, due, where=after_first(due))
    for column in ("orders", "fleet", "debt"):
        yield at_least("statements", column, "never negative", lines[column], 0.0, scale)


def books(tables: Tables) -> Iterator[Law]:
    """The statements say what the ledger says; debt and capital move by what was paid, or handed over."""
    lines, moved, months = tables["statements"], tables.moved, tables.months
    for line, (account, sign) in LINES.items():
        amount = sign * moved.all(account)
        yield _law(line, f"account {account} of the ledger", lines[line], amount, moved.largest)
    for heading, accounts in (("operating", _OPERATING), ("investing", _INVESTING), ("financing", _FINANCING)):
        total = np.sum([moved.cash[name] for name in accounts], axis=0)
        column, name = f"{heading}_cash_flow", f"cash on {heading} accounts of the ledger"
        yield _law(column, name, lines[column], total, moved.largest)
    scale = _stocks(tables)
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
    return np.asarray(~handed & (moved.booked["write_off"] == 0), bool)


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


def taxes(tables: Tables) -> Iterator[Law]:
    """What the treasury received and paid."""
    treasury = tables.moved.treasury
    received, scale = treasury.sum(-1), np.abs(treasury).sum(-1).cumsum(axis=1)  # the market takes it off its balance
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


def _flows(tables: Tables) -> Floats:
    """(R, T, F) USD a month: the largest amount that moved in a step; rounding in its statements is of its order."""
    lines = tables["statements"]
    named = np.max([np.abs(lines[name]) for name in lines if name in LINES], axis=0)
    return np.asarray(np.maximum(named, tables.moved.largest) if tables.has("ledger") else named)


def _stocks(tables: Tables) -> Floats:
    """(R, T, F) USD: the largest amount in a provider's books so far; rounding is of its order, even if all is lost."""
    lines = tables["statements"]
    largest = np.max([np.abs(lines[name]) for name in _STOCKS], axis=0)
    return np.asarray(np.maximum.accumulate(np.maximum(largest, _flows(tables) * tables.months), axis=1))
