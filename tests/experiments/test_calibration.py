"""The calibrations of `experiments/calibration`: what they fitted can be run, and the page tells what was found."""

import json
from pathlib import Path

import pytest
import yaml

import aimarket
from aimarket.calibration.targets import names, read_targets

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "calibration"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names())
def test_the_fitted_market_runs(name):
    overrides = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["overrides"]
    settings = aimarket.load([*overrides, "run.steps=2", "users.size=200", "run.panel=50"])
    assert aimarket.simulate(settings).market["step"].tolist() == [1, 2]


@pytest.mark.parametrize("name", names())
def test_the_page_tells_what_was_found(name):
    """Every value and moment in its table, rounded; parameters and moments as the targets have them now."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    targets = read_targets(name)
    for part in ("parameters", "moments"):
        assert [row["name"] for row in found[part]] == [item.name for item in getattr(targets, part)]
    for row in found["parameters"]:
        assert f"| {row['name']} | {row['start']:.3g} | {row['value']:.3g} |" in PAGE
    for row, moment in zip(found["moments"], targets.moments, strict=True):
        assert (row["target"], row["fit"]) == (moment.value, moment.fit)
        assert f"| {row['name']} | {row['target']:.3g} | {row['start']:.3g} | {row['simulated']:.3g} |" in PAGE
    assert f"J = {found['test']['statistic']:.1f}" in PAGE
