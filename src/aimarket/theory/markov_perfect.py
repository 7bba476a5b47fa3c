"""Infinite-horizon price competition with switching costs: a duopoly, one price for all users, no outside option.

The state is the share x of users loyal to firm 1. Users are myopic and firms discount. Firm 1's base next period is its
share of sales now, D(x, p1 - p2) = x L(s - a (p1 - p2)) + (1 - x) L(-s - a (p1 - p2)), L the logistic function, a the
price sensitivity, s the loyalty bonus.
Sources: Maskin and Tirole (2001), Journal of Economic Theory 100(2), for the equilibrium concept; Dube, Hitsch and
Rossi (2009), Journal of Marketing Research 46(4), "Do switching costs make markets less competitive?"; Judd (1998),
Numerical Methods in Economics, chs 11 and 12, for collocation.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.optimize import root
from scipy.special import expit

Floats = NDArray[np.float64]
TOLERANCE = 1e-9  # first-order conditions at the nodes, in units of 1 / price sensitivity
OFF_NODE_TOLERANCE = 1e-6  # the same, and the Bellman equation, between the nodes
BONUS_STEP = 0.05  # utils; in longer steps the solver can jump to a false solution, right at the nodes only
FOLLOWING_NODES = 41


@dataclass(frozen=True)
class MarkovPerfectEquilibrium:
    """Symmetric equilibrium; both firms have half of the users in the steady state."""

    steady_margin: float  # USD, price less cost at x = 1/2
    continuation_value: float  # USD, V'(1/2): value, before next period's sales, of one more retained user
    bases: Floats  # (n,) loyal share at the collocation nodes, falling
    margins: Floats  # (n,) USD, firm 1's price less cost there
    value_coefficients: Floats  # (n,) Chebyshev coefficients of V on [0, 1]
    deviation_gain: float  # greatest gain at any node, USD per user, from another price this period

    def value(self, base: float) -> float:
        """Firm 1's discounted profit, USD per user, with a share `base` of the users loyal to it."""
        return float(chebyshev.chebval(2 * base - 1, self.value_coefficients))

    def margin(self, base: float) -> float:
        """Firm 1's price less cost, USD, with a share `base` of the users loyal to it."""
        return float(_interpolate(self.margins, np.array([2 * base - 1]))[0])


def markov_perfect_duopoly(
    discount: float, loyalty_bonus: float, price_sensitivity: float = 1.0, nodes: int = 41
) -> MarkovPerfectEquilibrium:
    """The symmetric Markov-perfect equilibrium in which prices depend smoothly on the loyal base.

    V is a polynomial that satisfies the Bellman equation at Chebyshev nodes, where margins meet the first-order
    condition D + (m + discount V'(D)) dD/dp = 0. Nodes lie symmetrically, so the rival's margin at a node is one's own
    at the mirrored node. Both are solved at once, following the solution up from no switching cost.

    discount      : 1 per period, in [0, 1)
    loyalty_bonus : utils, >= 0
    nodes         : odd; 41 leaves about 1e-10 in the margin at loyalty_bonus 1.5, 81 do up to about 2.2
    raises        : ValueError for numbers out of range; RuntimeError if the first-order conditions are not solved to
                    1e-9 at the nodes and 1e-6 between them, or a firm would gain from another price, so that there is
                    no equilibrium of this kind
    """
    if not 0 <= discount < 1 or loyalty_bonus < 0 or price_sensitivity <= 0 or nodes < 3 or nodes % 2 == 0:
        raise ValueError("need 0 <= discount < 1, loyalty_bonus >= 0, price_sensitivity > 0 and an odd number of nodes")
    margins = np.full(min(nodes, FOLLOWING_NODES), 2.0)  # price sensitivity 1 until the end: margins scale inversely
    for bonus in np.linspace(0.0, loyalty_bonus, math.ceil(loyalty_bonus / BONUS_STEP) + 1):
        margins = _Stage(discount, float(bonus), margins.size).solve(margins)
    stage = _Stage(discount, loyalty_bonus, nodes)
    margins = stage.solve(_interpolate(margins, stage.nodes))
    coefficients = stage.value(margins)
    between = _Stage(discount, loyalty_bonus, 2 * nodes + 1)
    left = between.error(_interpolate(margins, between.nodes), coefficients)
    if not left <= OFF_NODE_TOLERANCE:
        raise RuntimeError(f"between {nodes} nodes the equations are off by {left:.1g}: use more")
    gain = stage.deviation_gain(margins, coefficients)
    if gain > 1e-6:
        raise RuntimeError(f"first-order conditions hold, but a firm would gain {gain:.3g} per user from another price")
    return MarkovPerfectEquilibrium(
        steady_margin=float(margins[nodes // 2]) / price_sensitivity,
        continuation_value=2 * float(chebyshev.chebval(0.0, chebyshev.chebder(coefficients))) / price_sensitivity,
        bases=stage.bases,
        margins=margins / price_sensitivity,
        value_coefficients=coefficients / price_sensitivity,
        deviation_gain=gain / price_sensitivity,
    )


def _nodes(count: int) -> Floats:
    """(count,) Chebyshev nodes on [-1, 1], falling; reversed, they change sign."""
    return np.asarray(np.cos(np.pi * (np.arange(count) + 0.5) / count))


def _interpolate(values: Floats, at: Floats) -> Floats:
    """The polynomial through values (n,) at Chebyshev nodes, at points (m,) of [-1, 1]."""
    return np.asarray(chebyshev.chebval(at, chebyshev.chebfit(_nodes(values.size), values, values.size - 1)))


class _Stage:
    """The collocation equations for one discount factor and loyalty bonus, price sensitivity 1."""

    def __init__(self, discount: float, bonus: float, nodes: int) -> None:
        self.discount, self.bonus = discount, bonus
        self.nodes = _nodes(nodes)
        self.bases = (self.nodes + 1) / 2
        self.polynomials = chebyshev.chebvander(self.nodes, nodes - 1)

    def sales(self, difference: Floats) -> tuple[Floats, Floats]:
        """Firm 1's share of sales and minus its slope, when it asks `difference` more; (..., n)."""
        kept, won = expit(self.bonus - difference), expit(-self.bonus - difference)
        share = self.bases * kept + (1 - self.bases) * won
        return share, self.bases * kept * (1 - kept) + (1 - self.bases) * won * (1 - won)

    def value(self, margins: Floats) -> Floats:
        """(n,) coefficients of V if both firms follow `margins`: the Bellman equation is linear in V."""
        share, _ = self.sales(margins - margins[::-1])
        after = chebyshev.chebvander(2 * share - 1, share.size - 1)
        return np.asarray(np.linalg.solve(self.polynomials - self.discount * after, margins * share))

    def first_order_gap(self, margins: Floats, coefficients: Floats | None = None) -> Floats:
        """(n,) best margin at given marginal values, less the margin; V follows from margins unless it is given."""
        share, fall = self.sales(margins - margins[::-1])
        value = self.value(margins) if coefficients is None else coefficients
        marginal_value = 2 * chebyshev.chebval(2 * share - 1, chebyshev.chebder(value))
        return np.asarray(share / fall - self.discount * marginal_value - margins)

    def solve(self, start: Floats) -> Floats:
        """(n,) margins that meet the first-order conditions."""
        margins = np.asarray(root(self.first_order_gap, start, tol=1e-13).x, float)
        gap = np.abs(self.first_order_gap(margins)).max()
        if not gap <= TOLERANCE:
            raise RuntimeError(f"no equilibrium found at loyalty bonus {self.bonus:.4g}: first-order gap {gap:.3g}")
        return margins

    def error(self, margins: Floats, coefficients: Floats) -> float:
        """Greatest gap at these nodes in the first-order conditions and in the Bellman equation of a given V."""
        share, _ = self.sales(margins - margins[::-1])
        ahead = margins * share + self.discount * chebyshev.chebval(2 * share - 1, coefficients)
        bellman = np.abs(chebyshev.chebval(self.nodes, coefficients) - ahead).max()
        return float(max(bellman, np.abs(self.first_order_gap(margins, coefficients)).max()))

    def deviation_gain(self, margins: Floats, coefficients: Floats) -> float:
        """Greatest one-period deviation gain over the nodes, on a grid of margins about the equilibrium's."""
        deviations = np.linspace(-3.0 - self.bonus, 10.0 + 2 * self.bonus, 2001)[:, None]

        def payoff(own: Floats) -> Floats:
            share, _ = self.sales(own - margins[::-1])
            return np.asarray(own * share + self.discount * chebyshev.chebval(2 * share - 1, coefficients))

        return max(0.0, float((payoff(deviations) - payoff(margins)).max()))


class ConstantRivalPrice(NamedTuple):
    """Price less cost and the value of one more retained user, both USD."""

    margin: float
    continuation_value: float


def constant_rival_margin(discount: float, loyalty_bonus: float, price_sensitivity: float = 1.0) -> ConstantRivalPrice:
    """Steady margin when each firm takes the rival's future price as given: m = M (1 - discount rho).

    M = (1 + cosh s) / alpha is the myopic margin, rho = tanh(s / 2) how much likelier a user stays than comes, and
    W = rho (m + discount W) the value of a user. Markov-perfect firms know that a rival with fewer users asks less, so
    they value users less and ask more.
    """
    myopic = (1 + math.cosh(loyalty_bonus)) / price_sensitivity
    retention = math.tanh(loyalty_bonus / 2)
    margin = myopic * (1 - discount * retention)
    return ConstantRivalPrice(margin, retention * margin / (1 - discount * retention))
