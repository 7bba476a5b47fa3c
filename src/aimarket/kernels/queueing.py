"""Waiting in a pool of servers, in closed form for any number of servers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc, gammaln, xlogy

Floats = NDArray[np.float64]


def erlang_c(servers: ArrayLike, offered_load: ArrayLike) -> Floats:
    """Probability that a request waits in an M/M/c queue.

    Erlang's B is a ratio of a Poisson probability to a Poisson tail sum, so the incomplete gamma function gives it for
    any real number of servers without recursion; no large-pool approximation is needed.

    servers      : (...) float, >= 0
    offered_load : (...) float, erlang; servers busy on average
    returns      : (...) float, 1; 0 without load, 1 where load reaches the servers
    source       : Erlang (1917); Gans, Koole and Mandelbaum (2003), M&SOM 5(2), section 3
    """
    servers, load = np.broadcast_arrays(np.asarray(servers, float), np.asarray(offered_load, float))
    stable = (load > 0) & (load < servers)
    count, busy = np.where(stable, servers, 2.0), np.where(stable, load, 1.0)
    blocked = np.exp(xlogy(count, busy) - busy - gammaln(count + 1)) / gammaincc(count + 1, busy)
    waiting = blocked / (1 - (busy / count) * (1 - blocked))
    return np.where(stable, waiting, np.where(load > 0, 1.0, 0.0))


def mean_wait(servers: ArrayLike, offered_load: ArrayLike, service_time: ArrayLike) -> Floats:
    """Mean wait in an M/M/c queue: C(c, a) s / (c - a).

    service_time : (...) float, s
    returns      : (...) float, s; inf where load reaches the servers
    source       : Erlang (1917)
    """
    servers, load, time = np.broadcast_arrays(
        np.asarray(servers, float), np.asarray(offered_load, float), np.asarray(service_time, float)
    )
    spare = np.where(load < servers, servers - load, np.nan)
    wait = erlang_c(servers, load) * time / spare
    return np.where(load <= 0, 0.0, np.where(load < servers, wait, np.inf))


def slowdown(utilisation: Floats, planned: float, concurrency: float, batch_half: float) -> Floats:
    """Time per output token over that at planned utilisation, when GPUs serve many requests at once.

    Each step of decoding reads the weights once for the whole batch, and every request's own keys and values: its time
    is proportional to 1 + B / B_half with B requests on a GPU. Speeds are quoted at the planned batch.

    utilisation : (...) float, 1
    batch_half  : float, requests at which each runs at half the speed it has alone; inf: load slows nobody
    returns     : (...) float, 1
    source      : roofline (Williams, Waterman and Patterson, 2009, CACM 52(4)); Patel et al. (2024), Splitwise, ISCA
    """
    batch = concurrency / batch_half
    return np.asarray((1 + batch * utilisation) / (1 + batch * planned))
