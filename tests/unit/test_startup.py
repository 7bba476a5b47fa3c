"""What is not needed is not loaded: a process is judged by the modules that it has loaded at its end."""

import subprocess
import sys
from pathlib import Path

import pytest

import aimarket

DRAWING = {"matplotlib", "seaborn", "networkx", "mesa"}
LOADING = {"hydra", "omegaconf", "pydantic", "numpy", "scipy"}
HEAVY = DRAWING | LOADING | {"pandas", "pyarrow", "numba", "rich"}
SMALL = ["roster=duopoly", "users.size=300", "run.panel=50", "run.steps=2"]
COMMAND = """
from aimarket.cli import main
try:
    main({})
except SystemExit as done:
    assert done.code == {}
"""


def loaded(folder: Path, script: str) -> set[str]:
    """Packages that a script has loaded when it ends."""
    script += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "script",
    [
        "import aimarket",
        "import aimarket; assert aimarket.SettingsError",
        COMMAND.format(["--help"], 0),
        COMMAND.format([], 2),
        COMMAND.format(["runn"], 2),
    ],
)
def test_help_loads_nothing_heavy(tmp_path, script):
    assert loaded(tmp_path, script) & HEAVY == set()


def test_settings_need_neither_frames_nor_tables(tmp_path):
    assert loaded(tmp_path, f"import aimarket; aimarket.load({SMALL})") & HEAVY <= LOADING


def test_a_market_needs_no_frames(tmp_path):
    found = loaded(tmp_path, f"import aimarket; aimarket.Market(aimarket.load({SMALL})).step()")
    assert found & (DRAWING | {"pandas", "rich"}) == set()


@pytest.mark.parametrize("flags", [[], ["-m"]])
def test_a_run_loads_nothing_that_draws(tmp_path, flags):
    found = loaded(tmp_path, COMMAND.format(["run", *flags, *SMALL], 0))
    assert found & (DRAWING | {"pandas"}) == set()
    assert list(tmp_path.glob("outputs/default/market/*.parquet"))


def test_what_was_composed_before_needs_no_hydra(tmp_path):
    """From the settings to the tables that a run prints."""
    aimarket.load(SMALL)
    assert loaded(tmp_path, COMMAND.format(["run", *SMALL], 0)) & (DRAWING | {"hydra", "omegaconf", "pandas"}) == set()


@pytest.mark.parametrize(
    ("more", "code", "kept"), [([], 0, True), (["run.replications=2"], 0, False), (["run.seed=no"], 2, False)]
)
def test_garbage_is_looked_for_once_a_run_has_started(tmp_path, more, code, kept):
    script = COMMAND.format(["run", *SMALL, *more], code)
    loaded(tmp_path, f"{script}\nimport gc; assert gc.isenabled(); assert (gc.get_freeze_count() > 10_000) == {kept}")


@pytest.mark.parametrize("module", ["results", "simulation", "market", "configuration", "cli", "mesa_model"])
def test_a_module_imports_alone(tmp_path, module):
    """Late imports may not hide that one module needs another to be loaded first."""
    assert "aimarket" in loaded(tmp_path, f"import aimarket.{module}")
