"""Owners' money: equity rounds when cash runs short, dividends when there is more of it than growth needs."""

import math

from aimarket import settings as config
from aimarket.finance import credit
from aimarket.kernels.annuity import growing_annuity
from aimarket.ledger import INCOME, Books, Ledger
from aimarket.provider import Provider
from aimarket.units import MONTHS_PER_YEAR
from aimarket.views import Memory

# What serving and running the firm costs in cash; training is left out, it can be stopped.
_CASH_COST_OF_SERVING = ("energy", "hosting", "wholesale", "rental", "overhead")
_SPENDING_MEMORY = 12  # months over which spending on GPUs is averaged, so that one order makes no plan


def contribution(books: Books) -> float:
    """Inference and rental revenue less the cash cost of serving and overhead in the step; USD."""
    return books.moved(*INCOME) - books.spent(*_CASH_COST_OF_SERVING)


def learn(memory: Memory, books: Books, equity: config.Equity | None, months: float) -> None:
    """Average what the step showed into what owners know: contribution, growth of sales, spending on GPUs.

    memory : "contribution", "sales" and "capex" in USD a month, "growth" in log points a month
    """
    capex = books.spent("capex") / months
    weight = -math.expm1(-months / _SPENDING_MEMORY)
    memory["capex"] = memory.get("capex", capex) + weight * (capex - memory.get("capex", capex))
    if equity is None:
        return
    weight = 1 - (1 - equity.learning) ** months
    now = contribution(books) / months
    memory["contribution"] = memory.get("contribution", now) + weight * (now - memory.get("contribution", now))
    sales, before = books.moved(*INCOME) / months, memory.get("sales", 0.0)
    limit = equity.growth_limit
    seen = min(max(math.log(sales / before) / months, -limit), limit) if sales > 0 and before > 0 else 0.0
    memory["growth"] = memory.get("growth", 0.0) + weight * (seen - memory.get("growth", 0.0))
    memory["sales"] = sales


def value(memory: Memory, books: Books, equity: config.Equity, years: float) -> float:
    """What investors give for the whole firm, USD: money, less debt, and the contribution while its GPUs last.

    GPUs paid for and not delivered have contributed nothing yet, and count as money.

    years : float, service life of a GPU
    """
    worth = growing_annuity(equity.required_return, memory["growth"] * MONTHS_PER_YEAR, years)
    money = books.balance["cash"] + books.balance["orders"] - books.balance["debt"]
    return money + memory["contribution"] * MONTHS_PER_YEAR * worth


def round_wanted(outflow: float, money: float, equity: config.Equity) -> float:
    """What a firm with some money, credit included, asks for at some outflow a month; 0 with enough runway; USD."""
    return max(0.0, equity.round * outflow - money) if money < equity.trigger * outflow else 0.0


def round_given(worth: float, equity: config.Equity) -> float:
    """The most that buys no more than `dilution` of a firm worth so much before the round; USD."""
    return max(0.0, worth) * equity.dilution / (1 - equity.dilution)


def spare_cash(books: Books, cash_cost: float, capex: float, buffer: float) -> float:
    """Cash that neither bills nor planned GPUs need, once debt is repaid, and that profit has brought; USD.

    cash_cost, capex : float, USD/month
    buffer           : float, months; twice as many are kept, as before debt is repaid
    """
    if books.balance["debt"] > 0:
        return 0.0
    # What was paid in, or lost since, is not profit: only retained earnings may be distributed.
    return max(0.0, min(books.balance["cash"] - 2 * buffer * (cash_cost + capex), books.balance["retained"]))


def raise_or_pay_out(ledger: Ledger, p: Provider, settings: config.Settings, months: float) -> float:
    """End a provider's step: an equity round if its runway is short, else a dividend out of spare cash.

    returns : USD raised
    """
    finance, books, memory = settings.finance, ledger.books[p.name], p.memory["finance"]
    equity = finance.equity
    learn(memory, books, equity, months)
    if equity is not None:
        memory["months_since_round"] = memory.get("months_since_round", equity.interval) + months
        wanted = round_wanted(p.burn, books.balance["cash"] + credit(books, finance.covenant), equity)
        worth = value(memory, books, equity, settings.hardware.service_life / MONTHS_PER_YEAR)
        raised = min(wanted, round_given(worth, equity))
        if raised > 0 and memory["months_since_round"] >= equity.interval:
            ledger.pay("investors", p.name, raised, "capital")
            memory["months_since_round"] = 0.0
            return raised
    share = 1 - (1 - finance.payout) ** months
    spare = spare_cash(books, p.cash_cost, memory["capex"], finance.cash_buffer)
    ledger.pay(p.name, "investors", share * spare, "dividends")
    return 0.0
