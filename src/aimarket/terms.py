"""On what terms users buy: at posted prices, as newcomers, under a contract, through a router or for nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.kernels.choice import price_utility
from aimarket.kernels.effort import Response
from aimarket.kernels.tables import OVER, Users
from aimarket.population import Menu, Segments, over_step, routes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


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


def is_bound(users: Users, menu: Menu) -> Flags:
    """Whose contract still runs, and with a provider that is still there; (U,)."""
    return (users.contract_left > OVER) & menu.on_sale[np.maximum(users.offer, 0)]


def signs(users: Users, segments: Segments) -> Flags:
    """Who signs a contract with whatever offer he picks; (U,)."""
    return ~users.free & (segments.term[users.segment] > 0) & ~routes(users, segments)


def review_hazard(users: Users, segments: Segments, months: float) -> Floats:
    """Probability of a review in a step of some months without any trigger: once a month with a router; (U,)."""
    hazard = over_step(segments.review, months)[users.segment]
    return np.where(routes(users, segments), min(1.0, months), hazard) if segments.multihoming.any() else hazard


def is_own(users: Users, menu: Menu) -> Flags:
    """Which offers are those of the user's own provider, if it is still there; (U, J)."""
    held = np.maximum(users.offer, 0)
    attached = (users.offer >= 0) & menu.on_sale[held]
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


def unit_price_utility(menu: Menu, segments: Segments, settings: config.Users) -> Floats:
    """Utility of the prices posted, per unit of sensitivity; (S, 2, 2, J) [segment, signs, kind of price, offer].

    The first kind is what own customers pay, the second what newcomers do. Who signs a contract counts its price alone.
    """
    counts = felt(menu, segments, settings)
    posted = np.stack([menu.price, menu.newcomer_price])[:, None, None]  # (2, 1, 1, J)
    later = (menu.price / posted) ** counts.weight[:, None, None]  # (2, 2, 1, J)
    price = posted * later * menu.mix * counts.factor  # (2, 2, S, J)
    return price_utility(price, np.ones(1), settings.price_metric, settings.reference_price).transpose(2, 1, 0, 3)


def menu_price_utility(
    kind: Integers, own: Flags, sensitivity: Floats, menu: Menu, segments: Segments, settings: config.Users
) -> Floats:
    """Utility of the prices posted, for the users' own token mixes; (U, J) utils.

    Own customers compare what own customers pay with what rivals ask of newcomers.

    kind        : (U,) twice the segment, and one more for those who sign contracts
    own         : (U, J) offers of the user's own provider
    sensitivity : (U,) 0 for those who do not pay, and so feel no price
    """
    unit = unit_price_utility(menu, segments, settings)
    of_kinds = unit.reshape(-1, *unit.shape[2:])  # (2 S, 2, J)
    felt_by_own = of_kinds[:, 0][kind]
    if not menu.recognises:
        return sensitivity[:, None] * felt_by_own
    return sensitivity[:, None] * np.where(own, felt_by_own, of_kinds[:, 1][kind])


def posted_price(own: Flags, menu: Menu, offers: Integers | slice = slice(None)) -> Floats:
    """Price posted to users of the offers in `own`, elsewhere that of newcomers; (n, M) or (M,) USD/Mtok."""
    return np.where(own, menu.price[offers], menu.newcomer_price[offers]) if menu.recognises else menu.price[offers]
