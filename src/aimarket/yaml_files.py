"""What a file of YAML may hold: plain values, and no more of them than somebody could have written.

Whoever gives a file to somebody else gives them data. A tag that makes an object is refused by whatever reads YAML
here; this module refuses what makes a small file large, and what reaches for something that is not in the file.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from aimarket.complaints import SettingsError, one_line

_MOST_BYTES = 250_000  # the longest file of conf/ has a tenth of that
_MOST_NODES = 50_000  # once every alias is written out
_MOST_INTERPOLATIONS = 16  # of one configuration: each may repeat what others make
_LONGEST_CHAIN = 100  # of lists in lists
_NOT_PLAIN = re.compile(r"[&\\$]|\.\./|(?<!:)//|hydra|outputs")  # a file without these is what it says
_PLAIN_INTERPOLATION = re.compile(r"\$\{[^{}:]*\}")


def load(path: Path) -> Any:
    """The plain values of a file.

    raises : SettingsError in one line
    """
    try:
        node = _composed(path, _text(path))
        return None if node is None else yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: {one_line(str(error))}") from None


def check_size(path: Path) -> None:
    """Whether a file is as small as it looks.

    raises : SettingsError in one line
    """
    with suppress(yaml.YAMLError):  # told by whoever reads it
        _composed(path, _text(path))


def check_file(path: Path) -> None:
    """Whether a file of a configuration may be composed.

    raises : SettingsError in one line
    """
    text = _text(path)
    if _NOT_PLAIN.search(text):
        with suppress(yaml.YAMLError):  # likewise, if anybody does
            _check_defaults(path, _composed(path, text), text)


def check_interpolations(config: Any) -> None:
    """Whether a configuration, not yet resolved, refers only to what it holds itself, and seldom enough to stay small.

    A resolver, such as `${oc.env:HOME}`, would put what is only on this machine into a result.

    raises : SettingsError in one line
    """
    count = 0
    for key, text in _texts(config, ""):
        rest, before = text, ""
        while rest != before:  # innermost first
            rest, before = _PLAIN_INTERPOLATION.sub("", rest), rest
        if "${" in rest:
            raise SettingsError(f"{key}: should refer to other settings only, as in ${{run.seed}} (got {text!r:.80})")
        count += text.count("${")
    if count > _MOST_INTERPOLATIONS:
        raise SettingsError(f"{key}: should be one of at most {_MOST_INTERPOLATIONS} interpolations (got {count})")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"{path}: should be no longer than {_MOST_BYTES:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {one_line(str(error))}") from None


def _composed(path: Path, text: str) -> yaml.Node | None:
    """A file as a graph of nodes, in which an alias is only another edge."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        if node is not None and _written_out(node, {}, 0) > _MOST_NODES:
            raise SettingsError(f"{path}: aliases make it longer than {_MOST_NODES:,} values")
    except RecursionError:
        raise SettingsError(f"{path}: lists and mappings are nested too deeply") from None
    return node


def _written_out(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Nodes there would be without aliases; what holds itself never ends."""
    if depth > _LONGEST_CHAIN:
        raise RecursionError
    if id(node) not in known:
        known[id(node)] = 1 + sum(_written_out(part, known, depth + 1) for part in _parts(node))
    return known[id(node)]


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_defaults(path: Path, node: yaml.Node | None, text: str) -> None:
    """Whether the files that a file names are of the configuration, and it leaves alone who starts jobs."""
    keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    named = [part.value for part in _scalars(keys["defaults"])] if "defaults" in keys else []
    if bad := next((name for name in named if "$" in name or ".." in name.split("/") or name.startswith("//")), None):
        raise SettingsError(f"{path}: defaults: should name files of the configuration (got {bad!r:.80})")
    header = next((line for line in text.splitlines()[:20] if re.match(r"\s*#\s*@package", line)), "")
    if "outputs" in keys:
        raise SettingsError(f"{path}: outputs: where results go is said on the command line; say outputs=... there")
    if "hydra" in keys or any("hydra" in name for name in named) or "hydra" in header:
        raise SettingsError(f"{path}: hydra: jobs are set up on the command line; say hydra/launcher=... there")


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    for part in _parts(node):
        yield from _scalars(part)


def _texts(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Dotted key and text of every text in a configuration, keys among them."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(str(name), f"{key}{name}")
            yield from _texts(value, f"{key}{name}.")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _texts(value, f"{key}{place}.")
    elif isinstance(node, str):
        yield key.removesuffix("."), node
