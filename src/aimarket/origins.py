"""What the bytes of a run depend on besides its settings: versions, and the source that is loaded."""

import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from aimarket.schema import schema_version

_DEPENDED_ON = ("aimarket", "numpy", "numba", "scipy", "pyarrow")
_PACKAGE = Path(__file__).parent


def made_by(code: Iterable[str]) -> dict[str, Any]:
    """Everything besides the settings that the bytes of a run depend on; code: files of this package."""
    return {**_versions(), "code": {name: _digest(name) for name in code}}


def loaded() -> list[str]:
    """The files of this package that are loaded."""
    modules = [module for name, module in [*sys.modules.items()] if name.startswith("aimarket.")]
    return sorted(map(_within, filter(None, (getattr(module, "__file__", None) for module in modules))))


@cache
def _within(file: str) -> str:
    """Where a file stands in this package."""
    return Path(file).relative_to(_PACKAGE).as_posix()


@cache
def _versions() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    packages = {name: importlib.metadata.version(name) for name in _DEPENDED_ON}
    return {**packages, "python": python, "schema": schema_version()}


@cache
def _digest(file: str) -> str:
    """Of a file of this package, when this process first asked; empty if there is none."""
    try:
        return hashlib.sha256((_PACKAGE / file).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""
