"""Market Lab without a browser: what its presets offer, what its server runs, and that nothing topples it."""

import asyncio
import gzip
import json
import math
import os
import re
import shlex
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_server import get, serving

import aimarket
from aimarket import cli
from aimarket.complaints import SettingsError
from aimarket.configuration import run_id
from aimarket.lab import playing, running
from aimarket.lab.playing import MARKET, PROVIDERS, play
from aimarket.lab.presets import Point, RequestError, catalogue, point_of, presets
from aimarket.lab.running import Ahead, BusyError, Runs
from aimarket.lab.serving import serve
from aimarket.results import open_results

NAMES = list(presets())
LESSONS = Path(__file__).parents[2] / "docs" / "lessons"
SMALL = Point("jevons", 5, (3, 3, 2), (False,))  # the cheapest market


# --- what is offered --------------------------------------------------------------------------------------------------


def test_there_are_eight_presets_in_order():
    assert [preset.order for preset in presets().values()] == list(range(1, 9))


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_a_market_for_a_class(name):
    settings = aimarket.load([f"experiment=lab/{name}"])
    assert len(settings.providers) == 5
    assert (settings.run.steps, settings.run.steps_per_year) == (120, 12)
    assert settings.users.size >= 2000
    assert {"market", "providers"} <= set(settings.record.tables)


@pytest.mark.parametrize("name", NAMES)
def test_sliders_start_where_the_market_stands(name):
    """A is the experiment itself: saying the starting stops changes nothing, every other stop changes the market."""
    plain = run_id(aimarket.load([f"experiment=lab/{name}"]))
    for key, slider in presets()[name].sliders.items():
        assert list(slider.stops) == sorted(set(slider.stops))
        seen = set()
        for stop in range(len(slider.stops)):
            point = point_of({"preset": name, key: str(stop)})
            spread = [k.replace("*", firm) for k in slider.keys for firm in aimarket.load(point.overrides()).providers]
            said = [f"{k}={slider.stops[stop]:g}" for k in dict.fromkeys(spread)]
            found = run_id(aimarket.load([f"experiment=lab/{name}", *said]))
            assert (found == plain) == (stop == slider.start), f"{key} {slider.stops[stop]}"
            assert run_id(aimarket.load(point.overrides())) == found
            seen.add(found)
        assert len(seen) == len(slider.stops)


@pytest.mark.parametrize("name", NAMES)
def test_every_switch_changes_the_market(name):
    plain = run_id(aimarket.load([f"experiment=lab/{name}"]))
    for key in presets()[name].switches:
        assert run_id(aimarket.load(point_of({"preset": name, "off": key}).overrides())) != plain, key


def test_the_page_is_told_which_sliders_a_switch_silences():
    for told in json.loads(catalogue())["presets"]:
        for switch, words in told["switches"].items():
            off = {"preset": told["name"], "off": switch}
            plain = run_id(aimarket.load(point_of(off).overrides()))
            for key, slider in presets()[told["name"]].sliders.items():
                other = str(0 if slider.start else 1)
                moved = run_id(aimarket.load(point_of(off | {key: other}).overrides()))
                assert (moved == plain) == (key in words["silences"]), (told["name"], switch, key)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_preset_shows_is_there(name):
    preset = presets()[name]
    assert preset.guess.column in MARKET
    assert preset.guess.low < preset.guess.high
    assert all((LESSONS / f"{lesson}.md").is_file() for lesson in preset.lessons)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_in_utils_is_told_in_prices(name):
    preset = presets()[name]
    users = aimarket.load([f"experiment=lab/{name}"]).users
    if any(slider.unit == "utils" for slider in preset.sliders.values()):
        worth = 1 - math.exp(-1 / users.segments["everyone"].preferences.price)
        assert f"a price {100 * worth:.0f} % lower" in preset.story


def test_the_page_is_told_of_all_presets():
    told = json.loads(catalogue())
    assert [preset["name"] for preset in told["presets"]] == NAMES
    assert all(len(preset["providers"]) == 5 for preset in told["presets"])


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({}, "preset: no such preset"),
        ({"preset": "../../etc/passwd"}, "preset: no such preset"),
        ({"preset": "jevons", "elasticity": "9"}, "elasticity: should be a whole number from 0 to 8"),
        ({"preset": "jevons", "elasticity": "-1"}, "elasticity: should be"),
        ({"preset": "jevons", "elasticity": "1.5"}, "elasticity: should be"),
        ({"preset": "jevons", "elasticity": "²"}, "elasticity: should be"),
        ({"preset": "jevons", "elasticity": "1" * 500}, "elasticity: should be"),
        ({"preset": "jevons", "seed": "1e9"}, "seed: should be a whole number"),
        ({"preset": "jevons", "off": "gravity"}, "off: no such switch"),
        ({"preset": "jevons", "users.size": "1000000000"}, "unknown; allowed: preset, seed, off, elasticity"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(query, complaint):
    with pytest.raises(RequestError, match=re.escape(complaint)) as error:
        point_of(query)
    assert len(str(error.value)) < 300


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_point_is_what_the_command_runs(tmp_path, monkeypatch):
    """To the last bit: what the page is told, and what the command that it shows leaves on disk."""
    monkeypatch.chdir(tmp_path)
    point = point_of({"preset": "open_race", "seed": "7", "gain": "6", "luck": "1", "off": "taste"})
    told = json.loads(gzip.decompress(play(point)))
    words = shlex.split(told["command"])
    assert words[:2] == ["aimarket", "run"]
    cli.main(words[1:])
    results = open_results("outputs/lab-open-race")
    for name in MARKET:
        assert told["market"][name] == without_nan(results.market[name]), name
    for firm, columns in told["providers"].items():
        rows = results.providers[results.providers["provider"] == firm]
        for name in PROVIDERS:
            assert columns[name] == without_nan(rows[name]), (firm, name)


def without_nan(values):
    return [None if math.isnan(value) else value for value in values]


def test_a_run_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(playing, "SECONDS", 0.0)
    with pytest.raises(TimeoutError, match="it had come to step 2"):
        play(SMALL)


def ask(*points, look=None, many=()):
    """What one process answers to some who ask at once, after somebody has looked at a point; and what it ran first.

    many : places of those points that are each one of many
    """

    async def together():
        async with Runs(1) as runs:
            if look:
                runs.look(look)
                await asyncio.sleep(0)  # and the process takes the first of what may be asked for next
            answers = await asyncio.gather(
                *(runs.answer(point, i in many) for i, point in enumerate(points)), return_exceptions=True
            )
            return answers, list(runs._kept)

    return asyncio.run(together())


def seeded(seed):
    return Point("jevons", seed, SMALL.stops, SMALL.off)


def test_a_point_is_run_once_and_what_is_waited_for_comes_first():
    answers, kept = ask(SMALL, SMALL, seeded(12), SMALL, look=seeded(11))
    assert answers[0] is answers[1] is answers[3]
    assert kept[:2] == [SMALL, seeded(12)]  # seed 11 had begun, and gave way


def test_what_gives_way_is_run_again_for_whoever_waits_for_it():
    answers, kept = ask(SMALL, seeded(11), look=seeded(11))
    assert kept[:2] == [SMALL, seeded(11)]
    assert json.loads(gzip.decompress(answers[1]))["command"].endswith("run.seed=11")


def test_whoever_waits_for_one_comes_before_whoever_waits_for_many():
    _, kept = ask(seeded(13), seeded(14), SMALL, many=(0, 1))
    assert kept == [SMALL, seeded(13), seeded(14)]


def test_one_of_many_that_is_waited_for_alone_comes_first_and_is_run_once():
    answers, kept = ask(seeded(13), seeded(14), seeded(14), many=(0, 1))
    assert kept == [seeded(14), seeded(13)]
    assert answers[1] is answers[2]


@pytest.mark.parametrize("room", [1, 0])
def test_the_rest_of_a_preset_is_run_while_there_is_room(monkeypatch, room):
    monkeypatch.setattr(running, "MOST_KEPT", 1 + room)

    async def next_run():
        runs = Runs(1)
        runs._kept[SMALL] = b""
        runs._line_up(Ahead.REST, SMALL, SMALL.rest())
        return runs._take()

    assert (asyncio.run(next_run()) is not None) == bool(room)


def test_what_may_be_asked_for_next_is_run_unasked():
    async def look():
        async with Runs(2) as runs:
            runs.prepare(seeded(51))
            runs.look(seeded(52))
            while len(runs._kept) < 4:
                await asyncio.sleep(0.05)
            return list(runs._kept)

    near = list(seeded(52).near())
    assert near[0] == seeded(52)
    assert set(asyncio.run(look())) <= set(near[:6])  # those nearest, and none of where nobody looks


@given(st.sampled_from(NAMES), st.data())
def test_what_is_run_ahead_is_the_whole_preset_and_thirty_seeds(name, data):
    sliders = presets()[name].sliders
    stops = {key: data.draw(st.integers(0, len(slider.stops) - 1)) for key, slider in sliders.items()}
    point = point_of({"preset": name} | {key: str(stop) for key, stop in stops.items()})
    near, seeds, far = list(point.near()), list(point.other_seeds()), list(point.far())
    rest = list(point.rest())
    assert near[0] == point
    assert len({*near, *seeds, *far, *rest}) == len(near) + len(seeds) + len(far) + len(rest)
    first, second, third = (len(slider.stops) for slider in sliders.values())
    switches = len(presets()[name].switches)
    assert len(near) + len(far) == first * second + third - 1 + switches
    assert len(near) + len(far) + len(rest) == first * second * third * 2**switches
    assert len(seeds) == 29


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_on_comes_before_an_end_and_an_end_before_what_is_between(name):
    """Whoever drags a slider as far as it goes finds the market there."""
    point = point_of({"preset": name})
    sliders = presets()[name].sliders.values()

    def kind(other):
        ((now, then, slider),) = [
            moved for moved in zip(other.stops, point.stops, sliders, strict=True) if moved[0] != moved[1]
        ]
        return 0 if abs(now - then) == 1 else 1 if now in (0, len(slider.stops) - 1) else 2

    kinds = [kind(other) for other in list(point.near())[1:] if other.off == point.off]
    assert kinds == sorted(kinds)
    assert set(kinds) >= {0, 1}


def test_too_much_at_once_is_refused(monkeypatch):
    monkeypatch.setattr(running, "MOST_WAITING", 1)
    answers, _ = ask(seeded(21), seeded(22))
    assert isinstance(answers[0], bytes)
    assert isinstance(answers[1], BusyError)


def test_a_process_that_dies_is_replaced():
    async def survive():
        async with Runs(1) as runs:
            await runs.answer(SMALL)
            (process,) = runs._pool._processes.values()
            os.kill(process.pid, signal.SIGKILL)
            other = seeded(31)
            with pytest.raises(RuntimeError, match="BrokenProcessPool"):
                await runs.answer(other)
            return await runs.answer(other)

    assert json.loads(gzip.decompress(asyncio.run(survive())))["command"].endswith("run.seed=31")


def test_at_the_end_processes_break_off_by_themselves():
    """One that is ended by force may be in the middle of its answer, and the pool would wait for the rest of it."""

    async def leave():
        async with Runs(2) as runs:
            waiting = [asyncio.create_task(runs.answer(seeded(seed))) for seed in range(61, 65)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            runs.refuse()
            processes = list(runs._pool._processes.values())
        return [process.exitcode for process in processes], [task for task in waiting if not task.done()]

    assert asyncio.run(leave()) == ([0, 0], [])


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port():
    with serving() as number:
        yield number


def raw(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        received = b""
        with suppress(ConnectionResetError):  # nobody listens to the rest
            while more := line.recv(4096):
                received += more
    return received


def test_the_page_says_where_things_may_come_from(port):
    for path, kind in (("/", "text/html"), ("/main.js", "text/javascript"), ("/style.css", "text/css")):
        status, headers, _ = get(port, path)
        assert status == 200
        assert headers["content-type"] == f"{kind}; charset=utf-8"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_no_file_of_the_page_names_another_machine():
    for file in files("aimarket.lab").joinpath("page").iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.", text), file.name
        assert not re.search(r"\bstyle=|\bon[a-z]+=\"", text), file.name  # the policy would not have it


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"])
def test_another_name_is_refused(port, host):
    status, headers, _ = get(port, "/", Host=host)
    assert status == 400
    assert "content-security-policy" in headers


def test_a_local_network_is_served_at_its_address_alone():
    here = "from aimarket.lab import serving; serving._lan_address = lambda: '127.0.0.2'; serving.serve(0, True, False)"
    with serving(["-c", here], "127.0.0.2") as number:
        assert get(number, "/", address="127.0.0.2", Host=f"{socket.gethostname()}:{number}")[0] == 200
        assert get(number, "/", address="127.0.0.2", Host="127.0.0.1")[0] == 400
        with pytest.raises(OSError, match="refused"):
            get(number, "/")


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/api/run", "GET", 400),
        ("/api/run?preset=nothing", "GET", 400),
        ("/api/run?preset=jevons&preset=merger", "GET", 400),
        ("/api/run?preset=jevons&ahead=2", "GET", 400),
        ("/api/run?preset=jevons&many=yes", "GET", 400),
        ("/api/run?preset=jevons&elasticity=%00", "GET", 400),
        ("/api/run?preset=jevons&run.steps=12000", "GET", 400),
        ("/api/run?" + "x" * 2000, "GET", 400),
        ("/api/run?preset=jevons", "POST", 405),
        ("/api/run/../presets", "GET", 404),
        ("/../../pyproject.toml", "GET", 404),
        ("/%2e%2e/%2e%2e/pyproject.toml", "GET", 404),
        ("/presets.py", "GET", 404),
        ("/index.html", "GET", 404),
    ],
)
def test_a_bad_request_gets_its_answer(port, path, method, expected):
    status, headers, body = get(port, path, method)
    assert status == expected
    assert len(json.loads(body)["error"]) > 10
    assert "content-security-policy" in headers


def test_noise_does_not_topple_the_server(port):
    negative = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"
    for noise in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 200_000, b"", negative):
        assert raw(port, noise)[:12] in (b"", b"HTTP/1.1 400")
    assert get(port, "/")[0] == 200


def test_a_run_is_answered_packed_or_plain(port):
    path = "/api/run?" + urlencode({"preset": "jevons", "seed": 41})
    status, _, plain = get(port, path)
    packed_status, headers, packed = get(port, path, **{"Accept-Encoding": "gzip"})
    assert status == packed_status == 200
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed)) == json.loads(plain)
    assert len(json.loads(plain)["market"]["price"]) == 120


def test_a_look_is_taken_note_of(port):
    assert get(port, "/api/run?preset=jevons&seed=42&ahead=1") == (202, ANY, b"")
    assert get(port, "/api/run?preset=jevons&seed=43")[0] == 200


def test_ctrl_c_is_told_to_whoever_waits_and_to_nobody_else(capfd):
    with ThreadPoolExecutor(20) as clients, serving() as port:
        waiting = [clients.submit(get, port, f"/api/run?preset=merger&seed={seed}") for seed in range(20)]
        while not any(future.done() for future in waiting):
            time.sleep(0.05)
    answers = [future.result() for future in waiting]
    assert {status for status, _, _ in answers} == {200, 503}
    assert json.loads(next(body for status, _, body in answers if status == 503)) == {"error": "the server ends"}
    assert capfd.readouterr().err == ""


def test_a_class_at_once(port):
    """Thirty clients, each with a market of a preset of its own choice, all of which the page would have run ahead."""
    paths = [f"/api/run?preset=jevons&elasticity={i % 9}&seed=1" for i in range(30)]
    for path in paths[:9]:
        assert get(port, path)[0] == 200
    barrier = threading.Barrier(30)

    def client(path):
        barrier.wait(60)
        begun = time.monotonic()
        status, _, _ = get(port, path)
        return status, time.monotonic() - begun

    with ThreadPoolExecutor(30) as clients:
        answers = list(clients.map(client, paths))
    assert {status for status, _ in answers} == {200}
    assert sorted(seconds for _, seconds in answers)[15] < 1.0


def test_a_port_in_use_is_told(port):
    with pytest.raises(SettingsError, match=f"--port: {port} cannot be had"):
        serve(port, lan=False, browser=False)


@pytest.mark.parametrize("arguments", [["lab", "--port", "70000"], ["lab", "--port", "x"]])
def test_a_bad_port_is_told(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "port" in capsys.readouterr().err
