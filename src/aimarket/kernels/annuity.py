"""What a stream of payments is worth today."""

import numpy as np


def growing_annuity(required_return: float, growth: float, years: float) -> float:
    """Present value of 1 a year, paid evenly over `years` and growing from the first day.

    required_return : float, 1/year
    growth          : float, log points a year
    returns         : float, years: (e^((g - ln(1 + r)) T) - 1) / (g - ln(1 + r)), T where the two rates agree
    source          : Gordon (1959), Review of Economics and Statistics 41(2), with an end and in continuous time
    """
    net = growth - np.log1p(required_return)
    # Where both rates agree the quotient is 0/0; its series has an error of x²/6 there.
    return float(np.expm1(net * years) / net) if abs(net * years) > 1e-6 else years * (1 + net * years / 2)
