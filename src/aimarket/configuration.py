"""From the YAML tree `conf/` and overrides to validated settings."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from aimarket.build import check_consistency
from aimarket.complaints import SettingsError, describe, near, one_line, shown
from aimarket.composition_cache import conf_dir
from aimarket.data import list_prices
from aimarket.documented import Documented, split
from aimarket.overrides import compose_plain
from aimarket.schema import HOW_FAST
from aimarket.settings import MARKET_SHELVES, SHELVES, Settings, nested_rules, rule_class, rule_kinds
from aimarket.versions import version

__all__ = ["SettingsError", "checked", "conf_dir", "documented", "load", "run_id", "settings_dict", "validate"]

_WITHOUT_EFFECT = ("study", "outputs", "about")  # where results go and what they are for


def load(overrides: Sequence[str] = ()) -> Settings:
    """Compose `conf/` with Hydra overrides and validate the result; nothing is run or written.

    raises : SettingsError

    >>> load(["run.steps=3"]).run.steps
    3
    """
    return validate(compose_plain(overrides))


def validate(config: Mapping[str, Any]) -> Settings:
    """Settings from a composed configuration, documented numbers replaced by their values.

    raises : SettingsError
    """
    try:
        values, _ = split(config)
    except ValueError as error:
        raise SettingsError(one_line(str(error))) from None
    values.pop("design", None)  # of a sweep, whose points are runs like any other
    providers = values.get("providers")
    if isinstance(providers, dict):
        for name, provider in providers.items():
            if isinstance(provider, dict):
                for shelf in SHELVES:
                    provider[shelf] = _rule(shelf, provider.get(shelf), f"providers.{name}.{shelf}")
                _drop_nothing(provider.get("offers"))
    for shelf in MARKET_SHELVES:
        values[shelf] = _rule(shelf, values.get(shelf), shelf)
    settings: Settings = checked(Settings, values, "")
    try:
        check_consistency(settings)
    except ValueError as error:
        raise SettingsError(one_line(str(error))) from None
    return settings


def documented(config: Mapping[str, Any]) -> dict[str, Documented]:
    """Every documented number of a composed configuration by dotted key."""
    return split(config)[1]


def settings_dict(settings: Settings, results_only: bool = False) -> dict[str, Any]:
    """Settings as nested dictionaries, rules with their `kind`.

    results_only : leave out what only says where results go, what they are for and how fast they come
    """
    values: dict[str, Any] = TypeAdapter(Settings).dump_python(settings)  # `asdict`, four times as fast
    for name, provider in settings.providers.items():
        for shelf in SHELVES:
            values["providers"][name][shelf] = _node(getattr(provider, shelf))
    for shelf in MARKET_SHELVES:
        values[shelf] = _node(getattr(settings, shelf))
    if results_only:
        for key in _WITHOUT_EFFECT:
            del values[key]
        for key in HOW_FAST:
            del values["run"][key]
    return values


def run_id(settings: Settings) -> str:
    """Hash of everything the recorded bytes depend on, 16 hexadecimal digits: settings, list prices, this version.

    The order of providers, offers, segments and regions is part of it: rows and draws follow it.
    """
    models = {offer.model for provider in settings.providers.values() for offer in provider.offers.values()}
    listed = [price for key, price in _list_prices() if key in models]
    text = json.dumps([settings_dict(settings, results_only=True), listed, version("aimarket")])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _list_prices() -> list[tuple[str, str]]:
    """The list prices by model as text that holds all of them, in order."""
    return [(key, repr(price)) for key, price in sorted(list_prices().items())]


def _rule(shelf: str, item: Any, key: str) -> Any:
    """A rule of one shelf from its node: `kind` names the file, the rest are its parameters."""
    allowed = rule_kinds(shelf)
    if not isinstance(item, Mapping) or "kind" not in item:
        raise SettingsError(f"{key}.kind: missing (got {shown(item)}); allowed: {', '.join(allowed)}")
    kind = item["kind"]
    if kind not in allowed:
        raise SettingsError(f"{key}.kind: no such rule (got {shown(kind)}){near(str(kind), allowed)}")
    values = {k: v for k, v in item.items() if k != "kind"}
    for name in nested_rules(rule_class(shelf, kind)):
        values[name] = _rule(shelf, values.get(name), f"{key}.{name}")
    return checked(rule_class(shelf, kind), values, f"{key}.")


def _node(rule: Any) -> dict[str, Any]:
    """A rule as a node: its `kind`, its parameters, and the rules it holds likewise."""
    held = {name: _node(getattr(rule, name)) for name in nested_rules(rule.__class__)}
    return {"kind": type(rule).__module__.split(".")[-1], **dataclasses.asdict(rule), **held}


def _drop_nothing(offers: Any) -> None:
    """An offer set to null or emptied on the command line is an offer taken off the menu."""
    if isinstance(offers, dict):
        for name in [name for name, offer in offers.items() if offer is None]:
            del offers[name]


def checked(kind: type, values: Any, prefix: str) -> Any:
    """Values as an instance of a dataclass; SettingsError names what does not fit, its key after the prefix."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise SettingsError(describe(error, kind, prefix)) from None
