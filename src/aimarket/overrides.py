"""What most runs say: files that have been composed before, and plain values. That needs no Hydra, which loads slowly.

Whatever else there is, an override that Hydra has to parse or an error, is left to `composition`, as are files that
have not been composed before. What is plain is meant as Hydra means it; a property test compares the two.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aimarket import composition_cache
from aimarket.composition_cache import conf_dir, fingerprint

_OVERRIDE = re.compile(r"([A-Za-z_][\w-]*(?:[./][A-Za-z_][\w-]*)*)=(\S+)", re.ASCII)
_LONGEST = 1000  # characters; Python makes no number of much more
_WHOLE = r"[+-]?(?:0|[1-9][0-9]*)"
_VALUES: tuple[tuple[str, Callable[[str], Any]], ...] = (  # how it is written, and what it means
    (_WHOLE, int),
    (rf"{_WHOLE}(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?", float),
    ("(?i:true|false)", lambda text: text.lower() == "true"),
    ("(?i:null)", lambda text: None),
    (r"(?!(?i:inf|nan)$)[A-Za-z_/][A-Za-z0-9_./-]*", str),
)


def compose_plain(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose `conf/` with overrides into plain dictionaries, documented numbers still as nodes.

    raises : SettingsError
    """
    config = _composed_before(overrides)
    if config is None:
        from aimarket import composition

        config = composition.compose_plain(overrides)
    return config


def _composed_before(overrides: Sequence[str]) -> dict[str, Any] | None:
    """The files chosen as they were composed before, with the values in place; None if there is more to it."""
    parsed = [_parse(override) for override in overrides]
    plain = [item for item in parsed if item]
    groups = {key for key, _ in plain if (conf_dir() / key).is_dir()}
    files = [(key, file) for key, file in plain if key in groups]
    if len(plain) < len(parsed) or not all(isinstance(file, str) for _, file in files):
        return None
    config = composition_cache.found(fingerprint(conf_dir()), [f"{key}={file}" for key, file in files])
    values = [(key.split("."), value) for key, value in plain if key not in groups]
    return config if config and all(_put(config, path, value) for path, value in values) else None


def _parse(override: str) -> tuple[str, Any] | None:
    """Key and value of a plain override; None of any other."""
    if len(override) < _LONGEST and (parts := _OVERRIDE.fullmatch(override)):
        for pattern, meaning in _VALUES:
            if re.fullmatch(pattern, parts[2]):
                return parts[1], meaning(parts[2])
    return None


def _put(config: dict[str, Any], path: Sequence[str], value: Any) -> bool:
    """Change the value of a key; whether there is one."""
    node: Any = config
    for part in path[:-1]:
        node = node.get(part) if isinstance(node, Mapping) else None
    if not isinstance(node, dict) or path[-1] not in node:
        return False
    node[path[-1]] = value
    return True


def key_of(override: str) -> str:
    """The key that an override is about."""
    return override.partition("=")[0].lstrip("+~")


def is_of_design(override: str) -> bool:
    """Whether an override is about the design and not about the runs."""
    return key_of(override).split(".")[0] == "design"
