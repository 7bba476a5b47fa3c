"""Waiting for servers: Erlang B and C by recursion, the best use of a pool, regions in different time zones.

Sources: Erlang (1917); Gross, Shortle, Thompson and Harris (2008), Fundamentals of Queueing Theory, ch. 2;
Halfin and Whitt (1981), Operations Research 29(3).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]
HOURS = 24


def erlang_b(servers: int, offered_load: float) -> float:
    """Probability that a request finds all servers of a loss system (M/M/c/c) busy.

    1 / B(n) = 1 + (n / a) / B(n - 1) from B(0) = 1: no factorials, no gamma functions, no overflow.

    servers      : count, >= 0
    offered_load : erlang, >= 0; arrival rate over service rate
    raises       : ValueError if either is negative
    """
    if servers < 0 or offered_load < 0:
        raise ValueError("servers and offered load must be 0 or more")
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered_load * blocked / (count + offered_load * blocked)
    return blocked


def erlang_c(servers: int, offered_load: float) -> float:
    """Probability that a request waits in an M/M/c queue: c B / (c - a (1 - B)); 1 where load reaches the servers."""
    if offered_load >= servers:
        return 1.0
    blocked = erlang_b(servers, offered_load)
    return servers * blocked / (servers - offered_load * (1 - blocked))


def mean_wait(servers: int, offered_load: float) -> float:
    """Mean wait over all requests, in service times: C / (c - a); infinite where load reaches the servers."""
    if offered_load >= servers:
        return math.inf
    return erlang_c(servers, offered_load) / (servers - offered_load)


def chance_of_waiting_longer(servers: int, offered_load: float, time: float) -> float:
    """Probability of a wait above `time` (service times): C e^-(c - a) time."""
    return erlang_c(servers, offered_load) * math.exp(-max(servers - offered_load, 0.0) * time)


def highest_utilisation(servers: int, wait_probability: float) -> float:
    """Greatest load per server, 0 to 1, at which no more than wait_probability of requests wait.

    raises : ValueError unless servers >= 1 and the probability lies between 0 and 1
    """
    if servers < 1 or not 0 < wait_probability < 1:
        raise ValueError("need at least one server and a probability between 0 and 1")
    load = brentq(lambda busy: erlang_c(servers, busy) - wait_probability, 0.0, float(servers), xtol=1e-12)
    return float(load) / servers


def halfin_whitt_wait_probability(slack: float) -> float:
    """Limit of Erlang C for large pools with servers = load + slack * sqrt(load), slack > 0.

    1 / (1 + slack Phi(slack) / phi(slack)), Phi and phi the normal distribution and density.
    """
    density = math.exp(-(slack**2) / 2) / math.sqrt(2 * math.pi)
    distribution = (1 + math.erf(slack / math.sqrt(2))) / 2
    return 1 / (1 + slack * distribution / density)


def sinusoidal_load(amplitude: float, peak_hour: float) -> Floats:
    """(24,) load by hour, mean 1: 1 + amplitude * cos(2 pi (hour - peak_hour) / 24)."""
    return np.asarray(1 + amplitude * np.cos(2 * np.pi * (np.arange(HOURS) - peak_hour) / HOURS))


def utilisation_ceiling(amplitude: float, peak_hours: Sequence[float]) -> float:
    """Greatest mean utilisation of a pool that serves every hour's load from regions with equal sinusoidal loads.

    One region: 1 / (1 + A). Regions spread evenly over the clock: 1.

    amplitude : 0 to 1, half the swing of each region's load around its mean
    """
    load = np.sum([sinusoidal_load(amplitude, hour) for hour in peak_hours], axis=0)
    return float(load.mean() / load.max())
