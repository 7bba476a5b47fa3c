"""Libraries of the extra `studies`, imported when they are needed."""

import importlib
from typing import Any

from aimarket.complaints import ResultsError


def library(module: str) -> Any:
    """A module of an optional library.

    raises : ResultsError that says what to install
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise ResultsError(f"{name} is not installed; pip install 'aimarket[studies]'") from None
