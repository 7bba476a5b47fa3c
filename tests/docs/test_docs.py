"""What the documents say is so: their code runs, their commands parse, their links and names exist."""

import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import aimarket
from aimarket import cli
from aimarket.calibration.targets import read_targets
from aimarket.composition import compose_plain
from aimarket.settings import SHELVES, rule_kinds
from aimarket.stopwatch import PHASES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RUNNER = Path(__file__).with_name("run_document.py")
blocks, commands, run = map(runpy.run_path(str(RUNNER)).get, ("blocks", "commands", "run"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
RUNNING = [*TUTORIALS, DOCS / "recipes.md"]  # pages of which every block is run
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(path: Path) -> str:
    return path.name


def copy_with_files(document: Path, folder: Path) -> Path:
    """A copy of the package and its configuration with the files that the document adds; returns its `src`."""
    shutil.copytree(
        ROOT / "src" / "aimarket", folder / "src" / "aimarket", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for block in blocks(document):
        if block.path:
            target = folder / block.path
            assert not target.exists(), f"{document.name} line {block.line}: {block.path} is there already"
            assert target.parent.is_dir(), f"{document.name} line {block.line}: no folder for {block.path}"
            target.write_text(block.text, encoding="utf-8")
    return folder / "src"


@pytest.mark.parametrize("tutorial", RUNNING, ids=name_of)
def test_tutorial_runs(tutorial, tmp_path, monkeypatch):
    """Here, or against a copy of the package where the tutorial adds files to it."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    if not any(block.path for block in blocks(tutorial)):
        run(tutorial)
        return
    monkeypatch.setenv("PYTHONPATH", str(copy_with_files(tutorial, tmp_path / "clone")))
    done = subprocess.run([sys.executable, str(RUNNER), str(tutorial)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=name_of)
def test_tutorial_is_short(tutorial):
    assert len(tutorial.read_text(encoding="utf-8").splitlines()) < 120


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A folder with the two studies that the README speaks of, made small."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for study in ("demo", "mine"):
            cli.main(["run", f"study={study}", "roster=duopoly", "run.steps=2", "users.size=300", "run.panel=100"])
    return folder


def test_readme_example_runs(studies, monkeypatch):
    monkeypatch.chdir(studies)
    run(ROOT / "README.md", "python")


def readme_commands() -> list[list[str]]:
    shell = [block for block in blocks(ROOT / "README.md") if block.language == "sh"]
    return [words[1:] for block in shell for words in commands(block.text) if words[0] == "aimarket"]


def exit_code(arguments: list[str]) -> int | str:
    try:
        cli.main(arguments)
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.mark.parametrize("arguments", readme_commands(), ids=" ".join)
def test_readme_command_is_understood(arguments, studies, monkeypatch):
    """Runs are only composed and checked, data not refreshed, known answers and claims tested elsewhere."""
    monkeypatch.chdir(studies)
    if arguments[0] == "run" and "--help" not in arguments:
        aimarket.load([re.sub(r",.*", "", word) for word in arguments[1:] if word != "-m"])
        return
    if arguments[0] == "calibrate":  # a search of an hour is only checked
        read_targets(arguments[1], [word for word in arguments if "=" in word])
        return
    if arguments in (["data", "refresh"], ["validate"], ["claims"], ["lab"]):
        arguments = [*arguments, "--help"]
    assert exit_code(arguments) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_linked_from_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert page.name == "index.md" or f"({page.relative_to(DOCS)})" in index, page


def test_every_rule_is_described():
    text = (DOCS / "odd.md").read_text(encoding="utf-8")
    for shelf in SHELVES:
        for kind in rule_kinds(shelf):
            assert f"`{kind}`" in text, f"{shelf}/{kind}"


def test_odd_tells_the_phases_in_order():
    text = (DOCS / "odd.md").read_text(encoding="utf-8")
    assert re.findall(r"^\d\. \*\*`(\w+)`\*\*", text, re.MULTILINE) == list(PHASES)


def rows(page: str) -> list[list[str]]:
    """Cells of every row of every table of a page, heads and rules left out."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    return [row for row in cells if not set("".join(row)) <= set("-: |") and row[0] != "symbol"]


@cache
def default_configuration() -> dict[str, object]:
    return compose_plain([])


@pytest.mark.parametrize("row", rows("glossary.md"), ids=lambda row: row[1])
def test_glossary_names_what_exists(row):
    """`users.size` is a key of the configuration (* stands for any name), `module.py: name` a name in a module."""
    _, _, _, _, where = row
    places = re.findall(r"`([^`]+)`", where)
    assert places
    for place in places:
        if match := re.fullmatch(r"([\w/]+\.py): (?:\w+\.)*(\w+)", place):
            path = ROOT / "src" / "aimarket" / match[1]
            assert path.is_file(), place
            assert re.search(rf"\b{match[2]}\b", path.read_text(encoding="utf-8")), place
        else:
            assert found(default_configuration(), place.split(".")), place


def found(node: object, parts: list[str]) -> bool:
    """Whether a dotted key leads somewhere in nested mappings."""
    if not parts:
        return True
    if not isinstance(node, dict):
        return False
    nodes = node.values() if parts[0] == "*" else [node[parts[0]]] if parts[0] in node else []
    return any(found(inner, parts[1:]) for inner in nodes)


def test_decisions_are_numbered_and_whole():
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path.name
