"""What chat answers carry beside strings is kept as state, and chat clients get text as text."""

import json
from typing import Any

import pytest

from addon.formats.chat import patch_response
from addon.formats.chat.carriers import Quirks, is_bound
from addon.formats.chat.patch_stream import PatchStream
from addon.formats.chat.reader import ChatReader
from addon.formats.chat.request import encode
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
)
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Part, Reasoning, Text, ToolCall, message_of
from addon.formats.wire import sse
from tests.support.turns import Json

TAGS = Quirks(tags=True)
CHUNK: Json = {"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}
DETAIL: Json = {"type": "reasoning.text", "text": "r"}
ANNEX: Json = {"google": {"thought_signature": "s"}}
CALL: Json = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
STEP = CallDelta(0, "c", "f", "{}")


def event(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"


def read(*steps: Json, quirks: Quirks = Quirks()) -> list[Delta]:
    reader = ChatReader(quirks)
    raws = [*(event(step) for step in steps), event({}, "stop")]
    return [delta for raw in raws for delta in reader.read(raw)][:-1]


def shown(*steps: Json, quirks: Quirks = Quirks()) -> list[Json]:
    """The deltas that the client gets; the last one is of the finish."""
    stream = PatchStream(
        model="m", hide_usage=False, mint=lambda choice, index, call_id: "ours", quirks=quirks
    )
    raws = [*(event(step) for step in steps), event({}, "stop")]
    told = [stream.feed(raw)[1] for raw in raws]
    return [json.loads(sse.data_of(raw) or b"")["choices"][0]["delta"] for raw in told]


@pytest.mark.parametrize(
    ("steps", "deltas"),
    [
        pytest.param(
            [{"content": "<think>r</think>\n"}, {"content": "a"}],
            [
                ReasoningDelta("r", "<think>"),
                OpaqueDelta("<think>r</think>\n", "<think>"),
                TextDelta("a"),
            ],
            id="tags",
        ),
        pytest.param(
            [{"content": "<think>r</think>\n"}, {"tool_calls": [CALL]}],
            [ReasoningDelta("r", "<think>"), OpaqueDelta("<think>r</think>\n", "<think>"), STEP],
            id="tags before a call",
        ),
        pytest.param(
            [{"reasoning_content": "r"}, {"content": "<think>a"}],
            [ReasoningDelta("r", "reasoning_content"), TextDelta("<think>a")],
            id="a field of its own",
        ),
        pytest.param([{"content": "<th"}], [TextDelta("<th")], id="what began like a tag"),
        pytest.param(
            [{"content": [CHUNK]}, {"content": [CHUNK]}, {"content": "a"}],
            [
                ReasoningDelta("r", "content[].thinking"),
                ReasoningDelta("r", "content[].thinking"),
                OpaqueDelta(
                    '[{"type":"thinking","thinking":[{"type":"text","text":"rr"}]}]',
                    "content[].thinking",
                ),
                TextDelta("a"),
            ],
            id="chunks",
        ),
        pytest.param(
            [{"reasoning": "r", "reasoning_details": [DETAIL]}, {"content": "a"}, {"content": "b"}],
            [
                ReasoningDelta("r", "reasoning"),
                OpaqueDelta('[{"type":"reasoning.text","text":"r"}]', "reasoning_details"),
                TextDelta("a"),
                TextDelta("b"),
            ],
            id="details",
        ),
        pytest.param(
            [{"reasoning_details": []}], [OpaqueDelta("[]", "reasoning_details")], id="no details"
        ),
        pytest.param(
            [{"tool_calls": [CALL | {"extra_content": ANNEX}]}],
            [OpaqueDelta('{"google":{"thought_signature":"s"}}', "extra_content", 0, 1, "0"), STEP],
            id="annex",
        ),
    ],
)
def test_what_is_carried_is_told_before_what_follows_it(
    steps: list[Json], deltas: list[Delta]
) -> None:
    assert read(*steps, quirks=TAGS) == deltas


def test_a_signature_that_comes_late_is_told_with_all_before_it() -> None:
    late = {"type": "reasoning.text", "signature": "s"}
    told = read({"reasoning_details": [DETAIL]}, {"content": "a"}, {"reasoning_details": [late]})
    states = [json.loads(delta.opaque) for delta in told if isinstance(delta, OpaqueDelta)]
    assert states == [[DETAIL], [DETAIL | {"signature": "s"}]]


def test_tags_stay_where_the_upstream_has_none() -> None:
    assert read({"content": "<think>r</think>a"}) == [TextDelta("<think>r</think>a")]


@pytest.mark.parametrize(
    ("steps", "deltas"),
    [
        (
            [{"content": "<think>r"}, {"content": "</think>\na"}],
            [(None, "r"), ("a", None), (None, None)],
        ),
        ([{"content": "<th"}], [("", None), ("<th", None)]),
        (
            [{"content": [CHUNK]}, {"content": [{"type": "text", "text": "a"}]}],
            [(None, "r"), ("a", None), (None, None)],
        ),
        ([{"content": "a"}], [("a", None), (None, None)]),
    ],
    ids=["tags", "what began like a tag", "chunks", "text"],
)
def test_a_client_gets_text_as_content_and_reasoning_beside_it(
    steps: list[Json], deltas: list[Any]
) -> None:
    told = shown(*steps, quirks=TAGS)
    assert [(delta.get("content"), delta.get("reasoning_content")) for delta in told] == deltas


def test_a_step_that_comes_twice_is_told_once() -> None:
    steps = [{"reasoning_content": text} for text in ("a", "a", "b", "a")]
    assert [
        delta.text
        for delta in read(*steps, quirks=Quirks(repeats=True))
        if isinstance(delta, ReasoningDelta)
    ] == [*("a", "b", "a")]
    assert [
        delta.get("reasoning_content") for delta in shown(*steps, quirks=Quirks(repeats=True))
    ] == [*("a", None, "b", "a", None)]


@pytest.mark.parametrize(
    ("message", "client", "state"),
    [
        (
            {"content": "<think>r</think>\n\na"},
            {"content": "a", "reasoning_content": "r"},
            "<think>r</think>\n\n",
        ),
        (
            {"content": [CHUNK, {"type": "text", "text": "a"}]},
            {"content": "a", "reasoning_content": "r"},
            [CHUNK],
        ),
        (
            {"content": "a", "reasoning_details": [DETAIL]},
            {"content": "a", "reasoning_details": [DETAIL]},
            [DETAIL],
        ),
    ],
    ids=["tags", "chunks", "details"],
)
def test_a_whole_answer_is_read_alike(message: Json, client: Json, state: Any) -> None:
    body = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    answer = patch_response.decode(json.dumps(body).encode(), TAGS)
    assert answer is not None
    patched = json.loads(answer.patched(model="m", mint=lambda choice, index, call_id: "ours"))
    opaque = next(part.opaque for part in answer.turns[0].parts if isinstance(part, Reasoning))
    assert patched["choices"][0]["message"] == client
    assert (json.loads(opaque) if opaque.startswith("[") else opaque) == state
    assert answer.turns[0].text == "a"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [Reasoning("r", "<think>", "<think>r</think>\n", "<think>"), Text("a")],
            {"content": "<think>r</think>\na"},
        ),
        (
            [Reasoning("r", "x", json.dumps([CHUNK]), "content[].thinking"), Text("a")],
            {"content": [CHUNK, {"type": "text", "text": "a"}]},
        ),
        (
            [Reasoning("r", "reasoning", json.dumps([DETAIL]), "reasoning_details"), Text("a")],
            {"content": "a", "reasoning_details": [DETAIL]},
        ),
        (
            [Reasoning("r", "reasoning", "[]", "reasoning_details"), Text("a")],
            {"content": "a", "reasoning_details": [], "reasoning": "r"},
        ),
    ],
    ids=["tags", "chunks", "details", "no details"],
)
def test_a_neutral_message_carries_it_where_it_was(parts: list[Part], message: Json) -> None:
    request = Request(origin="responses", model="m", messages=[message_of("assistant", parts)])
    assert json.loads(encode(request, model="m"))["messages"] == [{"role": "assistant", **message}]


def test_an_annex_goes_with_its_call() -> None:
    parts = [
        ToolCall("a", "f", "{}"),
        ToolCall("b", "f", "{}"),
        Reasoning("", "", json.dumps(ANNEX), "extra_content", "1"),
    ]
    request = Request(origin="responses", model="m", messages=[message_of("assistant", parts)])
    calls = json.loads(encode(request, model="m"))["messages"][0]["tool_calls"]
    assert [call.get("extra_content") for call in calls] == [None, ANNEX]


@pytest.mark.parametrize(
    ("reasoning", "bound"),
    [
        (Reasoning("r", "reasoning"), False),
        (Reasoning("", "x", json.dumps([DETAIL]), "reasoning_details"), False),
        (Reasoning("", "x", json.dumps([DETAIL | {"signature": "s"}]), "reasoning_details"), True),
        (Reasoning("", "<think>", "<think>", "<think>"), False),
        (Reasoning("", "", "{}", "extra_content"), True),
        (Reasoning("", "x", "blob", "encrypted_content"), True),
    ],
    ids=["text", "plain details", "signed details", "tags", "annex", "encrypted"],
)
def test_only_state_that_text_does_not_tell_is_bound_to_its_account(
    reasoning: Reasoning, bound: bool
) -> None:
    assert is_bound(reasoning) == bound


def test_a_finish_is_the_last_delta() -> None:
    assert ChatReader(TAGS).read(event({"content": "<think>r"}, "length"))[-1] == Finish("length")
