"""The checker reads what is well-formed, also what nobody knows, and finds what is not."""

import json
import re
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from addon.formats.neutral.request import WireFormat
from tests.support.test_grammar import stream
from tests.support.turns import Json
from tests.support.well_formed import check_stream

FORMATS: tuple[WireFormat, ...] = ("chat", "responses", "messages")
ERRORS = (AssertionError, IndexError, KeyError, ValueError, RuntimeError, ValidationError)
ADDS = re.compile(rb'event: message_delta|_block_delta|"delta":\{"(?!role).*null')
"""What other formats than Responses say of a text or the calls, without telling how much it is."""

ODD = b': hm\nid: 7\nretry: 3\nevent: x_event\ndata: {"type":"x_event","x":[1]}\n\n'


def events(wire_format: WireFormat) -> list[bytes]:
    return [raw + b"\n\n" for raw in stream(wire_format).split(b"\n\n")[:-1]]


def test_the_whole_answer_is_what_the_pieces_say() -> None:
    chat = check_stream("chat", stream("chat"), usage=True)
    [choice] = chat["choices"]
    assert choice["message"]["content"] == "ab"
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["f", "g"]
    assert (choice["finish_reason"], chat["usage"]["prompt_tokens"]) == ("tool_calls", 1)
    response = check_stream("responses", stream("responses"))
    assert [item.get("name") for item in response["output"]] == [None, None, "f", "g"]
    message = check_stream("messages", stream("messages"))
    assert [block.get("text") for block in message["content"]] == [None, "ab", None, None]


@pytest.mark.parametrize("wire_format", FORMATS)
def test_what_nobody_knows_may_stand_in_a_stream(wire_format: WireFormat) -> None:
    first, *rest = events(wire_format)
    odd = first + ODD + b"".join(rest)
    for old, new in ((b'"id":', b'"x":{},"id":'), (b"\n", b"\r\n")):
        assert check_stream(wire_format, odd.replace(old, new)) is not None


@pytest.mark.parametrize(
    ("wire_format", "at"),
    [(wire_format, at) for wire_format in FORMATS for at in range(len(events(wire_format)))],
)
def test_no_event_may_be_missing_or_come_twice(wire_format: WireFormat, at: int) -> None:
    raws = events(wire_format)
    if wire_format == "responses" or not ADDS.search(raws[at]):
        for count in (0, 2):
            broken = [*raws[:at], *[raws[at]] * count, *raws[at + 1 :]]
            with pytest.raises(ERRORS):
                check_stream(wire_format, b"".join(broken), usage=True)


@pytest.mark.parametrize("wire_format", ["responses", "messages"])
def test_neighbours_may_not_change_places(wire_format: WireFormat) -> None:
    raws = events(wire_format)
    for at in range(len(raws) - 1):
        if kind_of(raws[at]) != kind_of(raws[at + 1]):
            changed = [*raws[:at], raws[at + 1], raws[at], *raws[at + 2 :]]
            with pytest.raises(ERRORS):
                check_stream(wire_format, b"".join(changed))


def kind_of(raw: bytes) -> bytes:
    return raw.partition(b"\n")[0]


def told(wire_format: WireFormat, change: Callable[[Json], None]) -> bytes:
    """The stream with a change to the data of each event."""
    raws = []
    for raw in events(wire_format):
        head, _, data = raw.rpartition(b"data: ")
        if not data.startswith(b"[DONE]"):
            said = json.loads(data)
            change(said)
            data = json.dumps(said).encode() + b"\n\n"
        raws.append(head + b"data: " + data)
    return b"".join(raws)


def put(kind: str, member: str, said: object) -> Callable[[Json], None]:
    """The change of a member, dotted, in the events of a kind (of chunks: in those with it)."""

    def change(event: Json) -> None:
        held, (*path, last) = event, member.split(".")
        for name in path:
            held = held[0] if isinstance(held, list) and held else held
            held = held.get(name, {}) if isinstance(held, dict) else {}
        held = held[0] if isinstance(held, list) and held else held
        if kind in event.get("type", "chunk") and isinstance(held, dict) and last in held:
            held[last] = said

    return change


@pytest.mark.parametrize(
    ("wire_format", "kind", "member", "said"),
    [
        ("chat", "chunk", "created", "now"),
        ("chat", "chunk", "choices.index", 1),
        ("chat", "chunk", "choices.delta.content", ["b"]),
        ("chat", "chunk", "choices.delta.tool_calls.index", 2),
        ("chat", "chunk", "choices.delta.tool_calls.index", 0),
        ("chat", "chunk", "choices.delta.tool_calls.id", ""),
        ("chat", "chunk", "choices.finish_reason", "end"),
        ("chat", "chunk", "choices.finish_reason", None),
        ("chat", "chunk", "usage.prompt_tokens", 1.5),
        ("responses", "delta", "sequence_number", 1),
        ("responses", "delta", "delta", "x"),
        ("responses", "delta", "output_index", 0),
        ("responses", "delta", "item_id", "x"),
        ("responses", "delta", "content_index", 1),
        ("responses", "item.done", "item.id", "x"),
        ("responses", "item.done", "item.call_id", "x"),
        ("responses", "item.done", "item.summary", []),
        ("responses", "item.added", "output_index", 0),
        ("responses", "created", "response.created_at", "now"),
        ("responses", "created", "response.id", "x"),
        ("responses", "created", "response.status", "completed"),
        ("responses", "completed", "response.output", []),
        ("responses", "completed", "response.usage.total_tokens", None),
        ("responses", "completed", "response.incomplete_details", {"reason": "x"}),
        ("messages", "start", "index", 1),
        ("messages", "delta", "index", 0),
        ("messages", "block_delta", "delta.partial_json", "["),
        ("messages", "block_delta", "delta.type", "text_delta"),
        ("messages", "message_delta", "delta.stop_reason", None),
        ("messages", "message_delta", "delta.stop_reason", "tool_calls"),
        ("messages", "message_delta", "usage.output_tokens", "1"),
        ("messages", "message_start", "message.content", [{"type": "text", "text": "a"}]),
        ("messages", "message_start", "message.model", None),
        ("messages", "block_start", "content_block.id", ""),
    ],
)
def test_no_member_may_be_another(
    wire_format: WireFormat, kind: str, member: str, said: object
) -> None:
    broken = told(wire_format, put(kind, member, said))
    assert broken != told(wire_format, put("", "", None))
    with pytest.raises(ERRORS):
        check_stream(wire_format, broken)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"\n\ndata: [DONE]\n\n", b"\n\n"), (b"[DONE]\n\n", b"[DONE]\n"), (b'"a"', b'"\xff"')],
    ids=repr,
)
def test_a_stream_is_utf_8_and_ends(old: bytes, new: bytes) -> None:
    assert old in stream("chat")
    with pytest.raises(ERRORS):
        check_stream("chat", stream("chat").replace(old, new))


@pytest.mark.parametrize("wanted", [True, False])
def test_the_usage_comes_when_it_is_asked_for(wanted: bool) -> None:
    usage = [raw for raw in events("chat") if b'"choices":[]' in raw]
    without = stream("chat").replace(usage[0], b"")
    with pytest.raises(AssertionError, match="the usage is wanted"):
        check_stream("chat", without if wanted else stream("chat"), usage=wanted)
