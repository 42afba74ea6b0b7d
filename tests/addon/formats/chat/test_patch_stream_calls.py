"""Steps of tool calls are told apart in a chat stream, and numbered anew for the client."""

import json
from typing import Any

import pytest

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import CallDelta
from addon.formats.neutral.turn import ToolCall, Turn
from addon.formats.wire import sse
from tests.addon.formats.chat.test_patch_stream import chunk, patched, stream


def calls(*steps: Any, index: int = 0) -> bytes:
    return chunk({"tool_calls": list(steps)}, index)


def step(arguments: str | None = None, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A step of a tool call; `more` is its index and id, when it has any."""
    return {**more, "function": {"name": name, "arguments": arguments}}


def heard(*events: bytes) -> tuple[dict[int, Turn], dict[int, Turn]]:
    """The turns as we understand them, and as a client does that reads what we send by
    index alone.
    """
    ours, accumulator = stream(), Accumulator()
    client: dict[int, dict[int, list[str]]] = {}
    for raw in events:
        deltas, out = ours.feed(raw)
        for delta in deltas:
            accumulator.add(delta)
        for choice in json.loads(sse.data_of(out) or b"{}").get("choices", ()):
            for call in choice["delta"].get("tool_calls", ()):
                parts = client.setdefault(choice["index"], {}).setdefault(
                    call["index"], ["", "", ""]
                )
                said = (
                    call.get("id"),
                    call["function"].get("name"),
                    call["function"].get("arguments"),
                )
                parts[:] = [before + (more or "") for before, more in zip(parts, said, strict=True)]
    seen = {
        at: Turn(calls=tuple(ToolCall(*found[i]) for i in sorted(found)))
        for at, found in client.items()
    }
    return accumulator.turns(), seen


ONE = ToolCall("a", "f", '{"x":1}')
TWO = ToolCall("b", "g", '{"y":2}')
STEPS = {
    "as documented": [
        [step("", "f", index=0, id="a")],
        [step('{"x":', index=0)],
        [step("1}", index=0)],
        [step("", "g", index=1, id="b")],
        [step('{"y":2}', index=1)],
    ],
    "alternating": [
        [step("", "f", index=0, id="a"), step("", "g", index=1, id="b")],
        [step('{"x":', index=0), step('{"y":', index=1)],
        [step("2}", index=1), step("1}", index=0)],
    ],
    "index 0 for all": [
        [step('{"x":', "f", index=0, id="a")],
        [step("1}", index=0)],
        [step('{"y":', "g", index=0, id="b")],
        [step("2}", index=0)],
    ],
    "index 0 for all, alternating by id": [
        [step('{"x":', "f", index=0, id="a")],
        [step('{"y":', "g", index=0, id="b")],
        [step("1}", index=0, id="a")],
        [step("2}", index=0, id="b")],
    ],
    "whole calls in one event": [
        [step('{"x":1}', "f", index=0, id="a"), step('{"y":2}', "g", index=0, id="b")]
    ],
    "no index": [[step('{"x":1}', "f", id="a")], [step('{"y":2}', "g", id="b")]],
    "no index, in steps": [
        [step("", "f", id="a")],
        [step('{"x":', id="")],
        [step("1}", id="")],
        [step('{"y":2}', "g", id="b")],
    ],
    "null index": [
        [step('{"x":1}', "f", id="a", index=None), step('{"y":2}', "g", id="b", index=None)]
    ],
    "strings as index": [
        [step('{"x":1}', "f", id="a", index="0"), step('{"y":2}', "g", id="b", index="1")]
    ],
    "index from 1": [
        [step('{"x":1}', "f", id="a", index=1)],
        [step('{"y":2}', "g", id="b", index=2)],
    ],
    "id in every step": [
        [step("", "f", index=0, id="a")],
        [step('{"x":1}', index=0, id="a")],
        [step('{"y":', "g", index=1, id="b")],
        [step("2}", index=1, id="b")],
    ],
    "id and name in every step": [
        [step('{"x":', "f", index=0, id="a")],
        [step("1}", "f", index=0, id="a")],
        [step('{"y":2}', "g", index=0, id="b")],
    ],
    "another id in every step": [
        [step("", "f", index=0, id="a")],
        [step('{"x":', index=0, id="a2")],
        [step("1}", index=0, id="a3")],
        [step('{"y":2}', "g", index=1, id="b")],
    ],
    "name after id": [
        [step("", index=0, id="a")],
        [step('{"x":1}', "f", index=0)],
        [step("", index=1, id="b")],
        [step('{"y":2}', "g", index=1)],
    ],
    "id after name": [
        [step("", "f", index=0)],
        [step('{"x":1}', index=0, id="a")],
        [step("", "g", index=1)],
        [step('{"y":2}', index=1, id="b")],
    ],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_calls_are_told_apart_whatever_the_server_numbers_them(
    steps: list[list[dict[str, Any]]],
) -> None:
    ours, client = heard(*(calls(*each) for each in steps))
    assert ours[0].calls == (ONE, TWO)
    assert [(call.id, call.arguments) for call in client[0].calls] == [
        ("minted 0.0", ONE.arguments),
        ("minted 0.1", TWO.arguments),
    ]
    assert [call.name[:1] for call in client[0].calls] == ["f", "g"]


@pytest.mark.parametrize(
    "more", [{}, {"id": ""}, {"id": None}, {"index": 0}, {"index": 0, "id": ""}], ids=str
)
def test_calls_without_ids_are_told_apart_by_their_names_and_get_ids(more: dict[str, Any]) -> None:
    ours, client = heard(
        calls(step("1", "f", **more)), calls(step("1", **more)), calls(step("2", "f", **more))
    )
    assert ours[0].calls == (ToolCall("", "f", "11"), ToolCall("", "f", "2"))
    assert client[0].calls == (ToolCall("minted 0.0", "f", "11"), ToolCall("minted 0.1", "f", "2"))


def test_one_id_for_all_calls_is_no_reason_to_join_them() -> None:
    ours, client = heard(
        calls(
            step("1", "f", index=0, id="x"),
            step("2", "g", index=0, id="x"),
            step("3", "f", index=1, id="x"),
        )
    )
    assert [(call.id, call.arguments) for call in ours[0].calls] == [
        ("x", "1"),
        ("x", "2"),
        ("x", "3"),
    ]
    assert [call.id for call in client[0].calls] == ["minted 0.0", "minted 0.1", "minted 0.2"]


def test_the_calls_of_two_choices_are_numbered_apart() -> None:
    ours, client = heard(
        calls(step("1", "f", index=0, id="a")),
        calls(step("2", "g", index=0, id="a"), index=1),
        calls(step("3", index=0)),
    )
    assert (ours[0].calls, ours[1].calls) == (
        (ToolCall("a", "f", "13"),),
        (ToolCall("a", "g", "2"),),
    )
    assert client[0].calls == (ToolCall("minted 0.0", "f", "13"),)
    assert client[1].calls == (ToolCall("minted 1.0", "g", "2"),)


def test_a_step_keeps_everything_but_its_index_and_id() -> None:
    raw = b'data: {"x": 1.0,"choices":[{"delta":{"tool_calls":[{"type": "function","id":"a","y":1e400}], "z":1.0}}]}\n\n'
    assert patched(raw) == (
        b'data: {"x":1.0,"choices":[{"delta":{"tool_calls":[{"type":"function","id":"minted 0.0","y":1e400,"index":0}]'
        b',"z":1.0}}]}\n\n'
    )


def test_a_step_that_needs_no_change_stays_byte_identical() -> None:
    reading, more = stream(), calls(step("1", index=0))
    reading.feed(calls(step("", "f", index=0, id="a")))
    assert reading.feed(more) == ([CallDelta(0, arguments="1")], more)


def test_a_name_is_reported_once() -> None:
    reading = stream()
    reading.feed(calls(step("", "f", index=0, id="a")))
    assert reading.feed(calls(step("1", "f", index=0, id="a")))[0] == [
        CallDelta(0, id="a", arguments="1")
    ]


def test_members_that_stand_twice_do_no_harm() -> None:
    raw = b'data: {"choices":[],"choices":[{"delta":{},"delta":{"tool_calls":[{"id":"a"}]}}]}\n\n'
    deltas, out = stream().feed(raw)
    assert deltas == [CallDelta(0, id="a")]
    assert (
        json.loads(sse.data_of(out) or b"")["choices"][0]["delta"]["tool_calls"][0]["id"]
        == "minted 0.0"
    )


def test_arguments_that_come_as_an_object_reach_the_client_as_text() -> None:
    ours, client = heard(
        calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"p": [1, "é"]}}}),
        chunk({}, finish_reason="tool_calls"),
    )
    assert ours[0].calls[0].arguments == '{"p":[1,"é"]}'
    assert client[0].calls[0].arguments == '{"p":[1,"é"]}'


def test_an_empty_object_announces_arguments_that_follow() -> None:
    ours, client = heard(
        calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}}),
        calls(step('{"p":1}', index=0)),
        chunk({}, finish_reason="tool_calls"),
    )
    assert ours[0].calls[0].arguments == client[0].calls[0].arguments == '{"p":1}'


@pytest.mark.parametrize("empty", [None, "", {}])
@pytest.mark.parametrize("reason", ["tool_calls", "stop", "tool_use"])
def test_calls_without_arguments_get_an_empty_object(empty: object, reason: str) -> None:
    first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": empty}}
    second = {"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"x":1}'}}
    relay = stream()
    relay.feed(calls(first, second))
    deltas, out = relay.feed(chunk({}, finish_reason=reason))
    assert deltas[0] == CallDelta(0, arguments="{}")
    *filling, last = [json.loads(sse.data_of(raw) or b"") for raw in sse.Events().feed(out)]
    [[choice]] = [one["choices"] for one in filling]
    assert choice["delta"] == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    assert (choice["finish_reason"], filling[0]["id"]) == (None, last["id"])
    assert last["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize("reason", ["length", "content_filter", "MAX_TOKENS"])
def test_a_call_that_was_cut_off_gets_no_arguments(reason: str) -> None:
    relay = stream()
    relay.feed(calls({"index": 0, "id": "a", "function": {"name": "f"}}))
    end = chunk({}, finish_reason=reason)
    assert relay.feed(end)[1] == end
