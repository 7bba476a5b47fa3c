"""What every test needs before anything else is imported."""

import os

# As in aimarket/__init__.py, which comes too late where a test imports numpy first.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
