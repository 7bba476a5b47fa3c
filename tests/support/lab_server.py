"""Market Lab in a process of its own, as `aimarket lab` starts it."""

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

Answer = tuple[int, dict[str, str], bytes]


_COMMAND = ("-m", "aimarket", "lab", "--port", "0", "--no-browser")


@contextmanager
def serving(
    arguments: Sequence[str] = _COMMAND, address: str = "127.0.0.1", errors: IO[str] | None = None
) -> Iterator[int]:
    """The port at which a server answers while the block runs, with its stderr in a file; it must end by Ctrl-C."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(rf"http://{re.escape(address)}:(\d+)/", said)
            assert found, said
            port = int(found[1])
            while True:
                assert process.poll() is None
                try:
                    get(port, "/", address=address)
                    break
                except OSError:
                    time.sleep(0.1)
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def get(port: int, path: str, method: str = "GET", address: str = "127.0.0.1", **headers: str) -> Answer:
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection(address, port, timeout=300)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()
