"""Versions of installed packages: finding one reads files, so that each is looked up once a process."""

import importlib.metadata
from functools import cache


@cache
def version(package: str) -> str:
    """The installed version of a package."""
    return importlib.metadata.version(package)
