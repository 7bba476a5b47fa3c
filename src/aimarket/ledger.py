"""Money: one function moves it, both sides at once; statements are sums of what moved."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Each account of a provider changes one balance besides cash. Income and expense change retained earnings,
# and so do dividends, which are neither.
INCOME = ("revenue", "rental_income")
EXPENSES = (
    *("energy", "hosting", "wholesale", "rental", "overhead", "training", "interest", "tax"),
    *("depreciation", "write_off"),
)
SERVING_COST = ("energy", "hosting", "wholesale", "rental", "depreciation")
RESTRUCTURING = ("merger", "break_up")
NON_CASH = ("depreciation", "write_off")  # expenses that nobody is paid for
FINANCING = ("borrowing", "capital", "dividends")  # between a provider and its lenders and owners
_BALANCE = {"capex": "orders", "subsidy": "orders", "resale": "fleet"}
_BALANCE |= {"borrowing": "debt", "capital": "paid_in", "dividends": "retained"}
_BALANCE |= dict.fromkeys(RESTRUCTURING, "paid_in") | dict.fromkeys(INCOME + EXPENSES, "retained")
ASSETS = ("cash", "orders", "fleet")
CLAIMS = ("debt", "paid_in", "retained")


@dataclass
class Books:
    """Balance sheet of one provider and what moved in the current step, all in USD.

    flows   : (account, counterparty) -> amount received (+) or given (-); the counterparty is "" where no cash moves
    largest : largest balance at the end of a step so far; rounding in the books is of its order, even when all is lost
    """

    balance: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ASSETS + CLAIMS, 0.0))
    flows: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    largest: float = 0.0

    def moved(self, *accounts: str) -> float:
        """Net amount received in the step on some accounts; expenses are negative."""
        total = 0.0
        for (account, _), amount in self.flows.items():
            if account in accounts:
                total += amount
        return total

    def spent(self, *accounts: str) -> float:
        """Net amount given in the step on some accounts; expenses are positive."""
        return 0.0 - self.moved(*accounts)

    @property
    def net_income(self) -> float:
        return self.moved(*INCOME, *EXPENSES)

    @property
    def assets(self) -> float:
        return sum(self.balance[name] for name in ASSETS)

    @property
    def equity(self) -> float:
        return self.balance["paid_in"] + self.balance["retained"]

    @property
    def scale(self) -> float:
        """The largest amount in the books, now or in a balance at the end of a step so far."""
        return max(self.largest, *map(abs, self.balance.values()), *map(abs, self.flows.values()))


class Accounts:
    """The books of every provider side by side, as they stand when this is made; (F,) USD each.

    balance : of each name in ASSETS and CLAIMS
    paid    : what moved in cash in the step, by account
    scale   : the largest amount in a provider's books, by which rounding is judged
    """

    def __init__(self, books: Iterable[Books]) -> None:
        every = list(books)
        self.balance = {name: np.array([b.balance[name] for b in every]) for name in ASSETS + CLAIMS}
        paid, booked = ({account: [0.0] * len(every) for account in _BALANCE} for _ in range(2))
        for f, b in enumerate(every):
            for (account, counterparty), amount in b.flows.items():
                (paid if counterparty else booked)[account][f] += amount
        cash, other = np.array([list(paid.values()), list(booked.values())])
        self.paid = dict(zip(_BALANCE, cash, strict=True))
        both = cash + other
        both.setflags(write=False)  # `moved` hands its rows out
        self._moved = dict(zip(_BALANCE, both, strict=True))
        self.scale = np.array([b.scale for b in every])

    def moved(self, *accounts: str) -> Floats:
        """Net amounts received in the step on some accounts; expenses are negative."""
        first, *others = (self._moved[name] for name in accounts)
        return sum(others, first)

    def spent(self, *accounts: str) -> Floats:
        """Net amounts given in the step on some accounts; expenses are positive."""
        return 0.0 - self.moved(*accounts)

    @property
    def net_income(self) -> Floats:
        return self.moved(*INCOME, *EXPENSES)

    @property
    def assets(self) -> Floats:
        first, *others = (self.balance[name] for name in ASSETS)
        return sum(others, first)

    @property
    def equity(self) -> Floats:
        return self.balance["paid_in"] + self.balance["retained"]


class Ledger:
    """The books of every provider, and the cash of everybody else (users, vendors, lenders, the treasury, ...)."""

    def __init__(self) -> None:
        self.books: dict[str, Books] = {}
        self.outside: dict[str, float] = defaultdict(float)  # USD received on balance since the start

    def accounts(self) -> Accounts:
        """The books side by side, in the order in which they were first opened: that of the roster."""
        return Accounts(self.books.values())

    def open(self, provider: str, cash: float, debt: float, fleet: float) -> None:
        """Open a provider's books with cash, debt and a fleet at book value, USD.

        What debt did not pay for is paid-in capital; debt beyond cash and fleet paid for losses before the run.
        """
        self.books[provider] = Books()
        capital = cash + fleet - debt
        self.pay("investors", provider, max(0.0, capital), "capital")
        self.pay("lenders", provider, debt, "borrowing")
        self.pay(provider, "staff", max(0.0, -capital), "overhead")
        self.pay(provider, "vendors", fleet, "capex")
        self.transfer(provider, "orders", "fleet", fleet)

    def pay(self, payer: str, payee: str, amount: float, account: str) -> None:
        """Move `amount` USD from payer to payee; on a provider's books it is filed under `account`.

        raises : ValueError if the amount is negative: the other side pays then
        """
        if not amount >= 0:
            raise ValueError(f"{payer} cannot pay {amount} USD to {payee} for {account}")
        for party, other, change in ((payer, payee, -amount), (payee, payer, amount)):
            if party in self.books:
                self._file(party, account, other, change)
            else:
                self.outside[party] += change

    def _file(self, provider: str, account: str, counterparty: str, change: float) -> None:
        books = self.books[provider]
        books.balance["cash"] += change
        # Cash paid for orders becomes an asset; cash lent, paid in or earned becomes a claim.
        name = _BALANCE[account]
        books.balance[name] += -change if name in ASSETS else change
        books.flows[account, counterparty] += change

    def transfer(self, provider: str, source: str, target: str, amount: float) -> None:
        """Move book value between two assets of a provider, USD; no cash moves."""
        balance = self.books[provider].balance
        balance[source] -= amount
        balance[target] += amount

    def depreciate(self, provider: str, amount: float) -> None:
        """Expense `amount` USD of the fleet's book value."""
        self._expense(provider, "fleet", amount, "depreciation")

    def write_down(self, provider: str, asset: str, amount: float) -> None:
        """Expense `amount` USD of an asset's book value that is lost at once."""
        self._expense(provider, asset, amount, "write_off")

    def write_off(self, provider: str) -> None:
        """Close the books of a failed provider: assets are lost, creditors forgive what is left of the debt."""
        books = self.books[provider]
        for asset in ("orders", "fleet"):
            self.write_down(provider, asset, books.balance[asset])
        debt = books.balance["debt"]
        books.balance["debt"] -= debt
        books.balance["retained"] += debt
        books.flows["write_off", ""] += debt

    def hand_over(self, giver: str, taker: str, amounts: Mapping[str, float], account: str) -> None:
        """Hand assets and debt over, USD by balance; the net of them leaves one paid-in capital and joins the other.

        The taker pays in shares: owners of the giver hold what they held before.

        account : one of RESTRUCTURING
        """
        cash = amounts["cash"]
        payer, payee = (giver, taker) if cash >= 0 else (taker, giver)
        self.pay(payer, payee, abs(cash), account)
        for party, sign in ((giver, -1.0), (taker, 1.0)):
            books = self.books[party]
            for name in ("orders", "fleet", "debt"):
                books.balance[name] += sign * amounts[name]
            net = sign * (amounts["orders"] + amounts["fleet"] - amounts["debt"])
            books.balance["paid_in"] += net
            books.flows[account, ""] += net

    def close_equity(self, provider: str) -> None:
        """Count retained earnings as paid in, a dividend in shares: a firm that is bought has none of its own."""
        books = self.books[provider]
        retained = books.balance["retained"]
        books.balance["retained"] = 0.0
        books.balance["paid_in"] += retained
        books.flows["dividends", ""] -= retained

    def _expense(self, provider: str, asset: str, amount: float, account: str) -> None:
        books = self.books[provider]
        books.balance[asset] -= amount
        books.balance["retained"] -= amount
        books.flows[account, ""] -= amount

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """(provider, account, counterparty, amount) of everything that moved in the step."""
        for provider, books in self.books.items():
            for (account, counterparty), amount in books.flows.items():
                yield provider, account, counterparty, amount

    def close_step(self) -> None:
        """Start a new step: forget its flows, keep the balances."""
        for books in self.books.values():
            books.flows.clear()
            books.largest = max(books.largest, *map(abs, books.balance.values()))
