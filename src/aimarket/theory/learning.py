"""Learning by doing: cost falls by a constant fraction at each doubling of cumulative output.

Source: Wright (1936), Factors affecting the cost of airplanes, Journal of the Aeronautical Sciences 3(4);
Nagy et al. (2013), PLoS ONE 8(2), for exponents across industries.
"""

import math


def wright_exponent(learning_rate: float) -> float:
    """b in cost = cost_1 * output^-b, from the fraction by which cost falls at each doubling, in [0, 1).

    raises : ValueError outside [0, 1)
    """
    if not 0 <= learning_rate < 1:
        raise ValueError("the learning rate must be at least 0 and below 1")
    return -math.log2(1 - learning_rate)


def wright_cost_ratio(output_ratio: float, learning_rate: float) -> float:
    """New over old unit cost when cumulative output is multiplied by output_ratio > 0."""
    return float(output_ratio ** -wright_exponent(learning_rate))


def wright_output_ratio(cost_ratio: float, learning_rate: float) -> float:
    """How much cumulative output must grow for unit cost to be multiplied by cost_ratio.

    raises : ValueError if there is no learning
    """
    exponent = wright_exponent(learning_rate)
    if exponent == 0:
        raise ValueError("without learning, output does not change cost")
    return float(cost_ratio ** (-1 / exponent))
