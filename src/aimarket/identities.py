"""Accounting identities, checked in every step: a breach stops the run and names itself."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aimarket.ledger import Accounts
from aimarket.population import Floats
from aimarket.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from aimarket.market import Market

TOLERANCE = 1e-9  # of the largest amount that enters an identity


class IdentityBreach(ArithmeticError):  # noqa: N818 - a breach is what the books call it
    """An accounting identity does not hold."""


@dataclass(frozen=True)
class Identity:
    """Two ways to reckon the same thing, or the same of many.

    left, right : float, or (N,)
    scale       : float, or (N,), the largest amount that was added up, by which rounding is judged
    of          : (N,) names of those many; empty for one thing
    """

    name: str
    left: float | Floats
    right: float | Floats
    scale: float | Floats = 0.0
    of: tuple[str, ...] = ()

    def check(self, step: int) -> None:
        """Raise IdentityBreach with name, step and amount unless both sides agree; the first of many that do not."""
        left, right = np.asarray(self.left, float), np.asarray(self.right, float)
        gap, agree = left - right, _agree(left, right, np.asarray(self.scale, float))
        if agree.all():
            return
        n = int(np.argmin(agree))
        name = f"{self.name} ({self.of[n]})" if self.of else self.name
        found, expected, apart = (float(np.broadcast_to(x, agree.shape).flat[n]) for x in (left, right, gap))
        raise IdentityBreach(f"{name}: {found!r} against {expected!r}, {apart:.6g} apart, in step {step}")


def check_all(identities: Iterable[Identity], step: int) -> None:
    """Check many at once, those of as many things together; raises as `Identity.check` for the first that fails."""
    every, alike = list(identities), defaultdict[int, list[Identity]](list)
    for identity in every:
        alike[len(identity.of)].append(identity)
    for some in alike.values():
        left, right, scale = (np.array([getattr(i, side) for i in some]) for side in ("left", "right", "scale"))
        if not _agree(left, right, scale).all():
            for identity in every:
                identity.check(step)


def _agree(left: Floats, right: Floats, scale: Floats) -> NDArray[np.bool_]:
    gap, size = left - right, np.maximum(np.maximum(np.abs(left), np.abs(right)), np.abs(scale))
    return np.isfinite(gap) & (np.abs(gap) <= TOLERANCE * size)


@dataclass
class Stocks:
    """Stocks at the end of the last step, against which flows are held."""

    gpus: Floats = field(default_factory=lambda: np.zeros(0))  # (F, G, R)
    orders: Floats = field(default_factory=lambda: np.zeros(0))
    balance: dict[str, Floats] = field(default_factory=dict)  # (F,) USD each
    treasury: float = 0.0  # USD received on balance since the start

    @classmethod
    def of(cls, market: "Market", accounts: Accounts) -> "Stocks":
        gpus, orders = market.count_gpus()
        return cls(
            gpus=gpus,
            orders=orders,
            balance=accounts.balance,
            treasury=market.ledger.outside["treasury"],
        )


def audit(market: "Market", accounts: Accounts, before: Stocks) -> Stocks:
    """Check every identity of the step; returns the stocks to hold the next step against.

    raises : IdentityBreach
    """
    now = Stocks.of(market, accounts)
    of_firms = (*_money(market, accounts, before), *_books(market, accounts, before), *_gpus(market, before, now))
    check_all((*of_firms, *_tokens(market), *_users(market)), market.steps)
    return now


def _names(market: "Market") -> tuple[str, ...]:
    return tuple(p.name for p in market.providers)


def _money(market: "Market", accounts: Accounts, before: Stocks) -> Iterator[Identity]:
    """What the books say moved against what users and everybody else say."""
    bills = (market.totals.spend + market.totals.shortfall) * (1 - market.outage)
    asked = float((market.totals.spend + market.totals.shortfall).sum())
    received = float(accounts.moved("revenue").sum())
    yield Identity("user payments = provider revenue", float(bills.sum()), received, asked)
    cash, was = accounts.balance["cash"], before.balance["cash"]
    everybody = [*cash.tolist(), *market.ledger.outside.values()]
    yield Identity("money is neither made nor lost", sum(everybody), 0.0, max(map(abs, everybody), default=0.0))
    paid = np.array(list(accounts.paid.values()))  # (accounts, F)
    scale = np.maximum(np.abs(paid).max(axis=0), np.maximum(cash, was))
    yield Identity("change in cash = flows", cash - was, paid.sum(axis=0), scale, _names(market))


def _books(market: "Market", accounts: Accounts, before: Stocks) -> Iterator[Identity]:
    """Balance sheets balance, profits are retained, and the fleet's book value is what its GPUs cost less their age."""
    names, scale, balance = _names(market), accounts.scale, accounts.balance
    claims = balance["debt"] + accounts.equity
    yield Identity("assets = liabilities + equity", accounts.assets, claims, scale, names)
    value, ordered = market.book_values(market.steps + 1)
    yield Identity("book value = cost - depreciation", balance["fleet"], value, scale, names)
    yield Identity("prepaid orders at cost", balance["orders"], ordered, scale, names)
    retained = balance["retained"] - before.balance["retained"]
    kept = accounts.net_income - accounts.spent("dividends")
    yield Identity("change in retained earnings = net income - dividends", retained, kept, scale, names)


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
    used = market.by_provider(market.by_offer(market.served) * market.hours_per_mtok)
    busy, capacity = market.service.busy, market.capacity_used
    # Where next to nothing is served, that is a small part of much.
    scale, names = market.by_provider(market.by_offer(market.work)) * hours, _names(market)
    worked = (busy.sum(axis=1) + market.rented) * hours
    yield Identity("GPU-hours of tokens served = GPU-hours worked", used, worked, scale, names)
    over = np.maximum(busy - capacity, 0.0).max(axis=1)
    yield Identity("served <= capacity", over, np.zeros_like(over), capacity.max(axis=1), names)


def _users(market: "Market") -> Iterator[Identity]:
    """Everybody is counted once."""
    everybody = float(market.segments.population[market.segments.sample > 0].sum())
    parts = [float(part) for part in market.population.census() @ market.segments.weight]
    yield Identity("users = attached + unattached + not adopted", everybody, sum(parts))
    yield Identity("attached users by offer", parts[0], float(market.totals.users.sum()), everybody)
    adopted = parts[0] + parts[1]
    shares = float(market.totals.users.sum()) / adopted + parts[1] / adopted if adopted > 0 else 1.0
    yield Identity("shares + outside share = 1", shares, 1.0)
