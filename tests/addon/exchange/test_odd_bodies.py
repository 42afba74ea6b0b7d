"""Whatever shape an upstream gives its answer is read, or the client is told what is wrong."""

import json
from collections.abc import Callable

import brotli
import pytest
import zstandard

from addon.exchange.exchange import Exchange
from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Reasoning, Text, ToolCall, Turn, turn_of
from addon.formats.translate import CLIENTS, UPSTREAMS
from tests.addon.desk import MODEL, Desk, open_exchange, reply_of, upstream
from tests.addon.translation.clients import PATHS, Json, asking
from tests.support.grammar import own_state
from tests.support.well_formed import check_stream, check_whole

PAIRS = [(client, api) for client in PATHS for api in PATHS]
LABELS = {"content-type": "text/event-stream"}
PARTS = (
    Reasoning("Because.", "reasoning_content"),
    Text("Café 思考"),
    ToolCall("theirs", "Read", '{"a":"b"}'),
)
TURN = turn_of(PARTS, "tool_calls")
HEAD = Head("theirs", 7, MODEL)
BOM = b"\xef\xbb\xbf"
SAID = ("Café 思考", [("Read", '{"a":"b"}')])


def opened(desk: Desk, client: WireFormat, api: WireFormat, *, stream: bool) -> Exchange:
    desk.upstreams = (upstream(api=api),)
    body = asking(client, [("user", "hi")], tools=("Read",)) | {"stream": stream}
    return open_exchange(desk.intake(path=PATHS[client]), json.dumps(body).encode())


def events(api: WireFormat) -> bytes:
    """The upstream's answer as a stream."""
    request = CLIENTS[api].decode(json.dumps(asking(api, [("user", "hi")])).encode())
    writer = CLIENTS[api].writer(request, HEAD, lambda *ids: ids[2], own_state)
    return writer.write(list(deltas_of(TURN))) + writer.end()


def whole(api: WireFormat) -> bytes:
    request = CLIENTS[api].decode(json.dumps(asking(api, [("user", "hi")])).encode())
    return CLIENTS[api].whole({0: TURN}, None, request, HEAD, lambda *ids: ids[2], own_state)


def streamed(exchange: Exchange, *pieces: bytes, **labels: str) -> bytes:
    """The client's stream of an answer that comes in these pieces."""
    answer = exchange.stream(LABELS | {name.replace("_", "-"): it for name, it in labels.items()})
    out = b"".join([*map(answer.feed, pieces), answer.end()])
    assert answer.error is None, answer.error
    return out


def says(client: WireFormat, answer: Json) -> tuple[str, list[tuple[str, str]]]:
    found = UPSTREAMS[client].whole(json.dumps(answer).encode())
    assert found is not None
    turn: Turn = found.turns[0]
    return turn.text, [(call.name, call.arguments) for call in turn.calls]


ODD: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda body: BOM + body,
    "CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "CR": lambda body: body.replace(b"\n", b"\r"),
    "comments": lambda body: b": hi\n\n" + body.replace(b"\n\n", b"\n\n:\n\n"),
    "no blanks": lambda body: body.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
    "no last line end": lambda body: body.rstrip(),
    "no end announced": lambda body: body.removesuffix(b"data: [DONE]\n\n"),
    "an end announced": lambda body: body.removesuffix(b"data: [DONE]\n\n") + b"data: [DONE]\n\n",
    "fields around": lambda body: b"retry: 3\nid: 7\n" + body.replace(b"\n\n", b"\nid: 8\n\n"),
    "blank lines before": lambda body: b"\n\n" * 50 + body,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_stream_of_any_shape_is_read(
    desk: Desk, client: WireFormat, api: WireFormat, odd: Callable[[bytes], bytes]
) -> None:
    body = odd(events(api))
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]
    out = streamed(opened(desk, client, api, stream=True), *pieces)
    assert says(client, check_stream(client, out)) == SAID
    reply = reply_of(opened(desk, client, api, stream=False).whole(200, LABELS, body))
    assert says(client, check_whole(client, reply.body)) == SAID


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_broken_characters_are_told_as_such(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    for body in (events(api), whole(api)):
        broken = body.replace("考".encode(), "考".encode()[:2])
        out = streamed(opened(desk, client, api, stream=True), broken)
        assert says(client, check_stream(client, out)) == ("Café 思\ufffd", SAID[1])
        reply = reply_of(opened(desk, client, api, stream=False).whole(200, LABELS, broken))
        assert says(client, check_whole(client, reply.body)) == ("Café 思\ufffd", SAID[1])


SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda body: body,
    "a byte order mark": lambda body: BOM + body,
    "spread over lines": lambda body: (
        json.dumps(json.loads(body), indent=1).replace("\n", "\n\n").encode()
    ),
    "after blank lines": lambda body: b"\n\n" * 20 + body,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_an_answer_that_is_json_is_read_however_it_is_labelled(
    desk: Desk, client: WireFormat, api: WireFormat, shape: Callable[[bytes], bytes]
) -> None:
    body = shape(whole(api))
    exchange = opened(desk, client, api, stream=True)
    assert says(client, check_stream(client, streamed(exchange, body[:9], body[9:]))) == SAID
    outcome = exchange.outcome()
    assert (outcome.trouble, outcome.turns[0].text) == ("", "Café 思考")
    reply = reply_of(opened(desk, client, api, stream=True).whole(200, LABELS, body))
    assert says(client, check_stream(client, reply.body)) == SAID
    reply = reply_of(opened(desk, client, api, stream=False).whole(200, LABELS, body))
    assert says(client, check_whole(client, reply.body)) == SAID
    assert reply.headers["content-type"] == "application/json"


ERRORS: dict[str, bytes] = {
    "an error": b'{"error":{"message":"Out of cheese.","type":"x","code":"y"}}',
    "a detail": b'{"detail":[{"loc":["body"],"msg":"Out of cheese."}]}',
    "a title": b"<html><head><title>Out of cheese.</title></head></html>",
    "Anthropic's": b'{"type":"error","error":{"type":"api_error","message":"Out of cheese."}}',
}


@pytest.mark.parametrize("body", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_an_error_that_is_labelled_a_stream_is_told_in_its_words(
    desk: Desk, client: WireFormat, api: WireFormat, body: bytes
) -> None:
    answer = opened(desk, client, api, stream=True).stream(LABELS)
    assert answer.feed(body) + answer.end() == b""
    assert answer.error is not None
    assert "Out of cheese." in answer.error.message
    assert not answer.started


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_an_error_without_an_event_in_the_middle_is_told_in_its_words(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    begun = events(api)
    begun = begun[: begun.index(b"\n\n", len(begun) // 3) + 2]
    for end in (b"\n\n", b"\n", b""):
        answer = opened(desk, client, api, stream=True).stream(LABELS)
        answer.feed(begun + ERRORS["an error"] + end)
        answer.end()
        assert answer.error is not None
        assert "Out of cheese." in answer.error.message


NONE = "The upstream sent something else than an answer."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Hi</body></html>", NONE),
        (b'{"choices":', "The upstream ended its answer in the middle."),
        (b"[1]", NONE),
        (b"{}", NONE),
    ],
)
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_what_is_no_answer_is_told_as_such(
    desk: Desk, client: WireFormat, api: WireFormat, body: bytes, words: str
) -> None:
    answer = opened(desk, client, api, stream=True).stream(LABELS)
    assert answer.feed(body) + answer.end() == b""
    assert answer.error is not None
    assert answer.error.message == words


def brotlied(body: bytes) -> bytes:
    return brotli.compress(body)


def zstded(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


@pytest.mark.parametrize(("coding", "pack"), [("br", brotlied), ("zstd", zstded)])
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_compressed_answer_is_read_though_nobody_asked_for_it(
    desk: Desk, client: WireFormat, api: WireFormat, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(events(api))
    pieces = [packed[at : at + 7] for at in range(0, len(packed), 7)]
    out = streamed(opened(desk, client, api, stream=True), *pieces, content_encoding=coding)
    assert says(client, check_stream(client, out)) == SAID
    for body in (whole(api), events(api)):
        labels = LABELS | {"content-encoding": coding}
        exchange = opened(desk, client, api, stream=False)
        reply = reply_of(exchange.whole(200, labels, pack(body)))
        assert says(client, check_whole(client, reply.body)) == SAID


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_compressed_answer_that_is_damaged_or_cut_is_told(desk: Desk, coding: str) -> None:
    body = events("chat")
    packed = brotlied(body) if coding == "br" else zstded(body)
    for broken in (packed[:-30], b"plain " + packed):
        answer = opened(desk, "chat", "chat", stream=True).stream(
            LABELS | {"content-encoding": coding}
        )
        answer.feed(broken)
        answer.end()
        assert answer.error is not None


def spoken_at_once(*, before: bool, empty: bool) -> bytes:
    """A chat stream with a whole message in the place of deltas, or after them."""
    completion = json.loads(whole("chat"))
    parts = completion["choices"][0] | {"logprobs": None}
    completion["choices"] = [parts | ({"delta": {"role": "assistant"}} if empty else {})]
    begun = events("chat").split(b"\n\n")[:-3] if before else []
    stream = [*begun, b"data: " + json.dumps(completion).encode(), b"data: [DONE]", b""]
    return b"\n\n".join(stream)


@pytest.mark.parametrize("before", [False, True], ids=["alone", "after the deltas"])
@pytest.mark.parametrize("empty", [False, True], ids=["no delta", "an empty delta"])
@pytest.mark.parametrize("client", PATHS)
def test_a_message_in_the_place_of_a_delta_is_told_once(
    desk: Desk, client: WireFormat, empty: bool, before: bool
) -> None:
    body = spoken_at_once(before=before, empty=empty)
    out = streamed(opened(desk, client, "chat", stream=True), body)
    assert says(client, check_stream(client, out)) == SAID
    reply = reply_of(opened(desk, client, "chat", stream=False).whole(200, LABELS, body))
    assert says(client, check_whole(client, reply.body)) == SAID
