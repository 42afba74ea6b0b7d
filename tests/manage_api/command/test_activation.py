"""As systemd starts it: with the port open, in the descriptors from 3 on."""

import http.client
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.manage_api.command.running import THINKBACK, Command

NAMED = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" up 3<&0'
"""sd_listen_fds(3): the socket is handed to the shell as its standard input."""


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextmanager
def started(thinkback: Command, port: socket.socket) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["/bin/sh", "-c", NAMED, THINKBACK],
        cwd=thinkback.directory,
        env=thinkback.environ,
        stdin=port.fileno(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def answered(client: http.client.HTTPConnection) -> int:
    status = client.getresponse().status
    client.close()
    return status


def test_who_connects_before_the_start_is_served_and_after_the_stop_is_not_refused(
    tmp_path: Path, port: socket.socket
) -> None:
    number = port.getsockname()[1]
    thinkback = Command(tmp_path)
    thinkback.environ["LISTEN_ADDR"] = f"127.0.0.1:{number}"
    early = http.client.HTTPConnection("127.0.0.1", number, timeout=60)
    early.request("GET", "/healthz")
    with started(thinkback, port) as process:
        assert answered(early) == 200
        assert process.stdout
        assert any("is running." in line for line in process.stdout)
        os.kill(process.pid, signal.SIGUSR2)
        assert any("is running." in line for line in process.stdout)
        process.terminate()
        assert process.wait(60) == 0

    socket.create_connection(("127.0.0.1", number), timeout=5).close()


def test_another_address_than_the_configured_one_is_refused_in_words(
    tmp_path: Path, port: socket.socket
) -> None:
    thinkback = Command(tmp_path)
    with started(thinkback, port) as process:
        said, _ = process.communicate(timeout=60)

    name = f"127.0.0.1:{port.getsockname()[1]}"
    assert process.returncode == 1
    assert said.startswith(
        f"systemd listens on {name}, and the gateway's address is {thinkback.listen_addr}: "
    )
    assert not list(tmp_path.iterdir())
