"""Every event in every phase of an LLM call is handled, ignored or refused by the table, and a
client gets exactly one end, whatever comes when.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import connection
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted as Connected
from mitmproxy.proxy.layers.http import _events
from mitmproxy.test import taddons

from addon.edge import http1
from addon.edge.llm_phases import EVENTS, IGNORED, REFUSED, TABLE
from addon.edge.llm_stream import HELD_RETRY_SECONDS, LlmStream, Phase
from tests.addon.edge.line import END, SSE, Line, chunk, event, refusal, request
from tests.addon.edge.scene import Heard, Scene, an_event

HANDLED = "handled"
KINDS = {"h": HANDLED, "i": "ignored", "-": "refused"}
COLUMNS = [
    "head",
    "data",
    "trailers",
    "end",
    "left",
    "connected",
    "HEAD",
    "DATA",
    "TRAILERS",
    "END",
    "LOST",
    "wakeup",
    "tick",
    "cut",
]
"""The client's in small letters, the upstream's in capitals, in the order of EVENTS."""

GRID = """
READING        i h i h h  -  - - - - -  - h h
OPENING        - - - - h  -  - - - - -  h i h
RESERVING      - - - - h  -  - - - - -  h i h
CONNECTING     - - - - -  h  - - - - -  - - -
AWAITING_HEAD  - - - - h  -  h - - - h  - h h
COLLECTING     - - - - h  -  - h i h h  - h h
STREAMING      - - - - h  -  - h i h h  - h h
HOLDING        - - - - h  -  - h i h h  h h i
ENDING         - - - - h  -  i i i i i  h i i
DECIDING       - - - - h  -  i i i h h  h i h
ABORTING       - - - - h  -  i i i h h  - i h
RETRYING       - - - - h  -  i i i i i  h i h
ANSWERED       - i i i h  -  i i i i i  i i i
BROKEN         - i i i h  -  i i i i i  i i i
"""
"""What becomes of each event in each phase."""

PAIRS = [
    (Phase[phase], kind, KINDS[letter])
    for phase, *letters in map(str.split, GRID.split("\n")[1:-1])
    for kind, letter in zip(EVENTS, letters, strict=True)
]


def test_the_grid_knows_every_phase_and_every_event() -> None:
    assert len(COLUMNS) == len(EVENTS)
    assert {(phase, kind) for phase, kind, _ in PAIRS} == {
        (phase, kind) for phase in Phase for kind in EVENTS
    }


@pytest.mark.parametrize(
    ("phase", "kind", "outcome"), PAIRS, ids=lambda one: getattr(one, "__name__", str(one))
)
def test_the_table_says_what_becomes_of_an_event(
    phase: Phase, kind: type[events.Event], outcome: str
) -> None:
    step = TABLE[phase][kind]
    assert {IGNORED: "ignored", REFUSED: "refused"}.get(step, HANDLED) == outcome


# -- a real call in each phase ---------------------------------------------------------------------


def reading(scene: Scene) -> Line:
    line = scene.line()
    line.says(request(scene.key)[:-2])
    return line


def opening(scene: Scene) -> Line:
    scene.gateway.slices.workers = 10**12  # so many that each may only begin
    line = scene.line(holds=True)
    line.says(request(scene.key))
    return line


def reserving(scene: Scene) -> Line:
    line = scene.line()
    with scene.busy():
        line.says(request(scene.key))
    return line


def connecting(scene: Scene) -> Line:
    line = scene.line(holds=True)
    line.says(request(scene.key))
    return line


def awaiting_head(scene: Scene) -> Line:
    line = scene.line()
    line.says(request(scene.key))
    return line


def collecting(scene: Scene) -> Line:
    line = awaiting_head(scene)
    line.upstream_says(refusal(503)[:-1])
    return line


def streaming(scene: Scene) -> Line:
    line = awaiting_head(scene)
    line.upstream_says(SSE + event(content="half"))
    return line


def holding(scene: Scene) -> Line:
    line = awaiting_head(scene)
    with scene.busy():
        line.upstream_says(SSE + event("stop"))
    return line


def ending(scene: Scene) -> Line:
    line = holding(scene)
    line.upstream_says(END)
    return line


def deciding(scene: Scene) -> Line:
    scene.gateway.slices.workers = 0
    line = scene.line(holds=True)
    line.says(request(scene.key))
    line.release()
    scene.gateway.slices.workers = 10**12
    line.upstream_says(refusal(503))
    return line


def aborting(scene: Scene) -> Line:
    line = scene.line(holds=True)
    line.says(request(scene.key))
    line.release()
    line.upstream_says(b"HTTP/1.1 302 Found\r\ncontent-length: 9\r\n\r\n")
    return line


def retrying(scene: Scene) -> Line:
    line = scene.line(holds=True)
    line.says(request(scene.key))
    line.release()
    line.upstream_says(refusal(503))
    return line


def answered(scene: Scene) -> Line:
    line = reading(scene)
    line.refusing |= {"first.test", "second.test"}
    line.says(b"]}")
    return line


def broken(scene: Scene) -> Line:
    line = awaiting_head(scene)
    line.closes(line.client)
    return line


REACHED: dict[Phase, Callable[[Scene], Line]] = {
    Phase.READING: reading,
    Phase.OPENING: opening,
    Phase.RESERVING: reserving,
    Phase.CONNECTING: connecting,
    Phase.AWAITING_HEAD: awaiting_head,
    Phase.COLLECTING: collecting,
    Phase.STREAMING: streaming,
    Phase.HOLDING: holding,
    Phase.ENDING: ending,
    Phase.DECIDING: deciding,
    Phase.ABORTING: aborting,
    Phase.RETRYING: retrying,
    Phase.ANSWERED: answered,
    Phase.BROKEN: broken,
}


def call_of(line: Line) -> LlmStream:
    """The call of the line's first request."""
    assert line.stream
    call = line.stream._half
    assert isinstance(call, LlmStream)
    return call


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    http1.install()
    with taddons.context(Proxyserver()) as tctx:
        made = Scene(tmp_path, tctx.options)
        yield made
        made.node.engine.close()


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "thinkback.stream"]


def sent(line: Line) -> dict[connection.Connection, bytes]:
    return {peer: bytes(data) for peer, data in line.sent.items()}


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_a_call_does_with_each_event_what_the_table_says(
    phase: Phase, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, outcome in [(kind, outcome) for row, kind, outcome in PAIRS if row is phase]:
        line = REACHED[phase](scene)
        call, before = call_of(line), sent(line)
        assert call.phase is phase
        if outcome == "refused":
            with pytest.raises(RuntimeError, match=f"{kind.__name__} while {phase.name}"):
                call.take(an_event(kind)).send(None)
        elif kind is Connected:
            line.release()
            assert call.phase is Phase.AWAITING_HEAD
        else:
            line.give(an_event(kind))
        if outcome != HANDLED:
            assert (call.phase, sent(line)) == (phase, before), kind
        assert not faults(caplog), kind


def test_an_event_that_is_refused_ends_the_request_with_an_error(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    line = awaiting_head(scene)
    line.give(_events.ResponseData(1, b"too early"))
    assert faults(caplog)
    assert line.answer.startswith(b"HTTP/1.1 500")
    assert b"The gateway failed on this request." in line.answer
    assert line.client.state is connection.ConnectionState.CLOSED
    assert line.upstream.state is connection.ConnectionState.CLOSED


def test_events_wait_while_a_connection_is_being_made(scene: Scene) -> None:
    line = connecting(scene)
    line.pass_seconds(31)
    assert call_of(line).phase is Phase.CONNECTING
    assert not line.answer
    line.release()
    assert call_of(line).phase is Phase.AWAITING_HEAD
    assert line.answer.count(b": keep-alive\n\n") == 1


def test_a_step_leads_to_no_phase_that_the_table_does_not_name(scene: Scene) -> None:
    call = call_of(awaiting_head(scene))
    with pytest.raises(RuntimeError, match="AWAITING_HEAD does not lead to STREAMING here"):
        call.enter(Phase.STREAMING)


# -- whatever comes when ---------------------------------------------------------------------------

WAITS = {"a second": 1, "eleven seconds": 11, "half a minute": 31, "ten minutes": 600}
WORDS = b'{"choices":[{"message":{"content":"w"},"finish_reason":"stop"}]}'
HEADS = {
    "a stream's head": SSE,
    "a stream's head and a word": SSE + event(content="word"),
    "nearly words": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(WORDS), WORDS[:-1]),
    "nearly a page": b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n<html>",
    "an answer": b'HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{"choices":[]}',
    "half a JSON": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{",
    "a refusal": refusal(503),
    "a refused key": refusal(401),
    "half a refusal": refusal(429)[:-1],
    "a redirect": b"HTTP/1.1 302 Found\r\ncontent-length: 9\r\n\r\n",
    "a redirect with a page": b"HTTP/1.1 302 Found\r\ncontent-length: 9\r\n\r\n<a href=>",
    "a coding": b"HTTP/1.1 200 OK\r\ncontent-encoding: zip\r\ncontent-length: 9\r\n\r\n",
    "no HTTP": b"SSH-2.0\r\n\r\n",
}
EVENTS_OF_A_STREAM = {
    "a comment": chunk(b": wait\n\n"),
    "a word": event(content="word"),
    "a call": event(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f"}}]),
    "a finish": event("stop"),
    "done": chunk(b"data: [DONE]\n\n"),
    "an end": b"0\r\n\r\n",
    "an error": chunk(b'data: {"error":{"message":"overloaded","code":529}}\n\n'),
    "no JSON": chunk(b"data: {\n\n"),
    "no chunk": b"zz\r\n",
}
RESTS = {"a brace": b"}", "the rest": b'"choices":[]}'}
UPSTREAM_SAYS = HEADS | EVENTS_OF_A_STREAM | RESTS
ANYTIME = ("upstream closes", "upstreams go", "upstreams come", "the gateway ends", *UPSTREAM_SAYS)
LIKELY: dict[Phase | None, tuple[str, ...]] = {
    None: ("release",),
    Phase.READING: ("the body", "a byte of the body", "release"),
    Phase.OPENING: ("wakeup",),
    Phase.RESERVING: ("wakeup",),
    Phase.CONNECTING: ("release",),
    Phase.AWAITING_HEAD: (*HEADS, "upstream closes"),
    Phase.COLLECTING: (*RESTS, "upstream closes"),
    Phase.STREAMING: (*EVENTS_OF_A_STREAM, "upstream closes"),
    Phase.HOLDING: ("wakeup", *EVENTS_OF_A_STREAM),
    Phase.ENDING: ("wakeup",),
    Phase.DECIDING: ("wakeup",),
    Phase.ABORTING: ("release", "a brace"),
    Phase.RETRYING: ("wakeup",),
    Phase.ANSWERED: ("release",),
    Phase.BROKEN: ("release",),
}
ASKED = ("release", "the body", *["release"] * 5)
BEGINNINGS = (
    ((), ()),
    (ASKED, ()),
    ((*ASKED, "a stream's head and a word"), ("a finish",)),
    ((*ASKED, "nearly words"), ("a brace",)),
)
"""What has happened before other programs keep the database busy, and when they begin to."""

OPEN = connection.ConnectionState.OPEN


class Play:
    """One request, and what happens around it in any order."""

    def __init__(self, line: Line, key: str, *, stream: bool) -> None:
        self.line = line
        self.left = False
        head, _, body = request(key, stream=stream).partition(b"\r\n\r\n")
        self._body = body
        line.says(head + b"\r\n\r\n")

    @property
    def phase(self) -> Phase | None:
        """None until the request is planned."""
        call = self.line.stream and self.line.stream._half
        return call.phase if isinstance(call, LlmStream) else None

    def go_on(self, data: st.DataObject) -> None:
        """Let most often happen what moves the request on."""
        moments = ("likely",) * 14 + ("time", "release", "anything") * 2 + ("leave",)
        moment = data.draw(st.sampled_from(moments))
        choices = {
            "likely": LIKELY[self.phase],
            "time": tuple(WAITS)[:3],
            "release": ("release", "wakeup"),
            "anything": ANYTIME,
            "leave": ("client leaves",),
        }
        self.do(data.draw(st.sampled_from(choices[moment])))

    def do(self, action: str) -> None:
        line = self.line
        match action:
            case "release":
                line.release()
            case "wakeup":
                line.fire_within(HELD_RETRY_SECONDS)
            case "upstreams go":
                line.refusing |= {"first.test", "second.test"}
            case "upstreams come":
                line.refusing.clear()
            case "the gateway ends":
                line.cut()
            case "client leaves" if line.client.state is OPEN:
                self.left = True
                line.closes(line.client)
            case "the body" | "a byte of the body" if line.client.state is OPEN:
                self._send(1 if "byte" in action else len(self._body))
            case _ if action in WAITS:
                line.pass_time(WAITS[action])
            case _ if line.upstreams and line.upstream.state is OPEN:
                self._answer(action)

    def _send(self, size: int) -> None:
        part, self._body = self._body[:size], self._body[size:]
        if part:
            self.line.says(part)

    def _answer(self, action: str) -> None:
        if action == "upstream closes":
            self.line.closes(self.line.upstream)
        elif action in UPSTREAM_SAYS:
            self.line.upstream_says(UPSTREAM_SAYS[action])

    def come_to_an_end(self) -> None:
        """Let everything that was begun run out: bodies, connections, deadlines."""
        self.do("the body")
        for _ in range(20):
            while self.line.release():
                pass
            self.do("wakeup")
            self.do("ten minutes")


def responses(answer: bytes) -> int:
    """How many whole responses a client has got; what is no HTTP raises."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    if answer:
        client.receive_data(answer)
    count = 0
    while (one := client.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
        count += isinstance(one, h11.EndOfMessage)
    assert client.trailing_data[0] == b""
    return count


def test_a_failure_that_is_told_twice_costs_one_attempt(tmp_path: Path) -> None:
    with taddons.context(Proxyserver()) as tctx:
        tctx.options.update(validate_inbound_headers=True, keep_host_header=True)
        scene = Scene(tmp_path, tctx.options, watched=True)
        play = Play(scene.line(holds=True), scene.key, stream=True)
        # The connection is used again, fails, and is made anew: that says nothing of the upstream.
        for action in (*ASKED, "nearly a page", "a brace", "wakeup", "no HTTP", "wakeup"):
            play.do(action)
        while play.line.release():
            pass
        assert play.phase is Phase.AWAITING_HEAD
        scene.node.engine.close()


@pytest.mark.parametrize("watched", [False, True], ids=["unheard", "watched"])
@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    stream=st.booleans(),
    begun=st.sampled_from(BEGINNINGS),
    busy=st.integers(0, 8),
    free=st.integers(0, 25),
)
def test_a_client_gets_exactly_one_end(
    watched: bool,
    data: st.DataObject,
    stream: bool,
    begun: tuple[tuple[str, ...], tuple[str, ...]],
    busy: int,
    free: int,
) -> None:
    http1.install()
    heard = Heard()
    with tempfile.TemporaryDirectory() as folder, taddons.context(Proxyserver()) as tctx, heard:
        tctx.options.update(validate_inbound_headers=True, keep_host_header=True)
        scene = Scene(Path(folder), tctx.options, watched=watched)
        play = Play(scene.line(holds=True), scene.key, stream=stream)
        for action in begun[0]:
            play.do(action)
        with scene.busy():
            for action in begun[1]:
                play.do(action)
            for _ in range(busy):
                play.go_on(data)
        for _ in range(free):
            play.go_on(data)
        play.come_to_an_end()
        scene.node.engine.close()
    assert heard.faults == []
    [line] = heard.lines
    if not play.left:
        got_none = line.startswith("gone")
        assert responses(play.line.answer) == (0 if got_none else 1)
        assert not got_none or play.line.client.state is connection.ConnectionState.CLOSED
