"""F25 and F26: restarts under load refuse nobody and cut nothing, and a data plane that hangs is
replaced.
"""

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from httpx import HTTPError

from tests.harden.figure import Figure, at_scale
from tests.support.client import Conversation, Reply, fetch, read_stream, sdk
from tests.support.faults import held
from tests.support.gateway import Gateway, Served, eventually, upstream_environment
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate

__all__ = (
    "RESTARTS",
    "Load",
    "figures",
    "half_read",
    "hang",
    "restart_data_plane",
    "restart_everything",
    "restart_once",
    "serving",
)

MODEL = "deepseek-v4-pro"
RESTARTS = at_scale(suite=1, full=20, long=500)
"""Of the data plane, and as many of everything."""

HANGS = at_scale(suite=1, full=5)
REPLACED_SECONDS = 15

type Restart = Callable[[Gateway], None]


@contextmanager
def serving(directory: Path) -> Iterator[Served[StrictProvider]]:
    """A gateway to restart, and its upstream."""
    with (
        StrictProvider() as provider,
        Gateway(directory, upstream_environment(provider.base_url)) as gateway,
    ):
        yield Served(gateway, provider)


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
        self.cut: list[str] = []
        """What went wrong with answers."""

        self.refused: list[str] = []
        """What went wrong with connections."""

        self.answers = 0
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask inside the block."""
        works = (self._keep_asking, self._keep_asking, self._keep_connecting)
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)

    def _keep_asking(self) -> None:
        with sdk(self.gateway.base_url, self.key) as client:
            while not self._over.is_set():
                try:
                    assert Conversation(client, MODEL).ask().finish_reason
                    self.answers += 1
                except (openai.APIError, HTTPError, AssertionError) as error:
                    self.cut.append(repr(error))

    def _keep_connecting(self) -> None:
        while not self._over.is_set():
            try:
                assert fetch("GET", f"{self.gateway.origin}/healthz").status == 200
            except (OSError, AssertionError) as error:
                self.refused.append(repr(error))


def restart_data_plane(gateway: Gateway) -> None:
    """Have the data plane alone replaced."""
    gateway.data_plane().send_signal(signal.SIGTERM)


def restart_everything(gateway: Gateway) -> None:
    """Have all run anew, the launcher too."""
    gateway.processes()[0].send_signal(signal.SIGUSR2)


def restart_once(served: Served[StrictProvider], key: str, restart: Restart) -> None:
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


def hang(gateway: Gateway) -> float:
    """Stop the data plane as a debugger does; the seconds until another one serves."""
    hung, began = gateway.data_plane(), time.monotonic()
    hung.suspend()
    assert eventually(lambda: gateway.data_plane() != hung, 120), gateway.log
    assert fetch("GET", f"{gateway.origin}/healthz").status == 200
    return time.monotonic() - began


def figures() -> Iterator[Figure]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as served:
        key = served.gateway.new_user("ada")
        load = Load(served.gateway, key)
        with load.running():
            for restart in (restart_data_plane, restart_everything):
                for _ in range(RESTARTS):
                    restart_once(served, key, restart)
        cut, refused = len(load.cut), len(load.refused)
        yield Figure(
            "F25",
            f"{RESTARTS} restarts of the data plane and {RESTARTS} of everything under load",
            f"{cut} of {load.answers} answers cut, {refused} refused",
            "0 and 0",
            not (cut or refused),
        )
        longest = max(hang(served.gateway) for _ in range(HANGS))
        yield Figure(
            "F26",
            f"a stopped data plane replaced, {HANGS} times",
            f"{longest:.1f} s",
            f"≤ {REPLACED_SECONDS} s",
            longest <= REPLACED_SECONDS,
        )
