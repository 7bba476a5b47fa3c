"""The command that a report prints makes the runs of the study: these ids, whatever design they followed."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from aimarket.configuration import load, run_id
from aimarket.designs import points_of
from aimarket.plans import Planned, write_plan
from aimarket.report import reproduction
from aimarket.results import open_results
from aimarket.sweep import plan

BASE = ("roster=duopoly", "run.steps=3", "study=again")
PAIRS = "design.parameters={users.usage_elasticity: [0.5, 2.0], run.panel: [60, 70]}"
BOX = "design.parameters={users.usage_elasticity: [0.5, 2], technology.spillover: null}"


def _planned(folder: Path, asked: Sequence[str]) -> list[Planned]:
    """What a multirun would write down before its first point."""
    points, design = points_of(asked)
    runs = [Planned(point.run_id, point.overrides) for point in plan(points)]
    write_plan(folder, runs, design)
    return runs


def _asked(line: str) -> list[str]:
    head, run, flag, *overrides = shlex.split(line)
    assert (head, run, flag) == ("aimarket", "run", "-m")
    return overrides


@pytest.mark.parametrize(
    "asked",
    [
        ("users.usage_elasticity=1.2,0.5", "run.seed=range(1,6)"),
        ("run.seed=3,1", "pricing@providers.alpha.pricing=cost_plus,undercut", "run.panel=60"),
        (
            "design=paired",
            "design.parameters={users.usage_elasticity: [0.5, 2.0], run.panel: [60, 70]}",
            "run.seed=1,2",
        ),
        (
            "design=morris",
            "design.size=2",
            "design.levels=6",
            BOX,
            "design.log=[users.usage_elasticity]",
            "run.seed=1,2",
        ),
        ("design=sobol", "design.size=2", BOX),
    ],
)
def test_the_command_of_a_plan_makes_the_plan_again(asked: tuple[str, ...], tmp_path: Path) -> None:
    runs = _planned(tmp_path, [*BASE, *asked])
    lines, exact = reproduction.commands(tmp_path, [])
    assert exact
    (line,) = lines
    assert [(run.run_id, list(run.overrides)) for run in runs] == [
        (point.run_id, list(point.overrides)) for point in plan(points_of(_asked(line))[0])
    ]


def test_a_plan_within_another_is_not_told_twice(tmp_path: Path) -> None:
    _planned(tmp_path, [*BASE, "run.seed=1,2"])
    _planned(tmp_path, [*BASE, "run.seed=1,2,3,4"])
    _planned(tmp_path, [*BASE, "run.seed=9"])
    lines, exact = reproduction.commands(tmp_path, [])
    assert exact
    assert lines == [
        "aimarket run -m roster=duopoly run.steps=3 study=again 'run.seed=range(1,5)'",
        "aimarket run roster=duopoly run.steps=3 study=again run.seed=9",
    ]


def test_a_run_that_no_command_makes_is_said_to_be_one(screened: Path, tmp_path: Path) -> None:
    manifests = [dict(manifest) for manifest in open_results(screened).manifests]
    assert reproduction.commands(tmp_path, manifests)[1]
    for manifest in manifests:
        manifest["overrides"] = [*manifest["overrides"], "run.steps=7"]
    assert not reproduction.commands(tmp_path, manifests)[1]


def test_runs_of_no_plan_are_one_command_where_they_can_be(screened: Path, tmp_path: Path) -> None:
    manifests = open_results(screened).manifests[:3]
    (line,), exact = reproduction.commands(tmp_path, manifests)
    assert exact
    made_again = {point.run_id for point in plan(points_of(_asked(line))[0])}
    assert made_again == {manifest["run_id"] for manifest in manifests}
    other = {**manifests[0], "overrides": [], "run_id": "0" * 16}
    lines, exact = reproduction.commands(tmp_path, [*manifests, other])
    assert len(lines) == 4
    assert not exact
    for line, manifest in zip(lines[1:], sorted(manifests, key=lambda m: m["overrides"]), strict=True):
        assert run_id(load(shlex.split(line)[2:])) == manifest["run_id"]


def test_a_design_that_is_drawn_otherwise_now_has_a_command_each(tmp_path: Path) -> None:
    """As with another version of the library that draws it."""
    points, design = points_of([*BASE, "design=latin_hypercube", "design.size=3", BOX])
    assert design is not None
    other = [[override.replace("usage_elasticity=", "usage_elasticity=1") for override in point] for point in points]
    runs = [Planned(point.run_id, point.overrides) for point in plan(other)]
    write_plan(tmp_path, runs, design)
    lines, exact = reproduction.commands(tmp_path, [])
    assert exact
    assert [run_id(load(shlex.split(line)[2:])) for line in lines] == [run.run_id for run in runs]
