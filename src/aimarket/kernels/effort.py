"""Usage: how many tasks (extensive margin) and how much thinking a task gets (intensive margin).

Tasks differ in difficulty d with a density proportional to d^k, and are done if they are worth their tokens: up to a
difficulty that is inverse to the price. So there are (v/p)^(1+k) of them, an elasticity of 1 + k, as long as there are
harder tasks to do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def tasks(
    tasks_at_reference: Floats,
    depth: Floats,
    price: Floats,
    reference_price: float,
    elasticity: float,
    ceiling: float = np.inf,
) -> Floats:
    """Tasks a month: proportional to workflow depth and to price to the power of -elasticity, up to a ceiling.

    tasks_at_reference : (U,) float, tasks/month at depth 1
    price              : (U,) float, USD/Mtok
    ceiling            : float, 1    tasks there are to do over those done at the reference price
    returns            : (U,) float, tasks/month
    """
    return tasks_at_reference * depth * np.minimum((price / reference_price) ** -elasticity, ceiling)


def task_elasticity(price: Floats, reference_price: float, elasticity: float, ceiling: float = np.inf) -> Floats:
    """Elasticity of the number of tasks to the price of a token: -(1 + k), and 0 once everything is done."""
    if elasticity == 0 or np.isinf(ceiling):
        return np.full_like(price, -elasticity)
    everything_is_done_at = reference_price * np.exp(-np.log(ceiling) / elasticity)
    return np.where(price <= everything_is_done_at, 0.0, -elasticity)


def mean_difficulty(
    price: Floats, reference_price: float, elasticity: float, ceiling: float = np.inf, exponent: float = 1.0
) -> Floats:
    """Mean difficulty of the tasks done over that at the reference price, to a power: p_0/p up to the hardest there is.

    The mean of a density proportional to d^k up to D is D (1+k)/(2+k), and the hardest task's difficulty is
    ceiling^(1/(1+k)). With an elasticity of 0 the same tasks are done at any price.

    returns : (U,) float, 1
    """
    if elasticity == 0:
        return np.ones_like(price)
    return np.exp(exponent * np.minimum(-np.log(price / reference_price), np.log(ceiling) / elasticity))


def thinking_tokens(
    tokens_at_reference: Floats, price: Floats, reference_price: float, time_price: Floats, curvature: float
) -> Floats:
    """Thinking tokens a task that maximise v(1 - A n^-b) - (p + w s) n: n* = (v A b / (p + w s))^(1/(1+b)).

    v A b is fixed by `tokens_at_reference`, the tokens chosen at the reference price when waiting is free.

    tokens_at_reference : (U,) float, Mtok/task
    price, time_price   : (U,) float, USD/Mtok; time_price is the value of the seconds a Mtok takes (w s)
    curvature           : float, 1    b, curvature of quality in thinking tokens
    returns             : (U,) float, Mtok/task
    """
    return tokens_at_reference * (reference_price / (price + time_price)) ** (1 / (1 + curvature))


def thinking_elasticity(price: Floats, time_price: Floats, curvature: float) -> Floats:
    """Elasticity of thinking tokens a task to the price of a token: -1/(1+b) when waiting is free, nearer 0 if not."""
    return -price / (price + time_price) / (1 + curvature)


@dataclass(frozen=True)
class Response:
    """How use answers to the price of a token; see the functions above for the parameters."""

    reference_price: float  # USD/Mtok
    elasticity: float
    curvature: float
    ceiling: float = np.inf
    difficulty: float = 0.0  # exponent of thinking tokens in the mean difficulty of the tasks done


def use(
    tasks_at_reference: Floats,
    depth: Floats,
    thinking_at_reference: Floats,
    price: Floats,
    time_price: Floats,
    response: Response,
) -> tuple[Floats, Floats]:
    """Tasks a month, and thinking tokens a task: more if it waits for little, pays little, or is harder.

    returns : (U,) float, tasks/month; (U,) float, Mtok/task
    """
    r = response
    count = tasks(tasks_at_reference, depth, price, r.reference_price, r.elasticity, r.ceiling)
    thinking = thinking_tokens(thinking_at_reference, price, r.reference_price, time_price, r.curvature)
    if r.difficulty:
        thinking = thinking * mean_difficulty(price, r.reference_price, r.elasticity, r.ceiling, r.difficulty)
    return count, thinking


def use_elasticities(price: Floats, time_price: Floats, response: Response) -> tuple[Floats, Floats]:
    """Elasticities to the price of a token, of the number of tasks and of thinking tokens a task.

    returns : (U,) float, 1; (U,) float, 1
    """
    r = response
    extensive = task_elasticity(price, r.reference_price, r.elasticity, r.ceiling)
    harder = -r.difficulty * (extensive < 0) if r.difficulty else 0.0
    return extensive, thinking_elasticity(price, time_price, r.curvature) + harder
