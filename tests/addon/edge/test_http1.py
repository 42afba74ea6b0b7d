"""Connections are bounded in bytes and time."""

import json

import pytest
from mitmproxy import http, options
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import _events, _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.mode_specs import ProxyMode

from addon.admission.body_room import BodyRoom, Held
from addon.edge import http1
from addon.edge.http1 import ClientHttp1, Tick, UpstreamHttp1
from shared.config.schema import Server as Settings

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    b"sk-0123456789abcdef\r\n"
)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
SERVER = Settings()


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes in mitmproxy's place, for the test's duration."""
    for module, name in (
        (modes, "ReverseProxy"),
        (http_layers, "Http1Client"),
        (_http1, "ChunkedReader"),
        (_http1, "make_error_response"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    http1.install()


class Side:
    """One side of a connection and what it did with what it got."""

    def __init__(self, one: layer.Layer, connection: Client | Server) -> None:
        self._layer, self._connection = one, connection
        self.sent = b""
        self.closed = False
        self.logged: list[str] = []
        self.received: list[HttpEvent] = []
        self._wakeups: list[commands.RequestWakeup] = []
        self._give(events.Start())

    def get(self, *pieces: bytes) -> "Side":
        for piece in pieces:
            self._give(events.DataReceived(self._connection, piece))
        return self

    def lose(self) -> "Side":
        self._connection.state = ConnectionState.CLOSED
        return self._give(events.ConnectionClosed(self._connection))

    def send(self, *given: HttpEvent) -> "Side":
        for event in given:
            self._give(event)
        return self

    def tick(self) -> "Side":
        return self._give(Tick())

    def wake(self) -> "Side":
        """What was asked for at a later time happens now."""
        while self._wakeups:
            self._give(events.Wakeup(self._wakeups.pop(0)))
        return self

    @property
    def heard(self) -> list[str]:
        """The names of the events passed on."""
        return [type(event).__name__ for event in self.received]

    @property
    def body(self) -> bytes:
        return b"".join(
            one.data
            for one in self.received
            if isinstance(one, _events.RequestData | _events.ResponseData)
        )

    def _give(self, event: events.Event) -> "Side":
        timers = []
        for command in self._layer.handle_event(event):
            if isinstance(command, commands.SendData):
                self.sent += command.data
            elif isinstance(command, commands.CloseConnection):
                self.closed = True
            elif isinstance(command, commands.RequestWakeup):
                self._wakeups.append(command)
            elif isinstance(command, commands.Log):
                self.logged.append(command.message)
            elif isinstance(command, ReceiveHttp):
                self.received.append(command.event)
            elif isinstance(command, commands.RequestWakeup):
                timers.append(command)
        for timer in timers:
            self._give(events.Wakeup(timer))
        return self


def context() -> Context:
    client = Client(
        peername=("127.0.0.1", 1),
        sockname=("127.0.0.1", 2),
        timestamp_start=0,
        state=ConnectionState.OPEN,
        proxy_mode=ProxyMode.parse("reverse:http://127.0.0.1:9"),
    )
    return Context(client, options.Options())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Side:
    here = context()
    return Side(ClientHttp1(here, clock), here.client)


@pytest.fixture
def upstream() -> Side:
    """An upstream's connection over which a request has gone out."""
    here = context()
    here.server = Server(address=("127.0.0.1", 3))
    here.server.state = ConnectionState.OPEN
    side = Side(UpstreamHttp1(here), here.server)
    side.send(
        _events.RequestHeaders(1, http.Request.make("POST", "http://x/"), True),
        _events.RequestEndOfMessage(1),
    )
    return side


def answered(side: Side, body: bytes = b"") -> Side:
    response = http.Response.make(200, b"", {"content-length": str(len(body))})
    data = [_events.ResponseData(1, body)] if body else []
    return side.send(
        _events.ResponseHeaders(1, response, not body), *data, _events.ResponseEndOfMessage(1)
    )


# -- the client's side -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_is_read_however_it_arrives(client: Side, size: int) -> None:
    raw = HEAD + CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    client.get(*(raw[at : at + size] for at in range(0, len(raw), size)))
    assert (client.body, client.heard[0], client.heard[-1]) == (
        b"abcde",
        "RequestHeaders",
        "RequestEndOfMessage",
    )
    assert not client.closed


def test_a_head_without_end_is_refused(client: Side) -> None:
    client.get(HEAD, *[b"x: " + b"y" * 9_000 + b"\r\n"] * 8)
    assert client.sent.startswith(b"HTTP/1.1 431 ")
    assert json.loads(client.sent.partition(b"\r\n\r\n")[2])["error"]["code"] == "headers_too_large"
    assert client.closed
    assert client.heard == []


def test_a_large_head_is_taken(client: Side) -> None:
    client.get(HEAD, b"x: " + b"y" * (http1.MAX_HEAD - 500) + b"\r\n", CHUNKED)
    assert client.heard == ["RequestHeaders"]


def test_a_client_may_send_ahead_within_bounds(client: Side) -> None:
    client.get(HEAD + b"Content-Length: 0\r\n\r\n", b"x" * http1.MAX_PIPELINED)
    assert not client.closed
    assert client.get(b"x").closed


def test_a_request_sent_ahead_is_read_after_the_answer(client: Side) -> None:
    client.get((HEAD + b"Content-Length: 0\r\n\r\n") * 2)
    assert client.heard == ["RequestHeaders", "RequestEndOfMessage"]
    assert answered(client).wake().heard == ["RequestHeaders", "RequestEndOfMessage"] * 2


def test_a_thousand_requests_sent_ahead_are_read_one_by_one(client: Side) -> None:
    client.get(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
    for stream_id in range(1, 2_000, 2):
        response = http.Response.make(200, b"", {"content-length": "0"})
        client.send(
            _events.ResponseHeaders(stream_id, response, True),
            _events.ResponseEndOfMessage(stream_id),
        ).wake()
    assert client.heard == ["RequestHeaders", "RequestEndOfMessage"] * 1_000
    assert not client.closed


@pytest.mark.parametrize("before", [b"\r\n", b"\n", b"\r\n\r\n"])
def test_empty_lines_before_a_request_are_ignored(client: Side, before: bytes) -> None:
    assert (
        client.get(before, before + HEAD + b"Content-Length: 0\r\n\r\n").heard[0]
        == "RequestHeaders"
    )


def test_empty_lines_keep_no_connection_alive(client: Side, clock: Clock) -> None:
    client.get(HEAD + b"Content-Length: 0\r\n\r\n")
    answered(client).tick()
    for _ in range(int(SERVER.idle_seconds)):
        clock.seconds += 1
        assert not client.get(b"\r\n").tick().closed
    clock.seconds += 1
    assert client.tick().closed


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00", b"\x00", b"{}", b"* OK"], ids=["TLS", "NUL", "JSON", "IMAP"]
)
def test_what_is_no_http_is_refused_at_once(client: Side, raw: bytes) -> None:
    assert client.get(raw).sent.startswith(b"HTTP/1.1 400 ")
    assert client.closed


def test_an_answer_to_head_has_no_body(client: Side) -> None:
    client.get(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answered(client, b"abc").sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "frame", [b"0" * 70_000, b"3;x=" + b"y" * 70_000, b"0\r\n" + b"x: y\r\n" * 12_000]
)
def test_a_frame_without_end_is_refused(client: Side, upstream: Side, frame: bytes) -> None:
    assert client.get(HEAD + CHUNKED, frame).closed
    assert upstream.get(OK + CHUNKED, frame).closed


def test_trailers_of_a_request_are_dropped(client: Side) -> None:
    client.get(HEAD, CHUNKED, b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert (client.body, client.heard[-1]) == (b"abc", "RequestEndOfMessage")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(
            HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", id="length of 5000 digits"
        ),
        pytest.param(HEAD + b"no colon with sk-0123456789abcdef\r\n\r\n", id="no colon"),
        pytest.param(b"nonsense sk-0123456789abcdef\r\n\r\n", id="no request line"),
    ],
)
def test_a_malformed_head_is_refused_without_its_words(client: Side, raw: bytes) -> None:
    client.get(raw)
    assert client.sent.startswith(b"HTTP/1.1 400 ")
    assert json.loads(client.sent.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad_request"
    assert client.closed
    assert client.logged == []


def test_a_malformed_head_is_no_request(client: Side) -> None:
    client.get(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n")
    assert "RequestHeaders" not in client.heard


@pytest.mark.parametrize(
    "raw",
    [b"\x16\x03\x01\x02\x00\x01", b"\x00", b" GET / HTTP/1.1\r\n"],
    ids=["tls", "nul", "space"],
)
def test_what_cannot_be_a_request_is_refused_at_its_first_byte(client: Side, raw: bytes) -> None:
    assert client.get(raw).sent.startswith(b"HTTP/1.1 400 ")
    assert client.closed


def test_empty_lines_before_a_request_are_skipped(client: Side) -> None:
    client.get(b"\r\n", b"\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n")
    assert client.heard == ["RequestHeaders", "RequestEndOfMessage"]


@pytest.mark.parametrize("start", [b"5;", b"0\r\n"], ids=["chunk header", "trailers"])
def test_a_chunk_header_or_trailers_without_end_are_cut(client: Side, start: bytes) -> None:
    client.get(
        HEAD, CHUNKED, start, *[b"a: " + b"b" * 9_000 + (b"\r\n" if start[:1] == b"0" else b"")] * 8
    )
    assert client.closed


@pytest.mark.parametrize("start", [b"5;", b"0\r\n"], ids=["chunk header", "trailers"])
def test_an_upstreams_chunk_header_or_trailers_without_end_are_cut(
    upstream: Side, start: bytes
) -> None:
    upstream.get(
        OK, CHUNKED, start, *[b"a: " + b"b" * 9_000 + (b"\r\n" if start[:1] == b"0" else b"")] * 8
    )
    assert upstream.closed


def test_a_head_that_was_broken_off_is_not_logged(client: Side) -> None:
    assert client.get(HEAD).lose().logged == []


@pytest.mark.parametrize("sent", [b"", HEAD])
def test_a_client_that_sends_nothing_is_dropped_in_time(
    client: Side, clock: Clock, sent: bytes
) -> None:
    client.get(sent)
    clock.seconds = SERVER.head_seconds
    assert not client.tick().closed
    clock.seconds += 0.1
    assert client.tick().closed


def test_a_trusted_proxy_may_keep_a_connection_that_it_has_no_use_for_yet(clock: Clock) -> None:
    here = context()
    proxy = Side(ClientHttp1(here, clock, trusted=True), here.client)
    clock.seconds = http1.PROXY_IDLE_SECONDS
    assert not proxy.tick().closed
    clock.seconds += 0.1
    assert proxy.tick().closed


def test_a_head_that_drips_is_dropped_in_time(client: Side, clock: Clock) -> None:
    for at in range(int(SERVER.head_seconds)):
        clock.seconds = at
        assert not client.get(HEAD[at : at + 1]).tick().closed
    clock.seconds = SERVER.head_seconds + 0.1
    assert client.tick().closed


def test_a_body_may_take_as_long_as_its_size_allows(client: Side, clock: Clock) -> None:
    piece = b"x" * int(SERVER.min_body_kib * 1024)
    client.get(HEAD + b"Content-Length: 10000000\r\n\r\n")
    for at in range(100):
        clock.seconds = at + http1.BODY_SECONDS
        assert not client.get(piece).tick().closed
    clock.seconds += 3
    assert client.tick().closed


def test_many_chunks_of_one_reading_are_taken_as_one(client: Side) -> None:
    client.get(HEAD + CHUNKED, b"3\r\nabc\r\n" * 1000 + b"0\r\nX-Trailer: 1\r\n\r\n")
    assert client.body == b"abc" * 1000
    assert client.heard == ["RequestHeaders", "RequestData", "RequestEndOfMessage"]


def test_chunks_of_a_byte_each_are_refused(client: Side) -> None:
    client.get(HEAD + CHUNKED, b"1\r\nx\r\n" * 10_000)
    assert client.closed
    assert client.heard[-1] == "RequestProtocolError"


def test_heads_that_are_coming_have_room_until_they_are_whole(clock: Clock) -> None:
    here, room = context(), BodyRoom()
    side = Side(ClientHttp1(here, clock, SERVER, room), here.client)
    side.get(HEAD)
    assert room.total == 2 * len(HEAD)
    side.get(b"Content-Length: 0\r\n\r\n")
    assert room.total == 0
    answered(side).get(HEAD).lose()
    assert room.total == 0


def test_a_head_that_finds_no_room_is_refused(clock: Clock) -> None:
    here, room = context(), BodyRoom()
    side = Side(ClientHttp1(here, clock, SERVER, room), here.client)
    most = http1.STRANGER_BYTES
    room.hold(Held("127.0.0.1", lambda: None), most, most=2 * most, most_of_owner=most)
    assert side.get(HEAD).sent.startswith(b"HTTP/1.1 503")
    assert side.closed
    assert room.total == most


def test_a_slow_answer_is_not_the_clients_fault(client: Side, clock: Clock) -> None:
    client.get(HEAD + b"Content-Length: 0\r\n\r\n")
    clock.seconds = 10_000
    assert not client.tick().closed
    answered(client)
    clock.seconds += SERVER.idle_seconds
    assert not client.tick().closed
    clock.seconds += 0.1
    assert client.tick().closed


# -- the upstream's side ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "interim",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 2,
        b"HTTP/1.0 102\r\n\r\n",
    ],
    ids=["none", "continue", "two hints", "no reason"],
)
def test_interim_responses_precede_the_final_one(upstream: Side, interim: bytes, size: int) -> None:
    raw = interim + OK + CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
    upstream.get(*(raw[at : at + size] for at in range(0, len(raw), size)))
    assert (upstream.body, upstream.heard[0], upstream.heard[-1]) == (
        b"abc",
        "ResponseHeaders",
        "ResponseEndOfMessage",
    )
    head = upstream.received[0]
    assert isinstance(head, _events.ResponseHeaders)
    assert head.response.status_code == 200


def test_an_upstream_that_closes_after_an_interim_response_has_not_answered(upstream: Side) -> None:
    assert upstream.get(b"HTTP/1.1 100 Continue\r\n\r\n").lose().heard == ["ResponseProtocolError"]


def test_a_response_head_without_end_is_an_error(upstream: Side) -> None:
    upstream.get(OK, *[b"x: " + b"y" * 9_000 + b"\r\n"] * 8)
    assert upstream.closed
    assert upstream.heard == ["ResponseProtocolError"]
    error = upstream.received[0]
    assert isinstance(error, _events.ResponseProtocolError)
    assert "y" * 100 not in error.message


def test_a_short_response_head_with_a_long_body_is_fine(upstream: Side) -> None:
    upstream.get(OK + CHUNKED + b"20000\r\n" + b"y" * 0x20000 + b"\r\n0\r\n\r\n")
    assert (len(upstream.body), upstream.heard[-1]) == (0x20000, "ResponseEndOfMessage")


def test_a_connection_serves_one_request_after_the_other(upstream: Side) -> None:
    upstream.get(OK + b"Content-Length: 1\r\n\r\na")
    request = http.Request.make("POST", "http://x/")
    upstream.send(_events.RequestHeaders(3, request, True), _events.RequestEndOfMessage(3))
    upstream.get(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nb")
    assert (upstream.body, upstream.heard.count("ResponseEndOfMessage")) == (b"ab", 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        OK + CHUNKED + b"zz\r\n",
    ],
    ids=["length", "status line", "chunk"],
)
def test_a_malformed_response_is_an_error(upstream: Side, raw: bytes) -> None:
    assert upstream.get(raw).heard[-1] == "ResponseProtocolError"
    assert upstream.closed


# -- errors below ours -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "told"), [(400, 400), (413, 413), (431, 431), (502, 502), (504, 504)]
)
def test_an_error_page_is_json_without_the_cause(status: int, told: int) -> None:
    raw = _http1.make_error_response(status, "Connect call failed ('127.0.0.1', 9)")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % told)
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body)["error"]["message"]
    assert not {b"127.0.0.1", b"mitmproxy", b"<html"} & {
        word for word in (b"127.0.0.1", b"mitmproxy", b"<html") if word in raw
    }
