"""Serving the page until somebody presses Ctrl-C."""

import logging
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from aimarket.compilation import compile_ahead
from aimarket.complaints import SettingsError
from aimarket.configuration import load
from aimarket.lab.presets import catalogue, presets
from aimarket.lab.server import application
from aimarket.pool import cores
from aimarket.report.progress import compiling_announced

_LOOPBACK = "127.0.0.1"
_CONNECTIONS = 200  # at once


def serve(port: int, lan: bool, browser: bool) -> None:
    """Serve the page on this machine, or with `lan` at its address in the local network; returns at Ctrl-C.

    port    : 0 takes one that is free
    browser : open the page once its first market has run

    raises  : SettingsError if the port is taken, or there is no network
    """
    catalogue()  # takes seconds the first time; and what is wrong with a preset is told before anything is served
    with compiling_announced() as announce:  # now, by processes that share it, rather than by each that runs markets
        compile_ahead(load([f"experiment=lab/{next(iter(presets()))}"]), announce)
    address = _lan_address() if lan else _LOOPBACK
    listening = _listen(address, port)
    port = listening.getsockname()[1]
    hosts = [address, "localhost"] if not lan else [address, socket.gethostname()]
    app = application(hosts, max(2, cores()))
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
        http="h11",
        ws="none",
    )
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_is_ours)
    url = f"http://{address}:{port}/"
    sys.stdout.write(f"Market Lab at {url}; the first market takes some seconds. Ctrl-C ends it.\n")
    sys.stdout.flush()
    if browser:
        threading.Thread(target=_open_when_ready, args=(url, next(iter(presets()))), daemon=True).start()
    with suppress(KeyboardInterrupt):  # which uvicorn raises again once it has ended
        _Server(config, app).run(sockets=[listening])


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a fault is the server's, for whoever runs it to see, and not that of a client who does not speak HTTP."""
    error = record.exc_info and record.exc_info[1]
    return not type(error).__module__.startswith("h11.")  # which reads HTTP for uvicorn


class _Server(uvicorn.Server):
    """At Ctrl-C whoever still waits is told so; uvicorn would wait for the runs, and then break them off."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self.started:
            self._app.state.runs.refuse()


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would take the port from whoever has it
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise SettingsError(f"--port: {port} cannot be had ({error.strerror}); 0 takes one that is free") from None
    return listening


def _lan_address() -> str:
    """The address of this machine in its network: where a packet to the outside would leave. None is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address kept for documentation
        except OSError:
            raise SettingsError("--lan: this machine is in no network") from None
        return str(probe.getsockname()[0])


def _open_when_ready(url: str, preset: str) -> None:
    for _ in range(60):
        try:
            with urllib.request.urlopen(f"{url}api/run?preset={preset}", timeout=60):
                break
        except urllib.error.HTTPError:
            break  # the page will say what is wrong
        except OSError:
            time.sleep(0.2)
    webbrowser.open(url)
