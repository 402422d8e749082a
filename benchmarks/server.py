"""A server in a process of its own, to be loaded and measured."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

START_SECONDS = 120
END_SECONDS = 30


@contextlib.contextmanager
def serving(threads: int | None = None) -> Iterator[tuple[int, int]]:
    """Starts `facecctv serve` without a limit on the pace; gives its port and process number.

    Raises SystemExit if it does not answer within two minutes.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "facecctv", "serve", "--port", str(port)]
    environment = os.environ | ({"FACECCTV_THREADS": str(threads)} if threads else {})
    server = subprocess.Popen(
        [*command, "--requests-per-minute", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        _wait(server, port)
        yield port, server.pid
    finally:
        server.terminate()
        try:
            server.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}: try facecctv serve")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"the server did not answer within {START_SECONDS} seconds")
