"""Logit demand with any qualities, tastes, costs and ownership: the market that the oracle solves.

Notation: consumer types i = 1..I (a finite mixed logit), products j = 1..J, firms own sets of products.
A chooser of type i picks j with probability s_ij = exp(v_ij) / (1[outside option] + sum_k exp(v_ik)), and buys u_ij:

    price_metric "linear"   v_ij = quality_ij - sensitivity_ij * price_j        u_ij = scale_i
    price_metric "log"      v_ij = quality_ij - sensitivity_ij * ln(price_j)    u_ij = scale_i * price_j ** -usage_i

Sources: Anderson, de Palma and Thisse (1992), Discrete Choice Theory of Product Differentiation, chs 2 and 3;
Train (2009), Discrete Choice Methods with Simulation, chs 3 and 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
PriceMetric = Literal["linear", "log"]


@dataclass(frozen=True)
class LogitMarket:
    """A market with differentiated products; build it with `logit_market`, which checks and broadcasts."""

    qualities: Floats  # (I, J) utils
    price_sensitivities: Floats  # (I, J) utils per USD, or per unit of log price
    marginal_costs: Floats  # (J,) USD per unit
    owners: NDArray[np.int64]  # (J,) label of the firm that owns the product
    type_weights: Floats  # (I,) number of choosers
    outside_option: bool
    price_metric: PriceMetric
    usage_elasticities: Floats  # (I,) 1
    usage_scales: Floats  # (I,) units per chooser (at a price of 1 USD)


def logit_market(
    qualities: ArrayLike,
    price_sensitivity: ArrayLike,
    marginal_costs: ArrayLike,
    *,
    owners: Sequence[int] | NDArray[np.int64] | None = None,
    type_weights: ArrayLike = 1.0,
    outside_option: bool = True,
    price_metric: PriceMetric = "linear",
    usage_elasticity: ArrayLike = 0.0,
    usage_scale: ArrayLike = 1.0,
) -> LogitMarket:
    """A market from scalars, vectors or matrices.

    qualities         : (J,) or (I, J)              utils
    price_sensitivity : scalar, (I,) or (I, J)      utils per USD ("linear") or per log point ("log"), > 0
    marginal_costs    : scalar or (J,)              USD per unit; > 0 where price is in logs
    owners            : (J,) labels                 by default every product has its own firm
    type_weights      : scalar or (I,)              choosers of each type, > 0
    usage_elasticity, usage_scale : scalar or (I,)  elasticity must be 0 where price is linear
    raises            : ValueError if shapes disagree or a number is out of range
    """
    sensitivity = np.asarray(price_sensitivity, float)
    if sensitivity.ndim == 1:
        sensitivity = sensitivity[:, None]
    quality = np.atleast_2d(np.asarray(qualities, float))
    weights = np.atleast_1d(np.asarray(type_weights, float))
    usage, scale = np.asarray(usage_elasticity, float), np.asarray(usage_scale, float)
    types = np.broadcast_shapes(quality.shape[:1], sensitivity.shape[:1], weights.shape, usage.shape, scale.shape)
    shape = types + quality.shape[1:]
    market = LogitMarket(
        qualities=np.broadcast_to(quality, shape),
        price_sensitivities=np.broadcast_to(sensitivity, shape),
        marginal_costs=np.broadcast_to(np.asarray(marginal_costs, float), shape[1:]),
        owners=np.arange(shape[1]) if owners is None else np.asarray(owners, np.int64),
        type_weights=np.broadcast_to(weights, types),
        outside_option=outside_option,
        price_metric=price_metric,
        usage_elasticities=np.broadcast_to(usage, types),
        usage_scales=np.broadcast_to(scale, types),
    )
    _check(market)
    return market


def _check(market: LogitMarket) -> None:
    numbers = (market.qualities, market.price_sensitivities, market.marginal_costs, market.type_weights)
    if not all(np.isfinite(values).all() for values in numbers):
        raise ValueError("qualities, price sensitivities, marginal costs and type weights must be finite")
    if market.owners.shape != market.marginal_costs.shape:
        raise ValueError(f"owners has shape {market.owners.shape}, products {market.marginal_costs.shape}")
    if (market.price_sensitivities <= 0).any() or (market.type_weights <= 0).any() or (market.usage_scales <= 0).any():
        raise ValueError("price sensitivities, type weights and usage scales must be above 0")
    if market.price_metric not in ("linear", "log"):
        raise ValueError(f"price_metric must be 'linear' or 'log', got {market.price_metric!r}")
    if market.price_metric == "linear" and (market.usage_elasticities != 0).any():
        raise ValueError("usage_elasticity must be 0 where price_metric is 'linear'")
    if market.price_metric == "log" and (market.marginal_costs <= 0).any():
        raise ValueError("marginal costs must be above 0 where price_metric is 'log'")


def product_utilities(market: LogitMarket, prices: NDArray[Any]) -> NDArray[Any]:
    """(I, J) utils. Prices may be complex here and below, so that Jacobians come from a complex step."""
    return market.qualities - market.price_sensitivities * (np.log(prices) if market.price_metric == "log" else prices)


def log_sums(market: LogitMarket, prices: NDArray[Any]) -> NDArray[Any]:
    """(I, 1) log of the sum of exponentials, the outside option included."""
    utility = product_utilities(market, prices)
    top = utility.real.max(axis=1, keepdims=True)
    top = np.maximum(top, 0.0) if market.outside_option else top
    total = np.exp(utility - top).sum(axis=1, keepdims=True) + (np.exp(-top) if market.outside_option else 0.0)
    return np.asarray(top + np.log(total))


def choice_probabilities(market: LogitMarket, prices: ArrayLike) -> Floats:
    """(I, J) probability that a chooser of type i picks product j at prices (J,) USD."""
    price = np.asarray(prices, float)
    return np.asarray(np.exp(product_utilities(market, price) - log_sums(market, price)))


def units_per_chooser(market: LogitMarket, prices: ArrayLike) -> Floats:
    """(I, J) units that a chooser of type i buys of product j at prices (J,) USD."""
    price = np.asarray(prices, float)
    if market.price_metric == "linear":
        return np.broadcast_to(market.usage_scales[:, None], market.qualities.shape)
    return np.asarray(market.usage_scales[:, None] * price ** -market.usage_elasticities[:, None])


def demand(market: LogitMarket, prices: ArrayLike) -> Floats:
    """(J,) units sold at prices (J,) USD."""
    return np.asarray(market.type_weights @ (choice_probabilities(market, prices) * units_per_chooser(market, prices)))


def log_slopes(market: LogitMarket, prices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(I, J) fall of utility and of log units per chooser when the price rises by a dollar."""
    if market.price_metric == "linear":
        return market.price_sensitivities, np.zeros_like(market.qualities)
    return market.price_sensitivities / prices, market.usage_elasticities[:, None] / prices


def sales_mix(market: LogitMarket, prices: NDArray[Any]) -> NDArray[Any]:
    """(I, J) share of each type in a product's sales; computed in logs, so it exists where almost nobody buys."""
    log_chosen = product_utilities(market, prices) - log_sums(market, prices)
    log_sales = np.log(market.type_weights * market.usage_scales)[:, None] + log_chosen + log_usage(market, prices)
    mix = np.exp(log_sales - log_sales.real.max(axis=0))
    return np.asarray(mix / mix.sum(axis=0))


def log_usage(market: LogitMarket, prices: NDArray[Any]) -> NDArray[Any]:
    """(I, J) log units per chooser, less the type's log scale."""
    if market.price_metric == "linear":
        return np.zeros_like(market.qualities)
    return np.asarray(-market.usage_elasticities[:, None] * np.log(prices))


def log_demand_slopes(market: LogitMarket, prices: ArrayLike) -> Floats:
    """(J, J) d ln quantity_row / d price_column, per USD."""
    price = np.asarray(prices, float)
    mix = sales_mix(market, price)
    slope, usage_slope = log_slopes(market, price)
    cross = mix.T @ (slope * choice_probabilities(market, price))
    return np.asarray(cross - np.diag((mix * (slope + usage_slope)).sum(axis=0)))


def demand_jacobian(market: LogitMarket, prices: ArrayLike) -> Floats:
    """(J, J) d quantity_row / d price_column, units per USD."""
    return demand(market, prices)[:, None] * log_demand_slopes(market, prices)
