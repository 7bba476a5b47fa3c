"""Mergers: fit logit demand to observed prices, shares and margins, then let owners change.

Sources: Werden and Froeb (1994), Journal of Law, Economics and Organization 10(2); Epstein and Rubinfeld (2004),
"Effects of Mergers Involving Differentiated Products"; the manual of the R package `antitrust` for the way to fit.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from aimarket.theory.concentration import hhi
from aimarket.theory.logit_demand import Floats, LogitMarket, logit_market
from aimarket.theory.price_competition import (
    MarketOutcome,
    consumer_surplus,
    nash_bertrand,
    ownership_matrix,
    with_owners,
)


class SixBeers(NamedTuple):
    """The example of the `antitrust` manual: six beer brands of five owners, the first two of which merge."""

    prices: tuple[float, ...] = (0.0441, 0.0328, 0.0409, 0.0396, 0.0387, 0.0497)  # USD per ounce
    shares: tuple[float, ...] = (0.066, 0.172, 0.253, 0.187, 0.099, 0.223)
    lerner: tuple[float, ...] = (0.3830, 0.5515, 0.5421, 0.5557, 0.4453, 0.3769)
    owners: tuple[int, ...] = (1, 2, 3, 3, 4, 5)
    owners_after: tuple[int, ...] = (1, 1, 3, 3, 4, 5)


@dataclass(frozen=True)
class MergerOutcome:
    """Equilibria before and after, and what changed."""

    before: MarketOutcome
    after: MarketOutcome
    price_changes: Floats  # (J,) relative: .05 is 5 per cent
    hhi_before: float  # 0 to 1, over inside sales
    hhi_after: float
    consumer_surplus_change: float  # USD; nan where it is not defined, see `consumer_surplus`


def calibrate_logit(prices: ArrayLike, shares: ArrayLike, lerner: ArrayLike, owners: ArrayLike) -> LogitMarket:
    """Logit demand and costs that make observed prices an equilibrium and fit observed margins best.

    Shares fix qualities given the price sensitivity alpha. In equilibrium firm f has the margin 1 / (alpha (1 - S_f)),
    so alpha comes from least squares of the observed Lerner indices on 1 / (p (1 - S_f)). Costs follow from the fitted
    margins, not the observed ones. Shares that sum to 1 mean no outside option; otherwise it takes the rest.

    prices, shares, lerner, owners : (J,) USD, 1, (p - c) / p with nan where unknown, labels
    raises                         : ValueError if shares are not positive, sum to more than 1, or no margin is known
    """
    price, share, margin = (np.asarray(values, float) for values in (prices, shares, lerner))
    labels = np.asarray(owners, np.int64)
    outside = 1.0 - float(share.sum())
    if (share <= 0).any() or outside < -1e-9:
        raise ValueError("shares must be positive and sum to 1 at most")
    known = np.isfinite(margin)
    if not known.any():
        raise ValueError("at least one margin must be known")
    has_outside = outside > 1e-9
    rival_share = 1.0 - ownership_matrix(labels) @ share
    predictor = 1.0 / (price * rival_share)
    sensitivity = float((predictor[known] ** 2).sum() / (predictor[known] * margin[known]).sum())
    return logit_market(
        qualities=np.log(share) - (np.log(outside) if has_outside else 0.0) + sensitivity * price,
        price_sensitivity=sensitivity,
        marginal_costs=price - 1.0 / (sensitivity * rival_share),
        owners=labels,
        outside_option=has_outside,
    )


def simulate_merger(
    market: LogitMarket, owners_after: ArrayLike, marginal_costs_after: ArrayLike | None = None
) -> MergerOutcome:
    """Equilibrium with the market's owners, and with owners_after, (J,) labels; costs may change too, (J,) USD.

    raises : RuntimeError if either equilibrium is not found
    """
    merged = with_owners(market, owners_after)
    if marginal_costs_after is not None:
        merged = replace(merged, marginal_costs=np.asarray(marginal_costs_after, float))
    before = nash_bertrand(market)
    after = nash_bertrand(merged, start=before.prices)
    try:
        surplus = consumer_surplus(merged, after.prices) - consumer_surplus(market, before.prices)
    except ValueError:
        surplus = float("nan")
    return MergerOutcome(
        before=before,
        after=after,
        price_changes=after.prices / before.prices - 1,
        hhi_before=hhi(before.firm_shares),
        hhi_after=hhi(after.firm_shares),
        consumer_surplus_change=surplus,
    )
