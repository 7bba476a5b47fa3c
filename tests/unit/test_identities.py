"""Whatever is tampered with, the audit stops the run and says which identity broke, in which step and by how much."""

import copy
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimarket import IdentityBreach, Market, load
from aimarket.identities import TOLERANCE, Identity, check_all
from aimarket.schema import TABLES

STEP = 3  # the step in which something is tampered with
Tampering = Callable[[Market], None]


@pytest.fixture(scope="module")
def lived() -> Market:
    market = Market(load(["roster=duopoly", "users.size=400", "run.panel=100"]))
    for _ in range(STEP - 1):
        market.step()
    return market


def add(amount: float, *accounts: str) -> Tampering:
    """Change balances of one provider: "cash" adds to it, "-cash" takes from it."""

    def change(market: Market) -> None:
        balance = market.ledger.books["alpha"].balance
        for account in accounts:
            balance[account.lstrip("-")] += -amount if account.startswith("-") else amount

    return change


def unrecorded_payment(market: Market) -> None:
    """Money that moves past the books' flows."""
    books = market.ledger.books["alpha"]
    books.balance["cash"] += 1e7
    books.balance["retained"] += 1e7
    market.ledger.outside["users"] -= 1e7


def more_gpus(delivered: bool) -> Tampering:
    """A tenth more GPUs at the same cost in all, so that only counting them tells."""

    def change(market: Market) -> None:
        fleet = market.providers[1].fleet
        rows = fleet.delivered == delivered
        assert rows.any()
        fleet.gpus[rows] *= 1.1
        fleet.unit_cost[rows] /= 1.1

    return change


def scale(name: str, factor: float) -> Tampering:
    def change(market: Market) -> None:
        setattr(market, name, getattr(market, name) * factor)

    return change


def less_room(market: Market) -> None:
    market.capacity_used[1] = market.service.busy[1] * 0.9


def idle(market: Market) -> None:
    market.service.busy[0] *= 0.999


def lose_a_user(market: Market) -> None:
    market.population.users.adopted[np.argmax(market.population.users.offer >= 0)] = False


def forget_an_attachment(market: Market) -> None:
    market.totals.users *= 0.99


def decline_less(market: Market) -> None:
    market.totals.declined *= 0.5


def overcharge(market: Market) -> None:
    market.totals.spend *= 1.001


def forget_a_commitment(market: Market) -> None:
    market.totals.shortfall += 1.0


def misattribute(market: Market) -> None:
    market.history.costs.total[1, 0] += 0.001  # beta


CASES: list[tuple[Tampering, str]] = [
    (overcharge, "user payments = provider revenue"),
    (forget_a_commitment, "user payments = provider revenue"),
    (scale("served", 0.999), "tokens wanted = served + unserved + declined"),
    (add(1e7, "cash", "retained"), "money is neither made nor lost"),
    (unrecorded_payment, "change in cash = flows (alpha)"),
    (add(1e7, "debt"), "assets = liabilities + equity (alpha)"),
    (add(1e7, "fleet"), "assets = liabilities + equity (alpha)"),
    (add(1e7, "fleet", "retained"), "book value = cost - depreciation (alpha)"),
    (add(1e7, "fleet", "-orders"), "book value = cost - depreciation (alpha)"),
    (add(1e7, "orders", "retained"), "prepaid orders at cost (alpha)"),
    (add(1e7, "retained", "-paid_in"), "change in retained earnings = net income - dividends (alpha)"),
    (more_gpus(delivered=True), "GPUs = before + in - out (beta"),
    (more_gpus(delivered=False), "GPU orders = before + in - out (beta"),
    (decline_less, "tokens wanted = served + unserved + declined"),
    (idle, "GPU-hours of tokens served = GPU-hours worked (alpha)"),
    (less_room, "served <= capacity (beta)"),
    (lose_a_user, "users = attached + unattached + not adopted"),
    (forget_an_attachment, "attached users by offer"),
    (misattribute, "cost drivers = change in log unit cost (beta)"),
]


@pytest.mark.parametrize(("tamper", "identity"), CASES, ids=[f"{i}-{name}" for i, (_, name) in enumerate(CASES)])
def test_a_breach_names_identity_step_and_amount(lived, tamper, identity):
    market = copy.deepcopy(lived)
    measure = market.measure

    def tamper_and_measure() -> None:
        tamper(market)
        measure()

    market.measure = tamper_and_measure
    with pytest.raises(IdentityBreach) as breach:
        market.step()
    message = str(breach.value)
    assert message.startswith(identity)
    assert message.endswith(f"in step {STEP}")
    left, right, apart = (float(x) for x in re.search(r": (\S+) against (\S+), (\S+) apart", message).groups())
    assert left - right == pytest.approx(apart, rel=1e-5)
    assert apart != 0


def test_the_amount_apart_is_the_amount_tampered_with(lived):
    market = copy.deepcopy(lived)
    measure = market.measure
    market.measure = lambda: (add(1e7, "debt")(market), measure())
    with pytest.raises(IdentityBreach, match=r"-1e\+07 apart"):
        market.step()


def test_an_honest_market_passes(lived):
    market = copy.deepcopy(lived)
    for _ in range(3):
        market.step()
    assert market.steps == STEP + 2


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12), st.floats(-3, 3))
def test_rounding_is_judged_by_the_largest_amount(value, scale, share):
    """A gap of more than the tolerance of the largest amount breaks an identity, a smaller one does not."""
    largest = max(abs(value), scale, 1.0)
    gap = share * TOLERANCE * largest
    identity = Identity("test", value + gap, value, largest)
    if abs(share) > 1.01:
        with pytest.raises(IdentityBreach):
            identity.check(1)
    elif abs(share) < 0.99 and abs(value) * 1e-15 < 0.001 * TOLERANCE * largest:
        identity.check(1)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_a_breach(broken):
    with pytest.raises(IdentityBreach):
        Identity("test", broken, 1.0).check(1)
    with pytest.raises(IdentityBreach):
        Identity("test", 1.0, broken, scale=np.inf).check(1)


def test_nothing_equals_nothing():
    Identity("test", 0.0, 0.0).check(1)
    with pytest.raises(IdentityBreach):
        Identity("test", 1e-300, 0.0).check(1)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0]), min_size=1, max_size=3), min_size=1, max_size=8))
def test_checked_together_or_one_by_one_the_same_breach_comes_first(gaps):
    """A gap alone is that of one thing, several are those of as many firms."""
    identities = []
    for i, apart in enumerate(gaps):
        gap = np.array(apart) if len(apart) > 1 else apart[0]
        names = tuple(f"firm {k}" for k in range(len(apart))) if len(apart) > 1 else ()
        identities.append(Identity(f"identity {i}", 2.0 + gap, 2.0 + 0.0 * gap, 2.0 + 0.0 * gap, names))
    told = []
    for check in (lambda: check_all(identities, 7), lambda: [identity.check(7) for identity in identities]):
        try:
            check()
            told.append(None)
        except IdentityBreach as breach:
            told.append(str(breach))
    assert told[0] == told[1]


def test_only_what_is_recorded_is_made():
    small = ("roster=duopoly", "users.size=400", "run.panel=100")
    every, few = Market(load([*small])), Market(load([*small, "record=market_only"]))
    for market in (every, few):
        market.step()
        market.step()
    assert set(every.tables) == set(TABLES)
    assert set(few.tables) == {"market", "providers"}
    for name, table in few.tables.items():
        assert table.keys() == every.tables[name].keys()
        for column, values in table.items():
            np.testing.assert_array_equal(values, every.tables[name][column], column)
