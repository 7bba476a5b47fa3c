"""Market Lab in a process of its own, as `aimarket lab` starts it."""

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving() -> Iterator[int]:
    """The port at which a server answers while the block runs; it must end by Ctrl-C."""
    command = [sys.executable, "-m", "aimarket", "lab", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
            assert found, said
            port = int(found[1])
            while True:
                assert process.poll() is None
                try:
                    get(port, "/")
                    break
                except OSError:
                    time.sleep(0.1)
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def get(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()
