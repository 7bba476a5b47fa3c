"""Borrowing within the covenant, taxes on what is left after losses, interest by the year, and failing."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimarket import finance
from aimarket.ledger import Ledger
from aimarket.settings import Finance

TERMS = Finance(tax_rate=0.25, covenant=0.5, cash_buffer=2.0, payout=0.0, equity=None)


def opened(cash: float = 100.0, debt: float = 0.0, fleet: float = 0.0) -> Ledger:
    ledger = Ledger()
    ledger.open("alpha", cash=cash, debt=debt, fleet=fleet)
    ledger.close_step()
    return ledger


@given(st.floats(1, 1e6), st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 0.95))
def test_whoever_borrows_all_its_credit_stands_at_the_covenant(cash, leverage, fleet, covenant):
    ledger = opened(cash, leverage * (cash + fleet), fleet)
    books = ledger.books["alpha"]
    allowed = finance.credit(books, covenant)
    finance.borrow(ledger, "alpha", allowed)
    if allowed > 0:
        assert books.balance["debt"] == pytest.approx(covenant * books.assets)
    else:
        assert books.balance["debt"] >= covenant * books.assets * (1 - 1e-12)


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 3e4), st.floats(0, 1e4))
def test_spending_stops_at_cash_and_credit(cash, fleet, wanted, keep):
    for account in ("capex", "training"):
        ledger = opened(cash, 0.0, fleet)
        books = ledger.books["alpha"]
        own = max(0.0, cash - keep)
        # At a covenant of one half debt may equal what the owners have: here cash and fleet.
        limit = own + (cash + fleet if account == "capex" else 0.0)
        spent = finance.spend(ledger, "alpha", "vendors", wanted, account, TERMS, keep)
        assert spent == pytest.approx(min(wanted, limit), abs=1e-6)
        assert books.spent(account) == spent
        assert books.balance["debt"] == pytest.approx(max(0.0, spent - own), abs=1e-6)
        assert books.balance["debt"] <= 0.5 * books.assets + 1e-6
        assert books.balance["cash"] >= min(cash, keep) - 1e-6


@given(st.integers(1, 24), st.floats(0, 0.5))
def test_interest_of_a_years_steps_is_a_years_interest(steps, rate):
    ledger = opened(cash=0.0, debt=100.0, fleet=200.0)
    owed = 100.0
    for _ in range(steps):
        ledger.close_step()
        finance.pay_interest_and_tax(ledger, "alpha", rate, 0.0, 0.0, 12 / steps)
        owed += ledger.books["alpha"].spent("interest")
        finance.borrow(ledger, "alpha", ledger.books["alpha"].spent("interest"))  # interest on interest
    assert owed == pytest.approx(100 * (1 + rate))


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=12))
def test_losses_are_set_against_later_profit(results):
    """With losses carried forward what has been taxed is the highest that cumulated profit ever stood."""
    ledger, losses, taxed = opened(1e6), 0.0, 0.0
    for result in results:
        ledger.close_step()
        ledger.pay("users", "alpha", max(result, 0.0), "revenue")
        ledger.pay("alpha", "staff", max(-result, 0.0), "overhead")
        losses = finance.pay_interest_and_tax(ledger, "alpha", 0.0, 0.25, losses, 1.0)
        taxed += ledger.books["alpha"].spent("tax") / 0.25
    highest = max(0.0, *itertools.accumulate(results))
    assert taxed == pytest.approx(highest, abs=1e-6)
    assert losses == pytest.approx(highest - sum(results), abs=1e-6)


def test_interest_and_depreciation_are_deducted_before_tax():
    ledger = opened(cash=1000.0, debt=100.0, fleet=100.0)
    ledger.pay("users", "alpha", 200.0, "revenue")
    ledger.depreciate("alpha", 40.0)
    finance.pay_interest_and_tax(ledger, "alpha", 0.1, 0.25, 0.0, 12.0)
    assert ledger.books["alpha"].spent("interest") == pytest.approx(10)
    assert ledger.books["alpha"].spent("tax") == pytest.approx(0.25 * (200 - 40 - 10))


def test_cash_costs_leave_out_what_is_no_payment_and_what_is_no_expense():
    ledger = opened(cash=1000.0, fleet=500.0)
    ledger.pay("alpha", "staff", 30.0, "overhead")
    ledger.pay("alpha", "laboratories", 50.0, "training")
    ledger.pay("alpha", "treasury", 5.0, "tax")
    ledger.pay("alpha", "vendors", 200.0, "capex")
    ledger.depreciate("alpha", 99.0)
    assert finance.monthly_cash_cost(ledger.books["alpha"], months=0.5) == pytest.approx(2 * 85)


def test_a_shortage_is_borrowed_as_far_as_the_covenant_goes():
    ledger = opened(cash=10.0, fleet=100.0)
    ledger.pay("alpha", "staff", 40.0, "overhead")
    finance.balance_cash(ledger, "alpha", TERMS, 1.0)
    books = ledger.books["alpha"]
    assert books.balance["cash"] == pytest.approx(0)
    assert books.balance["debt"] == pytest.approx(30)
    assert not finance.is_insolvent(books)
    ledger.pay("alpha", "staff", 60.0, "overhead")
    finance.balance_cash(ledger, "alpha", TERMS, 1.0)
    # Equity is 10 + 100 - 40 - 60 = 10, so debt may be 10 in all and is 30 already: nobody lends.
    assert books.balance["cash"] == pytest.approx(-60)
    assert finance.is_insolvent(books)


def test_debt_is_repaid_from_cash_beyond_twice_the_buffer():
    ledger = opened(cash=1000.0, debt=300.0, fleet=100.0)
    ledger.pay("alpha", "staff", 200.0, "overhead")
    finance.balance_cash(ledger, "alpha", TERMS, 1.0)
    # 800 are left; twice a buffer of two months at 200 a month is 800: nothing to spare.
    assert ledger.books["alpha"].balance["debt"] == 300
    ledger.pay("users", "alpha", 120.0, "revenue")
    finance.balance_cash(ledger, "alpha", TERMS, 1.0)
    assert ledger.books["alpha"].balance["debt"] == pytest.approx(180)
    ledger.pay("users", "alpha", 1e6, "revenue")
    finance.balance_cash(ledger, "alpha", TERMS, 1.0)
    assert ledger.books["alpha"].balance["debt"] == 0


def test_lenders_bear_what_a_failed_provider_cannot_pay():
    ledger = opened(cash=10.0, debt=50.0, fleet=100.0)
    ledger.pay("alpha", "staff", 25.0, "overhead")
    finance.wind_up(ledger, "alpha")
    books = ledger.books["alpha"]
    assert all(books.balance[name] == pytest.approx(0) for name in ("cash", "orders", "fleet", "debt"))
    assert books.equity == pytest.approx(0)
    assert ledger.outside["lenders"] == pytest.approx(-50 - 15)  # never to come back
    assert ledger.outside["staff"] == 25  # was paid in full
