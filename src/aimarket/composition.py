"""Composing `conf/` with Hydra; what went wrong is said in one line."""

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from aimarket import composition_cache, yaml_files
from aimarket.complaints import SettingsError, near, one_line, shown
from aimarket.composition_cache import conf_dir
from aimarket.documented import NODE_KEYS

# Hydra raises plain ValueErrors too, trips over what is no text where it looks for the name of a file, and lets errors
# of YAML through; endless interpolations end in recursion.
FAULTS = (HydraException, OmegaConfBaseException, ValueError, TypeError, RecursionError, YAMLError)
_OWN = ("config.yaml", "hydra")  # of the configuration what may set up jobs


def compose_plain(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose `conf/` with overrides into plain dictionaries, documented numbers still as nodes.

    raises : SettingsError
    """
    return next(compose_each([overrides]))


def compose_each(points: Iterable[Sequence[str]]) -> Iterator[dict[str, Any]]:
    """`compose_plain` of many points; the files are read once."""
    tree = composition_cache.fingerprint(conf_dir())
    for overrides in points:
        try:
            yield _composed(overrides, tree)
        except SettingsError:
            raise
        except FAULTS as error:
            raise SettingsError(explain(overrides) or one_line(str(error))) from None


def _composed(overrides: Sequence[str], tree: bytes) -> dict[str, Any]:
    """What some overrides make of the files of a fingerprint; Hydra is asked only where it has to be."""
    return _from_cache(overrides, tree) or plain(_compose(overrides))


def _from_cache(overrides: Sequence[str], tree: bytes) -> dict[str, Any] | None:
    """The files chosen as they were composed before, with the values in place.

    None if there is more to the overrides than a choice of files and plain values of known keys, or more to the files
    than what they say: then Hydra has to see it all.
    """
    parsed = [_parse(override) for override in overrides]
    groups = [item for item in parsed if _is_group(item)]
    choices = [str(item.input_line) for item in groups]
    values = [item for item in parsed if item not in groups]
    if not all(_is_plain_value(item) and _is_settled(item.input_line) for item in values):
        return None
    config = composition_cache.kept(tree, choices, lambda: _settled(choices))
    return None if any(_misplaced(item, config) for item in values) else config


def _settled(choices: Sequence[str]) -> dict[str, Any]:
    """The files chosen, composed; nothing if what they say depends on values elsewhere."""
    config = _compose(choices)
    return plain(config) if _is_settled(OmegaConf.to_container(config, resolve=False)) else {}


def _is_settled(item: object) -> bool:
    """Whether an override, or a configuration, holds neither interpolations nor missing values."""
    return not any(mark in str(item) for mark in ("${", "???"))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file beside the composition, such as the targets of a calibration.

    raises : SettingsError
    """
    yaml_files.check_size(path)
    try:
        return plain(OmegaConf.load(path))  # type: ignore[arg-type]
    except SettingsError:
        raise
    except (*FAULTS, OSError) as error:
        raise SettingsError(f"{path}: cannot be read as a mapping: {one_line(str(error))}") from None


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain dictionaries, interpolations resolved.

    raises : SettingsError for an interpolation that reaches for more than other settings
    """
    yaml_files.check_interpolations(OmegaConf.to_container(config, resolve=False))
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in dict(resolved).items()}  # type: ignore[arg-type]


def explain(overrides: Sequence[str]) -> str | None:
    """One line that names the override at fault in a failed composition; None if none of them is.

    Groups come before values, as Hydra takes them; each is added to those before it until it fails.
    """
    try:
        parsed = [_parse(override) for override in overrides]
    except SettingsError as unparsable:
        return str(unparsable)
    if fault := next(filter(None, map(_misuse, parsed)), None):
        return fault
    parsed.sort(key=lambda item: (not _is_group(item), not item.is_add()))
    groups = sum(map(_is_group, parsed))
    tree = composition_cache.fingerprint(conf_dir())
    refusals = (_refused(parsed[: count + 1], tree) for count in range(len(parsed)))
    if fault := next(filter(None, itertools.islice(refusals, groups)), None):
        return fault
    config = _composed([str(item.input_line) for item in parsed[:groups]], tree)
    misplaced = (_misplaced(item, config) for item in parsed[groups:] if not item.is_hydra_override())
    return next(filter(None, itertools.chain(misplaced, refusals)), None)


def _refused(overrides: Sequence[Override], tree: bytes) -> str | None:
    """What Hydra says to the last of some overrides."""
    *before, item = overrides
    try:
        _composed([str(override.input_line) for override in overrides], tree)
    except FAULTS as error:
        got = "" if item.is_delete() else f" (got {shown(item.value())})"
        return f"{_name(item)}: {_in_words(error)}{got}{_elsewhere(item, before) if _is_group(item) else ''}"
    return None


@contextmanager
def hydra_at_work() -> Iterator[None]:
    """Hydra at work on `conf/`; one that is at work around this call is left as it was.

    raises : SettingsError if a file there is more than a configuration
    """
    check_files()
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


def check_files() -> None:
    """Whether Hydra may compose `conf/`: it would follow files to anywhere, and set up jobs as any of them says.

    raises : SettingsError that names the file
    """
    for path in sorted(conf_dir().rglob("*.yaml")):
        if path.relative_to(conf_dir()).parts[0] not in _OWN:
            yaml_files.check_file(path)


def _compose(overrides: Sequence[str]) -> DictConfig:
    with hydra_at_work():
        try:
            return compose("config", overrides=list(overrides))
        except OSError as error:  # so OmegaConf calls a file that holds no mapping
            raise ValueError(one_line(str(error))) from error


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


@lru_cache(maxsize=1024)  # points of a sweep share most of what they say
def _parse(text: str) -> Override:
    try:
        if (item := _parser().parse_override(text)).key_or_group:
            return item
    except (HydraException, ValueError, RecursionError):
        pass
    raise SettingsError(f"{text}: not a valid override; write key=value")


def _is_group(item: Override) -> bool:
    """Whether an override chooses a file of a group, a folder of `conf/`."""
    return item.package is not None or (bool(item.key_or_group) and (conf_dir() / item.key_or_group).is_dir())


def _is_plain_value(item: Override) -> bool:
    """Whether an override changes one value and nothing else."""
    changes = item.type is OverrideType.CHANGE and not item.is_sweep_override()
    return changes and not isinstance(item.value(), dict)


def _name(item: Override) -> str:
    return str(item.get_key_element()).lstrip("+~")


def _in_words(fault: Exception) -> str:
    """What Hydra says, without its advice on another line."""
    first = (str(fault).strip().splitlines() or [type(fault).__name__])[0].rstrip(".")
    if first.startswith("Could not override"):
        return "not in the configuration"
    return first if len(first) <= 160 else f"{first[:157]}..."


def _options(group: str) -> list[str]:
    """Files of a group; experiments are sorted into folders."""
    folder = conf_dir() / group
    files = folder.rglob("*.yaml") if group == "experiment" else folder.glob("*.yaml")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in files)


def _elsewhere(item: Override, before: Sequence[Override]) -> str:
    """Where the group of an override stands in the defaults, if not where it is said to."""
    with hydra_at_work():
        composed = compose("config", [str(other.input_line) for other in before], return_hydra_config=True)
    places = [str(place) for place in composed.hydra.runtime.choices if not str(place).startswith("hydra/")]
    of_group = [place for place in places if place.split("@")[0] == item.key_or_group]
    return "" if _name(item) in of_group else near(_name(item), of_group or places)


def _misuse(item: Override) -> str | None:
    """What is wrong with an override whatever the configuration."""
    if item.is_sweep_override():
        values = str(item.input_line).partition("=")[2]
        return f"{_name(item)}: one value is needed (got {values}); with -m each of several is run"
    if _is_group(item) and not item.is_delete():
        value, options = item.value(), _options(str(item.key_or_group))
        chosen = value if isinstance(value, list) else [] if isinstance(value, dict | None) else [value]
        if strange := [file for file in chosen if file not in options]:
            return f"{_name(item)}: no such option (got {shown(value)}){near(str(strange[0]), options)}"
    return None


def _misplaced(item: Override, config: dict[str, Any]) -> str | None:
    """What is wrong with where a value goes; if nothing is, `config` gets it."""
    key, got = str(item.key_or_group), "" if item.is_delete() else f" (got {shown(item.value())})"
    parts, node = key.split("."), config
    for depth, part in enumerate(parts[:-1]):
        if isinstance(node.get(part), Mapping):
            node = node[part]
        elif item.is_add() or item.is_force_add():
            node = node.setdefault(part, {})
        else:
            return _unknown(key, depth, node, config, got)
    there = parts[-1] in node
    if there and isinstance(item.value(), list) and isinstance(node[parts[-1]], Mapping):
        return f"{key}: is a mapping{got}; write {key}.value=[...] for a documented list"
    if item.is_add() and there and not isinstance(item.value(), dict):
        return f"{key}: is there already{got}; write {key}=... to change it"
    if not there and not (item.is_add() or item.is_force_add()):
        return _unknown(key, len(parts) - 1, node, config, got)
    if item.is_delete():
        del node[parts[-1]]
    else:
        node[parts[-1]] = item.value()
    return None


def _unknown(key: str, depth: int, node: Mapping[str, Any], config: Mapping[str, Any], got: str) -> str:
    """Unknown key: what may have been meant, and what stands in its place."""
    parts, here = key.split("."), list(node)
    prefix = ".".join(parts[:depth])
    if not prefix:
        here += sorted({folder.name for folder in conf_dir().iterdir() if folder.is_dir()} - set(here))
    close = difflib.get_close_matches(parts[depth], here, n=1, cutoff=0.6)
    if close:
        corrected = ".".join([*parts[:depth], close[0], *parts[depth + 1 :]])
        meant = [corrected if corrected in _keys(config) else ".".join([*parts[:depth], close[0]])]
    else:
        alike = [known for known in _keys(config) if known.split(".")[-1] == parts[-1]]
        meant = difflib.get_close_matches(key, alike or list(_keys(config)), n=1, cutoff=0.3 if alike else 0.7)
    hint = f"; did you mean {meant[0]}?" if meant else ";"
    return f"{key}: unknown key{got}{hint} allowed under {prefix or 'the root'}: {', '.join(here) or 'nothing'}"


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of every leaf; a documented number is one."""
    if isinstance(node, Mapping) and not all(name in node for name in NODE_KEYS):
        for name, value in node.items():
            yield from _keys(value, f"{prefix}{name}.")
    else:
        yield prefix[:-1]
