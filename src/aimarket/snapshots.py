"""The state of a market between two steps as plain data: a tree that JSON can hold, and bytes of arrays.

Everything a market carries is written down, except its users, see `demand.Population.state`, and what its settings
determine. Objects are numbered as they are met, so that what is shared stays shared. Only the types listed here are
known: a new one has to be added, or nothing is written.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.attribution import Attribution, MarketAttribution
from aimarket.experience import Experience
from aimarket.identities import Stocks
from aimarket.indices import Indices
from aimarket.innovation import Technology
from aimarket.ledger import Books, Ledger
from aimarket.market import Market
from aimarket.metrics import History
from aimarket.population import Menu
from aimarket.provider import COHORT, Fleet, Provider
from aimarket.rental import RentalMarket
from aimarket.serving import Service
from aimarket.state import Event
from aimarket.usage import Totals
from aimarket.views import Panel

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Attribution, Books, Event, Experience, Fleet, History, Indices, Ledger, MarketAttribution, Menu, Panel),
        *(Provider, RentalMarket, Service, Stocks, Technology, Totals),
    )
}
_FROM_SETTINGS = (
    *("settings", "replication", "pool", "streams", "clock", "life", "network", "segments", "catalogue", "roadmap"),
    *("total_tastes", "panel_rows", "starting_hours", "best_open_at_start"),
)
_APART = ("population", "tables")  # users are kept by their own means, and what was measured is recorded
_NUMBERS = "biuf"  # kinds of dtype whose bytes are all there is


@dataclass(frozen=True)
class Snapshot:
    """A market after a step, without its users.

    tree : of dictionaries, lists, text, numbers and null
    data : bytes of the arrays, one after another; the tree says which are where
    """

    tree: dict[str, Any]
    data: bytes


def take(market: Market) -> Snapshot:
    """Write a market down between two steps.

    raises : TypeError that names what is of an unknown type
    """
    writer = _Writer(_given(market))
    state = {name: writer.value(value, name) for name, value in _parts(market).items()}
    return Snapshot({"state": state, "objects": writer.objects}, b"".join(writer.data))


def restore(market: Market, snapshot: Snapshot) -> None:
    """Bring a market that was built from the same settings to a state that was written down.

    raises : LookupError, TypeError or ValueError if the snapshot is of another version, or not one
    """
    reader = _Reader(_given(market), snapshot)
    for name, value in snapshot.tree["state"].items():
        setattr(market, name, reader.value(value))


def _parts(market: Market) -> dict[str, Any]:
    left_out = {*_FROM_SETTINGS, *_APART}
    return {name: value for name, value in _attributes(market).items() if name not in left_out}


def _attributes(thing: Any) -> dict[str, Any]:
    """What an object is made of; what its class has a name for is reckoned from it, or somebody who looks on."""
    if is_dataclass(thing):
        return {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {name: value for name, value in vars(thing).items() if not hasattr(type(thing), name)}


def _given(market: Market) -> dict[str, Any]:
    """Everything that follows from the settings, by its place."""

    def walk(place: str, thing: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(thing, np.ndarray | tuple):
            yield place, thing
        elif isinstance(thing, Mapping) or is_dataclass(thing):
            yield place, thing
            for name, part in (thing if isinstance(thing, Mapping) else _attributes(thing)).items():
                yield from walk(f"{place}/{name}", part)

    return {place: thing for name in _FROM_SETTINGS for place, thing in walk(name, getattr(market, name))}


class _Writer:
    """Turns values into nodes of the tree.

    objects : one node each, in the order in which they were met
    data    : bytes of the arrays among them
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.objects: list[Any] = []
        self.data: list[bytes] = []
        self._bytes = 0
        self._nodes: dict[int, Any] = {id(thing): {"given": place} for place, thing in given.items()}
        self._met: list[Any] = []  # kept, so that no other object gets the identity of one that was met

    def value(self, value: Any, place: str) -> Any:
        """The node of a value; `place` is where it was found."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if np.isfinite(value) else {"float": struct.pack("<d", value).hex()}
        if isinstance(value, np.bool_ | np.number):
            return {"scalar": value.dtype.str, "bytes": value.tobytes().hex()}
        if id(value) not in self._nodes:
            if kind is tuple:
                return {"tuple": [self.value(item, f"{place}[{i}]") for i, item in enumerate(value)]}
            self._nodes[id(value)] = {"object": len(self.objects)}
            self._met.append(value)
            self.objects.append(None)
            self.objects[self._nodes[id(value)]["object"]] = self._object(value, place)
        return self._nodes[id(value)]

    def _object(self, value: Any, place: str) -> Any:
        kind = type(value)
        if kind is np.ndarray:
            return self._array(value, place)
        if kind is list:
            return {"list": [self.value(item, f"{place}[{i}]") for i, item in enumerate(value)]}
        if kind is dict or (kind is defaultdict and value.default_factory is float):
            items = [[self.value(key, place), self.value(item, f"{place}[{key!r}]")] for key, item in value.items()]
            return {"dict" if kind is dict else "sums": items}
        if _KINDS.get(kind.__name__) is kind:
            parts = _attributes(value).items()
            return {kind.__name__: {name: self.value(part, f"{place}.{name}") for name, part in parts}}
        raise TypeError(f"{place}: a {kind.__qualname__} cannot be written down; snapshots.py lists what can")

    def _array(self, array: NDArray[Any], place: str) -> Any:
        """Strides are kept too: in which order numpy adds numbers up depends on them."""
        if array.dtype != COHORT and array.dtype.kind not in _NUMBERS:
            raise TypeError(f"{place}: an array of {array.dtype} cannot be written down")
        written = (_without_gaps(array) if array.dtype == COHORT else array).tobytes()
        self.data.append(written)
        self._bytes += len(written)
        dtype = "cohort" if array.dtype == COHORT else array.dtype.str
        strides = None if array.flags.c_contiguous else list(array.strides)
        return {"array": dtype, "shape": list(array.shape), "strides": strides, "at": self._bytes - len(written)}


def _without_gaps(rows: NDArray[np.void]) -> NDArray[np.void]:
    """The same rows with zeros between their columns, where otherwise lies what was in memory before."""
    clean = np.zeros(rows.shape, rows.dtype)
    for name in COHORT.names or ():
        clean[name] = rows[name]
    return clean


class _Reader:
    """Turns nodes of the tree into values."""

    def __init__(self, given: Mapping[str, Any], snapshot: Snapshot) -> None:
        self._given, self._objects, self._data = given, snapshot.tree["objects"], snapshot.data
        self._made: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        """The value of a node."""
        if not isinstance(node, dict):
            return node
        match node:
            case {"float": text}:
                return struct.unpack("<d", bytes.fromhex(text))[0]
            case {"scalar": dtype, "bytes": text}:
                return np.frombuffer(bytes.fromhex(text), np.dtype(dtype))[0]
            case {"tuple": items}:
                return tuple(self.value(item) for item in items)
            case {"given": place}:
                return self._given[place]
            case {"object": number}:
                return self._made[number] if number in self._made else self._make(number)
        raise ValueError(f"a node of no known kind: {sorted(node)}")

    def _make(self, number: int) -> Any:
        """Make an object; it is known before its parts are, which may refer to it."""
        node = self._objects[number]
        ((kind, parts),) = [(name, node[name]) for name in node if name not in ("shape", "strides", "at")]
        made: Any
        if kind == "array":
            made = self._made[number] = self._array(**node)
        elif kind == "list":
            made = self._made[number] = []
            made.extend(self.value(item) for item in parts)
        elif kind in ("dict", "sums"):
            made = self._made[number] = {} if kind == "dict" else defaultdict(float)
            made.update((self.value(key), self.value(item)) for key, item in parts)
        else:
            made = self._made[number] = object.__new__(_KINDS[kind])
            if is_dataclass(made) and {field.name for field in fields(made)} != set(parts):
                raise ValueError(f"{kind} has other parts in this version")
            for name, part in parts.items():
                object.__setattr__(made, name, self.value(part))  # some are frozen
        return made

    def _array(self, array: str, shape: list[int], strides: list[int] | None, at: int) -> NDArray[Any]:
        dtype, count = COHORT if array == "cohort" else np.dtype(array), int(np.prod(shape, dtype=np.int64))
        values = np.frombuffer(self._data, dtype, count, at).reshape(shape)
        if strides is None or not count:
            return values.copy()
        steps = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
        first, last = (sum(step for step in steps if sign * step > 0) for sign in (-1, 1))
        room = np.zeros(last - first + dtype.itemsize, np.uint8)
        made: NDArray[Any] = np.ndarray(shape, dtype, room, -first, strides)
        made[...] = values
        return made
