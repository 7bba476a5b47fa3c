"""Consumer surplus and price indices."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def consumer_surplus(
    inclusive_value: Floats, outside: Floats, money_per_util: Floats, probability_inside: Floats
) -> Floats:
    """Surplus over having only the outside option, in money.

    inclusive_value    : (U,) float, utils      log-sum over all alternatives
    outside            : (U,) float, utils      -inf where there is no outside option: then the log-sum itself counts
    money_per_util     : (U,) float, USD/util   1/alpha with price in dollars; monthly spend over beta with log price,
                                                since beta utils are a log point of the bill
    probability_inside : (U,) float, 1          of being in the market at all
    returns            : (U,) float, USD/month
    source             : Small and Rosen (1981), Econometrica 49(1)
    """
    floor = np.where(np.isfinite(outside), outside, 0.0)
    return probability_inside * money_per_util * (inclusive_value - floor)


def tornqvist_change(price: Floats, previous_price: Floats, value: Floats, previous_value: Floats) -> float:
    """Log change of a matched-model price index: price changes weighted by the mean of old and new value shares.

    price, previous_price : (J,) float, USD/Mtok
    value, previous_value : (J,) float, USD; models without value in both periods are left out
    returns               : float, log points
    source                : Diewert (1976), Journal of Econometrics 4(2)
    """
    matched = (value > 0) & (previous_value > 0)
    if not matched.any():
        return 0.0
    new, old = value[matched] / value[matched].sum(), previous_value[matched] / previous_value[matched].sum()
    return float(((new + old) / 2 * np.log(price[matched] / previous_price[matched])).sum())
