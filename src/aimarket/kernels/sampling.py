"""The offer each user takes: one uniform draw against the cumulated weights of a logit, compiled.

Users are the vectorised inner loop, offers the outer one. What is kept of a block of users, a number an offer, fits
the first-level cache. A user's choice depends on nothing but the user's own numbers and the tables of the offers,
so neither the size of a block nor who else chooses shows in it.

Arrays are taken out of their tuples once and loops get them whole, with the row to begin at: a slice an offer, with
its count of references, would cost as much as the loop over a block. Rows are unsigned, so that no loop asks whether
to count from the end.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aimarket.kernels.elementary import exp_nonpositive, inlined

Reals = NDArray[np.float32]
Indices = NDArray[np.int16]
Flags = NDArray[np.bool_]

_BLOCK = 512  # users whose weights are in the cache at once
_ROW = np.uint64
_NOTHING = np.float32(-np.inf)
_BEYOND = np.float32(1)  # a draw on what weighs nothing: nothing can be had
_LEAST = np.float32(-3e38)  # finite: where nothing can be had, -inf is still infinitely far from the best


class Choosers(NamedTuple):
    """The n users of one stratum who choose; arrays are contiguous, and may go on beyond the n that the choice has."""

    quality: Reals  # (n,) utils per logit
    latency: Reals  # (n,) utils per log point
    price: Reals  # (n,) utils per unit of the table's price; 0 for those who do not pay
    leaving: Reals  # (n,) utils, switching cost; 0 for those who hold no offer on sale
    held: Indices  # (n,) provider of the offer held, -1: none
    free: Flags  # (n,) does not pay
    signs: Flags  # (n,) signs a contract with whatever offer is chosen
    tastes: NDArray[np.int8]  # (F, m) taste for each brand, in steps, of more users perhaps
    from_row: np.uint64  # where in them these users begin
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
        + menu.taste_step tastes[menu.brand[j], from_row:] + menu.appeal[j]
        - (leaving, unless its provider is the one held)

    and that of the outside option, which comes last, menu.outside - leaving. A user who does not pay cannot have an
    offer without a free tier. All is of single precision: a choice may differ from that of exact arithmetic if the
    draw is within 1e-7 (J + 10 x) of a border between two alternatives, x the sum of a utility's absolute terms.

    choice : (n,) int16, written to: the offer, or -1 for the outside option and where nothing can be had
    source : inverse transform of the logit probabilities, Train (2009), Discrete Choice Methods with Simulation, ch. 9
    """
    count, offers = len(choice), len(menu.order)
    quality, latency, price, leaving = choosers.quality, choosers.latency, choosers.price, choosers.leaving
    held, free, signs, tastes, uniform = choosers.held, choosers.free, choosers.signs, choosers.tastes, choosers.uniform
    order, outside, from_row = menu.order, menu.outside, choosers.from_row
    size = min(_BLOCK, count)
    weight = np.empty((offers, size), dtype=np.float32)  # utility at first, cumulated weight in the end
    best, reach = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    passed = np.empty(size, dtype=np.int32)
    taken = np.full(offers + 1, -1, dtype=np.int16)  # by how many have been passed; the outside option comes last
    for k in range(offers):
        taken[k] = order[k]
    for start in range(0, count, _BLOCK):
        width, first = min(_BLOCK, count - start), _ROW(start)
        for i in range(width):
            best[i] = max(outside - leaving[first + _ROW(i)], _LEAST)
            reach[i] = 0
            passed[i] = 0
        for k in range(offers):
            offer = _offer(menu, order[k])
            _weigh_up(
                offer,
                _ROW(k),
                first,
                width,
                quality,
                latency,
                price,
                leaving,
                held,
                free,
                signs,
                tastes,
                from_row,
                weight,
                best,
            )
        for k in range(offers):
            _cumulate(_ROW(k), width, best, weight, reach)
        for i in range(width):
            row = first + _ROW(i)
            total = reach[i] + exp_nonpositive(outside - leaving[row] - best[i])
            reach[i] = uniform[row] * total if total > 0 else _BEYOND
        for k in range(offers):
            _pass(_ROW(k), width, weight, reach, passed)
        for i in range(width):
            choice[first + _ROW(i)] = taken[passed[i]]


class _Offer(NamedTuple):
    """One offer as one stratum sees it; see `Menu`."""

    quality: np.float32
    delay: np.float32
    own_price: np.float32
    new_price: np.float32
    own_contract: np.float32
    new_contract: np.float32
    appeal: np.float32
    provider: np.int16
    brand: np.uint64
    paid_only: bool
    taste_step: np.float32


@inlined
def _offer(menu: Menu, j: int) -> _Offer:
    price = menu.unit_price
    return _Offer(
        menu.quality[j], menu.delay[j], price[0, 0, j], price[0, 1, j], price[1, 0, j], price[1, 1, j],
        menu.appeal[j], menu.provider[j], _ROW(menu.brand[j]), not menu.free_allowed[j], menu.taste_step,
    )  # fmt: skip


@inlined
def _weigh_up(
    offer: _Offer,
    k: np.uint64,
    first: np.uint64,
    width: int,
    quality: Reals,
    latency: Reals,
    price: Reals,
    leaving: Reals,
    held: Indices,
    free: Flags,
    signs: Flags,
    tastes: NDArray[np.int8],
    from_row: np.uint64,
    utility: Reals,
    best: Reals,
) -> None:
    """Utility of one offer to a block of users, from the row `first` on, and the best they have seen."""
    for i in range(width):
        row = first + _ROW(i)
        stays = held[row] == offer.provider
        posted = offer.own_price if stays else offer.new_price
        contract = offer.own_contract if stays else offer.new_contract
        worth = quality[row] * offer.quality - latency[row] * offer.delay
        worth += price[row] * (contract if signs[row] else posted)
        worth += offer.taste_step * np.float32(tastes[offer.brand, from_row + row]) + offer.appeal
        worth -= np.float32(0) if stays else leaving[row]
        worth = _NOTHING if offer.paid_only & free[row] else worth
        utility[k, i] = worth
        best[i] = worth if worth > best[i] else best[i]


@inlined
def _cumulate(k: np.uint64, width: int, best: Reals, weight: Reals, total: Reals) -> None:
    """Utilities of one offer become the weights of all offers so far."""
    for i in range(width):
        total[i] += exp_nonpositive(weight[k, i] - best[i])
        weight[k, i] = total[i]


@inlined
def _pass(k: np.uint64, width: int, cumulated: Reals, reach: Reals, passed: NDArray[np.int32]) -> None:
    """Count an offer as passed by those whose draw lies beyond it."""
    for i in range(width):
        passed[i] += cumulated[k, i] < reach[i]
