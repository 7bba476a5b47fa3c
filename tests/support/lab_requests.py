"""Requests of Market Lab that nobody meant, sent as bytes to a server in a process of its own."""

import random
import re
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import quote

from bad_input import NASTY, slipped
from lab_server import get, serving

PATIENCE = 60  # seconds
METHODS = (
    "GET",
    "GET",
    "GET",
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PATCH",
    "get",
    "",
    "G\tT",
)
PATHS = (
    "/",
    "/main.js",
    "/api/presets",
    "/api/run",
    "/api/run?preset=jevons",
    "/api/",
    "//",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/x",
    "/..%2f..%2fetc%2fpasswd",
    "/main.js/..",
    "/api/run/",
    "*",
    "http://evil.example/",
    "/\x00",
    "/é",
    "",
    "x",
    "/presets/jevons.yaml",
    "/server.py",
    "/" + "a" * 70_000,
    "/%zz",
    "/%00",
    "/main.js%00.html",
    "/api/run#x",
    "\\",
    "/./",
    "/page/index.html",
)
NAMES = (
    "preset",
    "seed",
    "off",
    "ahead",
    "many",
    "elasticity",
    "progress",
    "markup",
    "x",
    "",
    "preset[]",
    "users.size",
    "__proto__",
    "é",
)
GOOD = {"preset": "jevons", "seed": "1", "elasticity": "3", "ahead": "0"}
HEADERS = (
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 5",
    "Content-Length: x",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: x",
    "Expect: 100-continue",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: x",
    "Range: bytes=0-99999999999",
    "If-None-Match: *",
    "Accept-Encoding: gzip",
    "Accept-Encoding: \x00",
    "Cookie: " + "a" * 9000,
    "X: " + "b" * 70_000,
    ": x",
    "x",
    " folded",
    "Origin: http://evil.example",
    "Content-Type: application/json",
    "Host: 127.0.0.1",
    "Content-Length: 0",
    "\xff\xfe: \xff",
)
HOSTS = (
    "127.0.0.1",
    "localhost",
    "127.0.0.1",
    "evil.example",
    "",
    "127.0.0.1:99999999",
    "[::1]",
    "127.0.0.1@evil.example",
    "é",
    "a" * 5000,
)
BODIES = (
    b"",
    b"{",
    b'{"preset": NaN}',
    b"[" * 50_000,
    b"\x00" * 1000,
    b"x" * 3_000_000,
    b"ffffffffffffffff\r\nx",
    b"5\r\nabc",
    "é\ud800".encode("utf-8", "surrogatepass"),
)


def request(draws: random.Random) -> bytes:
    """One request, or what may pass for one."""
    path = draws.choice(PATHS)
    if draws.random() < 0.4:
        query = [(name, draws.choice(NASTY)) for name in draws.sample(NAMES, draws.randint(1, 3))]
        query += draws.choice([[], [*GOOD.items()]])
        raw = draws.random() < 0.2
        path = "/api/run?"
        path += "&".join(f"{name}={text if raw else quote(text, errors='surrogatepass')}" for name, text in query)
    lines = [f"{draws.choice(METHODS)} {path} {draws.choice(['HTTP/1.1'] * 6 + ['HTTP/1.0', 'HTTP/9', '', 'x'])}"]
    if draws.random() < 0.95:
        lines.append(f"Host: {draws.choice(HOSTS)}")
    lines += draws.sample(HEADERS, draws.choice([0, 0, 1, 2]))
    head = draws.choice(["\r\n"] * 8 + ["\n", "\r"]).join([*lines, "Connection: close", "", ""])
    if draws.random() < 0.1:
        head = slipped(head, draws)
    sent = head.encode("utf-8", "surrogatepass") + (draws.choice(BODIES) if draws.random() < 0.3 else b"")
    return sent if draws.random() < 0.95 else sent[: draws.randrange(len(sent))]


def asked(cases: Iterable[int]) -> Iterator[tuple[int, list[str]]]:
    """What was wrong with each of some answers; the server has to live through all of them."""
    with tempfile.TemporaryFile("w+") as errors:
        with serving(errors=errors) as port:
            for case in cases:
                yield case, list(_faults(_answer(port, request(random.Random(f"requests {case}")))))
            status, _, body = get(port, "/api/presets")
            if status != 200 or b"jevons" not in body:
                yield -1, [f"the server answers no longer: {status}"]
        errors.seek(0)
        if "Traceback" in (told := errors.read()):
            yield -1, [f"whoever runs the server is shown a traceback: {told[-400:]}"]


def _answer(port: int, sent: bytes) -> bytes:
    received = b""
    line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    with line, suppress(OSError):  # nobody listens to the rest
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        while more := line.recv(65536):
            received += more
    return received


def _faults(answer: bytes) -> Iterator[str]:
    if not answer:
        return  # hung up on, which is an answer to what is no request
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    if not status:
        yield f"no status: {answer[:80]!r}"
    elif int(status[1]) >= 500 and not (int(status[1]) == 503 and b"Retry-After" in answer):
        yield f"status {int(status[1])}: {answer[-200:]!r}"
    if b"Traceback" in answer or b"root:" in answer:
        yield f"it tells too much: {answer[-200:]!r}"
