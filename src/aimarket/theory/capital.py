"""The cost of capital goods: a GPU-hour, the rental of a falling-price asset, when a vintage retires, a loan."""

import math

HOURS_PER_YEAR = 8760


def annuity_payment(principal: float, rate: float, periods: float) -> float:
    """Level payment at the end of each period that repays `principal` (USD) with interest: P r / (1 - (1 + r)^-n).

    rate    : per period, >= 0
    periods : > 0
    raises  : ValueError outside these ranges
    source  : Brealey, Myers and Allen (2020), Principles of Corporate Finance, ch. 2
    """
    if rate < 0 or periods <= 0:
        raise ValueError("rate must be 0 or more and periods above 0")
    return principal / periods if rate == 0 else principal * rate / -math.expm1(-periods * math.log1p(rate))


def jorgenson_rental(price: float, interest: float, depreciation: float, price_change: float) -> float:
    """USD a year: user cost of capital, price * (interest + depreciation - price_change), all rates per year.

    Falling prices of new equipment (price_change < 0) raise the rental of what one owns.
    source : Jorgenson (1963), American Economic Review 53(2); Hall and Jorgenson (1967), AER 57(3)
    """
    return price * (interest + depreciation - price_change)


def gpu_hour_cost(
    interest: float,
    life: float,
    utilisation: float,
    power_usage_effectiveness: float,
    electricity_price: float,
    *,
    gpu_price: float = 50_000.0,
    power: float = 1.275,
    maintenance: float = 0.05,
) -> float:
    """USD per *used* GPU-hour: annuity, maintenance and power of a whole year over the hours used.

    cost = [gpu_price (annuity(interest, life) + maintenance) / 8760 + power * PUE * electricity_price] / utilisation

    Payments fall at the end of each year. A GPU draws full power whether used or not, so power too is divided by
    utilisation.

    interest : per year          life      : years              utilisation : 0 to 1
    power    : kW per GPU        gpu_price : USD, installed     maintenance : share of gpu_price a year
    electricity_price : USD per kWh
    raises   : ValueError unless utilisation lies in (0, 1]
    """
    if not 0 < utilisation <= 1:
        raise ValueError("utilisation must be above 0 and at most 1")
    capital = gpu_price * (annuity_payment(1.0, interest, life) + maintenance) / HOURS_PER_YEAR
    return (capital + power * power_usage_effectiveness * electricity_price) / utilisation


def vintage_life(cash_cost_share: float, rental_decline: float) -> float:
    """Years until a vintage's rental has fallen to its cash cost, ln(1 / phi) / g.

    cash_cost_share : phi, cash cost over rental when new, in (0, 1]
    rental_decline  : g, log rate a year at which the rental of a given vintage falls, > 0
    source          : Solow, Tobin, von Weizsaecker and Yaari (1966), Review of Economic Studies 33(2)
    """
    if not 0 < cash_cost_share <= 1 or rental_decline <= 0:
        raise ValueError("cash_cost_share must lie in (0, 1] and rental_decline above 0")
    return math.log(1 / cash_cost_share) / rental_decline
