"""Users as a struct of arrays, what a step says to the compiled kernels, and what they count: plain named tuples.

S segments, R regions, J offers, F providers. Two kinds of posted price: [0] to own customers, [1] to newcomers. A
*stratum* is a segment in a region; its number is segment * R + region.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Shorts = NDArray[np.int16]
Bytes = NDArray[np.int8]
Flags = NDArray[np.bool_]
Column = NDArray[Any]  # numbers in single precision and short integers in the population; double and long in the panel

OVER = 1e-9  # months: a contract with less to run has ended

# What is counted by stratum and offer, in simulated users and what they use; the last axis of `Tally.by_offer`.
BEFORE, LEFT = 0, 1  # users without a router: held the offer before the step, left its provider in it
OWN, OWN_SIZE, NEW, NEW_SIZE = (
    2,
    3,
    4,
    5,
)  # users who pay a posted price of either kind, tasks a month at that of reference
FREE, FREE_TOKENS, FREE_DECLINED = 6, 7, 8  # users who do not pay, Mtok used and declined
SIGNED, SIGNED_TASKS, SIGNED_TOKENS, SIGNED_THINKING = 9, 10, 11, 12  # users under contract, tasks, Mtok, Mtok
SIGNED_SPEND, SIGNED_SHORTFALL = 13, 14  # USD
SIGNED_TASK_ELASTICITY, SIGNED_THINKING_ELASTICITY = 15, 16  # weighted by tokens
OFFER_COLUMNS = 17
# What is counted by stratum; the last axis of `Tally.by_stratum`.
ADOPTED, REVIEWS, ABANDONMENTS, ROUTED, DEPTH, TENURE, SWITCHING_COST = range(7)
STRATUM_COLUMNS = 7


class Users(NamedTuple):
    """One row a simulated user, (U,) each; rows are sorted by stratum, and independent within one.

    Users are along the last axis of every column. The population holds them in single precision, 57 + F bytes a user;
    the research panel in double.
    """

    segment: Column
    region: Column
    quality: Column  # utils per logit
    price: Column  # utils per log point, or per USD/Mtok
    latency: Column  # utils per log point
    tasks: Column  # tasks/month at depth 1 and the reference price
    router: Column  # uniform draw: below the share of the segment that uses a router, so does the user
    tastes: Bytes  # (F, U) for brands, in 1/32 standard deviations
    adopted: Flags
    offer: Column  # -1: none
    tenure: Column  # months with the provider by the next choice
    depth: Column  # workflows
    surplus: Column  # utils of the offer held, tastes for providers left out; nan without one
    patience: Column  # hazard still to be borne before the user looks around, see `kernels.reviewing`
    free: Flags  # pays nothing
    due: Flags  # must choose in the next step: the contract has ended, or the user has begun to pay
    contract_price: Column  # USD/Mtok of the reference mix; nan: no contract
    contract_left: Column  # months the contract still runs
    commitment: Column  # Mtok of the reference mix a month, paid whether used or not


class Reviewing(NamedTuple):
    """Hazards of the step: minus the log of the probability of going through it without looking around."""

    key: np.uint64  # of the draws of users at a step
    step: int
    review: Singles  # (S,)
    router: np.float32  # of those with a router
    adoption: Singles  # (S,) of those who have not adopted
    conversion: Singles  # (S,) of beginning to pay
    multihoming: Floats  # (S,) share with a router
    outage: Singles  # (S, R, J) added by outages at the offer held
    rise: Singles  # (J,) added by a price rise, for those who pay
    on_sale: Flags  # (J,)


class Choosing(NamedTuple):
    """What offers are worth, what leaving costs, and what is signed."""

    base: Singles  # (S,) utils, as are the next four
    maximum: Singles
    horizon: Singles  # (S,) months
    per_log_depth: Singles
    outside: Singles  # (S,) -inf: no outside option
    quality: Singles  # (J,) logits
    delay: Singles  # (S, R, J) log points
    unit_price: Singles  # (S, 2, 2, J) utils per unit of sensitivity; [segment, signs, kind of price, offer]
    appeal: Singles  # (J,) utils, -inf for what is not on sale
    free_allowed: Flags  # (J,) to be had for nothing
    provider: Shorts  # (J,) owner
    brand: Shorts  # (J,) row of the tastes
    order: Integers  # (J,) offers in the order of their names
    taste_step: np.float32  # utils
    portability: np.float32
    term: Singles  # (S,) months of a contract, 0: none
    locked: Floats  # (2, S, J) USD/Mtok of the reference mix under contract
    committed: Floats  # (2, S, J) Mtok of the reference mix a month, per task a month of own size


class Using(NamedTuple):
    """What use and workflows follow from."""

    months: float
    tasks: float  # tasks in the step per task a month of own size
    allowance: Floats  # (J,) Mtok a step for those who do not pay
    free_tokens: Floats  # (S, J) Mtok in the step per task a month, of those who do not pay
    worth: Singles  # (2, S, J) utils per unit of sensitivity, of the prices posted
    mix: Floats  # (S, J) price of the segment's mix over that of the reference mix
    time_price: Floats  # (S, J) USD/Mtok
    plain: Floats  # (S,) Mtok a task without thinking
    thinking: Floats  # (S,) Mtok a task at the reference price
    reference_price: float
    elasticity: float
    effort: float  # exponent of thinking tokens in the price: 1 / (1 + curvature)
    difficulty: float
    log_ceiling: float  # log of the most tasks over those at the reference price; inf: no ceiling
    log_price: bool  # whether users feel the log of the price, or the price
    growth: Singles  # (S,) share of the gap in workflows closed in the step
    ceiling: Singles  # (S,) workflows
    log_kept: Singles  # (S,) log of the share of workflows kept in a month, or per util lost


class StepTables(NamedTuple):
    """All that the users' step needs to know, whoever takes it and wherever."""

    reviewing: Reviewing
    choosing: Choosing
    using: Using


class Tally(NamedTuple):
    """What a chunk of users counts in a step, in simulated users; G strata."""

    by_offer: Floats  # (G, J, OFFER_COLUMNS)
    by_stratum: Floats  # (G, STRATUM_COLUMNS)
