"""The server of the page: some files held in memory, and one call that runs a market.

It answers whoever names it rightly (the Host header keeps out pages that point their own name here), reads no path
from a request, and tells what is wrong with a bad one.
"""

import gzip
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aimarket.lab.presets import Point, RequestError, catalogue, point_of, presets
from aimarket.lab.running import BusyError, Runs

LONGEST_QUERY = 1000  # characters
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def application(hosts: Sequence[str], processes: int) -> Starlette:
    """The page and its one call.

    hosts     : names by which it may be addressed, without port
    processes : markets run at once
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with Runs(processes) as app.state.runs:
            for name in reversed(presets()):  # the first preset's turn is first
                app.state.runs.prepare(point_of({"preset": name}))
            yield

    return Starlette(
        routes=[*_page(), Route("/api/presets", _presets), Route("/api/run", _run)],
        middleware=[Middleware(_Headers), Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={404: _nothing_here, 405: _only_get},
        lifespan=lifespan,
    )


def _page() -> Iterable[Route]:
    """A route for each file of the page; there are no others."""
    for file in files(__package__).joinpath("page").iterdir():
        if kind := _KINDS.get(file.name.rpartition(".")[2]):
            path = "/" if file.name == "index.html" else f"/{file.name}"
            yield Route(path, _constant(file.read_bytes(), f"{kind}; charset=utf-8"))


def _constant(content: bytes, kind: str) -> Any:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind)

    return endpoint


async def _presets(request: Request) -> Response:
    return Response(catalogue(), media_type="application/json")


async def _run(request: Request) -> Response:
    """The run of one point.

    With `many=1` it is one of many that the same asks for, and has time. With `ahead=1` nothing is answered: somebody
    looks at the point, and may ask for others next.
    """
    try:
        point, ahead, many = _read(request)
    except RequestError as error:
        return _fault(400, str(error))
    runs: Runs = request.app.state.runs
    if ahead:
        runs.look(point)
        return Response(status_code=202)
    try:
        answer = await runs.answer(point, many)
    except BusyError as error:
        return _fault(503, str(error), {"Retry-After": "2"})
    except RuntimeError as error:
        return _fault(500, str(error))
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return Response(answer, media_type="application/json", headers={"Content-Encoding": "gzip"})
    return Response(gzip.decompress(answer), media_type="application/json")


def _read(request: Request) -> tuple[Point, bool, bool]:
    if len(request.url.query) > LONGEST_QUERY:
        raise RequestError(f"the query should be no longer than {LONGEST_QUERY} characters")
    query = request.query_params.multi_items()
    given = dict(query)
    if len(given) < len(query):
        raise RequestError("every name may be given once")
    ahead, many = (_flag(given, name) for name in ("ahead", "many"))
    return point_of(given), ahead, many


def _flag(given: dict[str, str], name: str) -> bool:
    said = given.pop(name, "0")
    if said not in ("0", "1"):
        raise RequestError(f"{name}: should be 0 or 1 (got {said!r:.60})")
    return said == "1"


def _fault(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps({"error": message}), status, headers, "application/json")


async def _nothing_here(request: Request, error: Exception) -> Response:
    return _fault(404, "there is nothing of that name; the page is at /")


async def _only_get(request: Request, error: Exception) -> Response:
    return _fault(405, "only GET is understood", {"Allow": "GET, HEAD"})


class _Headers:
    """Adds what every answer says, whoever gives it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, with_headers)
