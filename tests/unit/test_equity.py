"""Investors give no more than a firm is worth to them, owners take no more than profit has brought."""

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from compositions import made
from hypothesis import given
from hypothesis import strategies as st

from aimarket import Market, SettingsError, equity
from aimarket.kernels.annuity import growing_annuity
from aimarket.ledger import Ledger
from aimarket.settings import Equity, Finance

TERMS = Equity(
    trigger=6.0, round=18.0, interval=6.0, dilution=0.2, required_return=0.25, learning=0.2, growth_limit=0.03
)
FINANCE = Finance(tax_rate=0.25, covenant=0.5, cash_buffer=3.0, payout=0.1, equity=TERMS)
YEARS = 5.0
SETTINGS: Any = SimpleNamespace(finance=FINANCE, hardware=SimpleNamespace(service_life=60))


def opened(cash: float = 100.0, debt: float = 0.0, fleet: float = 0.0) -> Ledger:
    ledger = Ledger()
    ledger.open("alpha", cash=cash, debt=debt, fleet=fleet)
    ledger.close_step()
    return ledger


def firm(cash_cost: float = 0.0, burn: float = 0.0) -> Any:
    return SimpleNamespace(name="alpha", memory={"finance": {}}, cash_cost=cash_cost, burn=burn)


def month(ledger: Ledger, revenue: float, cost: float, training: float = 0.0) -> None:
    ledger.close_step()
    ledger.pay("users", "alpha", revenue, "revenue")
    ledger.pay("alpha", "utilities", cost, "energy")
    ledger.pay("alpha", "laboratories", training, "training")


# --- what a firm is worth ---------------------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(-0.5, 0.5), st.floats(0.1, 20))
def test_a_growing_annuity_is_the_integral_it_stands_for(required_return, growth, years):
    edges = np.linspace(0, years, 2001)
    time = (edges[1:] + edges[:-1]) / 2
    flows = np.exp(growth * time) * (1 + required_return) ** -time
    assert growing_annuity(required_return, growth, years) == pytest.approx(flows.sum() * years / 2000, rel=1e-4)


def test_growth_at_the_required_return_is_worth_its_length():
    for gap in (0.0, 1e-8, 1e-5):
        assert growing_annuity(0.2, math.log(1.2) + gap, 5.0) == pytest.approx(5.0, rel=1e-4)


@given(st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3))
def test_training_does_not_lower_what_a_firm_is_worth(revenue, cost, training, orders):
    """It can be stopped; the cash it took is gone, and GPUs on order count as money."""
    worth = []
    for outlay in (0.0, training):
        ledger = opened(1e4, 50.0)
        month(ledger, revenue, cost, outlay)
        ledger.pay("alpha", "vendors", orders, "capex")
        memory: dict[str, Any] = {}
        equity.learn(memory, ledger.books["alpha"], TERMS, 1.0)
        worth.append(equity.value(memory, ledger.books["alpha"], TERMS, YEARS) + outlay)
    assert worth[0] == pytest.approx(worth[1], rel=1e-9, abs=1e-6)
    expected = 1e4 - 50 + (revenue - cost) * (1 + 12 * growing_annuity(0.25, 0.0, YEARS))
    # Opening cash of 10,000 includes what was borrowed.
    assert worth[0] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_growth_is_learnt_month_by_month_and_bounded():
    ledger, memory = opened(), {}
    for step in range(120):
        month(ledger, 100 * math.exp(0.01 * step), 0.0)
        equity.learn(memory, ledger.books["alpha"], TERMS, 1.0)
    assert memory["growth"] == pytest.approx(0.01, rel=1e-6)
    for step in range(120):
        month(ledger, 1e4 * math.exp(0.5 * step), 0.0)
        equity.learn(memory, ledger.books["alpha"], TERMS, 1.0)
    assert memory["growth"] == pytest.approx(TERMS.growth_limit, rel=1e-6)


def test_two_half_months_teach_as_much_as_one():
    """A constant that differs from what was learnt before is approached at the same speed."""
    learnt = []
    for halves in (1, 2):
        ledger, memory = opened(), {"contribution": 40.0, "growth": 0.02, "sales": 100.0, "capex": 10.0}
        for _ in range(6 * halves):
            month(ledger, 100.0 / halves, 30.0 / halves)
            equity.learn(memory, ledger.books["alpha"], TERMS, 1.0 / halves)
        learnt.append([memory[name] for name in ("contribution", "growth", "sales", "capex")])
    assert learnt[0] == pytest.approx(learnt[1], rel=1e-9)


# --- rounds -----------------------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(0, 0.9))
def test_new_investors_hold_no_more_than_the_dilution_allowed(worth, dilution):
    given_ = equity.round_given(worth, dataclasses.replace(TERMS, dilution=dilution))
    assert given_ >= 0
    if worth <= 0:
        assert given_ == 0
    elif given_ > 0:
        assert given_ / (worth + given_) == pytest.approx(dilution)


@given(st.floats(0, 1e6), st.floats(-1e6, 1e8))
def test_a_round_lasts_as_long_as_it_should(burn, money):
    wanted = equity.round_wanted(burn, money, TERMS)
    if money >= TERMS.trigger * burn:
        assert wanted == 0
    else:
        assert money + wanted == pytest.approx(TERMS.round * burn, rel=1e-9, abs=1e-6)


def test_a_round_is_paid_in_and_the_next_has_to_wait():
    ledger, p = opened(cash=20.0), firm(cash_cost=60.0, burn=10.0)
    month(ledger, 50.0, 20.0, 40.0)
    raised = equity.raise_or_pay_out(ledger, p, SETTINGS, 1.0)
    books = ledger.books["alpha"]
    assert raised == books.moved("capital") > 0
    assert books.balance["paid_in"] == pytest.approx(20 + raised)
    assert ledger.outside["investors"] == pytest.approx(-20 - raised)
    for wait in range(6):
        month(ledger, 50.0, 20.0, 100.0)
        p.burn = 1000.0
        assert (equity.raise_or_pay_out(ledger, p, SETTINGS, 1.0) > 0) == (wait == 5)


def test_nobody_pays_for_a_firm_worth_nothing():
    ledger, p = opened(cash=20.0, debt=15.0), firm(cash_cost=60.0, burn=10.0)
    month(ledger, 50.0, 60.0)
    assert equity.raise_or_pay_out(ledger, p, SETTINGS, 1.0) == 0
    assert ledger.books["alpha"].moved("capital") == 0


# --- dividends --------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 1), st.floats(0.25, 12))
def test_dividends_come_out_of_profit_that_nothing_needs(cash, debt, profit, cash_cost, payout, months):
    ledger, p = opened(cash + debt, debt), firm(cash_cost)
    ledger.pay("users", "alpha", profit, "revenue")
    books = ledger.books["alpha"]
    had = books.balance["cash"]
    settings: Any = SimpleNamespace(
        finance=dataclasses.replace(FINANCE, payout=payout, equity=None), hardware=SETTINGS.hardware
    )
    assert equity.raise_or_pay_out(ledger, p, settings, months) == 0
    paid = books.spent("dividends")
    assert 0 <= paid <= profit * (1 + 1e-12)
    assert had - paid >= min(had, 6 * cash_cost) - 1e-6
    assert books.net_income == pytest.approx(profit)  # a dividend is no expense
    assert books.balance["retained"] == pytest.approx(profit - paid)
    if debt > 0 or payout == 0:
        assert paid == 0
    elif payout == 1:
        assert paid == pytest.approx(min(profit, max(0.0, had - 6 * cash_cost)))


def test_two_half_months_pay_out_as_much_as_one():
    left = []
    for halves in (1, 2):
        ledger, p = opened(0.0), firm()
        ledger.pay("users", "alpha", 100.0, "revenue")
        for _ in range(halves):
            ledger.close_step()
            equity.raise_or_pay_out(ledger, p, SETTINGS, 1.0 / halves)
        left.append(ledger.books["alpha"].balance["cash"])
    assert left == pytest.approx([90.0, 90.0])


def test_whoever_buys_gpus_every_month_keeps_the_money_for_them():
    ledger, p = opened(0.0), firm()
    ledger.pay("users", "alpha", 1000.0, "revenue")
    ledger.pay("alpha", "vendors", 100.0, "capex")
    equity.raise_or_pay_out(ledger, p, SETTINGS, 1.0)
    assert ledger.books["alpha"].spent("dividends") == pytest.approx(0.1 * (900 - 6 * 100))


# --- in a market ------------------------------------------------------------------------------------------------------

SMALL = ("roster=duopoly", "users.size=400", "run.panel=100")


def run(*overrides: str, steps: int = 12, **values: Any) -> Market:
    market = Market(made(*SMALL, *overrides, **values))
    market.raised = market.paid_out = 0.0
    for _ in range(steps):
        market.step()
        market.raised += market.tables["market"]["equity_raised"] * market.clock.months
        market.paid_out += market.tables["market"]["dividends"] * market.clock.months
        rounds = [event for event in market.events if event.kind == "equity_round"]
        assert sum(event.value for event in rounds) == pytest.approx(
            market.tables["market"]["equity_raised"] * market.clock.months
        )
    return market


SPENDTHRIFT = {
    f"providers__{name}__{key}": value
    for name in ("alpha", "beta")
    for key, value in {"cash": 3e9, "training__share": 1.5, "capacity": {"kind": "fixed"}}.items()
} | {"finance__covenant": 0.0, "finance__cash_buffer": 0.0}


def test_equity_rounds_pay_for_training_that_revenue_does_not():
    with_rounds = run(**SPENDTHRIFT)
    without = run("finance.equity=null", **SPENDTHRIFT)
    assert with_rounds.raised > 0
    assert without.raised == 0
    training = [m.ledger.outside["laboratories"] for m in (with_rounds, without)]
    assert training[0] > training[1] + with_rounds.raised / 3  # the rest buys GPUs and pays bills


def test_no_payout_no_dividends():
    rich = {f"providers__{name}__pricing": {"kind": "cost_plus", "markup": 1.0} for name in ("alpha", "beta")}
    rich |= {f"providers__{name}__training": {"kind": "none"} for name in ("alpha", "beta")}
    rich |= {f"providers__{name}__capacity": {"kind": "fixed"} for name in ("alpha", "beta")}  # nothing to save for
    assert run("finance.payout=0", **rich).paid_out == 0
    assert run("finance.payout=1", **rich).paid_out > 0


def test_capital_that_costs_more_makes_tokens_dearer_and_nothing_else_at_first():
    rates = {rate: run(steps=1, providers__alpha__cost_of_capital=rate) for rate in (0.05, 0.1, None, 0.2)}
    cost = {rate: float(m.marginal_cost[0]) for rate, m in rates.items()}
    assert cost[0.05] < cost[0.1] < cost[0.2]
    assert cost[None] == cost[rates[None].settings.hardware.discount_rate]
    # The margin assumed on the list price is over cost at the common rate, so that cheap capital is an advantage.
    assert len({float(m.starting_hours[0]) for m in rates.values()}) == 1


def test_a_round_shorter_than_its_trigger_is_refused():
    with pytest.raises(SettingsError, match=r"finance\.equity\.round"):
        made(*SMALL, finance__equity__round=3.0)
