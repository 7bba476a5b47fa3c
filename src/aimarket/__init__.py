"""aimarket: an agent-based simulation of the market for AI inference.

>>> import aimarket
>>> settings = aimarket.load(["roster=duopoly", "run.steps=2", "users.size=500"])
>>> aimarket.simulate(settings).market.shape[0]
2
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# The market's matrices are tiny: BLAS threads only wait for one another, several times slower on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from aimarket.comparison import compare, first_year, last_year
    from aimarket.complaints import ResultsError, SettingsError
    from aimarket.configuration import load
    from aimarket.identities import IdentityBreach
    from aimarket.market import Market
    from aimarket.results import open_results
    from aimarket.settings import Settings
    from aimarket.simulation import simulate

__all__ = [
    "IdentityBreach",
    "Market",
    "ResultsError",
    "Settings",
    "SettingsError",
    "compare",
    "first_year",
    "last_year",
    "load",
    "open_results",
    "simulate",
]

_HOME = {
    "IdentityBreach": "identities",
    "Market": "market",
    "ResultsError": "complaints",
    "Settings": "settings",
    "SettingsError": "complaints",
    "compare": "comparison",
    "first_year": "comparison",
    "last_year": "comparison",
    "load": "configuration",
    "open_results": "results",
    "simulate": "simulation",
}


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is first asked for (PEP 562), so that `import aimarket` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
