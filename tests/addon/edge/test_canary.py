"""mitmproxy still has the private parts that the data plane builds on; a failure here says
which of them changed.
"""

import inspect
from collections.abc import Iterator
from operator import attrgetter
from types import ModuleType

import h11
import pytest
from h11 import _readers, _receivebuffer
from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy import commands, events, layer, mode_servers
from mitmproxy.proxy import server as proxy_server
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import _base, _events, _http1

from addon.edge import http1, stream
from addon.edge import http_layer as connections
from addon.edge.http1 import ClientHttp1, UpstreamHttp1
from tests.addon.edge.test_http1 import context


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes in mitmproxy's place, for the test's duration."""
    places = (
        (http_layers, "Http1Client"),
        (_http1, "ChunkedReader"),
        (_http1, "make_error_response"),
    )
    methods = (
        (proxy_server.ConnectionHandler, "handle_connection"),
        (http.MessageData, "__post_init__"),
    )
    for module, name in (*places, *methods):
        monkeypatch.setattr(module, name, getattr(module, name))
    http1.install()


SIGNATURES = {
    "http_layers.HttpLayer.__init__": "(self, context, mode)",
    "http_layers.HttpLayer._handle_event": "(self, event)",
    "http_layers.HttpLayer.event_to_child": "(self, child, event)",
    "http_layers.HttpLayer.get_connection": "(self, event, *, reuse=True)",
    "http_layers.HttpLayer.make_stream": "(self, stream_id)",
    "http_layers.HttpStream.__init__": "(self, context, stream_id)",
    "http_layers.HttpStream._handle_event": "(self, event)",
    "http_layers.HttpStream.check_killed": "(self, emit_error_hook)",
    "http_layers.HttpStream.handle_protocol_error": "(self, event)",
    "http_layers.HttpStream.send_response": "(self, already_streamed=False)",
    "http_layers.HttpStream.start_request_stream": "(self)",
    "http_layers.HttpStream.state_consume_request_body": "(self, event)",
    "http_layers.HttpStream.state_done": "(self, _)",
    "http_layers.HttpStream.state_errored": "(self, _)",
    "http_layers.HttpStream.state_stream_request_body": "(self, event)",
    "http_layers.HttpStream.state_wait_for_request_headers": "(self, event)",
    "http_layers.HttpStream.state_wait_for_response_headers": "(self, event)",
    "http_layers.GetHttpConnection": "(address, tls, via, transport_protocol='tcp')",
    "http_layers.SendHttp": "(event, connection)",
    "http_layers.DropStream": "(stream_id)",
    "_http1.Http1Client.__init__": "(self, context)",
    "_http1.Http1Client.read_headers": "(self, event)",
    "_http1.Http1Connection._handle_event": "(self, event)",
    "_http1.Http1Connection.wait": "(self, event)",
    "_http1.Http1Connection.read_body": "(self, event)",
    "_http1.Http1Server.__init__": "(self, context)",
    "_http1.Http1Server.read_headers": "(self, event)",
    "_http1.Http1Server.send": "(self, event)",
    "_http1.make_body_reader": "(expected_size)",
    "_http1.make_error_response": "(status_code, message='')",
    "_base.ReceiveHttp": "(event)",
    "_events.RequestData": "(stream_id, data)",
    "_events.RequestEndOfMessage": "(stream_id)",
    "_events.RequestHeaders": "(stream_id, request, end_stream, replay_flow=None)",
    "_events.RequestProtocolError": "(stream_id, message, code)",
    "_events.ResponseData": "(stream_id, data)",
    "_events.ResponseEndOfMessage": "(stream_id)",
    "_events.ResponseHeaders": "(stream_id, response, end_stream=False)",
    "_events.ResponseProtocolError": "(stream_id, message, code)",
    "_readers.ChunkedReader.__call__": "(self, buf)",
    "_receivebuffer.ReceiveBuffer.maybe_extract_lines": "(self)",
    "_receivebuffer.ReceiveBuffer.__init__": "(self)",
    "proxy_server.ConnectionHandler.handle_connection": "(self, connection)",
    "proxy_server.ConnectionHandler.server_event": "(self, event)",
    "proxy_server.ConnectionIO": "(handler=None, reader=None, writer=None)",
    "commands.RequestWakeup": "(delay)",
    "events.Wakeup": "(command)",
}
MODULES: dict[str, ModuleType] = {
    "layer": layer,
    "modes": modes,
    "proxy_server": proxy_server,
    "http_layers": http_layers,
    "_http1": _http1,
    "_base": _base,
    "_events": _events,
    "_readers": _readers,
    "_receivebuffer": _receivebuffer,
    "commands": commands,
    "events": events,
}


def plain_signature(path: str) -> str:
    """Names, order and defaults of the parameters."""
    module, _, name = path.partition(".")
    signature = inspect.signature(attrgetter(name)(MODULES[module]))
    parameters = [
        one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize(("path", "signature"), SIGNATURES.items(), ids=SIGNATURES)
def test_a_private_part_of_mitmproxy_still_has_its_signature(path: str, signature: str) -> None:
    assert plain_signature(path) == signature


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (http_layers.HttpClient._handle_event, "Http1Client"),
        (_http1.make_body_reader, "ChunkedReader"),
        (_http1.Http1Server.send, "make_error_response"),
        (_http1.Http1Server.read_headers, "make_error_response"),
        (_http1.Http1Server.read_headers, "make_body_reader"),
        (_http1.Http1Server.read_headers, "read_request_head"),
        (http_layers.HttpLayer._handle_event, "setdefault"),
        (http.RequestData.__init__, "__post_init__"),
        (http.ResponseData.__init__, "__post_init__"),
    ],
    ids=lambda one: getattr(one, "__qualname__", one),
)
def test_mitmproxy_still_looks_up_what_is_put_in_its_place(user: object, name: str) -> None:
    code = inspect.unwrap(user).__code__  # type: ignore[arg-type, attr-defined]
    assert name in code.co_names


def test_the_types_of_a_message_are_not_compared_again() -> None:
    response = http.Response.make(200, b"", {})
    response.data.status_code = "200"  # type: ignore[assignment]
    assert response.copy().data.status_code == "200"


def test_the_classes_stand_in_mitmproxys_place() -> None:
    assert http_layers.Http1Client is UpstreamHttp1  # type: ignore[attr-defined]
    assert _http1.make_error_response is http1.make_error_response
    reader = _http1.make_body_reader(None)
    buffer = _receivebuffer.ReceiveBuffer()
    buffer += b"0\r\nX: 1\r\n\r\n"
    found = reader(buffer)
    assert isinstance(found, h11.EndOfMessage)
    assert not found.headers


def test_the_layers_still_keep_their_state_where_we_look() -> None:
    here = context()
    stack = http_layers.HttpLayer(here, http_layers.HTTPMode.transparent)
    stream = http_layers.HttpStream(here.fork(), 1)
    assert (stack.connections, stack.streams) == ({}, {})
    assert stream.client_state == stream.server_state == stream.state_uninitialized
    for buffer in (stream.request_body_buf, stream.response_body_buf):
        buffer += b"abc"
        assert (bytes(buffer), len(buffer)) == (b"abc", 3)
        buffer.clear()
        assert not buffer
    assert {"context", "_handle_event", "handle_event"} <= set(dir(layer.Layer(here)))


def test_a_listening_instance_still_keeps_its_servers_where_we_look() -> None:
    instance = mode_servers.ServerInstance.make("reverse:http://127.0.0.1:9", Proxyserver())
    assert isinstance(instance, mode_servers.AsyncioServerInstance)
    assert instance._servers == []


def overridden(own: type) -> Iterator[str]:
    return (
        name
        for name, found in vars(own).items()
        if inspect.isfunction(found) and hasattr(own.__mro__[1], name)
    )


@pytest.mark.parametrize(
    "own",
    [ClientHttp1, UpstreamHttp1, connections.GatewayHttpLayer, stream.GatewayStream],
    ids=lambda own: own.__name__,
)
def test_everything_that_is_overridden_is_watched(own: type) -> None:
    watched = {path.rpartition(".")[2] for path in SIGNATURES}
    assert set(overridden(own)) <= watched
