"""Income statement, cash-flow statement and balance sheet agree with one another, with the ledger and over time."""

import copy

import numpy as np
import pandas as pd
import pytest
from compositions import made

from aimarket import IdentityBreach, Market, simulate
from aimarket.identities import Stocks
from aimarket.ledger import ASSETS, CLAIMS, EXPENSES, FINANCING, INCOME
from aimarket.recording import Recording
from aimarket.schema import TABLES
from aimarket.statements import economic_profit, statements
from aimarket.surplus import divide_surplus

KEYS = ["step", "provider"]


@pytest.fixture(scope="module")
def recording() -> Recording:
    return simulate(made("users.size=600", "run.panel=150", "run.steps=10", "run.steps_per_year=24"))


@pytest.fixture(scope="module")
def rows(recording) -> pd.DataFrame:
    return recording.statements.set_index(KEYS).sort_index().drop(columns="run_id")


def same(left: pd.Series, right: pd.Series, scale: pd.Series) -> None:
    assert (np.abs(left - right) <= 1e-9 * scale.max()).all()


def test_every_account_of_the_ledger_stands_in_the_statements():
    columns = {column.name for column in TABLES["statements"]}
    assert {*INCOME, *EXPENSES, *ASSETS, *CLAIMS} <= columns
    assert {"capital": "equity_raised"}.get("capital") in columns
    assert set(FINANCING) - {"capital"} <= columns


def test_every_payment_is_in_one_heading(recording, rows):
    """The table of the ledger against the cash-flow statement, both in USD a month."""
    ledger = recording.ledger
    paid = ledger[ledger["counterparty"] != ""].groupby(KEYS)["amount"].sum()
    sections = rows["operating_cash_flow"] + rows["investing_cash_flow"] + rows["financing_cash_flow"]
    same(paid.reindex(rows.index, fill_value=0.0), sections, rows["assets"])
    same(rows["change_in_cash"], sections, rows["assets"])


def test_statements_follow_from_one_another_over_time(rows):
    step = 0.5  # months
    change = rows.select_dtypes("float").groupby("provider").diff().dropna(subset="cash")
    flows = rows.loc[change.index]
    assert (rows[["capex", "training", "revenue"]].sum() > 0).all()
    same(change["cash"], flows["change_in_cash"] * step, rows["assets"])
    same(change["retained"], (flows["net_income"] - flows["dividends"]) * step, rows["assets"])
    same(change["paid_in"], flows["equity_raised"] * step, rows["assets"])
    going = flows["write_off"] == 0
    invested = (flows["capex"] - flows["depreciation"]) * step
    same((change["orders"] + change["fleet"])[going], invested[going], rows["assets"])
    same(change["debt"][going], (flows["borrowing"] * step)[going], rows["assets"])


def test_each_profit_is_what_its_name_says(rows):
    r = rows
    serving = r[["energy", "hosting", "wholesale", "rental", "depreciation"]].sum(axis=1)
    same(r["gross_profit"], r["revenue"] + r["rental_income"] - serving, r["assets"])
    same(r["profit_after_training"], r["gross_profit"] - r["training"], r["assets"])
    same(r["operating_profit"], r["profit_after_training"] - r["overhead"], r["assets"])
    same(r["net_income"], r["operating_profit"] - r["interest"] - r["write_off"] - r["tax"], r["assets"])
    same(r["assets"], r["cash"] + r["orders"] + r["fleet"], r["assets"])
    same(r["assets"], r["claims"], r["assets"])


def test_the_table_of_providers_keeps_its_share_of_the_statements(recording, rows):
    providers = recording.providers.set_index(KEYS).sort_index()
    for name in ("revenue", "training", "net_income", "capex", "cash", "debt", "equity"):
        pd.testing.assert_series_equal(providers[name], rows[name])


@pytest.mark.parametrize("debt", [0.0, 400.0, 1000.0])
def test_economic_profit_does_not_ask_who_gave_the_capital(debt):
    """1000 of GPUs that earn 30 a month at 12 % a year, with any debt at any rate."""
    for rate in (0.0, 0.05):
        interest = debt * rate / 12
        charge = 1000 * (1.12 ** (1 / 12) - 1)
        assert economic_profit(30 - interest, interest, 1000.0, 0.12, 1.0) == pytest.approx(30 - charge)


def test_a_firm_that_only_earns_its_cost_of_capital_has_no_economic_profit():
    year = sum(economic_profit(1000 * (1.12 ** (1 / 12) - 1), 0.0, 1000.0, 0.12, 1.0) for _ in range(12))
    assert year == pytest.approx(0, abs=1e-9)


# --- breaches ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived() -> tuple[Market, Stocks]:
    """A market after three steps, and its stocks a step before."""
    market = Market(made("roster=duopoly", "users.size=400", "run.panel=100"))
    market.step()
    market.step()
    before = copy.deepcopy(market.history.stocks)
    market.step()
    return market, before


def test_the_same_rows_again(lived):
    market, before = lived
    again = statements(market, market.ledger.accounts(), before)
    for name, column in market.tables["statements"].items():
        assert list(again[name]) == list(column)


@pytest.mark.parametrize(
    ("account", "amount", "flow", "says"),
    [
        ("cash", 1e7, None, "cash-flow statement = change in cash"),
        ("retained", 1e7, None, "income statement - dividends = change in retained earnings"),
        ("debt", 1e7, None, "balance sheet balances"),
        (None, 0.0, ("depreciation", "landlords"), "cash-flow statement = change in cash"),
        (None, 0.0, ("energy", ""), "income statement - dividends = change in retained earnings"),
    ],
)
def test_statements_that_contradict_one_another_stop_the_run(lived, account, amount, flow, says):
    market, before = copy.deepcopy(lived)
    books = market.ledger.books["beta"]
    if account is not None:
        books.balance[account] += amount
    if flow is not None:
        books.flows[flow] -= 1e7
    with pytest.raises(IdentityBreach, match=says):
        statements(market, market.ledger.accounts(), before)


def test_an_expense_that_nobody_was_paid_for_must_say_so(lived):
    market, before = copy.deepcopy(lived)
    books = market.ledger.books["beta"]
    books.flows["energy", ""] -= 1e7
    books.balance["retained"] -= 1e7
    books.balance["fleet"] -= 1e7
    with pytest.raises(IdentityBreach, match="operating cash flow - what no cash paid for = net income"):
        statements(market, market.ledger.accounts(), before)


# --- surplus ----------------------------------------------------------------------------------------------------------


def test_shares_of_surplus_sum_to_one(recording):
    market = recording.market
    shares = market[["consumer_surplus_share", "producer_surplus_share", "treasury_surplus_share"]]
    shared = market["welfare"] > 0
    assert shared.mean() > 0.5
    assert shares[shared].sum(axis=1).to_numpy() == pytest.approx(1)
    assert shares[~shared].isna().all(axis=None)
    parts = market["consumer_surplus"] + market["net_income"] + market["taxes"]
    assert parts.to_numpy() == pytest.approx(market["welfare"].to_numpy())


def test_taxes_move_surplus_and_make_none(lived):
    market, before = copy.deepcopy(lived)
    was = divide_surplus(market, market.ledger.accounts(), before, 1e9)
    market.ledger.pay("alpha", "treasury", 1e8, "tax")
    now = divide_surplus(market, market.ledger.accounts(), before, 1e9)
    assert now["welfare"] == pytest.approx(was["welfare"])
    assert now["taxes"] == pytest.approx(was["taxes"] + 1e8 / market.clock.months)


def test_what_the_treasury_pays_for_gpus_is_used_up(lived):
    market, before = copy.deepcopy(lived)
    was = divide_surplus(market, market.ledger.accounts(), before, 1e9)
    market.ledger.pay("treasury", "alpha", 1e8, "capex")
    now = divide_surplus(market, market.ledger.accounts(), before, 1e9)
    assert now["welfare"] == pytest.approx(was["welfare"] - 1e8 / market.clock.months)


def test_dividends_and_equity_rounds_make_no_surplus(lived):
    market, before = copy.deepcopy(lived)
    was = divide_surplus(market, market.ledger.accounts(), before, 1e9)
    market.ledger.pay("alpha", "investors", 1e8, "dividends")
    market.ledger.pay("investors", "beta", 1e8, "capital")
    assert divide_surplus(market, market.ledger.accounts(), before, 1e9) == pytest.approx(was)


def test_profit_out_of_nowhere_stops_the_run(lived):
    market, before = copy.deepcopy(lived)
    market.ledger.books["alpha"].balance["retained"] += 1e7
    with pytest.raises(IdentityBreach, match=r"consumer surplus \+ profit \+ taxes = welfare"):
        divide_surplus(market, market.ledger.accounts(), before, 1e9)


def test_a_task_costs_its_tokens_at_their_price(recording):
    """Of tasks that are served: spend over tasks wanted, corrected for those turned away."""
    segments = recording.segments
    assert segments["cost_per_task"].gt(0).all()
    per_task = segments["spend"] / segments["tokens_served"] * segments["tokens_per_task"]
    served_alike = segments["cost_per_task"] / per_task
    # Offers differ in tokens a task, and in what they turn away.
    assert served_alike.between(0.8, 1.25).all()
