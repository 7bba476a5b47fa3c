"""Compositions kept on disk: Hydra takes most of a second over each, and most runs choose the same files.

A composition is kept under a digest of all it is made from: the files chosen, the bytes of every file of the tree and
the versions of what composes. Whatever changes, changes the name, so that nothing stale is ever found; what is kept
may be deleted at any time.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from aimarket.versions import version

_COMPOSERS = ("aimarket", "hydra-core", "omegaconf", "PyYAML")
_MOST = 100  # compositions on disk, about 100 kB each
_KNOWN: dict[str, str] = {}  # what this process has read or made: {name: JSON}

Composition = dict[str, Any]


@cache
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


def found(tree: bytes, choices: Sequence[str]) -> Composition | None:
    """What `kept` has of a choice of files; None if it has not been composed before."""
    name = _name(tree, choices)
    text = _KNOWN.get(name) or _read(name)
    if text is None:
        return None
    _KNOWN[name] = text
    return dict(json.loads(text))


def kept(tree: bytes, choices: Sequence[str], compose: Callable[[], Composition]) -> Composition:
    """The composition of a choice of files, from memory or disk if it has been composed before.

    tree    : fingerprint of the configuration
    choices : overrides that choose files, in their order
    compose : makes it; a function of the tree and the choices alone
    """
    name = _name(tree, choices)
    if name not in _KNOWN:
        text = _read(name)
        if text is None:
            composition = compose()
            text = json.dumps(composition)
            if json.loads(text) != composition:  # JSON cannot hold it
                return composition
            _write(name, text)
        _KNOWN[name] = text
    return dict(json.loads(_KNOWN[name]))


def folder() -> Path:
    """Where compositions are kept: `$XDG_CACHE_HOME/aimarket`, or `~/.cache/aimarket`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aimarket"


def fingerprint(tree: Path) -> bytes:
    """Digest of every file in the folder of a configuration, and of what composes it."""
    made_from = [
        Path(__file__).with_name("composition.py").read_bytes(),
        *(version(package).encode() for package in _COMPOSERS),
    ]
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        made_from += [str(path.relative_to(tree)).encode(), path.read_bytes()]
    return _digest(made_from)


def _name(tree: bytes, choices: Sequence[str]) -> str:
    return _digest([tree, *(choice.encode() for choice in choices)]).hex()


def _digest(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()


def _read(name: str) -> str | None:
    """A kept composition as JSON; None if it is not there, or is not whole."""
    with suppress(OSError, ValueError):
        text = (folder() / f"{name}.json").read_text(encoding="utf-8")
        if isinstance(json.loads(text), dict):
            return text
    return None


def _write(name: str, text: str) -> None:
    """Keep a composition, if the disk lets us, and only so many."""
    with suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder(), delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(folder() / f"{name}.json")  # whole or not at all, whoever else writes it
        for old in sorted(folder().glob("*.json"), key=lambda path: path.stat().st_mtime)[:-_MOST]:
            old.unlink(missing_ok=True)
