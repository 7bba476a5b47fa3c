"""What every test needs before anything else is imported."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

# As in aimarket/__init__.py, which comes too late where a test imports numpy first.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_ROOT = Path(__file__).parents[1]
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Commands are started by the hundred: each would compile all it imports, which takes twice as long as a small run.
    sys.pycache_prefix = os.environ.setdefault("PYTHONPYCACHEPREFIX", str(_ROOT / ".pytest_cache" / "bytecode"))
    sys.dont_write_bytecode = False

# A cache of compiled functions for each state of the kernels: Numba would not see a change in a function that another
# is built of, see aimarket/kernels/__init__.py.
_SOURCES = [path.read_bytes() for path in sorted((_ROOT / "src" / "aimarket" / "kernels").glob("*.py"))]
_STATE = hashlib.sha256(b"".join(_SOURCES)).hexdigest()[:16]
os.environ.setdefault("NUMBA_CACHE_DIR", str(_ROOT / ".pytest_cache" / f"numba-{_STATE}"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile once, before there are workers, what each of them would compile for itself."""
    if getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput"):
        from aimarket.compilation import compile_ahead
        from aimarket.configuration import load

        compile_ahead(load(["users.size=300"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no worker is left with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
