"""Q-learning: what an action is worth, which one is taken, and the loop that repeats both until nobody learns more.

Everything here is compiled. Numba takes a second to import, so nothing imports this module before somebody learns by
trial.

Source: Watkins and Dayan (1992), Machine Learning 8; as in Calvano, Calzolari, Denicolò and Pastorello (2020),
Artificial intelligence, algorithmic pricing, and collusion, AER 110(10), section II.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.counter import unit64, words

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_AHEAD = 512  # periods drawn for at once


@njit(cache=True, nogil=True)
def experimentation(decay: float, time: float) -> float:
    """Probability of trying an action at random: e^(-decay time), 1 at the start.

    decay : float, 1/unit of time     beta in the paper
    time  : float                     since learning began
    """
    return np.exp(-decay * time)


@njit(cache=True, nogil=True)
def choice(greedy: int, experimentation: float, uniform: float, actions: int) -> int:
    """The greedy action, or with probability `experimentation` any one, each as likely: epsilon-greedy.

    uniform : float on (0, 1); where it falls below `experimentation` it is uniform there too, so one draw serves both
    """
    if uniform < experimentation:
        return min(int(uniform / experimentation * actions), actions - 1)
    return greedy


@njit(cache=True, nogil=True)
def updated(value: float, reward: float, best_next: float, learning: float, discount: float) -> float:
    """Value of an action in a state once its reward is seen: (1 - alpha) Q + alpha (reward + delta max Q').

    best_next          : float, USD     value of the best action in the state it led to
    learning, discount : float, 1       alpha and delta
    """
    return (1 - learning) * value + learning * (reward + discount * best_next)


@njit(cache=True, nogil=True)
def best_action(values: Floats) -> int:
    """The action of highest value, the first of equals; values : (A,) float."""
    best = 0
    for action in range(1, len(values)):
        if values[action] > values[best]:
            best = action
    return best


@njit(cache=True, nogil=True)
def learn(
    values: Floats,
    payoff: Floats,
    state: int,
    key: np.uint64,
    learning: float,
    discount: float,
    decay: float,
    patience: int,
    limit: int,
) -> tuple[Integers, int, int, bool]:
    """N players choose among A actions over and over until no greedy strategy has changed for `patience` periods.

    The state is the profile of actions last played, S = A^N of them, numbered with the first player's action as the
    leading digit to base A.

    values  : (N, S, A) float, USD     what each believes at first
    payoff  : (S, N) float, USD        what each earns from a profile
    key     : uint64                   of the draws, one a player and period, from `rng.Draws.key_of_loop`
    limit   : int                      periods after which learning is broken off
    returns : (N, S) int greedy strategies; state reached; periods; whether the strategies had settled
    """
    players, states, actions = values.shape
    believed = values.copy()
    greedy = np.empty((players, states), dtype=np.int64)
    for player in range(players):
        for s in range(states):
            greedy[player, s] = best_action(believed[player, s])
    taken = np.empty(players, dtype=np.int64)
    draws = np.empty((players, _AHEAD))
    unchanged = period = 0
    while unchanged < patience and period < limit:
        if period % _AHEAD == 0:
            _draw(key, period, draws)
        chance = experimentation(decay, period)
        reached = 0
        for player in range(players):
            taken[player] = choice(greedy[player, state], chance, draws[player, period % _AHEAD], actions)
            reached = reached * actions + taken[player]
        unchanged += 1
        for player in range(players):
            action, best = taken[player], greedy[player, state]
            old = believed[player, state, action]
            best_next = believed[player, reached, greedy[player, reached]]
            new = updated(old, payoff[reached, player], best_next, learning, discount)
            believed[player, state, action] = new
            if action != best:
                if new > believed[player, state, best]:
                    greedy[player, state] = action
                    unchanged = 0
            elif new < old:  # only then can another have become the best
                again = best_action(believed[player, state])
                if again != best:
                    greedy[player, state] = again
                    unchanged = 0
        state = reached
        period += 1
    return greedy, state, period, unchanged >= patience


@njit(cache=True, nogil=True)
def _draw(key: np.uint64, first: int, draws: Floats) -> None:
    """Uniforms of each player, from the period `first` on; draws : (N, periods) float, written to."""
    players, periods = draws.shape
    for player in range(players):
        for ahead in range(periods):
            high, low, _, _ = words(key, first + ahead, player)
            draws[player, ahead] = unit64(high, low)


@njit(cache=True, nogil=True)
def mean_payoff_of_cycle(greedy: Integers, payoff: Floats, state: int, actions: int) -> Floats:
    """What players earn a period once they only follow their greedy strategies, which ends in a cycle.

    greedy  : (N, S) int; payoff : (S, N) float, USD; state : int, where they start
    returns : (N,) float, USD
    """
    players, states = greedy.shape
    total = np.zeros(players)
    for _ in range(states):  # after as many steps the cycle is reached
        state = _follow(greedy, state, actions)
    first, length = state, 0
    while length == 0 or state != first:
        state = _follow(greedy, state, actions)
        total += payoff[state]
        length += 1
    return total / length


@njit(cache=True, nogil=True)
def _follow(greedy: Integers, state: int, actions: int) -> int:
    reached = 0
    for player in range(len(greedy)):
        reached = reached * actions + greedy[player, state]
    return reached
