"""Offers as columns: what is fixed about every priced endpoint in the market."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.data import ListPrice
from aimarket.kernels.sums import ordered_sum
from aimarket.population import Floats, Integers
from aimarket.units import LOGITS_PER_RATING_POINT

PARTS = ("fresh_input", "cached_input", "output")


@dataclass(frozen=True)
class Catalogue:
    """J offers in the order of the roster; S segments."""

    providers: tuple[str, ...]
    provider: Integers  # (J,) the brand: tastes, appeal and names follow it; who owns the offer is state
    offers: tuple[str, ...]  # (J,) names within the provider
    models: tuple[str, ...]  # (J,) keys of the table of list prices, or ""
    settings: tuple[config.Offer, ...]
    prices: Floats  # (J, 3) list prices of fresh input, cached input and output, USD/Mtok
    list_price: Floats  # (J,) USD/Mtok of the reference mix
    mix: Floats  # (S, J) price of the segment's token mix over that of the reference mix
    quality: Floats  # (J,) logits at the start
    wholesale: Floats  # (J,) USD/Mtok, nan: own capacity
    open_weights: NDArray[np.bool_]  # (J,)
    speed: Floats  # (J,) output tokens/s
    prefill: Floats  # (J,) s
    appeal: Floats  # (J,) utils
    free_allowance: Floats  # (J,) tokens a month for users who do not pay

    @property
    def names(self) -> tuple[str, ...]:
        """Unique names of the offers: provider/offer."""
        return tuple(f"{self.providers[f]}/{offer}" for f, offer in zip(self.provider, self.offers, strict=True))


def reference_mix(users: config.Users) -> Floats:
    """Token mix of the whole market at the reference price, (3,) shares of fresh input, cached input and output."""
    rows = list(users.segments.values())
    tokens = np.array([row.population * row.tasks * row.tokens_per_task for row in rows])
    return np.asarray(tokens / tokens.sum() @ token_mixes(users))


def token_mixes(users: config.Users) -> Floats:
    """Token mix of each segment, (S, 3) shares that sum to 1."""
    mixes = np.array([[getattr(row.tokens, part) for part in PARTS] for row in users.segments.values()])
    return np.asarray(mixes / mixes.sum(axis=1, keepdims=True))


def _list_prices(key: str, offer: config.Offer, table: Mapping[str, ListPrice]) -> list[float]:
    """Fresh input, cached input and output price: the settings' own, else the table's; cached defaults to fresh."""
    listed = table.get(offer.model) if offer.model is not None else None
    fresh = offer.input_price or (listed and listed.input_price)
    output = offer.output_price or (listed and listed.output_price)
    if not fresh or not output:
        raise ValueError(
            f"{key}: input_price and output_price must be set, or model must name a row of the price table"
        )
    return [fresh, offer.cached_price or (listed and listed.cached_price) or fresh, output]


def _quality(key: str, offer: config.Offer, table: Mapping[str, ListPrice], reference: float) -> float:
    """Quality in logits: the settings' own, else the rating on the logit scale."""
    if offer.quality is not None:
        return offer.quality
    listed = table.get(offer.model) if offer.model is not None else None
    rating = offer.rating if offer.rating is not None or listed is None else listed.rating
    if rating is None:
        raise ValueError(f"{key}: quality or rating must be set, or model must name a rated row of the price table")
    return (rating - reference) * LOGITS_PER_RATING_POINT


def create_catalogue(settings: config.Settings, table: Mapping[str, ListPrice]) -> Catalogue:
    """Columns of every offer in the roster.

    table  : list prices by "provider/model"
    raises : ValueError naming the key if an offer has no price or quality
    """
    rows = [
        (f, name, key, offer)
        for f, (name, p) in enumerate(settings.providers.items())
        for key, offer in p.offers.items()
    ]
    offers = [offer for *_, offer in rows]
    keys = [f"providers.{name}.offers.{key}" for _, name, key, _ in rows]
    prices = np.array([_list_prices(key, offer, table) for key, offer in zip(keys, offers, strict=True)]).reshape(-1, 3)
    list_price = ordered_sum(prices * reference_mix(settings.users))
    reference = settings.technology.reference_rating
    appeals = [p.appeal for p in settings.providers.values()]
    provider = np.array([f for f, *_ in rows], dtype=np.int64)
    return Catalogue(
        providers=tuple(settings.providers),
        provider=provider,
        offers=tuple(key for _, _, key, _ in rows),
        models=tuple(offer.model or "" for offer in offers),
        settings=tuple(offers),
        prices=prices,
        list_price=list_price,
        mix=ordered_sum(token_mixes(settings.users)[:, None] * prices) / list_price,
        quality=np.array([_quality(key, offer, table, reference) for key, offer in zip(keys, offers, strict=True)]),
        wholesale=np.array([np.nan if offer.wholesale is None else offer.wholesale for offer in offers]),
        open_weights=np.array([offer.open_weights for offer in offers], dtype=bool),
        speed=np.array([offer.speed for offer in offers]),
        prefill=np.array([offer.prefill for offer in offers]),
        appeal=np.array(appeals)[provider],
        free_allowance=np.array([offer.free_allowance for offer in offers]),
    )
