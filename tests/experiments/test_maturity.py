"""The study of young and mature markets: its two signs hold, and without frictions the two rules agree."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[2] / "experiments" / "maturity" / "analyse.py"
SMALL = ("users.size=3000", "run.panel=800")


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("maturity", STUDY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_margins_rise_where_users_are_locked_in_and_fall_where_they_are_not(study):
    rise, width = study.change(study.lerner_by_seed("locked_in", "forward_looking", 4, *SMALL))
    assert rise - width > 0
    fall, width = study.change(study.lerner_by_seed("contestable", "forward_looking", 4, *SMALL))
    assert fall + width < 0


@pytest.mark.slow
def test_looking_ahead_is_what_keeps_young_locked_in_markets_cheap(study):
    ahead, myopic = (study.lerner_by_seed("locked_in", rule, 2, *SMALL) for rule in study.RULES)
    assert (ahead[:, 0] < myopic[:, 0] - 0.3).all()


def test_the_page_says_what_was_found(study):
    """The table in the README is that of the margins beside it, eight seeds of ten years in each case."""
    found = study.stored()
    assert found.keys() == study.CASES.keys()
    assert {lerner.shape for lerner in found.values()} == {(8, 10)}
    assert study.table(found) in (STUDY.parent / "README.md").read_text(encoding="utf-8")


def test_without_frictions_both_rules_post_the_same_prices(study):
    free = ("users.segments.everyone.switching.base=0", "run.steps=24", *SMALL)
    ahead, myopic = (study.lerner_by_seed("contestable", rule, 1, *free) for rule in study.RULES)
    assert np.allclose(ahead, myopic, atol=1e-6)
