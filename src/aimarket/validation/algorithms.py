"""Pricing algorithms that learn from each other, and the anchors by which their prices are judged."""

from aimarket.algorithmic_collusion import Environment, anchors, simulate_sessions
from aimarket.theory.price_competition import joint_profit_maximum, logit_market, nash_bertrand
from aimarket.validation.check import FIXED_POINT, SAMPLED, Check, relative

_PUBLISHED, _ROUNDING = 0.85, 0.005  # profit gain at the parameters below; Calvano and others (2020), section III


def anchor_prices(of: Environment | None = None) -> list[Check]:
    """Bertrand and monopoly prices and profits of the environment, by the market's own best responses."""
    of = of or Environment()
    found = anchors(of)
    taste = of.differentiation
    market = logit_market([(of.quality - of.outside) / taste] * of.firms, 1 / taste, of.cost)
    nash, joint = nash_bertrand(market), joint_profit_maximum(market)
    how = "component: algorithmic_collusion.anchors"
    return [
        relative("learning algorithms: Bertrand price", nash.prices[0], found.bertrand_price, FIXED_POINT, how),
        relative("learning algorithms: Bertrand profit", nash.profits[0], found.bertrand_profit, FIXED_POINT, how),
        relative("learning algorithms: monopoly price", joint.prices[0], found.monopoly_price, FIXED_POINT, how),
        relative("learning algorithms: monopoly profit", joint.profits[0], found.monopoly_profit, FIXED_POINT, how),
    ]


def profit_gain(sessions: int = 12) -> list[Check]:
    """Two firms, alpha .15, beta 4e-6: they learn to ask much of what a cartel would."""
    outcome = simulate_sessions(Environment(sessions=sessions, learning=0.15, decay=4e-6))
    error = SAMPLED * outcome.standard_error + _ROUNDING
    how = f"component: kernels.learning, {sessions} sessions, {int(outcome.periods.sum()):,} periods"
    return [Check("learning algorithms: profit gain", _PUBLISHED, outcome.mean_gain, error, how)]


TASKS = (anchor_prices, profit_gain)
