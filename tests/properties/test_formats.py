"""What must hold of the wire formats for any bytes, in any cut."""

import json
import zlib
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from addon.exchange.answer import StreamedAnswer
from addon.formats.chat import patch_request as chat_request
from addon.formats.chat import patch_response as chat_response
from addon.formats.chat.patch_stream import PatchStream
from addon.formats.chat.writer import DONE
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import Edit, Reasoning, ToolCall, Turn
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.error_body import full_text
from addon.formats.tolerant.parts import filled
from addon.formats.wire import sse
from addon.formats.wire.inflate import Inflate, Unreadable
from addon.formats.wire.splice import (
    MalformedJson,
    elements,
    members,
    object_text,
    scalar_text,
    value,
)

type Json = dict[str, Any]

BLANKS = st.text(" \t\r\n", max_size=3)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TRICKY = st.sampled_from(
    ["data: [DONE]", "<think>", "\u2028", "\r\n\r\n", '"model":"m"', "\x85\x00", '\\"', "思考🧠"]
)
TEXTS = st.one_of(WORDS, TRICKY)
SURROGATES = st.one_of(TEXTS, st.sampled_from(["\ud83d", "a\udfff"]))
NUMBERS = st.one_of(
    st.sampled_from(["1.0", "-0.0", "1e400", "1E+2", "NaN", "-Infinity", "12345678901234567890.10"])
)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def json_texts(draw: st.DrawFn, depth: int = 3) -> str:
    """JSON text as odd as clients write it: blanks anywhere, numbers and strings in any
    spelling, keys twice.
    """
    kind = draw(
        st.sampled_from(
            ["string", "number", "word", "array", "object"] if depth else ["string", "number"]
        )
    )
    before, after = draw(BLANKS), draw(BLANKS)
    if kind == "string":
        text = json.dumps(draw(SURROGATES))
    elif kind == "number":
        text = draw(st.one_of(NUMBERS, st.integers().map(str)))
    elif kind == "word":
        text = draw(st.sampled_from(["true", "false", "null"]))
    elif kind == "array":
        text = "[" + ",".join(draw(st.lists(json_texts(depth - 1), max_size=3))) + "]"
    else:
        text = draw(object_texts(json_texts(depth - 1)))
    return before + text + after


@st.composite
def object_texts(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    keys = st.one_of(st.sampled_from(["a", "model", "id", "r\u00e9"]), SURROGATES)
    pairs = draw(st.lists(st.tuples(BLANKS, keys, st.booleans(), BLANKS, values), max_size=4))
    spelled = [
        f"{b}{json.dumps(key, ensure_ascii=plain)}{a}:{text}" for b, key, plain, a, text in pairs
    ]
    return "{" + (",".join(spelled) or draw(BLANKS)) + "}"


def utf8(text: str) -> bytes:
    """The text in UTF-8, which has no lone surrogates."""
    return (
        text.encode("utf-8", "surrogatepass")
        .replace(b"\xed", b"?")
        .decode("utf-8", "replace")
        .encode()
    )


@st.composite
def cuts(draw: st.DrawFn, body: bytes) -> list[bytes]:
    ends = sorted(draw(st.lists(st.integers(0, len(body)), max_size=12)))
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


# -- JSON ------------------------------------------------------------------------------------------


def pairs_of(text: bytes) -> list[tuple[str, str]]:
    return [(key, repr(found)) for key, found in json.loads(text, object_pairs_hook=list)]


@given(object_texts(json_texts()).map(utf8))
@example(b'{"a": 1, "a": 1}')
@example(b'{"":"","":""}')
def test_an_object_taken_apart_holds_what_any_parser_finds(text: bytes) -> None:
    parts = members(b"\xef\xbb\xbf" + text + b"\n")
    assert [(key, repr(json.loads(raw, object_pairs_hook=list))) for key, raw in parts] == pairs_of(
        text
    )
    assert pairs_of(object_text(parts)) == pairs_of(text)
    assert all(raw in text for _, raw in parts)


@given(st.lists(json_texts(), max_size=4).map(lambda texts: utf8("[" + ",".join(texts) + "]")))
def test_an_array_taken_apart_holds_what_any_parser_finds(text: bytes) -> None:
    assert [repr(json.loads(raw)) for raw in elements(text)] == [
        repr(found) for found in json.loads(text)
    ]
    assert all(raw in text for raw in elements(text))


@given(st.one_of(st.binary(), json_texts().map(utf8)), st.integers(0, 60), st.binary(max_size=2))
def test_broken_json_is_read_or_refused(text: bytes, at: int, put: bytes) -> None:
    broken = text[:at] + put + text[at + 1 :]
    for read in (members, elements, value):
        with suppress(MalformedJson):
            read(broken)
    assert isinstance(full_text(broken), str)


# -- requests --------------------------------------------------------------------------------------


def spoken(message: Json) -> Json:
    """The message; one of the user or the system always has a content."""
    if message["role"] in ("system", "user") and message.get("content") is None:
        return message | {"content": ""}
    return message


MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
    optional={
        "content": st.one_of(
            st.none(),
            SURROGATES,
            st.lists(st.builds(lambda text: {"text": text}, TEXTS), max_size=2),
        ),
        "tool_call_id": st.sampled_from(["c1", "c2"]),
        "tool_calls": st.lists(
            st.builds(lambda i: {"id": i, "function": {"name": i}}, st.sampled_from(["c1", "c2"]))
        ),
        "reasoning_content": st.one_of(st.none(), TEXTS),
        "reasoning": TEXTS,
        "x": st.one_of(st.integers(), st.floats(allow_nan=False), SURROGATES),
    },
).map(spoken)
EDITS = st.dictionaries(
    st.integers(0, 5),
    st.builds(
        Edit,
        reasoning=st.one_of(
            st.none(), st.dictionaries(st.sampled_from(REASONING_FIELDS), SURROGATES, max_size=2)
        ),
        ids=st.dictionaries(
            st.sampled_from(["c1", "c2"]), st.sampled_from(["p1", "functions.f:0", "é"])
        ),
    ),
    max_size=6,
)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")])


def expected_message(message: Json, edit: Edit) -> Json:
    """The message with the edit made, written as plainly as can be."""
    changed = dict(message)
    if "tool_calls" in changed:
        changed["tool_calls"] = [
            call | {"id": edit.ids.get(call["id"], call["id"])} for call in changed["tool_calls"]
        ]
    if "tool_call_id" in changed:
        changed["tool_call_id"] = edit.ids.get(changed["tool_call_id"], changed["tool_call_id"])
    if edit.reasoning is None:
        return changed
    return {
        key: text for key, text in changed.items() if key not in REASONING_FIELDS
    } | edit.reasoning


@given(
    st.lists(MESSAGES, max_size=5), EDITS, SPACING, st.booleans(), st.sampled_from(["m", "other"])
)
def test_a_patched_body_is_valid_and_differs_where_it_should(
    messages: list[Json],
    edits: dict[int, Edit],
    spacing: tuple[str, str],
    ascii_only: bool,
    model: str,
) -> None:
    body = {"x": 1.0, "model": "m", "messages": messages, "y": [{}]}
    texts = [utf8(json.dumps(one, separators=spacing, ensure_ascii=ascii_only)) for one in messages]
    text = utf8(json.dumps(body | {"messages": []}, separators=spacing)).replace(
        b"[]", b"[" + b",".join(texts) + b"]", 1
    )
    request = chat_request.decode(text)
    patched = chat_request.encode(request, model=model, edits=edits, extra=[])
    sent = [json.loads(one) for one in texts]
    expected = [expected_message(one, edits.get(at, Edit())) for at, one in enumerate(sent)]
    assert json.loads(patched) == body | {"model": model, "messages": expected}
    assert [
        raw for at, raw in enumerate(chat_request.decode(patched).raw_messages) if at not in edits
    ] == [one for at, one in enumerate(texts) if at not in edits]
    if model == "m" and expected == sent:
        assert patched == text


@given(json_texts(4).map(utf8))
def test_any_json_as_messages_is_forwarded_as_it_is_or_refused(text: bytes) -> None:
    body = b'{"model":"m","messages":' + text + b"}"
    with suppress(RequestError):
        request = chat_request.decode(body)
        assert chat_request.encode(request, model="m", edits={}, extra=[]) == body


# -- streams ---------------------------------------------------------------------------------------


def minted(choice: int, index: int, _: str) -> str:
    return f"call_{choice}_{index}"


def streamed(
    pieces: list[bytes], *, model: str = "m", coding: str = ""
) -> tuple[bytes, dict[int, Turn], str]:
    """Output, turns and error of a stream that arrives in these pieces and then ends."""
    relay = PatchStream(model=model, hide_usage=True, mint=minted)
    answer = StreamedAnswer(relay, remember=lambda *_, **__: None, content_encoding=coding)
    out = b"".join([*map(answer.feed, pieces), answer.end()])
    answer.stop()
    assert answer.error or out.endswith(DONE)
    return out, answer.turns, answer.error.message if answer.error else ""


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    calls = draw(
        st.lists(st.builds(ToolCall, st.sampled_from(["a", "b"]), st.just("f"), TEXTS), max_size=2)
    )
    reasoning = draw(
        st.one_of(st.none(), st.builds(Reasoning, TEXTS, st.sampled_from(REASONING_FIELDS)))
    )
    return Turn(text=draw(TEXTS), calls=tuple(calls), reasoning=reasoning, finish_reason="stop")


def steps_of(turn: Turn) -> list[Json]:
    """The deltas in which a server streams the turn, letter by letter."""
    steps: list[Json] = [{"role": "assistant", "content": ""}]
    if turn.reasoning is not None:
        field = turn.reasoning.field
        steps += [{field: ""}, *({field: letter} for letter in turn.reasoning.text)]
    steps += [{"content": letter} for letter in turn.text]
    for at, call in enumerate(turn.calls):
        steps.append(
            {
                "tool_calls": [
                    {"index": at, "id": call.id, "function": {"name": call.name, "arguments": ""}}
                ]
            }
        )
        steps += [
            {"tool_calls": [{"index": at, "function": {"arguments": letter}}]}
            for letter in call.arguments
        ]
    return steps


@st.composite
def streams(
    draw: st.DrawFn, *, ends: st.SearchStrategy[bytes] = LINE_ENDS, whole: bool = True
) -> tuple[bytes, Turn]:
    """A turn as an upstream streams it, with its habits, and as it is read: the arguments of a
    call without any are an empty object.
    """
    turn, end, spacing = (
        draw(turns()),
        draw(ends),
        draw(SPACING.filter(lambda found: "\n" not in found[0])),
    )
    chunks: list[Json] = [
        {"model": "m", "choices": [{"index": 0, "delta": step}]} for step in steps_of(turn)
    ]
    chunks += [{"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    chunks += (
        [{"model": "m", "choices": [], "usage": {"prompt_tokens": 1}}]
        if draw(st.booleans())
        else []
    )
    events = [
        b"data: " + json.dumps(one, separators=spacing, ensure_ascii=draw(st.booleans())).encode()
        for one in chunks
    ]
    events += [b"data: [DONE]"] if draw(st.booleans()) else []
    for at in sorted(draw(st.lists(st.integers(0, len(events)), max_size=3)), reverse=True):
        events.insert(
            at, draw(st.sampled_from([b": keep-alive", b"", b"retry: 1", b"event: x\ndata:"]))
        )
    body = b"".join(raw.replace(b"\n", end) + end + end for raw in events)
    said = msgspec.structs.replace(turn, calls=tuple(map(filled, turn.calls)))
    return body if whole or draw(st.booleans()) else body.removesuffix(end), said


@given(st.data(), st.sampled_from(["m", "other"]), st.sampled_from(["", "gzip", "deflate"]))
def test_chunk_boundaries_change_neither_output_nor_turn(
    data: st.DataObject, model: str, coding: str
) -> None:
    body, turn = data.draw(streams(whole=False))
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    packed = packer.compress(body) + packer.flush() if coding else body
    whole = streamed([packed], model=model, coding=coding)
    assert whole[1:] == ({0: turn}, "")
    assert streamed(data.draw(cuts(packed)), model=model, coding=coding) == whole


@given(st.data(), st.lists(LINE_ENDS, min_size=2, max_size=40))
def test_line_ends_may_be_mixed(data: st.DataObject, mixed: list[bytes]) -> None:
    body, turn = data.draw(streams(ends=st.just(b"\n")))
    lines, mixture = body.split(b"\n")[:-1], b""
    for at, line in enumerate(lines):
        # CR before the LF of an empty line would be one line end with it.
        end = mixed[at % len(mixed)]
        mixture += line + (b"\r" if not line and mixture.endswith(b"\r") else end)
    body = mixture
    whole = streamed([body])
    assert whole[1:] == ({0: turn}, "")
    assert streamed(data.draw(cuts(body))) == whole


@given(st.data())
def test_an_accumulated_stream_is_the_whole_answers_twin(data: st.DataObject) -> None:
    body, turn = data.draw(streams())
    field = {turn.reasoning.field: turn.reasoning.text} if turn.reasoning else {}
    calls = [
        {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
        for call in turn.calls
    ]
    choice = {
        "index": 0,
        "message": {"content": turn.text, "tool_calls": calls, **field},
        "finish_reason": "stop",
    }
    twin = chat_response.decode(json.dumps({"model": "m", "choices": [choice]}).encode())
    assert twin is not None
    assert streamed([body])[1] == twin.turns


@given(st.data(), st.sampled_from(["m", "other"]))
def test_what_the_client_gets_is_the_same_turn_under_its_own_names(
    data: st.DataObject, model: str
) -> None:
    body, turn = data.draw(streams())
    out, _, _ = streamed([body], model=model)
    reading, accumulator = PatchStream(model=model, hide_usage=False, mint=minted), Accumulator()
    for raw in sse.Events().feed(out):
        for delta in reading.feed(raw)[0]:
            accumulator.add(delta)
    calls = tuple(
        ToolCall(minted(0, at, ""), call.name, call.arguments) for at, call in enumerate(turn.calls)
    )
    expected = Turn(text=turn.text, calls=calls, reasoning=turn.reasoning, finish_reason="stop")
    assert accumulator.turns() == {0: expected}
    data_events = [sse.data_of(raw) or b"" for raw in sse.Events().feed(out)]
    assert {json.loads(found)["model"] for found in data_events if found.startswith(b"{")} == {
        model
    }


@given(st.data(), st.integers(0, 2_000), st.binary(max_size=3))
def test_a_damaged_stream_ends_in_an_error_or_as_a_whole(
    data: st.DataObject, at: int, put: bytes
) -> None:
    body, _ = data.draw(streams())
    damaged = body[:at] + put + body[at + 1 :]
    out, _, _ = streamed([damaged])
    assert out == streamed(data.draw(cuts(damaged)))[0]


@given(st.data(), st.integers(0, 2_000))
def test_a_cut_stream_is_never_a_clean_end_before_the_turn_is_whole(
    data: st.DataObject, at: int
) -> None:
    body, turn = data.draw(streams())
    finish = body.index(b'"stop"')
    _, found, error = streamed([body[: min(at, finish)]])
    assert error
    assert all(not one.finish_reason and turn.text.startswith(one.text) for one in found.values())


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from(["", "gzip", "deflate"]))
def test_any_bytes_end_in_an_error_or_as_a_whole(pieces: list[bytes], coding: str) -> None:
    streamed(pieces, coding=coding)


@given(st.lists(json_texts(4).map(utf8), max_size=4))
@pytest.mark.parametrize(
    "wrapped", [b"%b", b'{"choices":%b}', b'{"choices":[{"delta":%b}]}', b'{"error":%b}']
)
def test_any_json_in_an_event_is_taken(wrapped: bytes, texts: list[bytes]) -> None:
    streamed([sse.event((wrapped % text).replace(b"\r", b"\n")) for text in texts])


@given(json_texts(4).map(utf8))
@pytest.mark.parametrize(
    "wrapped", [b"%b", b'{"choices":%b}', b'{"choices":[{"message":%b}]}', b'{"error":%b}']
)
def test_any_json_as_a_whole_answer_is_taken_or_refused(wrapped: bytes, text: bytes) -> None:
    found = chat_response.decode(wrapped % text)
    if found is not None:
        patched = found.patched(model="other", mint=minted)
        assert isinstance(value(patched), dict)
        assert chat_response.as_stream(patched).endswith(DONE)


@given(SURROGATES, SURROGATES)
def test_strings_of_ours_are_read_back_by_any_parser(text: str, key: str) -> None:
    assert json.loads(scalar_text({key: text})) == {key: text}
    assert value(scalar_text(text)) == text


@given(st.lists(st.binary(max_size=40), max_size=5), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_inflated_or_refused(pieces: list[bytes], coding: str) -> None:
    inflate = Inflate(coding)
    with suppress(Unreadable):
        for piece in pieces:
            inflate.feed(piece)
