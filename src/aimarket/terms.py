"""On what terms users buy: at posted prices, as newcomers, under a contract, through a router or for nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.choice import price_utility
from aimarket.kernels.effort import Response, use
from aimarket.population import Menu, Segments, Users, over_step, routes, time_price
from aimarket.rng import Streams

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_OVER = 1e-9  # months: a contract with less to run has ended


def response(settings: config.Users) -> Response:
    """How use answers to the price of a token."""
    difficulty = settings.difficulty
    return Response(
        reference_price=settings.reference_price,
        elasticity=settings.usage_elasticity,
        curvature=settings.effort_curvature,
        ceiling=np.inf if difficulty.ceiling is None else difficulty.ceiling,
        difficulty=difficulty.thinking,
    )


def is_bound(users: Users, rows: Integers | slice, menu: Menu) -> Flags:
    """Whose contract still runs, and with a provider that is still there; (n,)."""
    return (users.contract_left[rows] > _OVER) & menu.on_sale[np.maximum(users.offer[rows], 0)]


def signs(users: Users, rows: Integers | slice, segments: Segments) -> Flags:
    """Who signs a contract with whatever offer he picks; (n,)."""
    return ~users.free[rows] & (segments.term[users.segment[rows]] > 0) & ~routes(users, rows, segments)


def review_hazard(users: Users, rows: Integers | slice, segments: Segments, months: float) -> Floats:
    """Probability of a review in a step of some months without any trigger: once a month with a router; (n,)."""
    hazard = over_step(segments.review, months)[users.segment[rows]]
    return np.where(routes(users, rows, segments), min(1.0, months), hazard) if segments.multihoming.any() else hazard


def is_own(users: Users, rows: Integers | slice, menu: Menu) -> Flags:
    """Which offers are those of the user's own provider, if it is still there; (n, J)."""
    offer = users.offer[rows]
    held = np.maximum(offer, 0)
    attached = (offer >= 0) & menu.on_sale[held]
    return attached[:, None] & (menu.provider == menu.provider[held][:, None])


@dataclass(frozen=True)
class Felt:
    """What counts of a price in a choice, for users who sign and users who do not.

    factor  : (2, S, J) float, 1            price felt over what is posted to own customers; [signs, segment, offer]
    weight  : (2,) float, 1                 weight that newcomers give to what own customers pay
    """

    factor: Floats
    weight: Floats


def felt(menu: Menu, segments: Segments, settings: config.Users) -> Felt:
    """A contract locks the discounted price; without one the price to be paid later counts as well.

    Users with foresight phi take the price of a stay to be p^(1 - phi) p_later^phi, where p_later is what own customers
    pay now times the offer's outlook, its trend relative to the market drawn out over the stay.

    source : Klemperer (1987), QJE 102(2), and Fudenberg and Tirole (2000), RAND 31(4), have fully rational users (1);
             backward-looking expectations of prices are ours
    """
    weight = settings.foresight.weight
    outlook = menu.outlook**weight if weight > 0 else np.ones(len(menu.price))
    plain = np.broadcast_to(outlook, menu.mix.shape)
    contract = np.broadcast_to(1 - segments.discount[:, None], menu.mix.shape)
    return Felt(np.stack([plain, contract]), np.array([weight, 0.0]))


def price_sensitivity(users: Users, rows: Integers) -> Floats:
    """Taste for price of those who pay one, 0 of the others; (n,)."""
    return np.where(users.free[rows], 0.0, users.price[rows])


def menu_price_utility(users: Users, rows: Integers, menu: Menu, segments: Segments, settings: config.Users) -> Floats:
    """Utility of the prices posted to some users, for their own token mixes; (n, J) float, utils.

    Own customers compare what own customers pay with what rivals ask of newcomers.
    """
    counts, s = felt(menu, segments, settings), users.segment[rows]
    signing = signs(users, rows, segments).astype(np.int64)

    def unit(posted: Floats) -> Floats:  # utils per unit of sensitivity, (2, S, J)
        later = (menu.price / posted) ** counts.weight[:, None, None]
        return price_utility(
            posted * later * menu.mix * counts.factor, np.ones(1), settings.price_metric, settings.reference_price
        )

    sensitivity = price_sensitivity(users, rows)[:, None]
    if not menu.recognises:
        return sensitivity * unit(menu.price)[signing, s]
    own = is_own(users, rows, menu)
    return sensitivity * np.where(own, unit(menu.price)[signing, s], unit(menu.newcomer_price)[signing, s])


def posted_price(own: Flags, menu: Menu, offers: Integers | slice = slice(None)) -> Floats:
    """Price posted to users of the offers in `own`, elsewhere that of newcomers; (n, M) or (M,) USD/Mtok."""
    return np.where(own, menu.price[offers], menu.newcomer_price[offers]) if menu.recognises else menu.price[offers]


def sign(
    users: Users, rows: Integers, old: Integers, menu: Menu, segments: Segments, settings: config.Users, factor: float
) -> None:
    """Those of `rows` who have just chosen sign what they sign; contracts that ended are forgotten.

    old    : (n,) int     offers held before
    factor : float, 1     demand shock
    """
    users.due[rows] = False
    users.contract_price[rows] = np.nan
    users.contract_left[rows] = users.commitment[rows] = 0.0
    if not segments.term.any():
        return
    who = np.flatnonzero(signs(users, rows, segments) & (users.offer[rows] >= 0))
    new, was = rows[who], old[who]
    s, j = users.segment[new], users.offer[new]
    stays = (was >= 0) & (menu.provider[was] == menu.provider[j])
    _lock(users, new, np.where(stays, menu.price[j], menu.newcomer_price[j]), menu, segments, settings, factor)
    users.contract_left[new] = segments.term[s]


def _lock(
    users: Users,
    new: Integers,
    posted: Floats,
    menu: Menu,
    segments: Segments,
    settings: config.Users,
    factor: float,
) -> None:
    """Price and committed volume of the contracts of users `new`, at prices `posted` to them."""
    s, j = users.segment[new], users.offer[new]
    price, mix = posted * (1 - segments.discount[s]), menu.mix[s, j]
    count, thinking = use(
        users.tasks[new] * factor,
        users.depth[new],
        segments.thinking[s],
        price * mix,
        time_price(segments, menu.speed)[s, j],
        response(settings),
    )
    users.contract_price[new] = price
    users.commitment[new] = segments.commitment[s] * count * (segments.tokens_per_task[s] + thinking) * mix


def stagger(users: Users, segments: Segments, streams: Streams, months: float) -> None:
    """On the eve of the first step contracts are of all ages: as many end in each step of a term."""
    left = segments.term[users.segment] * streams.at("users.contract").uniform(0, len(users)) - months
    signed = np.isfinite(users.contract_price)
    users.contract_left = np.where(signed, left, 0.0)
    users.due |= signed & (left <= _OVER)


def lock_first_quotes(users: Users, menu: Menu, segments: Segments, settings: config.Users, factor: float) -> None:
    """Contracts that run when the first prices are quoted lock those: nobody has quoted the list prices."""
    new = np.flatnonzero(is_bound(users, slice(None), menu))
    _lock(users, new, menu.price[users.offer[new]], menu, segments, settings, factor)


def run_down(users: Users, rows: slice, segments: Segments, streams: Streams, step: int, months: float) -> None:
    """A step passes: contracts run down, and some users begin to pay; both ends make them choose in the next step."""
    if segments.term.any():
        signed = np.isfinite(users.contract_price[rows])
        users.contract_left[rows] -= np.where(signed, months, 0.0)
        users.due[rows] |= signed & (users.contract_left[rows] <= _OVER)
    if segments.conversion.any():
        chance = over_step(segments.conversion, months)[users.segment[rows]]
        draw = streams.at("users.conversion", step).uniform(rows.start, rows.stop)
        begins = users.free[rows] & users.adopted[rows] & (draw < chance)
        users.free[rows] &= ~begins
        users.due[rows] |= begins
        users.surplus[rows] = np.where(begins, np.nan, users.surplus[rows])
