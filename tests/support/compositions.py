"""Configurations for tests: composed once with Hydra, then changed as plain dictionaries, a hundred times faster."""

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from aimarket.composition import compose_plain, conf_dir
from aimarket.configuration import validate
from aimarket.documented import NODE_KEYS
from aimarket.settings import Settings
from aimarket.validation.limits import changed

__all__ = ["changed", "composed", "in_order", "leaves", "made", "option"]


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
    return functools.reduce(lambda whole, part: whole | part, [*(_option(group, base) for base in bases), node])


def option(group: str, name: str) -> dict[str, Any]:
    """One file of a group whose only defaults are files beside it, such as a rule or a policy."""
    return copy.deepcopy(_option(group, name))


def made(*overrides: str, **values: Any) -> Settings:
    """Settings from overrides; values at dotted keys written with two underscores go in without composing anew."""
    return validate(changed(_composed(overrides), {key.replace("__", "."): value for key, value in values.items()}))


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
