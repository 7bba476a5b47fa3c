"""The offer each user takes: one uniform draw against the cumulated weights of a logit, compiled.

Users are the vectorised inner loop, offers the outer one. What is kept of a block of users, a number an offer, fits
the first-level cache. A user's choice depends on nothing but the user's own numbers and the tables of the offers,
so neither the size of a block nor who else chooses shows in it.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import exp_nonpositive

Reals = NDArray[np.float32]
Indices = NDArray[np.int16]
Flags = NDArray[np.bool_]

_BLOCK = 512  # users whose weights are in the cache at once
_NOTHING = np.float32(-np.inf)
_LEAST = np.float32(-3e38)  # finite: where nothing can be had, -inf is still infinitely far from the best


class Choosers(NamedTuple):
    """The n users of one stratum who choose; all arrays are contiguous."""

    quality: Reals  # (n,) utils per logit
    latency: Reals  # (n,) utils per log point
    price: Reals  # (n,) utils per unit of the table's price; 0 for those who do not pay
    leaving: Reals  # (n,) utils, switching cost; 0 for those who hold no offer on sale
    held: Indices  # (n,) provider of the offer held, -1: none
    free: Flags  # (n,) does not pay
    signs: Flags  # (n,) signs a contract with whatever offer is chosen
    tastes: NDArray[np.int8]  # (F, n) taste for each brand, in steps
    uniform: Reals  # (n,) draw on (0, 1)


class Menu(NamedTuple):
    """The J offers as one stratum sees them."""

    quality: Reals  # (J,) logits
    delay: Reals  # (J,) log points
    unit_price: Reals  # (2, 2, J) utils per unit of taste for price [signs a contract, newcomer to the provider]
    appeal: Reals  # (J,) utils; -inf: not on sale
    free_allowed: Flags  # (J,) has a free tier
    provider: Indices  # (J,)
    brand: Indices  # (J,)
    order: NDArray[np.int64]  # (J,) offers in the order in which weights are cumulated
    outside: np.float32  # utils of the outside option; -inf: there is none
    taste_step: np.float32  # utils per step of taste


@njit(cache=True, nogil=True)
def sample_offers(choosers: Choosers, menu: Menu, choice: Indices) -> None:
    """Each user takes the first offer whose cumulated logit weight reaches the draw's share of the total.

    The utility of offer j is

        quality menu.quality[j] - latency menu.delay[j] + price menu.unit_price[signs, newcomer to its provider, j]
        + menu.taste_step tastes[menu.brand[j]] + menu.appeal[j] - (leaving, unless its provider is the one held)

    and that of the outside option, which comes last, menu.outside - leaving. A user who does not pay cannot have an
    offer without a free tier. All is of single precision: a choice may differ from that of exact arithmetic if the
    draw is within 1e-7 (J + 10 x) of a border between two alternatives, x the sum of a utility's absolute terms.

    choice : (n,) int16, written to: the offer, or -1 for the outside option and where nothing can be had
    source : inverse transform of the logit probabilities, Train (2009), Discrete Choice Methods with Simulation, ch. 9
    """
    count, offers = len(choice), len(menu.order)
    size = min(_BLOCK, count)
    weight = np.empty((offers, size), dtype=np.float32)  # utility at first, cumulated weight in the end
    best, reach = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    passed = np.empty(size, dtype=np.int32)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        width = stop - start
        for i in range(width):
            best[i] = max(menu.outside - choosers.leaving[start + i], _LEAST)
            reach[i] = 0
            passed[i] = 0
        for k in range(offers):
            _weigh_up(choosers, menu, menu.order[k], start, weight[k, :width], best)
        for k in range(offers):
            _cumulate(weight[k, :width], best, reach)
        for i in range(width):
            outside = exp_nonpositive(menu.outside - choosers.leaving[start + i] - best[i])
            total = reach[i] + outside  # 0 where nothing can be had: then the draw is beyond everything
            reach[i] = choosers.uniform[start + i] * total if total > 0 else np.float32(1)
        for k in range(offers):
            _pass(weight[k, :width], reach, passed)
        for i in range(width):
            choice[start + i] = menu.order[passed[i]] if passed[i] < offers else -1


@njit(cache=True, nogil=True)
def _weigh_up(choosers: Choosers, menu: Menu, offer: int, start: int, utility: Reals, best: Reals) -> None:
    """Utility of one offer to a block of users, and the best they have seen."""
    stop = start + len(utility)
    quality, latency, price = choosers.quality[start:stop], choosers.latency[start:stop], choosers.price[start:stop]
    leaving, held = choosers.leaving[start:stop], choosers.held[start:stop]
    free, signs = choosers.free[start:stop], choosers.signs[start:stop]
    taste = choosers.tastes[menu.brand[offer], start:stop]
    own_price, new_price = menu.unit_price[0, 0, offer], menu.unit_price[0, 1, offer]
    own_contract, new_contract = menu.unit_price[1, 0, offer], menu.unit_price[1, 1, offer]
    offered, delay, appeal = menu.quality[offer], menu.delay[offer], menu.appeal[offer]
    provider, paid_only, taste_step = menu.provider[offer], not menu.free_allowed[offer], menu.taste_step
    for i in range(len(utility)):
        stays = held[i] == provider
        posted = own_price if stays else new_price
        contract = own_contract if stays else new_contract
        worth = quality[i] * offered - latency[i] * delay
        worth += price[i] * (contract if signs[i] else posted)
        worth += taste_step * np.float32(taste[i]) + appeal
        worth -= np.float32(0) if stays else leaving[i]
        worth = _NOTHING if paid_only & free[i] else worth
        utility[i] = worth
        best[i] = worth if worth > best[i] else best[i]


@njit(cache=True, nogil=True)
def _cumulate(weight: Reals, best: Reals, total: Reals) -> None:
    """Utilities of one offer become the weights of all offers so far."""
    for i in range(len(weight)):
        total[i] += exp_nonpositive(weight[i] - best[i])
        weight[i] = total[i]


@njit(cache=True, nogil=True)
def _pass(cumulated: Reals, reach: Reals, passed: NDArray[np.int32]) -> None:
    """Count an offer as passed by those whose draw lies beyond it."""
    for i in range(len(cumulated)):
        passed[i] += cumulated[i] < reach[i]
