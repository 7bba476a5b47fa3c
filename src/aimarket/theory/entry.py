"""How many firms a market holds: free entry with a fixed cost, and sunk costs that firms choose."""

import math

from scipy.optimize import brentq


def free_entry_firms(expenditure: float, fixed_cost: float, substitution: float, usage_elasticity: float) -> float:
    """Equal firms, a real number, at which gross profit pays the fixed cost; price in logs, no outside option.

    Lerner index 1 / epsilon with epsilon = sigma - (sigma - eta) / N, so E / (N epsilon) = F gives
    N = (sigma - eta) / sigma + E / (sigma F).

    expenditure, fixed_cost        : USD per period, F > 0
    substitution, usage_elasticity : sigma = beta + eta and eta
    source                         : Anderson, de Palma and Thisse (1992), ch. 7; Dixit and Stiglitz (1977), AER 67(3)
    """
    if fixed_cost <= 0 or substitution <= 0:
        raise ValueError("fixed cost and substitution must be above 0")
    return (substitution - usage_elasticity) / substitution + expenditure / (substitution * fixed_cost)


def endogenous_sunk_cost_limit(cost_exponent: float) -> float:
    """Firms in an ever larger market where quality is bought by sunk outlay: (N - 1)^2 / N = gamma / 2, N > 1.

    cost_exponent : gamma > 0, outlay rises with quality to this power
    source        : Sutton (1991), Sunk Costs and Market Structure, ch. 3
    """
    if cost_exponent <= 0:
        raise ValueError("the exponent of cost must be above 0")
    half = 1 + cost_exponent / 4  # N + 1 / N = 2 half
    return half + math.sqrt(half**2 - 1)


def endogenous_sunk_cost_firms(
    market_size: float, entry_cost: float, cost_exponent: float, outlay_scale: float = 1.0
) -> float:
    """Firms at free entry where an outlay entry_cost + (a / gamma)(u^gamma - 1) buys quality u >= 1.

    Each earns S / N^2 (Cournot, consumers spend on the best ratio of quality to price). While the market is small
    nobody buys quality and N = sqrt(S / entry_cost); beyond, N + 1/N - 2 = (gamma / 2)[1 - (entry_cost - a / gamma)
    N^2 / S]. Where both hold, quality is 1.

    market_size, entry_cost, outlay_scale : S, fixed part and a, USD, > 0
    raises                                : ValueError if any is not above 0, or the market does not support a duopoly
    source                                : Sutton (1991), ch. 3
    """
    if min(market_size, entry_cost, cost_exponent, outlay_scale) <= 0:
        raise ValueError("market size, costs and exponent must be above 0")
    without_quality = math.sqrt(market_size / entry_cost)
    if without_quality < 1:
        raise ValueError("the market is too small for a firm")
    # Gain from a little more quality at u = 1, less its cost a: no outlay on quality while it is negative.
    if 2 * market_size * (without_quality - 1) ** 2 / without_quality**3 <= outlay_scale:
        return without_quality
    plain_cost = (entry_cost - outlay_scale / cost_exponent) / market_size

    def excess(firms: float) -> float:
        return (firms - 1) ** 2 / firms - cost_exponent / 2 * (1 - plain_cost * firms**2)

    return float(brentq(excess, 1.0, without_quality, xtol=1e-13))
