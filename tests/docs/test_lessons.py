"""The numbers that the lessons promise are those that come out."""

import re
from functools import cache
from pathlib import Path

import pytest

import aimarket
from aimarket.algorithmic_collusion import environment, simulate_sessions
from aimarket.lab.presets import presets

LESSONS = sorted((Path(__file__).parents[2] / "docs" / "lessons").glob("*.md"))
HEADINGS = [
    "Five minutes in front of the class",
    "Questions, and the numbers to expect",
    "Common wrong ideas",
    "Limits of the model",
    "Teacher's notes",
]
UNITS = {"%": 100.0, "million": 1e-6, "thousand": 1e3, "USD": 1.0, "s": 1.0, "": 1.0}  # a thousand tokens of a Mtok
ROW = re.compile(r"\| [^|]+ \| `([^`]+)` \| `(\w+)` ([a-z0-9 ]+) \| (-?[\d.]+) ?([^|]*?) \|")


def promised(lesson):
    return ROW.findall(lesson.read_text(encoding="utf-8"))


ROWS = [pytest.param(*row, id=f"{lesson.stem}-{i}") for lesson in LESSONS for i, row in enumerate(promised(lesson), 1)]


@cache
def market(overrides):
    return aimarket.simulate(aimarket.load(overrides.split())).market


def found(overrides, column, at):
    if not overrides.startswith("experiment="):
        return getattr(simulate_sessions(environment(overrides.split())), column).mean()
    values = market(overrides)[column]
    if at.startswith("month "):
        return values.iloc[int(at.removeprefix("month ")) - 1]
    return {"last year": values.iloc[-12:].mean, "highest": values.max, "sum": values.sum}[at]()


@pytest.mark.parametrize(("overrides", "column", "at", "expected", "unit"), ROWS)
def test_a_promise_is_kept_to_its_last_digit(overrides, column, at, expected, unit):
    value = found(overrides, column, at) * UNITS[unit]
    last = 10.0 ** -len(expected.partition(".")[2])
    assert abs(value - float(expected)) <= 0.51 * last


def test_there_are_ten_whole_lessons():
    assert len(LESSONS) == 10
    for lesson in LESSONS:
        text = lesson.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS, lesson.name
        assert "**Goal.**" in text
        assert len(promised(lesson)) >= 5, lesson.name
        assert len(re.findall(r"^\| ", text, re.MULTILINE)) == len(promised(lesson)) + 2, lesson.name


def test_every_preset_has_a_lesson_that_is_there():
    names = {lesson.stem for lesson in LESSONS}
    for preset in presets().values():
        assert preset.lessons
        assert set(preset.lessons) <= names
