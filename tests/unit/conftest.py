"""Studies that several files of tests look at and none changes."""

from pathlib import Path

import pytest
from studies import study


@pytest.fixture(scope="session")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the default roster with three replications."""
    return study(tmp_path_factory.mktemp("replicated"), "run.replications=3")


@pytest.fixture(scope="session")
def screened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Morris design of two parameters, four trajectories and two seeds, of a market with one provider."""
    box = "{users.usage_elasticity: [0.5, 2], users.taste_spread: [0.1, 1.5]}"
    design = ("design=morris", "design.size=4", "design.levels=8", f"design.parameters={box}")
    return study(tmp_path_factory.mktemp("screened"), "roster=monopoly", "run.steps=4", "run.seed=1,2", *design)
