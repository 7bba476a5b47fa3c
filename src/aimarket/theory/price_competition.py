"""Nash-Bertrand prices for logit demand: first-order conditions, equilibrium, pass-through, joint profit.

The market and its demand are in `logit_demand`; what a caller needs of it, `LogitMarket` and `logit_market`, is here.

Sources: Anderson, de Palma and Thisse (1992), Discrete Choice Theory of Product Differentiation, ch. 7;
Morrow and Skerlos (2011), Operations Research 59(2), for the markup equation that is iterated below.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import root

from aimarket.theory.logit_demand import (
    Floats,
    LogitMarket,
    PriceMetric,
    choice_probabilities,
    demand,
    log_demand_slopes,
    log_slopes,
    log_sums,
    log_usage,
    logit_market,
    product_utilities,
    sales_mix,
)

__all__ = [
    "LogitMarket",
    "MarketOutcome",
    "PriceMetric",
    "consumer_surplus",
    "first_order_residual",
    "joint_profit_maximum",
    "logit_market",
    "market_outcome",
    "nash_bertrand",
    "ownership_matrix",
    "pass_through",
    "solve_nash_prices",
    "with_owners",
]
TOLERANCE = 1e-10  # greatest first-order condition left, per unit of demand
COMPLEX_STEP = 1e-30  # no cancellation, so the step can be as small as we like (Squire and Trapp, 1998)


@dataclass(frozen=True)
class MarketOutcome:
    """What follows from a vector of prices; `firm_profits` and `firm_shares` follow the order of `firms`."""

    prices: Floats  # (J,) USD
    shares: Floats  # (J,) share of choosers
    outside_share: float
    quantities: Floats  # (J,) units
    elasticities: Floats  # (J, J) d ln quantity_j / d ln price_k
    lerner: Floats  # (J,) (p - c) / p
    markup: Floats  # (J,) (p - c) / c
    profits: Floats  # (J,) USD
    firms: NDArray[np.int64]  # (F,)
    firm_profits: Floats  # (F,) USD
    firm_shares: Floats  # (F,)
    first_order_residual: float  # greatest |profit gradient| per unit of demand


def ownership_matrix(owners: NDArray[np.int64]) -> Floats:
    """(J, J) 1 where two products belong to one firm, else 0."""
    return np.equal(owners[:, None], owners[None, :]).astype(float)


def _markup_equation(market: LogitMarket, prices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Own fall of log demand (J,) and sales recaptured by the owner's products (J, J), both per USD.

    Divided by demand, the first-order condition of product j reads 1 - own_j m_j + sum_k recaptured_jk m_k = 0.
    Dividing first, in logs, keeps it meaningful for products that almost nobody buys.
    """
    slope, usage_slope = log_slopes(market, prices)
    mix = sales_mix(market, prices)
    own = (mix * (slope + usage_slope)).sum(axis=0)
    usage = np.exp(log_usage(market, prices))  # a type's scale cancels between two products
    chosen = np.exp(product_utilities(market, prices) - log_sums(market, prices))
    recaptured = (mix * slope / usage).T @ (chosen * usage)
    return own, ownership_matrix(market.owners) * recaptured


def first_order_residual(market: LogitMarket, prices: NDArray[Any]) -> NDArray[Any]:
    """(J,) gradient of the owner's profit in each price, per unit of that product's demand; 0 at equilibrium."""
    own, recaptured = _markup_equation(market, prices)
    margins = prices - market.marginal_costs
    return np.asarray(1.0 - own * margins + recaptured @ margins)


def _residual_jacobian(market: LogitMarket, prices: Floats) -> Floats:
    """(J, J) derivative of `first_order_residual` in prices, exact to rounding."""
    steps = COMPLEX_STEP * np.maximum(1.0, np.abs(prices))
    columns = [
        first_order_residual(market, prices + 1j * step * unit).imag / step
        for step, unit in zip(steps, np.eye(prices.size), strict=True)
    ]
    return np.stack(columns, axis=1)


def solve_nash_prices(market: LogitMarket, start: ArrayLike | None = None) -> Floats:
    """(J,) USD: prices at which no owner can gain by a small change of its own prices.

    The markup equation is iterated (it settles in practice from any start), then polished by Newton's method.
    raises : RuntimeError if the first-order conditions are not met to 1e-10 per unit of demand. Mostly because a best
             price is infinite: that of a monopoly without outside option, or, with elastic use and price in logs, of a
             costly product whose owner earns more from its users when they move to the owner's other product
    """
    own, _ = _markup_equation(market, market.marginal_costs)
    prices = market.marginal_costs + 1.0 / own if start is None else np.array(start, float)
    with np.errstate(all="ignore"):
        for _ in range(2000):
            own, recaptured = _markup_equation(market, prices)
            updated = market.marginal_costs + (1.0 + recaptured @ (prices - market.marginal_costs)) / own
            settled = np.abs(updated - prices).max() <= 1e-9 * np.abs(updated - market.marginal_costs).max()
            prices = updated
            if settled or not np.isfinite(prices).all():
                break
        if np.isfinite(prices).all():
            prices = _polish(market, prices)
        residual = np.abs(first_order_residual(market, prices)).max()
    if not residual <= TOLERANCE:
        raise RuntimeError(f"no equilibrium found: first-order conditions are off by {residual:.3g} per unit of demand")
    return prices


def _polish(market: LogitMarket, prices: Floats) -> Floats:
    """Newton's method on the first-order conditions, keeping the best prices seen."""
    solution = root(partial(first_order_residual, market), prices, jac=partial(_residual_jacobian, market))
    best = prices
    for candidate in (np.asarray(solution.x, float), prices):
        trial = candidate
        for _ in range(4):
            if not np.isfinite(trial).all():
                break
            if _worst(market, trial) < _worst(market, best):
                best = trial
            slope = _residual_jacobian(market, trial)
            trial = trial - np.linalg.lstsq(slope, first_order_residual(market, trial), rcond=None)[0]
    return best


def nash_bertrand(market: LogitMarket, start: ArrayLike | None = None) -> MarketOutcome:
    """The Nash-Bertrand equilibrium and everything that follows from its prices.

    start  : (J,) USD, a first guess; by default each product's markup were it alone
    raises : RuntimeError if the first-order conditions are not solved, see `solve_nash_prices`
    With several types a solution of the first-order conditions need not be an equilibrium: `best_reply` checks that.
    """
    return market_outcome(market, solve_nash_prices(market, start))


def joint_profit_maximum(market: LogitMarket) -> MarketOutcome:
    """What a single owner of every product would charge; `firms` keep their labels, so profits are by present owner."""
    joint = solve_nash_prices(with_owners(market, np.zeros_like(market.owners)))
    return market_outcome(market, joint)


def with_owners(market: LogitMarket, owners: ArrayLike) -> LogitMarket:
    """The same market with products owned as in owners, (J,) labels."""
    return replace(market, owners=np.asarray(owners, np.int64))


def market_outcome(market: LogitMarket, prices: ArrayLike) -> MarketOutcome:
    """Shares, elasticities, profits at any prices, (J,) USD, equilibrium or not."""
    price = np.asarray(prices, float)
    weights = market.type_weights / market.type_weights.sum()
    shares = np.asarray(weights @ choice_probabilities(market, price))
    quantities = demand(market, price)
    margins = price - market.marginal_costs
    firms, firm_of = np.unique(market.owners, return_inverse=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # a price or cost of 0 has no Lerner index or markup
        lerner, markup = margins / price, margins / market.marginal_costs

    outside = float(weights @ np.exp(-log_sums(market, price))[:, 0]) if market.outside_option else 0.0
    return MarketOutcome(
        prices=price,
        shares=shares,
        outside_share=outside,
        quantities=quantities,
        elasticities=log_demand_slopes(market, price) * price,
        lerner=lerner,
        markup=markup,
        profits=margins * quantities,
        firms=firms,
        firm_profits=np.bincount(firm_of, margins * quantities),
        firm_shares=np.bincount(firm_of, shares),
        first_order_residual=_worst(market, price),
    )


def pass_through(market: LogitMarket, prices: ArrayLike) -> Floats:
    """(J, J) d price_row / d cost_column at equilibrium prices (J,) USD, by the implicit function theorem.

    The row sums are the pass-through of a cost common to all products.
    source : Weyl and Fabinger (2013), Journal of Political Economy 121(3)
    """
    price = np.asarray(prices, float)
    own, recaptured = _markup_equation(market, price)
    return np.asarray(-np.linalg.solve(_residual_jacobian(market, price), np.diag(own) - recaptured))


def consumer_surplus(market: LogitMarket, prices: ArrayLike) -> float:
    """USD: expected surplus of all choosers, the log-sum over the marginal utility of a dollar.

    Without an outside option only differences between two price vectors mean anything.
    raises : ValueError if price is in logs or a type's price sensitivity differs between products: a dollar then has no
             single marginal utility
    source : Small and Rosen (1981), Econometrica 49(1)
    """
    sensitivity = market.price_sensitivities
    if market.price_metric == "log" or (sensitivity != sensitivity[:, :1]).any():
        raise ValueError("consumer surplus needs a linear price and one price sensitivity for each type")
    log_sum = log_sums(market, np.asarray(prices, float))[:, 0]
    return float(market.type_weights @ (log_sum / sensitivity[:, 0]))


def _worst(market: LogitMarket, prices: Floats) -> float:
    worst = float(np.abs(first_order_residual(market, prices)).max())
    return worst if np.isfinite(worst) else np.inf
