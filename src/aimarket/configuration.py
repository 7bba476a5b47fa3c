"""From the YAML tree `conf/` and overrides to validated settings; the only place besides the CLI that knows Hydra."""

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from aimarket.build import check_consistency
from aimarket.documented import Documented, split
from aimarket.settings import SHELVES, Settings, rule_class, rule_kinds

_WITHOUT_EFFECT = ("study", "outputs")  # where results go


class SettingsError(ValueError):
    """A configuration that cannot run; the message is one line that names the key, the value and what is allowed."""


def conf_dir() -> Path:
    """Return the folder of the configuration tree.

    An installed wheel carries the tree as `aimarket/conf`; a checkout has it at the root of the repository.

    raises : FileNotFoundError      if neither is there
    """
    package = Path(__file__).resolve().parent
    packaged, checkout = package / "conf", package.parents[1] / "conf"
    if packaged.is_dir():
        return packaged
    if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
        return checkout
    raise FileNotFoundError(f"aimarket: no configuration in {packaged} or {checkout}; the installation is incomplete")


def load(overrides: Sequence[str] = ()) -> Settings:
    """Compose `conf/` with Hydra overrides and validate the result; nothing is run or written.

    raises : SettingsError

    >>> load(["run.steps=3"]).run.steps
    3
    """
    return validate(compose_plain(overrides))


def compose_plain(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose `conf/` with overrides into plain dictionaries, documented numbers still as nodes.

    raises : SettingsError
    """
    try:
        return _compose(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise SettingsError(explain(overrides, error)) from None


def validate(config: Mapping[str, Any]) -> Settings:
    """Settings from a composed configuration, documented numbers replaced by their values.

    raises : SettingsError
    """
    try:
        values, _ = split(config)
    except ValueError as error:
        raise SettingsError(_one_line(str(error))) from None
    providers = values.get("providers")
    if isinstance(providers, dict):
        for name, provider in providers.items():
            if isinstance(provider, dict):
                for shelf in SHELVES:
                    if shelf in provider:
                        provider[shelf] = _rule(shelf, provider[shelf], f"providers.{name}.{shelf}")
                _drop_nothing(provider.get("offers"))
    settings: Settings = _checked(Settings, values, "")
    try:
        check_consistency(settings)
    except ValueError as error:
        raise SettingsError(_one_line(str(error))) from None
    return settings


def documented(config: Mapping[str, Any]) -> dict[str, Documented]:
    """Every documented number of a composed configuration by dotted key."""
    return split(config)[1]


def settings_dict(settings: Settings, results_only: bool = False) -> dict[str, Any]:
    """Settings as nested dictionaries, rules with their `kind`.

    results_only : leave out what only says where results go and how fast they come
    """
    values = dataclasses.asdict(settings)
    for name, provider in settings.providers.items():
        for shelf in SHELVES:
            rule = getattr(provider, shelf)
            values["providers"][name][shelf] = {
                "kind": type(rule).__module__.split(".")[-1],
                **dataclasses.asdict(rule),
            }
    if results_only:
        for key in _WITHOUT_EFFECT:
            del values[key]
        del values["run"]["threads"]
    return values


def run_id(settings: Settings) -> str:
    """Hash of everything the recorded bytes depend on, 16 hexadecimal digits; the order of keys does not matter.

    The roster's order does: it is the order of the rows.
    """
    text = json.dumps([settings_dict(settings, results_only=True), list(settings.providers)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _compose(overrides: Sequence[str]) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    return plain(config)


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain dictionaries, interpolations resolved."""
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in dict(resolved).items()}  # type: ignore[arg-type]


def _rule(shelf: str, item: Any, key: str) -> Any:
    """A rule of one shelf from its node: `kind` names the file, the rest are its parameters."""
    if not isinstance(item, Mapping) or "kind" not in item:
        raise SettingsError(f"{key}.kind: missing; allowed: {', '.join(rule_kinds(shelf))}")
    kind, allowed = item["kind"], rule_kinds(shelf)
    if kind not in allowed:
        raise SettingsError(f"{key}.kind: no such rule (got {kind!r}){_near(str(kind), allowed)}")
    return _checked(rule_class(shelf, kind), {k: v for k, v in item.items() if k != "kind"}, f"{key}.")


def _drop_nothing(offers: Any) -> None:
    """An offer set to null or emptied on the command line is an offer taken off the menu."""
    if isinstance(offers, dict):
        for name in [name for name, offer in offers.items() if offer is None]:
            del offers[name]


def _checked(kind: type, values: Any, prefix: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise SettingsError(_one_line(_describe(error, kind, prefix))) from None


def _describe(error: ValidationError, kind: type, prefix: str) -> str:
    """The first of pydantic's complaints as `key: what is wrong (got value)`, with a count of the others."""
    first, *others = error.errors(include_url=False)
    key = prefix + ".".join(str(part) for part in first["loc"] if part not in ("[key]",))
    message = str(first["msg"])
    if first["type"] == "unexpected_keyword_argument":
        name = str(first["loc"][-1])
        message = f"unknown key{_near(name, _fields_at(kind, first['loc'][:-1]))}"
    elif first["type"].startswith("missing"):
        message = "missing; it must be set"
    else:
        message += f" (got {first['input']!r})"
    more = f" [and {len(others)} more]" if others else ""
    return f"{key}: {message}{more}"


def _fields_at(kind: type, location: Sequence[Any]) -> list[str]:
    """Fields of the dataclass at a place in the settings; a name in a mapping stands for any of its entries."""
    for part in location:
        hints = {f.name: f.type for f in dataclasses.fields(kind)}
        if part in hints:
            inner = hints[part]
            arguments = [a for a in getattr(inner, "__args__", ()) if dataclasses.is_dataclass(a)]
            kind = inner if dataclasses.is_dataclass(inner) else (arguments[-1] if arguments else kind)  # type: ignore[assignment]
    return [f.name for f in dataclasses.fields(kind)]


def _near(name: str, allowed: Sequence[str]) -> str:
    """What may have been meant, and what is allowed."""
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    shown = ", ".join(allowed[:20]) + (", ..." if len(allowed) > 20 else "")
    return (f"; did you mean {close[0]}?" if close else ";") + f" allowed: {shown}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def explain(overrides: Sequence[str], error: Exception) -> str:
    """One line that names the override at fault in a failed composition, found by adding them one by one."""
    accepted: list[str] = []
    config = _compose(accepted)
    for override in overrides:
        try:
            config = _compose([*accepted, override])
            accepted.append(override)
        except (HydraException, OmegaConfBaseException) as fault:
            return _explain_one(override, config, fault)
    return _one_line(str(error))


def _explain_one(override: str, config: Mapping[str, Any], fault: Exception) -> str:
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return f"{override}: not a valid override; write key=value"
    key, value = parsed.key_or_group, parsed.value()
    folder = conf_dir() / key
    if folder.is_dir():
        options = sorted(path.stem for path in folder.rglob("*.yaml"))
        names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
        if str(value) not in options + names:
            group = override.split("=", maxsplit=1)[0].lstrip("+~")
            return f"{group}: no such option (got {value!r}){_near(str(value), names)}"
        return f"{override}: {_one_line(str(fault))}"
    node: Any = config
    for depth, part in enumerate(parts := key.split(".")):
        if not isinstance(node, Mapping) or part not in node:
            here = [str(name) for name in node] if isinstance(node, Mapping) else []
            everywhere = [k for k in _keys(config) if k.split(".")[-1] == parts[-1]]
            prefix = ".".join(parts[:depth])
            meant = difflib.get_close_matches(part, here, n=1, cutoff=0.6)
            guess = ".".join(filter(None, (prefix, meant[0]))) if meant else (everywhere or [""])[0]
            hint = f"; did you mean {guess}?" if guess else ";"
            return f"{key}: unknown key (got {value!r}){hint} allowed under {prefix or 'the root'}: {', '.join(here)}"
        node = node[part]
    return f"{override}: {_one_line(str(fault))}"


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of every leaf."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _keys(value, f"{prefix}{name}.")
    else:
        yield prefix[:-1]
