"""Hooks reach whom mitmproxy's own addon manager takes them to, without asking everybody each time."""

import logging
from collections.abc import Iterator

import pytest
from mitmproxy.connection import Client
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.server_hooks import ClientConnectedHook, ClientDisconnectedHook
from mitmproxy.test import taddons
from mitmproxy.test.tflow import tclient_conn

from addon.edge.hearing import Hearers, leave_out_connections

SERVER_LOG = logging.getLogger("mitmproxy.proxy.server")


class Listener:
    """An addon that notes whose connections it hears of, and may have others within it."""

    def __init__(self, name: str, heard: list[str], *addons: object) -> None:
        self.name = name
        self.addons = list(addons)
        self._heard = heard

    def client_connected(self, client: Client) -> None:
        self._heard.append(self.name)


class Patient(Listener):
    async def client_connected(self, client: Client) -> None:  # type: ignore[override]
        self._heard.append(self.name)


class Failing(Listener):
    def client_connected(self, client: Client) -> None:
        raise ValueError(self.name)


class Halting(Listener):
    def client_connected(self, client: Client) -> None:
        raise AddonHalt


class Deaf:
    name = "deaf"


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context() as tctx:
        yield tctx


def connected() -> ClientConnectedHook:
    return ClientConnectedHook(tclient_conn())


@pytest.mark.parametrize("installed", [False, True], ids=["mitmproxy's own", "ours"])
async def test_all_that_have_a_hook_hear_it_in_their_order(
    context: taddons.context, installed: bool
) -> None:
    heard: list[str] = []
    addons = context.master.addons
    if installed:
        Hearers(addons).install()
    inner = Listener("inner", heard)
    addons.add(Deaf(), Listener("outer", heard, inner), Patient("patient", heard))
    await addons.handle_lifecycle(connected())
    await addons.handle_lifecycle(ClientDisconnectedHook(tclient_conn()))
    assert heard == ["outer", "inner", "patient"]


@pytest.mark.parametrize("installed", [False, True], ids=["mitmproxy's own", "ours"])
async def test_one_that_fails_keeps_no_other_from_hearing_and_one_that_halts_does(
    context: taddons.context, installed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    addons = context.master.addons
    if installed:
        Hearers(addons).install()
    addons.add(Failing("failing", heard), Listener("first", heard))
    addons.add(Halting("halting", heard), Listener("last", heard))
    await addons.handle_lifecycle(connected())
    assert heard == ["first"]
    assert "Addon error: failing" in caplog.text


async def test_who_comes_later_hears_and_who_is_gone_does_not(context: taddons.context) -> None:
    heard: list[str] = []
    addons = context.master.addons
    Hearers(addons).install()
    scripts, early = Listener("scripts", heard), Listener("early", heard)
    addons.add(scripts, early)
    await addons.handle_lifecycle(connected())
    scripts.addons.append(Listener("reloaded", heard))
    addons.remove(early)
    addons.add(Listener("late", heard))
    heard.clear()
    await addons.handle_lifecycle(connected())
    assert heard == ["scripts", "reloaded", "late"]


@pytest.mark.parametrize(
    ("verbosity", "said"), [("warn", False), ("error", False), ("info", True), ("debug", True)]
)
def test_a_line_for_each_connection_is_there_for_who_asks(verbosity: str, said: bool) -> None:
    before = SERVER_LOG.level
    try:
        leave_out_connections(verbosity)
        assert (SERVER_LOG.level > logging.INFO) != said
        assert SERVER_LOG.isEnabledFor(logging.WARNING)
    finally:
        SERVER_LOG.setLevel(before)
