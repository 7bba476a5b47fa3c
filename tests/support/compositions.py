"""Configurations for tests: composed once with Hydra, then changed as plain dictionaries, a hundred times faster."""

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from aimarket.complaints import kind_at
from aimarket.composition import compose_plain, conf_dir
from aimarket.configuration import validate
from aimarket.documented import NODE_KEYS
from aimarket.settings import MARKET_SHELVES, SHELVES, Settings, nested_rules, rule_class
from aimarket.validation.limits import changed

__all__ = ["changed", "composed", "declared", "in_order", "leaves", "made", "made_rule", "named_firms", "option"]


@functools.cache
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    return compose_plain(overrides)


def composed(*overrides: str) -> dict[str, Any]:
    """A copy of a composed configuration, documented numbers still as nodes."""
    return copy.deepcopy(_composed(overrides))


@functools.cache
def _option(group: str, name: str) -> dict[str, Any]:
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{name}.yaml"))
    bases = [base for base in node.pop("defaults", []) if base != "_self_"]
    return functools.reduce(lambda whole, part: whole | part, [*(_base(group, base) for base in bases), node])


def _base(group: str, base: str | dict[str, str]) -> dict[str, Any]:
    """A file beside, or one of any group put at a key: `/pricing@rule: cost_plus`."""
    if isinstance(base, str):
        return _option(group, base)
    ((place, name),) = base.items()
    other, _, key = place.removeprefix("/").partition("@")
    return {key: _option(other, name)}


def option(group: str, name: str) -> dict[str, Any]:
    """One file of a group and the files it names, such as a rule or a policy."""
    return copy.deepcopy(_option(group, name))


def named_firms(policy: Mapping[str, Any]) -> set[str]:
    """Firms that a policy names: it needs a roster that has them."""
    merger, parts = policy["merger"] or {}, policy["break_up"] or {}
    return {*merger.values(), *(parts[key] for key in ("provider", "into") if key in parts)}


def made(*overrides: str, **values: Any) -> Settings:
    """Settings from overrides; values at dotted keys written with two underscores go in without composing anew."""
    return validate(changed(_composed(overrides), {key.replace("__", "."): value for key, value in values.items()}))


def made_rule(shelf: str, kind: str, **changes: Any) -> Any:
    """A rule with the parameters of its YAML, some of them changed."""
    config = composed("roster=duopoly")
    if shelf in MARKET_SHELVES:
        return getattr(validate(config | {shelf: option(shelf, kind) | changes}), shelf)
    config["providers"]["alpha"][shelf] = option(shelf, kind) | changes
    return getattr(validate(config).providers["alpha"], shelf)


def declared(config: Mapping[str, Any], key: str) -> Any:
    """The type that settings.py, or a rule, gives to a key."""
    parts = key.split(".")
    if parts[0] in MARKET_SHELVES:
        return kind_at(rule_class(parts[0], config[parts[0]]["kind"]), parts[1:])
    if not (parts[0] == "providers" and parts[2] in SHELVES):
        return kind_at(Settings, parts)
    shelf, node, rest = parts[2], config["providers"][parts[1]][parts[2]], parts[3:]
    while rest and rest[0] in nested_rules(rule_class(shelf, node["kind"])):
        node, rest = node[rest[0]], rest[1:]
    return kind_at(rule_class(shelf, node["kind"]), rest)


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything that is not a mapping; a documented number counts as its node."""
    if isinstance(node, Mapping) and not all(name in node for name in NODE_KEYS):
        for name, value in node.items():
            yield from leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def in_order(settings: Settings, names: Sequence[str]) -> Settings:
    """The same market with its providers in another order."""
    return dataclasses.replace(settings, providers={name: settings.providers[name] for name in names})
