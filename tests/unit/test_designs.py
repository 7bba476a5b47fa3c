"""Designs: their points, what they refuse, and that their analysis finds what was put in."""

import pandas as pd
import pytest

from aimarket.complaints import SettingsError
from aimarket.designs import analyse, points_of
from aimarket.plans import Planned, write_plan

BASE = ["roster=duopoly", "users.size=300"]
TWO = "design.parameters={users.usage_elasticity: [0.5, 2], technology.spillover: null}"


def test_paired_values_walk_together_and_commas_multiply_them():
    points, design = points_of([*BASE, "run.seed=1,2", "design=paired", "design.parameters={run.steps: [3, 4]}"])
    assert [point[2:] for point in points] == [[f"run.seed={n}", f"run.steps={m}"] for m in (3, 4) for n in (1, 2)]
    assert design["rows"] == [0, 0, 1, 1]
    assert points_of([*BASE, "run.seed=1,2"])[1] is None


@pytest.mark.parametrize(
    ("kind", "size", "count"), [("sobol", 8, 8 * 4), ("morris", 5, 5 * 3), ("latin_hypercube", 7, 7)]
)
def test_a_design_is_known_by_its_seed_and_stays_in_bounds(kind, size, count):
    pytest.importorskip("SALib")
    asked = [*BASE, f"design={kind}", f"design.size={size}", TWO, "design.log=[users.usage_elasticity]"]
    points, design = points_of(asked)
    assert len(points) == len(design["sample"]) == count
    assert points_of(asked) == (points, design)
    assert points_of([*asked, "design.seed=2"])[0] != points
    values = [float(point[-2].partition("=")[2]) for point in points]
    assert 0.5 <= min(values) < 1 < max(values) <= 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["design=sobol"], "design.parameters: missing"),
        (["design=sobol", "design.size=3", TWO], "design.size: should be a power of two"),
        (["design=morris", "design.parameters={users.usage_elasticty: [1, 2]}"], "did you mean users.usage_elasticity"),
        (["design=morris", "design.parameters={study: [1, 2]}"], "design.parameters.study: is no number"),
        (["design=morris", "design.parameters={users.usage_elasticity: [1, 9]}"], "should lie within"),
        (["design=morris", "design.parameters={run.panel: null}"], "no range is documented"),
        (["design=morris", "design.parameters={users.size: [1, 2]}"], "is set on the command line, too"),
        (["design=morris", "design.log=[run.panel]", TWO], "design.log"),
        (["design=paired", "design.parameters={run.seed: [1], run.steps: [1, 2]}"], "equally long"),
    ],
)
def test_what_is_wrong_with_a_design_is_one_line(asked, said):
    with pytest.raises(SettingsError) as error:
        points_of([*BASE, *asked])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("kind", "size", "column"), [("sobol", 256, "S1"), ("morris", 20, "mu_star")])
def test_an_analysis_finds_which_parameter_does_it(tmp_path, kind, size, column):
    """A statistic three times as steep in one parameter as in the other, noise that the seeds average out."""
    pytest.importorskip("SALib")
    points, design = points_of([*BASE, "run.seed=1,2", f"design={kind}", f"design.size={size}", TWO])
    runs = [Planned(f"{number:016x}", tuple(point)) for number, point in enumerate(points)]
    write_plan(tmp_path, runs, design)
    steep = [3 * design["sample"][row][0] + design["sample"][row][1] for row in design["rows"]]
    noise = [number % 2 for number in range(len(runs))]
    statistic = pd.Series([a + b for a, b in zip(steep, noise, strict=True)], [run.run_id for run in runs])

    class Study:
        folder = tmp_path

    found = analyse(Study, statistic)[column]
    expected = {"S1": [0.9, 0.1], "mu_star": [3, 1]}[column]
    assert found.tolist() == pytest.approx(expected, abs=0.05)
    assert list(found.index) == ["users.usage_elasticity", "technology.spillover"]
