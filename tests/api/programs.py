"""The server in a process of its own, as users start it."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest


@contextlib.contextmanager
def served(folder, *arguments, watched_by=()):
    """`facecctv serve` on a free port; gives the port and what it printed before.

    `watched_by` is a program, with its arguments, that starts it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "OPENSSL_CONF"}
    environment |= {"XDG_DATA_HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*watched_by, sys.executable, "-m", "facecctv", "serve", "--port", str(port), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            said = ""
            while "FaceCCTV at" not in said:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                said += line
            for _ in range(600):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=10).close()
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                    pytest.fail(process.stderr.read())
            yield port, said
        finally:
            process.terminate()
            process.communicate(timeout=30)
