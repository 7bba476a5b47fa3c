"""Money is moved, never made: whatever is paid, transferred, depreciated or written off, the books balance."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimarket.ledger import ASSETS, CLAIMS, EXPENSES, FINANCING, INCOME, RESTRUCTURING, Ledger

amounts = st.floats(0, 1e9)
FIRMS = ("alpha", "beta")
OTHERS = ("users", "vendors", "lenders", "treasury")
MOVES = st.one_of(
    st.tuples(
        st.just("pay"),
        st.sampled_from(FIRMS),
        st.sampled_from(OTHERS),
        st.sampled_from(("energy", "hosting", "capex", "borrowing", "tax", "training")),
        amounts,
    ),
    st.tuples(
        st.just("receive"),
        st.sampled_from(FIRMS),
        st.sampled_from(OTHERS),
        st.sampled_from(("revenue", "borrowing", "capital")),
        amounts,
    ),
    st.tuples(st.just("between"), st.sampled_from(FIRMS), st.just(""), st.just("wholesale"), amounts),
    st.tuples(st.just("deliver"), st.sampled_from(FIRMS), st.just(""), st.just(""), amounts),
    st.tuples(st.just("depreciate"), st.sampled_from(FIRMS), st.just(""), st.just(""), amounts),
    st.tuples(st.just("write_down"), st.sampled_from(FIRMS), st.just("fleet"), st.just(""), amounts),
    st.tuples(st.just("write_off"), st.sampled_from(FIRMS), st.just(""), st.just(""), amounts),
    st.tuples(st.just("close"), st.sampled_from(FIRMS), st.just(""), st.just(""), amounts),
)


def opened() -> Ledger:
    ledger = Ledger()
    ledger.open("alpha", cash=500.0, debt=300.0, fleet=700.0)
    ledger.open("beta", cash=50.0, debt=0.0, fleet=0.0)
    ledger.close_step()
    return ledger


def apply(ledger: Ledger, move: str, firm: str, other: str, account: str, amount: float) -> None:
    if move == "pay":
        ledger.pay(firm, other, amount, account)
    elif move == "receive":
        ledger.pay(other, firm, amount, account)
    elif move == "between":
        ledger.pay(firm, "beta" if firm == "alpha" else "alpha", amount, account)
    elif move == "deliver":
        ledger.transfer(firm, "orders", "fleet", amount)
    elif move == "close":
        ledger.close_step()
    elif move == "write_down":
        ledger.write_down(firm, other, amount)
    else:
        getattr(ledger, move)(*((firm, amount) if move == "depreciate" else (firm,)))


@given(st.lists(MOVES, max_size=30))
def test_money_is_conserved_and_books_balance(moves):
    ledger, largest = opened(), 1000.0
    before = {firm: dict(books.balance) for firm, books in ledger.books.items()}
    for move in moves:
        apply(ledger, *move)
        if move[0] == "close":
            before = {firm: dict(books.balance) for firm, books in ledger.books.items()}
        largest = max(largest, sum(abs(x) for b in ledger.books.values() for x in b.balance.values()))
        rounding = {"rel": 0, "abs": 1e-9 * largest}
        cash = [books.balance["cash"] for books in ledger.books.values()]
        assert math.fsum([*cash, *ledger.outside.values()]) == pytest.approx(0, **rounding)
        for firm, books in ledger.books.items():
            claims = sum(books.balance[name] for name in CLAIMS)
            assert sum(books.balance[name] for name in ASSETS) == pytest.approx(claims, **rounding)
            assert books.assets - books.balance["debt"] == pytest.approx(books.equity, **rounding)
            change = {name: amount - before[firm][name] for name, amount in books.balance.items()}
            assert books.net_income == pytest.approx(change["retained"], **rounding)
            moved = sum(amount for (_, other), amount in books.flows.items() if other)
            assert moved == pytest.approx(change["cash"], **rounding)


@given(st.lists(MOVES, max_size=30))
def test_accounts_are_the_books_side_by_side(moves):
    ledger = opened()
    for move in moves:
        apply(ledger, *move)
    accounts, books = ledger.accounts(), list(ledger.books.values())
    for each in (*INCOME, *EXPENSES, *FINANCING, *RESTRUCTURING, "capex", "subsidy", "resale"):
        assert accounts.moved(each) == pytest.approx([b.moved(each) for b in books])
        cash = [sum(x for (account, other), x in b.flows.items() if other and account == each) for b in books]
        assert accounts.paid[each] == pytest.approx(cash)
    for name in ("net_income", "assets", "equity"):
        rounding = 1e-12 * max(b.scale for b in books)
        assert getattr(accounts, name) == pytest.approx([getattr(b, name) for b in books], abs=rounding)
    for name in (*ASSETS, *CLAIMS):
        assert accounts.balance[name].tolist() == [b.balance[name] for b in books]


def test_opening_books_by_hand():
    books = opened().books["alpha"]
    assert books.balance == {"cash": 500, "orders": 0, "fleet": 700, "debt": 300, "paid_in": 900, "retained": 0}
    assert books.assets == 1200
    assert books.equity == 900


def test_debt_beyond_the_assets_was_spent_on_losses_before_the_run():
    ledger = Ledger()
    ledger.open("gamma", cash=10.0, debt=100.0, fleet=50.0)
    books = ledger.books["gamma"]
    assert books.balance == {"cash": 10, "orders": 0, "fleet": 50, "debt": 100, "paid_in": 0, "retained": -40}
    assert books.equity == -40


def test_each_account_moves_its_own_balance():
    ledger = opened()
    ledger.pay("users", "alpha", 100.0, "revenue")
    ledger.pay("alpha", "utilities", 30.0, "energy")
    ledger.pay("alpha", "vendors", 40.0, "capex")
    ledger.pay("lenders", "alpha", 20.0, "borrowing")
    ledger.depreciate("alpha", 7.0)
    books = ledger.books["alpha"]
    assert books.balance == {"cash": 550, "orders": 40, "fleet": 693, "debt": 320, "paid_in": 900, "retained": 63}
    assert books.net_income == 63
    assert books.spent("energy", "depreciation") == 37
    assert books.moved("borrowing") == 20
    assert books.spent("capex") == 40
    assert ledger.outside["users"] == -100
    assert sorted(ledger.rows()) == [
        ("alpha", "borrowing", "lenders", 20.0),
        ("alpha", "capex", "vendors", -40.0),
        ("alpha", "depreciation", "", -7.0),
        ("alpha", "energy", "utilities", -30.0),
        ("alpha", "revenue", "users", 100.0),
    ]


def test_both_sides_of_a_payment_between_providers_are_filed():
    ledger = opened()
    ledger.pay("alpha", "beta", 10.0, "wholesale")
    assert ledger.books["alpha"].flows == {("wholesale", "beta"): -10}
    assert ledger.books["beta"].flows == {("wholesale", "alpha"): 10}


def test_a_new_step_forgets_flows_and_keeps_balances():
    ledger = opened()
    kept = dict(ledger.books["alpha"].balance)
    ledger.close_step()
    assert ledger.books["alpha"].balance == kept
    assert not list(ledger.rows())
    assert ledger.books["alpha"].spent(*EXPENSES) == 0


def test_a_failed_provider_loses_its_assets_and_its_creditors_the_rest():
    ledger = opened()
    ledger.pay("alpha", "staff", 500.0, "overhead")
    ledger.pay("alpha", "vendors", 200.0, "capex")
    ledger.pay("lenders", "alpha", 200.0, "borrowing")
    ledger.close_step()
    ledger.write_off("alpha")
    books = ledger.books["alpha"]
    # Fleet 700 and orders 200 are lost, debt of 500 forgiven; investors lose the 900 they paid in.
    assert books.balance == {"cash": 0, "orders": 0, "fleet": 0, "debt": 0, "paid_in": 900, "retained": -900}
    assert books.net_income == -(700 + 200) + 500
    assert books.spent("write_off") == 400


@pytest.mark.parametrize("amount", [-1e-9, -5.0, math.nan])
def test_nobody_pays_a_negative_amount(amount):
    ledger = opened()
    before = dict(ledger.books["alpha"].balance)
    with pytest.raises(ValueError, match="alpha cannot pay"):
        ledger.pay("alpha", "users", amount, "energy")
    assert ledger.books["alpha"].balance == before


def test_who_finances_a_firm_at_the_start():
    ledger = Ledger()
    ledger.open("alpha", cash=500.0, debt=300.0, fleet=700.0)
    assert {who: usd for who, usd in ledger.outside.items() if usd} == {
        "investors": -900.0,
        "lenders": -300.0,
        "vendors": 700.0,
    }
    late = Ledger()
    late.open("beta", cash=0.0, debt=10.0, fleet=4.0)  # the rest of the debt went on losses
    assert {who: usd for who, usd in late.outside.items() if usd} == {"lenders": -10.0, "vendors": 4.0, "staff": 6.0}


def test_books_side_by_side_are_the_books_one_by_one():
    ledger = opened()
    ledger.pay("alpha", "vendors", 9000.0, "capex")
    ledger.transfer("alpha", "orders", "fleet", 8000.0)
    ledger.pay("users", "beta", 20.0, "revenue")
    ledger.pay("beta", "staff", 5.0, "overhead")
    accounts = ledger.accounts()
    for f, books in enumerate(ledger.books.values()):
        assert accounts.scale[f] == books.scale
        assert accounts.net_income[f] == books.net_income
        assert accounts.spent("capex", "overhead")[f] == books.spent("capex", "overhead")
    with pytest.raises(ValueError, match="read-only"):  # what is handed out is not the reader's to change
        accounts.moved("revenue")[0] = 1.0


def test_rounding_is_judged_by_the_largest_balance_there_ever_was():
    ledger = opened()
    ledger.pay("lenders", "beta", 1e6, "borrowing")
    ledger.close_step()
    ledger.pay("beta", "lenders", 1e6, "borrowing")
    ledger.close_step()
    ledger.close_step()  # by now nothing else in the books tells of it
    assert ledger.books["beta"].scale == 1e6 + 50
