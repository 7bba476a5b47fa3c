"""What a first run compiles ahead, by several processes: all that a step needs, and nothing if it is there."""

import os
import subprocess
import sys

AHEAD = """
from aimarket import load
from aimarket.compilation import compile_ahead

if __name__ == "__main__":
    compile_ahead(load(["users.size=300"]), lambda: print("compiles"))
"""
STEP = """
from numba.core import event

from aimarket import Market, load

with event.install_recorder("numba:compile") as recorder:
    Market(load(["users.size=300"])).step()
print([e.data["dispatcher"].py_func.__qualname__ for _, e in recorder.buffer])
"""


def test_a_step_finds_all_it_needs_compiled(tmp_path):
    script = tmp_path / "ahead.py"
    script.write_text(AHEAD)

    def run(*arguments: str) -> str:
        where = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
        return subprocess.run(
            [sys.executable, *arguments], env=where, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert run(str(script)) == "compiles"
    assert run("-c", STEP) == "[]"
    assert run(str(script)) == ""
