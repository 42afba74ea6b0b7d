"""A replayed conversation is the same one in whichever format, and mixture of formats, it comes."""

from typing import Any

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import (
    SUMMARY,
    Foreign,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    message_of,
)
from addon.formats.tolerant.history import messages_and_sources, messages_of

PNG = "data:image/png;base64,AA=="
CALL, OTHER = ToolCall("c1", "Read", '{"path":"a"}'), ToolCall("c2", "Grep", "{}")
CONVERSATION = [
    message_of("system", [Text("be brief")]),
    message_of("user", [Text("look")]),
    message_of("assistant", [Reasoning("hm", "thinking"), Text("I read"), CALL, OTHER]),
    message_of("tool", [Text("one")], result_of="c1"),
    message_of("tool", [Text("two")], result_of="c2"),
    message_of("user", [Text("and now?")]),
]
CHAT_CALLS = [
    {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "Read", "arguments": '{"path":"a"}'},
    },
    {"index": 1, "id": "c2", "type": "function", "function": {"name": "Grep", "arguments": "{}"}},
]
CHAT = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "look"}]},
    {"role": "assistant", "content": "I read", "tool_calls": CHAT_CALLS, "reasoning_content": "hm"},
    {"role": "tool", "tool_call_id": "c1", "content": "one", "name": "Read"},
    {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
    {"role": "user", "content": "and now?"},
]
RESPONSES = [
    {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "be brief"}],
    },
    {"role": "user", "content": "look"},
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "I read"}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "Read",
        "arguments": '{"path":"a"}',
    },
    {"type": "function_call", "call_id": "c2", "name": "Grep", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {
        "type": "function_call_output",
        "call_id": "c2",
        "output": [{"type": "input_text", "text": "two"}],
    },
    {"role": "user", "content": "and now?"},
]
MESSAGES = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "look"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "I read"},
            {"type": "tool_use", "id": "c1", "name": "Read", "input": {"path": "a"}},
            {"type": "tool_use", "id": "c2", "name": "Grep", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
            {
                "type": "tool_result",
                "tool_use_id": "c2",
                "content": [{"type": "text", "text": "two"}],
            },
            {"type": "text", "text": "and now?"},
        ],
    },
]


def fields_apart(messages: list[Message]) -> list[Message]:
    """The messages with all reasoning under one name: each format has its own."""
    return [
        message_of(
            one.role,
            [
                Reasoning(part.text, "thinking") if isinstance(part, Reasoning) else part
                for part in one.parts
            ],
            result_of=one.result_of,
        )
        for one in messages
    ]


@pytest.mark.parametrize(
    ("items", "joined"),
    [(CHAT, False), (RESPONSES, True), (MESSAGES, False)],
    ids=["chat", "responses", "messages"],
)
def test_a_conversation_is_read_alike_in_every_format(items: list[Any], joined: bool) -> None:
    assert fields_apart(messages_of(items, joined=joined)) == CONVERSATION


def test_items_among_chat_messages_belong_to_the_message_before_them() -> None:
    found = messages_of(
        [*CHAT[:2], {"role": "assistant", "content": "I read"}, *RESPONSES[4:6], *CHAT[3:]],
        joined=False,
    )
    assert [message.role for message in found] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert found[2].calls == (CALL, OTHER)


def test_assistant_messages_are_one_turn_only_where_the_format_splits_turns() -> None:
    two = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert [message.text for message in messages_of(two, joined=False)] == ["a", "b"]
    assert [message.text for message in messages_of(two, joined=True)] == ["ab"]


def test_text_after_calls_stays_there() -> None:
    items = [RESPONSES[5], {"type": "message", "role": "assistant", "content": "done"}]
    assert messages_of(items, joined=True)[0].parts == (OTHER, Text("done"))


@pytest.mark.parametrize(
    ("item", "part"),
    [
        pytest.param(
            {
                "type": "custom_tool_call",
                "call_id": "c",
                "name": "ApplyPatch",
                "input": "*** Begin",
            },
            ToolCall("c", "ApplyPatch", "*** Begin", custom=True),
            id="custom call",
        ),
        pytest.param(
            {
                "type": "reasoning",
                "id": "rs",
                "summary": [{"text": "a"}, {"text": "b"}],
                "encrypted_content": "e",
            },
            Reasoning("a\n\nb", SUMMARY, "e", "encrypted_content", "rs"),
            id="encrypted reasoning",
        ),
        pytest.param(
            {"type": "web_search_call", "id": "ws"},
            Foreign("responses", {"type": "web_search_call", "id": "ws"}),
            id="hosted",
        ),
        pytest.param({"role": "assistant", "refusal": "no"}, Refusal("no"), id="refusal"),
        pytest.param(
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            ToolCall("", "f", "{}"),
            id="legacy",
        ),
        pytest.param(
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "custom", "custom": {"name": "f", "input": "raw"}}
                ],
            },
            ToolCall("c", "f", "raw", custom=True),
            id="custom in chat",
        ),
    ],
)
def test_every_kind_of_thing_a_turn_holds_is_read(item: dict[str, Any], part: object) -> None:
    assert messages_of([item], joined=True)[0].parts == (part,)


def test_a_failed_result_with_a_picture_is_read_whole() -> None:
    block = {
        "type": "tool_result",
        "tool_use_id": "c1",
        "is_error": True,
        "content": [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
            }
        ],
        "cache_control": {"type": "ephemeral"},
    }
    (found,) = messages_of([{"role": "user", "content": [block]}], joined=False)
    assert found == message_of("tool", [Image(PNG)], result_of="c1", failed=True, cache="5m")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"type": "item_reference", "id": "rs_1"}, "item_not_found"),
        ({"role": "robot", "content": "a"}, "invalid_role"),
        ({}, "invalid_role"),
        ({"role": "user"}, "missing_content"),
        ({"type": "message", "role": "system", "content": 7}, "missing_content"),
    ],
    ids=str,
)
def test_what_can_not_be_read_is_refused(item: dict[str, Any], code: str) -> None:
    with pytest.raises(RequestError) as refused:
        messages_of([item], joined=True)
    assert (refused.value.problem.status, refused.value.problem.code) == (400, code)


def test_an_empty_assistant_message_is_a_message() -> None:
    assert messages_of([{"role": "assistant", "content": ""}], joined=False) == [
        message_of("assistant", [])
    ]


def test_of_reasoning_under_two_names_the_one_that_says_something_counts() -> None:
    said = {"role": "assistant", "reasoning_content": "", "reasoning": "r"}
    assert messages_of([said], joined=False)[0].reasoning == (("reasoning", "r"),)


def test_blocks_that_only_messages_knows_stay_as_they_are_where_it_is_spoken() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [{"type": "tool_reference", "tool_name": "f"}],
    }
    items = [
        {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s"}]},
        {"role": "user", "content": [result, {"type": "container_upload", "file_id": "f"}]},
    ]
    found = messages_of(items, joined=False, foreign="messages")
    kinds = [
        part.item["type"]
        for message in found
        for part in message.parts
        if isinstance(part, Foreign)
    ]
    assert kinds == ["server_tool_use", "tool_reference", "container_upload"]
    with pytest.raises(RequestError):
        messages_of(items, joined=False)


def test_each_message_knows_its_items() -> None:
    items: list[Any] = [RESPONSES[0], 7, *RESPONSES[1:]]
    messages, sources = messages_and_sources(items, joined=True)
    assert messages == messages_of(RESPONSES, joined=True)
    assert sources == [[0], [2], [3, 4, 5, 6], [7], [8], [9]]


def test_an_unknown_item_with_an_unknown_role_stays_as_it_is() -> None:
    item = {"type": "novel", "role": "stranger"}
    assert messages_of([item], joined=True) == [
        message_of("assistant", [Foreign("responses", item)])
    ]
