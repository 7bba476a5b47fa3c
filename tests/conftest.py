"""What every test needs before anything else is imported."""

import hashlib
import os
from pathlib import Path

# As in aimarket/__init__.py, which comes too late where a test imports numpy first.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A cache of compiled functions for each state of the kernels: Numba would not see a change in a function that another
# is built of, see aimarket/kernels/__init__.py.
_ROOT = Path(__file__).parents[1]
_SOURCES = [path.read_bytes() for path in sorted((_ROOT / "src" / "aimarket" / "kernels").glob("*.py"))]
_STATE = hashlib.sha256(b"".join(_SOURCES)).hexdigest()[:16]
os.environ.setdefault("NUMBA_CACHE_DIR", str(_ROOT / ".pytest_cache" / f"numba-{_STATE}"))
