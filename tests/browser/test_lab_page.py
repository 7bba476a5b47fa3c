"""Market Lab in a real browser that reaches nothing but this machine."""

import csv
import json
import os
import re
import shlex
import shutil
import statistics
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from lab_server import get, serving
from playwright.sync_api import Page, sync_playwright

from aimarket import cli
from aimarket.lab.presets import presets
from aimarket.results import open_results

SCREENS = ("guess", "compare", "law", "map", "explain")
WIDTHS = (1280, 640, 390)  # 640 is a screen of 1,280 at 200 %
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
]
AXE = Path(str(find_spec("axe_core_python").submodule_search_locations[0])) / "axe.min.js"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
PATIENCE = 300_000  # ms, for a machine that others use


@pytest.fixture(scope="module")
def port():
    with serving() as number:
        yield number


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        assert not os.environ.get("CI"), "no Chromium on this machine; .ci/run installs it"
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser, port):
    """A page that must not complain, and must not ask anybody else for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints, hosts = [], set()
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    yield page
    context.close()
    assert complaints == []
    assert hosts <= {f"127.0.0.1:{port}", ""}  # a blob has no host


def visit(page: Page, port: int, preset: str, screen: str, **more: object) -> None:
    query = {"preset": preset} | ({} if screen == "guess" else {"guess": "pass", "screen": screen}) | more
    page.goto(f"http://127.0.0.1:{port}/?{urlencode(query)}")
    page.wait_for_selector(f"body[data-drawn^='{screen}?preset={preset}']")


def crowding() -> float:
    """How many times as long as its processor time a computation takes: 1 where nobody else uses the machine."""
    begun, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.1:
        pass
    return max(1.0, (time.monotonic() - begun) / (time.process_time() - used))


# --- quick ------------------------------------------------------------------------------------------------------------


def test_the_first_chart_is_there_within_a_second(page, port):
    get(port, "/api/run?preset=open_race&seed=1")
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("#start svg path")
    took = page.evaluate("performance.getEntriesByType('mark').find(({name}) => name === 'first chart').startTime")
    assert took <= 1000 * crowding()


# Every input event of a slider, until the first frame that shows its stop or a later one.
WATCH = """(name) => {
    const input = document.getElementById(`slider-${name}`), waiting = [], start = input.value;
    window.took = [];
    input.addEventListener("input", () => waiting.push([input.value, performance.now()]), true);
    new MutationObserver(() => requestAnimationFrame(() => {
        const drawn = new URLSearchParams(document.body.dataset.drawn.split("?")[1]).get(name) ?? start;
        const shown = waiting.splice(0, 1 + waiting.findLastIndex(([stop]) => stop === drawn));
        took.push(...shown.map(([, begun]) => performance.now() - begun));
    })).observe(document.body, { attributeFilter: ["data-drawn"] });
}"""


@pytest.mark.parametrize("preset", list(presets()))
def test_a_slider_draws_at_once(page, port, preset):
    """A hand drags it through all its stops, once the server has run ahead, as it does while the class guesses."""
    (name, slider), *_ = presets()[preset].sliders.items()
    stops = len(slider.stops)
    for stop in range(stops):
        get(port, f"/api/run?preset={preset}&seed=1&{name}={stop}")
    visit(page, port, preset, "compare")
    page.evaluate(WATCH, name)
    box = page.locator(f"#slider-{name}").bounding_box()
    y, places = (
        box["y"] + box["height"] / 2,
        [box["x"] + 8 + (box["width"] - 16) * i / (stops - 1) for i in range(stops)],
    )
    page.mouse.move(places[slider.start], y)
    page.mouse.down()
    for x in (*places[slider.start + 1 :], *reversed(places[:-1])):
        page.mouse.move(x, y, steps=4)
        page.wait_for_timeout(120)
    page.mouse.up()
    page.wait_for_selector(f"body[data-drawn*='{name}=0']")
    page.wait_for_timeout(200)
    took = page.evaluate("took")
    assert len(took) >= stops - 1
    assert statistics.median(took) <= 150 * crowding()


# --- right ------------------------------------------------------------------------------------------------------------


def test_the_screen_shows_what_the_command_finds(page, port, tmp_path, monkeypatch):
    visit(page, port, "jevons", "explain", elasticity=6, seed=3)
    monkeypatch.chdir(tmp_path)
    for side, column in (("a", 1), ("b", 2)):
        cells = page.locator(f"#sheet-figures tbody td:nth-of-type({column})")
        shown = [(cell.inner_text(), cell.get_attribute("data-value")) for cell in cells.all()]
        words = shlex.split(page.locator(f"#command-{side}").inner_text())
        cli.main([*words[1:], f"study=side-{side}"])
        market = open_results(f"outputs/side-{side}").market
        last = market.iloc[-1]
        assert last["step"] == 120
        assert [float(value) for _, value in shown[1:5]] == [
            last[name] for name in ("leader_share", "effective_providers", "price", "lerner")
        ]
        assert float(shown[5][1]) == pytest.approx(market["spend"].iloc[-12:].mean(), rel=1e-12)
        assert shown[1][0] == f"{100 * last['leader_share']:.1f}"
        assert shown[4][0] == f"{100 * last['lerner']:.1f}"


def test_csv_and_png_can_be_taken_away(page, port, tmp_path):
    visit(page, port, "jevons", "explain", elasticity=6)
    with page.expect_download() as download:
        page.click("#csv")
    download.value.save_as(tmp_path / "figures.csv")
    rows = list(csv.DictReader((tmp_path / "figures.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["market"] for row in rows] == ["A"] * 120 + ["B"] * 120
    run = json.loads(get(port, "/api/run?preset=jevons&elasticity=6")[2])
    assert [float(row["spend"]) for row in rows[120:]] == run["market"]["spend"]
    assert [float(row["anna_share"]) for row in rows[120:]] == run["providers"]["anna"]["share"]
    with page.expect_download() as download:
        page.click("#png")
    download.value.save_as(tmp_path / "chart.png")
    image = (tmp_path / "chart.png").read_bytes()
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(image[16:20]) > 600  # pixels across


def test_a_sheet_is_one_page_of_paper(page, port):
    for preset in presets():
        visit(page, port, preset, "explain", guess=50)
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1, preset


def test_a_link_brings_back_what_was_seen(page, port):
    visit(page, port, "merger", "compare")
    page.locator("#slider-portability").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("body[data-drawn*='portability=3']")
    page.check("#switch-merger")
    page.fill("#month", "70")
    page.select_option("#measure", "price")
    page.wait_for_selector("body[data-drawn*='off=merger']")
    page.wait_for_selector("#figures caption:text('Month 70')")
    page.wait_for_url("**show=price**")
    figures, link = page.inner_text("#figures"), page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("body[data-drawn*='off=merger']")
    assert page.inner_text("#figures") == figures
    assert page.input_value("#measure") == "price"


def test_new_luck_is_another_seed_on_the_whole_page(page, port):
    visit(page, port, "open_race", "explain")
    before = page.inner_text("#sheet-figures")
    page.click("#luck")
    page.wait_for_url("**seed=**")
    seed = page.input_value("#seed")
    assert seed != "1"
    page.wait_for_selector(f"body[data-drawn*='seed={seed}']")
    assert page.inner_text("#sheet-figures") != before
    assert page.inner_text("#command-a").endswith(f"run.seed={seed}")


def test_playing_does_not_write_the_address_month_by_month(page, port):
    """Browsers refuse that, one with an error, after a hundred times."""
    page.add_init_script(
        "const write = history.replaceState; window.written = 0;"
        "history.replaceState = function (...told) { written += 1; return write.apply(this, told); };"
    )
    visit(page, port, "jevons", "compare", month=1)
    page.click("#play")
    page.wait_for_selector("#month-value:text('120')")
    page.wait_for_url(lambda url: "month=" not in url)
    assert page.evaluate("written") < 20


def test_a_link_with_nonsense_still_opens(page, port):
    page.goto(f"http://127.0.0.1:{port}/?preset=%3Cscript%3E&seed=-1&guess=x&screen=law&month=1e9&gain=999")
    page.wait_for_selector("body[data-drawn='guess?preset=open_race&seed=1']")


# --- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("preset", list(presets()))
def test_no_screen_keeps_anybody_out(page, port, preset, width):
    page.set_viewport_size({"width": width, "height": 800})
    for screen in SCREENS:
        visit(page, port, preset, screen)
        page.wait_for_selector(f"section[data-of='{screen}'] :is(svg, table button)")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("(rules) => axe.run(document, rules)", RULES)
        assert [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found["violations"]] == [], (
            screen
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width, screen
        hidden = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"
        assert page.evaluate(hidden) == 0, screen


def test_a_guess_comes_first_and_needs_no_mouse(page, port):
    visit(page, port, "jevons", "guess")
    assert page.is_disabled("button[data-screen='compare']")
    page.locator("#guess").focus()
    said = float(page.input_value("#guess"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-drawn^='compare']")
    assert f"You said {said + 0.1:.1f}" in page.inner_text("#verdict")
    page.locator("#slider-elasticity").focus()
    page.keyboard.press("End")
    page.wait_for_selector("body[data-drawn*='elasticity=8']")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_every_chart_says_a_sentence_and_has_its_numbers(page, port):
    visit(page, port, "jevons", "compare")
    for chart in page.locator("section:not([hidden]) .chart").all():
        sentence = chart.locator("svg").get_attribute("aria-label")
        assert sentence is not None
        assert sentence.endswith(".")
        assert "month 120" in sentence
        assert chart.locator("details table tbody tr").count() == 10


def test_whoever_wants_no_motion_gets_steps(browser, port):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    visit(page, port, "jevons", "compare", month=1)
    page.click("#play")
    page.wait_for_selector("#month-value:text('13')")
    context.close()


def test_the_map_sets_b(page, port):
    visit(page, port, "jevons", "map", across="markup", down="progress")
    page.click("#map tbody tr:nth-child(1) td:nth-of-type(1) button")
    page.wait_for_selector("body[data-drawn*='progress=0'][data-drawn*='markup=0']")
    assert page.locator("#map button[aria-pressed='true']").count() == 1
    page.click("button[data-screen='explain']")
    page.wait_for_selector("#command-b:text('technology.rates.software=0')")


def test_the_widest_map_is_seen_whole_on_a_telephone(page, port):
    page.set_viewport_size({"width": 390, "height": 800})
    visit(page, port, "jevons", "map")
    page.wait_for_selector("#map:not(:has(button[aria-label*='not yet there']))")
    boxes = "[...document.querySelectorAll('.scroll, #map button')]"
    assert page.evaluate(f"{boxes}.filter((box) => box.scrollWidth > box.clientWidth).length") == 0
    shades = page.evaluate("[...document.querySelectorAll('#map tbody td')].map((place) => place.style.background)")
    assert len(set(shades)) > 30  # amounts that differ by thousands are told apart all the same


def test_luck_or_law_counts_winners(page, port):
    visit(page, port, "jevons", "law")
    page.wait_for_selector("#winner:text('of 30')")
    assert "If all 5 were as likely to win, each would win about 6." in page.inner_text("#winner")
