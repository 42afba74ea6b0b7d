"""Whatever becomes of the gateway's programs, no client is refused, and no answer is cut unless
it takes too long; `tests/harden` measures it at length.
"""

import http.client
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import openai
import pysqlite3
import pytest

from tests.harden.arena import ATTACKER, HONEST, line_from
from tests.harden.restarts import (
    Load,
    half_read,
    hang,
    restart_data_plane,
    restart_everything,
    restart_once,
    serving,
)
from tests.support.client import fetch
from tests.support.gateway import Gateway, Served, eventually
from tests.support.provider import StrictProvider

WAITS = "waits for answers to end (1)"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictProvider]]:
    with serving(tmp_path_factory.mktemp("restarts")) as running:
        yield running


@pytest.fixture(scope="module")
def key(served: Served[StrictProvider]) -> str:
    return served.gateway.new_user("ada")


@pytest.mark.parametrize("restart", [restart_data_plane, restart_everything])
def test_under_load_a_restart_cuts_no_answer_and_refuses_nobody(
    served: Served[StrictProvider], key: str, restart: Callable[[Gateway], None]
) -> None:
    gateway, load = served.gateway, Load(served.gateway, key)
    launcher = gateway.processes()[0]
    with load.running():
        restart_once(served, key, restart)

    assert (load.cut, load.refused) == ([], [])
    assert load.answers
    assert gateway.processes()[0] == launcher
    assert "waits for answers to end" in gateway.log


def served_at_once(gateway: Gateway, address: str, clients: int) -> int:
    """How many clients of an address are answered while all of them are connected."""
    with ExitStack() as stack:
        lines = [stack.enter_context(line_from(address, gateway.port)) for _ in range(clients)]
        return sum(map(is_served, lines))


def is_served(line: socket.socket) -> bool:
    with suppress(OSError):
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        return line.recv(4096).startswith(b"HTTP/1.1 200")
    return False


def test_a_crowd_is_turned_away_at_the_sockets_that_are_handed_over_before_and_after_a_restart(
    served: Served[StrictProvider],
) -> None:
    gateway = served.gateway
    config = gateway.directory / "config.toml"
    config.write_text("[server]\nmax_connections_per_address = 3\n", "utf-8")
    try:
        assert eventually(lambda: served_at_once(gateway, ATTACKER, 6) == 3, 20)
        old = gateway.data_plane()
        restart_data_plane(gateway)
        old.wait(20)
        assert served_at_once(gateway, HONEST, 3) == 3
        assert eventually(lambda: served_at_once(gateway, ATTACKER, 6) == 3, 20)
    finally:
        config.unlink()


def test_a_data_plane_that_hangs_is_replaced_and_its_stacks_are_in_the_log(
    served: Served[StrictProvider],
) -> None:
    stacks = served.gateway.log.count("most recent call first")

    hang(served.gateway)

    assert served.gateway.log.count("most recent call first") > stacks


def test_a_hang_up_has_the_configuration_read_again_and_ends_nothing(
    served: Served[StrictProvider],
) -> None:
    gateway = served.gateway
    before = gateway.processes()
    os.killpg(before[0].pid, signal.SIGHUP)

    assert eventually(lambda: gateway.log.count("configuration read again") >= 2, 20)
    assert gateway.processes() == before


def readiness(connection: http.client.HTTPConnection) -> tuple[int, str | None]:
    """The status of `/readyz`, and what becomes of the connection."""
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("connection")


def stop_twice(gateway: Gateway) -> None:
    """Stop, and when it waits for an answer stop again."""
    launcher, before = gateway.processes()[0], gateway.log.count(WAITS)
    kept = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    assert readiness(kept) == (200, None)
    launcher.terminate()
    assert eventually(lambda: gateway.log.count(WAITS) > before, 20), gateway.log
    assert readiness(kept) == (503, "close")
    with pytest.raises(ConnectionRefusedError):
        fetch("GET", f"{gateway.origin}/healthz")
    launcher.terminate()
    assert eventually(lambda: not gateway.processes(), 20), gateway.log


def test_what_a_second_stop_cuts_ends_with_an_error_and_is_booked_as_that(
    served: Served[StrictProvider], key: str, tmp_path: Path
) -> None:
    with half_read(served, key) as rest:
        stop_twice(served.gateway)
        with pytest.raises(openai.APIError, match="gateway was stopped"):
            rest()

    # The one file is the whole database, once all programs have ended.
    shutil.copy(served.gateway.directory / "adapter.db", tmp_path)
    copy = pysqlite3.connect(str(tmp_path / "adapter.db"))
    last = copy.execute("SELECT status, error_class FROM ledger ORDER BY id DESC").fetchone()
    copy.close()
    assert last == (200, "gateway_stopped")
