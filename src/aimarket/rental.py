"""The market for GPU-hours: who is short of capacity rents, who has idle hours lets, and the price clears it.

Besides the firms of the roster there are merchants, who let GPUs and nothing else, and the rest of the world, which
rents for work of its own. Merchants build while the price exceeds long-run cost, so it returns there, and GPUs that do
not come keep it up.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from aimarket import settings as config
from aimarket.kernels.sums import ordered_sum

Floats = NDArray[np.float64]

_SHARPNESS = 8.0  # log odds of renting, or of letting, per log point of price beside the corner at which it pays
_REACH = 40.0  # log points around the last price within which the market clears, unless it has to move further
_LEAST_OUTSIDE = 0.1  # of the merchants' supply: the rest of the world rents at least that much at first


@dataclass
class RentalMarket:
    """Prices in USD per hour of a reference GPU at work, quantities in reference GPUs kept at work on average."""

    first_price: float
    price: float
    fleet: float  # merchants' GPUs, reference GPUs installed
    outside: float = np.nan  # wanted by the rest of the world at the first price when the run starts


def share_bought(price: float, cost: float) -> float:
    """Share of the GPU-hours it wants for which a firm buys GPUs at all: the rest is left to the rental market.

    A half where renting an hour costs what owning one does in the long run; firms differ about what they expect.

    price : float, USD/hour of renting
    cost  : float, USD/hour of owning, long-run
    """
    return float(expit(_SHARPNESS * np.log(price / cost)))


@dataclass(frozen=True)
class Clearing:
    """What F firms rented and let in a step, (F,) reference GPUs at work, and what merchants let.

    outside : use by the rest of the world, and for training
    """

    price: float
    rented: Floats
    let: Floats
    merchants: float
    outside: float


def build(market: RentalMarket, settings: config.Hardware, long_run_cost: float, years: float, supply: float) -> None:
    """Merchants' fleet grows with what they expect of demand, faster while the price exceeds long-run cost.

    They expect demand to grow as it does at a constant price, and as it answers to the price falling with obsolescence.

    long_run_cost : float, USD per reference-GPU-hour of the best GPU on sale
    supply        : float, 1: share of the GPUs they order that comes
    source        : adjustment of a capital stock to Tobin's q, Hayashi (1982), Econometrica 50(1)
    """
    rental = settings.rental
    assert rental is not None
    expected = (rental.demand_growth + rental.elasticity * settings.obsolescence) * years
    # While merchants build the price falls, and with it the gap: over a long step they do not overshoot.
    closed = -np.expm1(-rental.adjustment * years / rental.elasticity)
    growth = expected + rental.elasticity * closed * np.log(market.price / long_run_cost)
    wear = 12 / settings.service_life * years  # a fleet shrinks no faster than it wears out, log points
    market.fleet *= float(np.exp(max(growth * supply if growth > 0 else growth, -wear)))


def clear(
    market: RentalMarket,
    settings: config.Hardware,
    overflow: Floats,
    worth: Floats,
    idle: Floats,
    energy: Floats,
    training: float,
    years: float,
) -> Clearing:
    """Find the price at which what is let is what is rented, and set it.

    The rest of the world's demand has a constant elasticity. It is fixed once, so that the first price clears the first
    step; the price then says how scarce GPU-hours have become since.

    overflow : (F,) float, reference GPUs of load that firms cannot serve themselves
    worth    : (F,) float, USD/hour that this load would bring
    idle     : (F,) float, reference GPUs without work
    energy   : (F,) float, USD/hour that putting them to work costs
    training : float, reference GPUs that training would keep at work at the first price; it has a budget
    years    : float, since the start of the run
    """
    rental = settings.rental
    assert rental is not None
    merchants = settings.planned_utilisation * market.fleet

    with np.errstate(divide="ignore"):
        log_worth, log_energy = np.log(worth), np.log(energy)

    def of_firms(price: float) -> tuple[Floats, Floats]:
        rented = overflow * expit(_SHARPNESS * (log_worth - np.log(price)))
        let = rental.lettable * idle * expit(_SHARPNESS * (np.log(price) - log_energy))
        return rented, let

    rented, let = of_firms(market.first_price)
    if np.isnan(market.outside):
        left = merchants + float(ordered_sum(let) - ordered_sum(rented)) - training
        market.outside = max(_LEAST_OUTSIDE * merchants, left)
    wanted = market.outside * float(np.exp(rental.demand_growth * years))

    def others(log_price: float) -> float:
        return float(wanted * np.exp(-rental.elasticity * log_price) + training * np.exp(-log_price))

    def excess(log_price: float) -> float:
        rented, let = of_firms(market.first_price * float(np.exp(log_price)))
        return float(np.log(others(log_price) + ordered_sum(rented)) - np.log(merchants + ordered_sum(let)))

    before = float(np.log(market.price / market.first_price))
    reach = _REACH
    while excess(before - reach) < 0 or excess(before + reach) > 0:  # demand that hardly answers to the price
        reach *= 2
    move = float(brentq(excess, before - reach, before + reach, xtol=1e-14, rtol=1e-14))
    market.price = market.first_price * float(np.exp(move))
    rented, let = of_firms(market.price)
    return Clearing(market.price, rented, let, merchants, others(move))
