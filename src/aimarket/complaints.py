"""How bad input is told: one line. Of a configuration it names the key, the value and what is allowed."""

import dataclasses
import difflib
import sys
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST = 1400  # characters of a line
_BEYOND_REACH = 1e17  # a bound that large only keeps arithmetic finite; nobody needs to be told


class SettingsError(ValueError):
    """A configuration that cannot run; the message is one line that names the key, the value and what is allowed."""


class ResultsError(ValueError):
    """There is nothing to read, or a file is not what its run wrote; one line that says which."""


def say(message: str) -> None:
    """Tell the user something that is no result, in one line of what can be shown, whatever it quotes."""
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in one_line(message))
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    sys.stderr.write(f"aimarket: {line}\n")


def fail(message: str, code: int = 2) -> NoReturn:
    """Tell the user what is wrong and end the process."""
    say(message)
    sys.exit(code)


def one_line(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.split())


def shown(value: Any) -> str:
    """A value as it would be written in YAML, cut if long."""
    plain = {None: "null", True: "true", False: "false"}
    text = plain[value] if value is None or isinstance(value, bool) else one_line(repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def near(name: str, allowed: Sequence[str], prefix: str = "") -> str:
    """What may have been meant, and what is allowed."""
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    listed = ", ".join(allowed[:20]) + (", ..." if len(allowed) > 20 else "")
    return (f"; did you mean {prefix}{close[0]}?" if close else ";") + f" allowed: {listed or 'nothing'}"


def describe(error: "ValidationError", kind: type, prefix: str) -> str:
    """The first of pydantic's complaints as `key: what it should be (got value)`, with a count of the others.

    kind   : the dataclass that was validated
    prefix : its own key with a dot, or ""
    """
    first, *others = error.errors(include_url=False)
    location = [part for part in first["loc"] if part != "[key]"]
    key, of_key, what = prefix + ".".join(map(str, location)), "[key]" in first["loc"], first["type"]
    parent, _, name = key.rpartition(".")
    if what == "unexpected_keyword_argument":
        names = [field.name for field in dataclasses.fields(kind_at(kind, location[:-1]))]
        message = f"unknown key (got {shown(first['input'])}){near(name, names, f'{parent}.' if parent else '')}"
    elif of_key:
        message = f"should be {words(get_args(kind_at(kind, location[:-1]))[0])} (got {shown(first['input'])})"
    elif what.startswith("missing"):
        message = f"missing; should be {words(kind_at(kind, location))}"
    else:
        message = f"should be {words(kind_at(kind, location))} (got {shown(first['input'])})"
    return one_line(f"{key}: {message}" + (f" [and {len(others)} more]" if others else ""))


def kind_at(kind: Any, location: Sequence[Any]) -> Any:
    """The declared type at a place in the settings."""
    for part in location:
        kind = _options(kind)[0]
        if dataclasses.is_dataclass(kind):
            kind = {field.name: field.type for field in dataclasses.fields(kind)}[part]
        else:
            kind = get_args(kind)[1 if issubclass(get_origin(kind) or object, Mapping) else 0]
    return _options(kind)[0] if dataclasses.is_dataclass(_options(kind)[0]) else kind


def _options(kind: Any) -> list[Any]:
    """The alternatives of a union, null last; the type alone if it is none."""
    if get_origin(kind) not in (Union, types.UnionType):
        return [kind]
    return sorted(get_args(kind), key=lambda option: option is types.NoneType)


def words(kind: Any) -> str:
    """What a declared type allows."""
    options = _options(kind)
    if len(options) > 1:
        return " or ".join(words(option) for option in options)
    if kind is types.NoneType:
        return "null"
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(words(arguments[0]), _limits(arguments[1:]))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if dataclasses.is_dataclass(kind):
        return "a mapping with " + ", ".join(field.name for field in dataclasses.fields(kind))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping from names to {words(arguments[1]).removeprefix('a ').removeprefix('mapping with ')}"
    if origin is tuple:
        return f"a list, each item {words(arguments[0])}"
    return {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}.get(kind, "set")


def _limits(metadata: Sequence[Any]) -> dict[str, Any]:
    """{"ge": 0, "lt": 1, "pattern": ..., ...} from what `Annotated` carries."""
    parts = [part for field in metadata for part in getattr(field, "metadata", [field])]
    return {
        name: value
        for part in parts
        for name in ("gt", "ge", "lt", "le", "pattern", "min_length")
        if (value := getattr(part, name, None)) is not None
    }


def _bounded(text: str, limits: Mapping[str, Any]) -> str:
    """A kind of value with its limits."""
    if pattern := limits.get("pattern"):
        return "a month as YYYY-MM" if "-(0[1-9]|1[0-2])" in pattern else _NAME
    bounds = {name: value for name, value in limits.items() if name in _BOUND and abs(value) < _BEYOND_REACH}
    if {"ge", "le"} <= bounds.keys():
        return f"{text} from {bounds['ge']:,} to {bounds['le']:,}"
    said = [f"{phrase} {bounds[name]:,}" for name, phrase in _BOUND.items() if name in bounds]
    return f"{text}, {' and '.join(said)}" if said else ("text, not empty" if "min_length" in limits else text)


_BOUND = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_NAME = "a name of letters, digits, _, . and -, beginning with a letter or digit"
