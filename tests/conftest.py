"""What every test needs before anything else is imported."""

import os
from pathlib import Path

# As in aimarket/__init__.py, which comes too late where a test imports numpy first.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _forget_stale_kernels() -> None:
    """Numba compiles a kernel anew when its own file has changed, but not when that of a kernel it calls has."""
    folder = Path(__file__).parents[1] / "src" / "aimarket" / "kernels"
    changed = max(source.stat().st_mtime for source in folder.glob("*.py"))
    compiled = list((folder / "__pycache__").glob("*.nb[ic]"))
    if any(path.stat().st_mtime < changed for path in compiled):
        for path in compiled:
            path.unlink(missing_ok=True)


_forget_stale_kernels()
