"""Numbers that carry their unit, plausible range and source beside them in YAML.

A documented node is a mapping such as `{value: 25000, unit: USD/GPU, range: [15000, 40000], source: "who says so"}`.
`split` puts the value in its place and keeps the rest under the dotted key. Overriding that key on the command line
replaces the whole node by a plain value.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

NODE_KEYS = ("value", "unit", "range", "source")
_NODE_KEYS = frozenset(NODE_KEYS)


class Documented(NamedTuple):
    """One documented number, or list of numbers of one unit."""

    value: float | tuple[float, ...]
    unit: str
    range: tuple[float, float]
    source: str

    @property
    def is_assumption(self) -> bool:
        """No source states the number: it was assumed, and the source says why."""
        return self.source.startswith("assumption:")

    @property
    def is_plausible(self) -> bool:
        """The value, or every value of a list, lies in the documented range."""
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return all(self.range[0] <= value <= self.range[1] for value in values)


def split(config: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Documented]]:
    """Replace every documented node of a nested mapping by its value.

    returns : the plain configuration and {dotted key: Documented}; `config` is left as it was
    raises  : ValueError that names the key if a node is malformed
    """
    documented: dict[str, Documented] = {}
    return {str(key): _plain(value, str(key), documented) for key, value in config.items()}, documented


def _plain(item: Any, key: str, documented: dict[str, Documented]) -> Any:
    """`item` without documentation; what documents it goes into `documented`."""
    if not isinstance(item, dict):  # many are asked, and of a `Mapping` the answer takes three times as long
        return item
    if not _NODE_KEYS.isdisjoint(item):
        documented[key] = node = parse(item, key)
        return list(node.value) if isinstance(node.value, tuple) else node.value
    return {str(name): _plain(value, f"{key}.{name}", documented) for name, value in item.items()}


def parse(node: Mapping[Any, Any], key: str) -> Documented:
    """A documented node as a dataclass; ValueError naming `key` if a part is missing, unknown or of the wrong kind."""
    if fault := next(_faults(node), None):
        raise ValueError(f"{key}: {fault}")
    value, (low, high) = node["value"], node["range"]
    return Documented(tuple(value) if _is_list(value) else value, node["unit"], (low, high), node["source"].strip())


def _faults(node: Mapping[Any, Any]) -> Iterator[str]:
    """What is wrong with a node, worst first."""
    if node.keys() != _NODE_KEYS:
        if missing := [name for name in NODE_KEYS if name not in node]:
            yield f"a documented number needs {', '.join(NODE_KEYS)}; {', '.join(missing)} missing"
        unknown = [str(name) for name in node if name not in NODE_KEYS]
        yield f"a documented number has only {', '.join(NODE_KEYS)}; got {', '.join(unknown)}"
    value, bounds = node["value"], node["range"]
    if not (_is_number(value) or (_is_list(value) and value and all(map(_is_number, value)))):
        yield f"value should be a number or a list of numbers (got {value!r})"
    if not (_is_list(bounds) and len(bounds) == 2 and all(map(_is_number, bounds)) and bounds[0] <= bounds[1]):
        yield f"range should be [low, high] (got {bounds!r})"
    for name in ("unit", "source"):
        if not (isinstance(node[name], str) and node[name].strip()):
            yield f'{name} should be text (got {node[name]!r}; write "1" for a pure number)'


def _is_number(item: Any) -> bool:
    return isinstance(item, (int, float)) and not isinstance(item, bool)


def _is_list(item: Any) -> bool:
    return isinstance(item, (list, tuple))
