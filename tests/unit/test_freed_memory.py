"""Memory that is freed and asked for again costs page faults only where it was given back in between."""

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource
import numpy as np
from aimarket.freed_memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        panels = [np.ones((2000, 27)) for _ in range(10)]
        del panels
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
keep_freed_memory()
faults()
print(hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), first, faults())
"""


def test_what_is_freed_is_kept():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    gnu, before, after = done.stdout.split()
    if gnu != "True":
        pytest.skip("not the GNU C library")
    assert int(after) < int(before) / 10
