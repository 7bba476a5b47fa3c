"""Accounting identities, checked in every step: a breach stops the run and names itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aimarket.kernels.sums import ordered_sum
from aimarket.ledger import CLAIMS
from aimarket.population import Floats
from aimarket.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from aimarket.market import Market

TOLERANCE = 1e-9  # of the largest amount that enters an identity


class IdentityBreach(ArithmeticError):  # noqa: N818 - a breach is what the books call it
    """An accounting identity does not hold."""


@dataclass(frozen=True)
class Identity:
    """Two ways to reckon the same thing.

    scale : the largest amount that was added up, by which rounding is judged
    """

    name: str
    left: float
    right: float
    scale: float = 0.0

    def check(self, step: int) -> None:
        """Raise IdentityBreach with name, step and amount unless both sides agree."""
        gap = self.left - self.right
        size = max(abs(self.left), abs(self.right), abs(self.scale))
        if not (np.isfinite(gap) and abs(gap) <= TOLERANCE * size):
            raise IdentityBreach(f"{self.name}: {self.left!r} against {self.right!r}, {gap:.6g} apart, in step {step}")


@dataclass
class Stocks:
    """Stocks at the end of the last step, against which flows are held."""

    gpus: Floats = field(default_factory=lambda: np.zeros(0))  # (F, G, R)
    orders: Floats = field(default_factory=lambda: np.zeros(0))
    balance: dict[str, dict[str, float]] = field(default_factory=dict)
    treasury: float = 0.0  # USD received on balance since the start

    @classmethod
    def of(cls, market: "Market") -> "Stocks":
        shape = market.gpu_shape
        return cls(
            gpus=np.array([p.fleet.installed(*shape) for p in market.providers]),
            orders=np.array([p.fleet.installed(*shape, delivered=False) for p in market.providers]),
            balance={name: dict(books.balance) for name, books in market.ledger.books.items()},
            treasury=market.ledger.outside["treasury"],
        )


def audit(market: "Market", before: Stocks) -> Stocks:
    """Check every identity of the step; returns the stocks to hold the next step against.

    raises : IdentityBreach
    """
    now = Stocks.of(market)
    for identities in (
        _money(market, before),
        _books(market),
        _gpus(market, before, now),
        _tokens(market),
        _users(market),
    ):
        for identity in identities:
            identity.check(market.steps)
    return now


def _money(market: "Market", before: Stocks) -> Iterator[Identity]:
    """What the books say moved against what users and everybody else say."""
    books = market.ledger.books
    received = sum(b.moved("revenue") for b in books.values())
    bills = market.totals.spend * (1 - market.outage) + market.totals.shortfall
    asked = float((market.totals.spend + market.totals.shortfall).sum())
    yield Identity("user payments = provider revenue", float(bills.sum()), received, asked)
    everybody = [b.balance["cash"] for b in books.values()] + list(market.ledger.outside.values())
    yield Identity("money is neither made nor lost", sum(everybody), 0.0, max(map(abs, everybody), default=0.0))
    for name, b in books.items():
        flows = [amount for (_, counterparty), amount in b.flows.items() if counterparty]
        scale = max([abs(x) for x in flows] + [b.balance["cash"], before.balance[name]["cash"]])
        change = b.balance["cash"] - before.balance[name]["cash"]
        yield Identity(f"change in cash = flows ({name})", change, sum(flows), scale)


def _books(market: "Market") -> Iterator[Identity]:
    """Balance sheets balance, profits are retained, and the fleet's book value is what its GPUs cost less their age."""
    for p in market.providers:
        b = market.ledger.books[p.name]
        scale = max(b.largest, *map(abs, b.balance.values()), *map(abs, b.flows.values()))
        claims = sum(b.balance[name] for name in CLAIMS)
        yield Identity(f"assets = liabilities + equity ({p.name})", b.assets, claims, scale)
        value = p.fleet.book_value(market.steps + 1, market.life)
        yield Identity(f"book value = cost - depreciation ({p.name})", b.balance["fleet"], value, scale)
        ordered = float((p.fleet.gpus * p.fleet.unit_cost)[~p.fleet.delivered].sum())
        yield Identity(f"prepaid orders at cost ({p.name})", b.balance["orders"], ordered, scale)
        retained = b.balance["retained"] - market.history.stocks.balance[p.name]["retained"]
        kept = b.net_income - b.spent("dividends")
        yield Identity(f"change in retained earnings = net income - dividends ({p.name})", retained, kept, scale)


def _gpus(market: "Market", before: Stocks, now: Stocks) -> Iterator[Identity]:
    """GPUs and orders by provider, generation and region."""
    expected = before.gpus + market.gpus_delivered + market.gpus_bought - market.gpus_retired - market.gpus_sold
    expected = expected + market.gpus_transferred
    due = before.orders + market.gpus_ordered - market.gpus_delivered + market.orders_transferred
    for name, left, right in (("GPUs", now.gpus, expected), ("GPU orders", now.orders, due)):
        if left.size:
            scale = float(max(np.abs(left).max(), np.abs(right).max(), before.gpus.max(), before.orders.max()))
            worst = np.unravel_index(np.abs(left - right).argmax(), left.shape)
            where = (
                f"{market.providers[worst[0]].name}, {market.roadmap.names[worst[1]]}, {market.network.names[worst[2]]}"
            )
            yield Identity(f"{name} = before + in - out ({where})", float(left[worst]), float(right[worst]), scale)


def _tokens(market: "Market") -> Iterator[Identity]:
    """Tokens wanted are served or not, and what is served fits the GPUs."""
    hours = HOURS_PER_MONTH * market.clock.months
    unserved = market.totals.mix_tokens * market.outage
    mix = market.catalogue.mix[:, None, :]
    wanted, declined = (float((tokens * mix).sum()) for tokens in (market.totals.wanted, market.totals.declined))
    met = float(market.served.sum() + unserved.sum()) + declined
    yield Identity("tokens wanted = served + unserved + declined", wanted, met)
    rented, let = float(market.rented.sum()), float(market.let.sum())
    yield Identity("GPU-hours rented = GPU-hours let", rented + market.world_rented, let + market.merchants_let)
    used = market.by_offer(market.served) * market.hours_per_mtok
    wanted_work = market.by_offer(market.work) * hours  # where next to nothing is served, that is a small part of much
    for p in market.providers:
        busy, capacity = market.service.busy[p.index], market.capacity_used[p.index]
        worked = float(ordered_sum(used[p.offers]))
        own_and_rented = (float(busy.sum()) + float(market.rented[p.index])) * hours
        scale = float(ordered_sum(wanted_work[p.offers]))
        yield Identity(f"GPU-hours of tokens served = GPU-hours worked ({p.name})", worked, own_and_rented, scale)
        over = np.maximum(busy - capacity, 0.0)
        yield Identity(f"served <= capacity ({p.name})", float(over.max()), 0.0, float(capacity.max()))


def _users(market: "Market") -> Iterator[Identity]:
    """Everybody is counted once."""
    everybody = float(market.segments.population[market.segments.sample > 0].sum())
    parts = [float(part) for part in market.population.census() @ market.segments.weight]
    yield Identity("users = attached + unattached + not adopted", everybody, sum(parts))
    yield Identity("attached users by offer", parts[0], float(market.totals.users.sum()), everybody)
    adopted = parts[0] + parts[1]
    shares = float(market.totals.users.sum()) / adopted + parts[1] / adopted if adopted > 0 else 1.0
    yield Identity("shares + outside share = 1", shares, 1.0)
