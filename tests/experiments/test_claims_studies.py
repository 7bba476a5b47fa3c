"""What the studies of the claims say is what their result files say."""

from pathlib import Path

import pytest

from aimarket.claims import readme
from aimarket.claims.evaluation import from_json
from aimarket.claims.registration import load_claim, registered

STUDIES = Path(__file__).parents[2] / "experiments"
TESTED = [name for name in registered() if (STUDIES / name / "result.json").is_file()]


@pytest.mark.parametrize("name", TESTED)
def test_the_answer_is_the_result_in_words(name):
    """Question, prediction and every number between the marks."""
    _, made, _ = readme.marked(STUDIES / name / "README.md")
    assert made == readme.answer(load_claim(name), from_json(STUDIES / name / "result.json"))
    assert (STUDIES / name / "figure.svg").is_file()


def test_the_verdicts_are_those_of_the_results():
    _, made, _ = readme.marked(STUDIES / "README.md")
    assert made == readme.verdicts(readme.stored(STUDIES))


@pytest.mark.parametrize("name", TESTED)
def test_a_committed_result_is_no_quick_one(name):
    result = from_json(STUDIES / name / "result.json")
    claim = load_claim(name)
    assert not result.quick
    assert result.statistic == claim.statistic
    assert result.comparisons[claim.statistic].effect.count >= 40
    assert result.box_share.count == claim.box_points


@pytest.mark.parametrize("name", registered())
def test_every_claim_has_a_study(name):
    """With its marks, where an answer is or will be, and the command that gives it."""
    before, made, after = readme.marked(STUDIES / name / "README.md")
    assert load_claim(name).title in before
    assert f"aimarket claims {name} --readme experiments" in after
    assert bool(made) == (name in TESTED)
