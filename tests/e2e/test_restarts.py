"""Whatever becomes of the gateway's programs, no client is refused, and no answer is cut unless
it takes too long.
"""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pysqlite3
import pytest
from httpx import HTTPError

from tests.support.client import Conversation, Reply, fetch, read_stream, sdk
from tests.support.faults import held
from tests.support.gateway import Gateway, Served, eventually, upstream_environment
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate

MODEL = "deepseek-v4-pro"
RESTARTS = 20 if os.environ.get("HARDEN") else 1
"""Of the data plane, and as many of everything."""

WAITS = "waits for answers to end (1)"
HANGS = 3 if os.environ.get("HARDEN") else 1
REPLACED_SECONDS = 15 if os.environ.get("HARDEN") else 60
"""What is promised; a machine that does other things too gets more time."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictProvider]]:
    with (
        StrictProvider() as provider,
        Gateway(
            tmp_path_factory.mktemp("restarts"), upstream_environment(provider.base_url)
        ) as gateway,
    ):
        yield Served(gateway, provider)


@pytest.fixture(scope="module")
def key(served: Served[StrictProvider]) -> str:
    return served.gateway.new_user("ada")


@contextmanager
def half_read(served: Served[StrictProvider], key: str) -> Iterator[Callable[[], Reply]]:
    """An answer of which the half has come; call what is yielded for the rest."""
    gate = Gate()
    served.upstream.script(Answer(fault=held(gate, before=-2)))
    with sdk(served.gateway.base_url, key) as client, Conversation(client, MODEL).open() as stream:
        reply = Reply()
        reply.add(next(stream))
        assert gate.reached.wait(20)

        def rest() -> Reply:
            gate.open()
            return read_stream(stream)

        yield rest


class Load:
    """Clients that ask one request after the other, over connections that they keep and over
    new ones.
    """

    def __init__(self, gateway: Gateway, key: str) -> None:
        self.gateway = gateway
        self.key = key
        self.failures: list[str] = []
        self.answers = 0
        self._over = threading.Event()

    def keep_asking(self) -> None:
        with sdk(self.gateway.base_url, self.key) as client:
            while not self._over.is_set():
                try:
                    assert Conversation(client, MODEL).ask().finish_reason
                    self.answers += 1
                except (openai.APIError, HTTPError, AssertionError) as error:
                    self.failures.append(repr(error))

    def keep_connecting(self) -> None:
        while not self._over.is_set():
            try:
                assert fetch("GET", f"{self.gateway.origin}/healthz").status == 200
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))

    @contextmanager
    def running(self) -> Iterator[None]:
        works = (self.keep_asking, self.keep_asking, self.keep_connecting)
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)


def restart_data_plane(gateway: Gateway) -> None:
    gateway.data_plane().send_signal(signal.SIGTERM)


def restart_everything(gateway: Gateway) -> None:
    gateway.processes()[0].send_signal(signal.SIGUSR2)


def restart_once(
    served: Served[StrictProvider], key: str, restart: Callable[[Gateway], None]
) -> None:
    """Restart in the middle of an answer, which comes whole; return when the old one is gone."""
    gateway = served.gateway
    old = gateway.data_plane()
    with half_read(served, key) as rest:
        restart(gateway)
        assert eventually(lambda: gateway.data_plane() != old, 60), gateway.log
        assert fetch("GET", f"{gateway.origin}/healthz").status == 200
        assert old.is_running()
        assert rest().finish_reason
    assert eventually(lambda: not old.is_running(), 60), gateway.log


@pytest.mark.parametrize("restart", [restart_data_plane, restart_everything])
def test_under_load_a_restart_cuts_no_answer_and_refuses_nobody(
    served: Served[StrictProvider], key: str, restart: Callable[[Gateway], None]
) -> None:
    gateway, load = served.gateway, Load(served.gateway, key)
    launcher = gateway.processes()[0]
    with load.running():
        for _ in range(RESTARTS):
            restart_once(served, key, restart)

    assert load.failures == []
    assert load.answers > RESTARTS
    assert gateway.processes()[0] == launcher
    assert "waits for answers to end" in gateway.log


def hang(gateway: Gateway) -> bool:
    """Stop the data plane; whether another one serves in time."""
    hung = gateway.data_plane()
    hung.suspend()
    return eventually(lambda: gateway.data_plane() != hung, REPLACED_SECONDS)


def test_a_data_plane_that_hangs_is_replaced_and_its_stacks_are_in_the_log(
    served: Served[StrictProvider],
) -> None:
    gateway = served.gateway
    for _ in range(HANGS):
        stacks = gateway.log.count("most recent call first")

        assert hang(gateway)
        assert gateway.log.count("most recent call first") > stacks
        assert fetch("GET", f"{gateway.origin}/healthz").status == 200


def test_a_hang_up_has_the_configuration_read_again_and_ends_nothing(
    served: Served[StrictProvider],
) -> None:
    gateway = served.gateway
    before = gateway.processes()
    os.killpg(before[0].pid, signal.SIGHUP)

    assert eventually(lambda: gateway.log.count("configuration read again") >= 2, 20)
    assert gateway.processes() == before


def stop_twice(gateway: Gateway) -> None:
    """Stop, and when it waits for an answer stop again."""
    launcher, before = gateway.processes()[0], gateway.log.count(WAITS)
    launcher.terminate()
    assert eventually(lambda: gateway.log.count(WAITS) > before, 20), gateway.log
    with pytest.raises(ConnectionRefusedError):
        fetch("GET", f"{gateway.origin}/readyz")
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
