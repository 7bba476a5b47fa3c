"""Who gains: the surplus of consumers, owners and the treasury, and that it adds up to what the market makes."""

import math
from typing import TYPE_CHECKING

import numpy as np

from aimarket.identities import Identity, Stocks
from aimarket.kernels.choice import logit_shares
from aimarket.kernels.sums import ordered_sum
from aimarket.kernels.welfare import consumer_surplus as log_sum_surplus
from aimarket.ledger import EXPENSES, INCOME

if TYPE_CHECKING:
    from aimarket.market import Market

_USED_UP = tuple(account for account in EXPENSES if account != "tax")


def divide_surplus(market: "Market", before: Stocks, consumer_surplus: float) -> dict[str, float]:
    """Welfare and who gets it; USD a month and shares of it, nan where there is none to share.

    What the three get is read off balances: owners' retained earnings and dividends, the treasury's cash. What there is
    to get is reckoned from flows: users' gain beyond what they pay, all they pay, less what is used up. The two agree.

    before           : stocks at the end of the last step
    consumer_surplus : USD a month; nan where users have no other choice, and then so is welfare
    raises           : IdentityBreach
    """
    months, books = market.clock.months, market.ledger.books
    owners = sum(
        b.balance["retained"] - before.balance[name]["retained"] + b.spent("dividends") for name, b in books.items()
    )
    treasury = market.ledger.outside["treasury"] - before.treasury
    used = sum(b.spent(*_USED_UP) for b in books.values())
    paid = sum(b.moved(*INCOME) for b in books.values())  # what providers pay one another is in `used` as well
    granted = sum(b.spent("tax") for b in books.values()) - treasury  # paid by the treasury, whatever for
    gain = 0.0 if math.isnan(consumer_surplus) else consumer_surplus * months
    amounts = [abs(amount) for b in books.values() for amount in (b.largest, *b.flows.values())]
    scale = max(abs(gain), abs(before.treasury), *amounts)
    made = gain + paid - used - granted
    Identity("consumer surplus + profit + taxes = welfare", gain + owners + treasury, made, scale).check(market.steps)
    welfare = consumer_surplus + (owners + treasury) / months
    parts = {"consumer": consumer_surplus, "producer": owners / months, "treasury": treasury / months}
    shared = welfare if welfare > 0 else float("nan")
    return {"welfare": welfare, "taxes": parts["treasury"]} | {
        f"{who}_surplus_share": part / shared for who, part in parts.items()
    }


def consumer_surplus(market: "Market") -> float:
    """Surplus of adopted users over having no provider, from the research panel; USD/month, nan if none can be had."""
    panel, users, menu = market.panel, market.settings.users, market.panel_menu
    if not menu.on_sale.any() and not np.isfinite(panel.outside).all():
        return np.nan
    share, inclusive = logit_shares(panel.utility_now(menu), panel.outside_now)
    adopted = market.population.sample(market.panel_rows).adopted
    tokens = panel.tokens(menu, users)
    use = tokens if users.price_metric == "linear" else panel.bill(menu, tokens)
    inside = ordered_sum(share)
    money = np.divide(ordered_sum(share * use), inside, out=np.zeros(len(inside)), where=inside > 0) / panel.sensitivity
    surplus = log_sum_surplus(inclusive, panel.outside, money, adopted.astype(float))
    return float(ordered_sum(panel.weight * surplus)) / market.clock.months
