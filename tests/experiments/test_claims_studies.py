"""What the studies of the claims say is what their result files say."""

import re
from pathlib import Path

import pytest

from aimarket.claims import readme
from aimarket.claims.evaluation import from_json, judged
from aimarket.claims.figure import described
from aimarket.claims.registration import load_claim, registered

STUDIES = Path(__file__).parents[2] / "experiments"
TESTED = [name for name in registered() if (STUDIES / name / "result.json").is_file()]


@pytest.mark.parametrize("name", TESTED)
def test_the_answer_is_the_result_in_words(name):
    """Question, prediction and every number between the marks."""
    _, made, _ = readme.marked(STUDIES / name / "README.md")
    assert made == readme.answer(load_claim(name), from_json(STUDIES / name / "result.json"))


@pytest.mark.parametrize("name", TESTED)
def test_the_figure_is_of_the_result(name):
    told = described(from_json(STUDIES / name / "result.json"))
    assert told in (STUDIES / name / "figure.svg").read_text(encoding="utf-8")


def test_the_verdicts_are_those_of_the_results():
    _, made, _ = readme.marked(STUDIES / "README.md")
    assert made == readme.verdicts(readme.stored(STUDIES))


def test_p_values_are_corrected_over_all_six_together():
    """Whatever the sittings in which they were tested."""
    results = readme.stored(STUDIES)
    assert judged(results, registered()) == results


@pytest.mark.parametrize("name", TESTED)
def test_a_committed_result_is_no_quick_one(name):
    result = from_json(STUDIES / name / "result.json")
    claim = load_claim(name)
    assert not result.quick
    assert result.statistic == claim.statistic
    assert result.comparisons[claim.statistic].effect.count >= 40
    assert result.box_share.count == len(result.box_points) == claim.box_points
    assert result.cells.keys() == claim.cells.keys()


@pytest.mark.parametrize("name", registered())
def test_every_claim_has_a_study(name):
    """With its marks, where an answer is or will be, and the command that gives it."""
    before, made, after = readme.marked(STUDIES / name / "README.md")
    assert load_claim(name).title in before
    assert f"aimarket claims {name} --readme experiments" in after
    assert bool(made) == (name in TESTED)


ANSWERED = sorted({path.parent.name for path in STUDIES.glob("*/README.md")} - {*registered()} | {*TESTED})
PARTS = (
    r"Question\.",
    r"Prediction",
    r"(Answer\.|Verdict: |What fits\.)",
    r"(What surprised|Surprise)\.",
    r"Reproduce\.",
)


@pytest.mark.parametrize("name", ANSWERED)
def test_a_study_tells_all_it_should(name):
    """Question, prediction, answer, what surprised, the command; every figure it shows is there."""
    page = (STUDIES / name / "README.md").read_text(encoding="utf-8")
    for part in PARTS:
        assert re.search(rf"^\*\*{part}", page, re.MULTILINE), part
    for figure in re.findall(r"!\[[^]]*\]\(([^)]*)\)", page):
        assert (STUDIES / name / figure).is_file()
