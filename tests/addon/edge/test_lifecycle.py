"""The gateway runs with the options that it needs, and turns away more clients than it can
serve.
"""

import resource

import pytest
from mitmproxy.addons.block import Block
from mitmproxy.addons.clientplayback import ClientPlayback
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.save import Save
from mitmproxy.addons.serverplayback import ServerPlayback
from mitmproxy.connection import Client
from mitmproxy.test import taddons

from addon.edge.lifecycle import BASELINE, ClientLimit, Lifecycle
from addon.node import Node

OPTIONED = (
    Block,
    ClientPlayback,
    NextLayer,
    Onboarding,
    Proxyserver,
    Save,
    ServerPlayback,
)
"""mitmproxy's addons whose options matter."""

SINK = "reverse:http://127.0.0.1:9@127.0.0.1:8787"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"websocket": True, "mode": [SINK]}, "mitmproxy's option websocket must be False"),
        ({"mode": ["regular"]}, "mitmproxy's mode must be reverse:http://127.0.0.1:9@"),
    ],
    ids=["an option", "a mode"],
)
def test_it_does_not_run_with_other_options(
    node: Node, option: dict[str, object], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with taddons.context(*[kind() for kind in OPTIONED]) as tctx:
        tctx.options.update(**BASELINE | option)  # type: ignore[arg-type]
        with pytest.raises(SystemExit):
            Lifecycle(node).running()
    [told] = [one.getMessage() for one in caplog.records if one.name == "thinkback"]
    assert told.startswith(text)


def client() -> Client:
    return Client(peername=("192.0.2.7", 1), sockname=("127.0.0.1", 8787), timestamp_start=0)


def test_clients_beyond_what_descriptors_allow_are_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    limit, clients = ClientLimit(), [client() for _ in range(65)]
    for connected in clients:
        limit.client_connected(connected)
    assert [connected.error for connected in clients] == [None] * 64 + ["too many connections"]


def test_a_client_that_has_gone_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    limit, clients = ClientLimit(), [client() for _ in range(64)]
    for connected in clients:
        limit.client_connected(connected)
    limit.client_disconnected(clients[0])
    last = client()
    limit.client_connected(last)
    assert last.error is None
