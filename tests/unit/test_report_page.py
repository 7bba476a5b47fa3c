"""The page of a study: valid, whole in itself, safe whatever things are called, and the same bytes again."""

import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from studies import study as made

from aimarket.complaints import ResultsError
from aimarket.configuration import load, run_id
from aimarket.multirun import expand
from aimarket.plans import standings
from aimarket.report import provenance
from aimarket.report.page import render, write_report
from aimarket.report.style import COLOURS
from aimarket.report.svg import SHADES
from aimarket.results import Results, open_results

EVIL = '<script>alert("x")</script>&"\'>'
BUDGET = 3_000_000  # bytes
VOID = {"meta", "link", "br", "img", "hr", "input", "col"}


SEEDS = 5  # a point, of which the first two run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four points of the default roster, and runs that fail."""
    about = ["about.question='Do prices fall?'", "about.prediction='They do.'", "about.outcome=price"]
    swept = ["users.usage_elasticity=0.5,0.8,1.0,1.2", f"run.seed=range(1,{SEEDS + 1})", "run.steps=25"]
    failing = [f"run.seed={seed}" for seed in range(3, SEEDS + 1)]
    return made(tmp_path_factory.mktemp("page"), *about, *swept, failing=failing)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return render(open_results(folder))


class Tree(HTMLParser):
    """Checks that every element is closed where it should be, and collects elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> is for SVG only"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.words.append((self.open[-1], data.strip()))


def test_every_element_is_closed_and_every_id_is_its_own(page: str) -> None:
    tree = Tree(page)
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pointed = {value[1:] for _, attributes in tree.elements for key, value in attributes.items() if key == "href"}
    pointed |= {attributes["aria-labelledby"] for _, attributes in tree.elements if "aria-labelledby" in attributes}
    pointed |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert pointed <= set(ids)
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(figure)


def test_it_needs_nothing_from_outside_and_runs_nothing(page: str) -> None:
    for tag, attributes in Tree(page).elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "img", "image", "base", "form"}
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key in ("src", "href", "xlink:href", "action", "data"):
                assert value.startswith("#"), (tag, key, value)
    assert re.sub(r'xmlns="http://www\.w3\.org/2000/svg"', "", page).count("://") == 0
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_it_reads_aloud(page: str) -> None:
    tree = Tree(page)
    assert ("html", {"lang": "en"}) in tree.elements
    levels = [int(tag[1]) for tag, _ in tree.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    figures = [attributes for tag, attributes in tree.elements if tag == "svg"]
    assert figures
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 30 for attributes in figures)
    tables = [tag for tag, _ in tree.elements if tag == "table"]
    assert len(tables) == len([tag for tag, _ in tree.elements if tag == "caption"]) > 3
    assert all(a["scope"] in ("col", "row") for tag, a in tree.elements if tag == "th")


def test_it_says_question_prediction_answer_and_how_it_was_made(folder: Path, page: str) -> None:
    words = [text for _, text in Tree(page).words]
    for text in ("Do prices fall?", "They do.", "Question", "Prediction", "What was seen", "1, 2", "aimarket"):
        assert text in words, text
    command = next(text for tag, text in Tree(page).words if tag == "pre" and text.startswith("aimarket run"))
    head, runs, flag, *overrides = shlex.split(command)
    assert (head, runs, flag) == ("aimarket", "run", "-m")
    planned = {run.run_id for run in standings(folder)}
    assert {run_id(load(point)) for point in expand(overrides)} == planned
    assert len(planned) == 4 * SEEDS
    assert "to the last digit" in page


def test_the_answer_is_the_titles_of_the_figures(page: str) -> None:
    titles = re.findall(r"<h3[^>]*>(.*?)</h3>", page)
    assert len(titles) >= 8
    answer = page[page.index('<h2 id="answer"') : page.index('<h2 id="figures"')]
    assert all(title in answer for title in titles)


def test_four_points_of_the_default_roster_stay_within_the_budget(page: str) -> None:
    assert len(page.encode()) < BUDGET


def test_the_same_study_gives_the_same_bytes(screened: Path, tmp_path: Path) -> None:
    written = write_report(open_results(screened), tmp_path / "deep" / "report.html").read_bytes()
    assert written.decode() == render(open_results(screened))


def test_failed_runs_are_listed_with_their_reasons(page: str) -> None:
    words = "\n".join(text for _, text in Tree(page).words)
    failed = 4 * (SEEDS - 2)
    assert f"{failed} runs failed" in words
    assert f"The first 10 of {failed} failed runs" in words
    assert f"And {failed - 10} more." in words
    rows = re.findall(r'<tr><th scope="row">([0-9a-f]{16})</th><td>(.*?)</td><td>(.*?)</td></tr>', page)
    assert len(rows) == 10
    for run, point, reason in rows:
        elasticity, seed = re.fullmatch(r"users.usage_elasticity=(\S+) run.seed=(\d)", point).groups()  # type: ignore[union-attr]
        assert reason == f"OSError: no room for seed {seed}"
        assert run in page
        assert elasticity in ("0.5", "0.8", "1.0", "1.2")


def test_what_is_planned_and_not_done_is_counted(screened: Path, tmp_path: Path) -> None:
    shutil.copytree(screened, tmp_path / "half")
    for manifest in sorted((tmp_path / "half" / "runs").glob("*.json"))[:3]:
        manifest.unlink()
    assert provenance.missing(tmp_path / "half") == ([], {"to do": 3})


def test_the_tables_count_every_simulation(page: str) -> None:
    assert "median and 5–95\u00a0% range of 8 simulations of 4 points" in page
    table = page[page.index("Shares of tokens served</caption>") :]
    shares = [float(text) for text in re.findall(r"<td>([\d.]+) %</td>", table[: table.index("</table>")])]
    assert len(shares) > 10
    assert max(shares) <= 100


def _renamed(folder: Path) -> Results:
    """The study with a provider, a question and overrides that try to get out of the page."""
    results = open_results(folder)
    manifests = json.loads(json.dumps(list(results.manifests)))
    for manifest in manifests:
        manifest["settings"]["about"] = {"question": EVIL, "prediction": EVIL, "outcome": "lerner"}
        manifest["settings"]["providers"][EVIL] = manifest["settings"]["providers"].pop("alpha")
        manifest["overrides"] = [*manifest["overrides"], f"study={EVIL}{manifest['seed']}"]
        manifest["versions"][EVIL] = EVIL
    renamed = Results(results.folder, manifests)
    frames = {name: getattr(results, name).copy() for name in ("market", "providers", "offers")}
    for name in ("providers", "offers"):
        frames[name]["provider"] = frames[name]["provider"].astype(str).replace("alpha", EVIL)
    renamed.__dict__.update(frames)
    renamed.frame = lambda table, columns=None: frames.get(table, results.frame(table))  # type: ignore[method-assign]
    return renamed


def test_names_stay_names(screened: Path) -> None:
    page = render(_renamed(screened))
    tree = Tree(page)
    assert not [tag for tag, _ in tree.elements if tag == "script"]
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
    assert "\n".join(text for _, text in tree.words).count(EVIL) > 5


def test_differences_name_default_and_value(screened: Path) -> None:
    results = open_results(screened)
    rows = {key: rest for key, *rest in provenance.differences(results.manifests, {"run.seed": [1, 2]})}
    assert rows["users.size"] == ["100000", "300"]
    assert rows["run.seed"] == ["1", "1, 2"]
    assert rows["providers.alpha"] == ["—", "set"]
    assert rows["providers.openai"] == ["set", "—"]
    assert "study" not in rows
    assert not any(key.startswith("about") for key in rows)


def test_an_about_changes_no_run_and_is_no_parameter() -> None:
    asked = load(["about.question=Why?", "about.outcome=hhi"])
    assert run_id(asked) == run_id(load())
    with pytest.raises(ValueError, match=r"about.outcome: no such column .* did you mean lerner\?"):
        load(["about.outcome=lernr"])


def test_without_market_or_providers_there_is_no_report(tmp_path: Path) -> None:
    study = made(tmp_path, "roster=duopoly", "run.steps=3", "record.tables=[market]")
    with pytest.raises(ResultsError, match="market and providers were not recorded"):
        render(open_results(study))


def test_shades_keep_their_contrast() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    light, dark = SHADES["page"]
    for place in range(len(COLOURS)):
        assert contrast(SHADES[f"t{place}"][0], light) >= 4.5
        assert contrast(SHADES[f"t{place}"][1], dark) >= 4.5
        assert contrast(SHADES[f"c{place}"][1], dark) >= 4.5
    assert contrast(SHADES["n1"][0], light) >= 4.5
    assert contrast(SHADES["n1"][1], dark) >= 4.5
