"""Any conversation is one of alternating messages and blocks."""

import json
from typing import Any

import pytest

from addon.formats.messages.blocks import cache_control, conversation, input_of
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import (
    File,
    Foreign,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    message_of,
)
from addon.formats.wire.splice import json_text

type Json = dict[str, Any]

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}


def given(*messages: Message, **abilities: Any) -> tuple[Any, list[Json]]:
    return conversation(list(messages), Abilities(**abilities))


def blocks_of(part: Part, **abilities: Any) -> list[Json]:
    """The blocks of an assistant's message that says something besides, as they are sent."""
    _, (message,) = given(message_of("assistant", [part, Text("a", "5m")]), **abilities)
    found: list[Json] = json.loads(json_text(message["content"]))[:-1]
    return found


def test_what_follows_each_other_is_one_message_with_results_first() -> None:
    _, messages = given(
        message_of("user", [Text("a")]),
        message_of("assistant", [Text("b")]),
        message_of("assistant", [ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")]),
        message_of("tool", [Text("r1")], result_of="c1"),
        message_of("user", [Text("d")]),
        message_of(
            "tool",
            [Text("r2"), Image("data:image/png;base64,AA==")],
            result_of="c2",
            failed=True,
            cache="1h",
        ),
    )
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert [block["type"] for block in messages[1]["content"]] == ["text", "tool_use", "tool_use"]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "r1"},
        {
            "type": "tool_result",
            "tool_use_id": "c2",
            "content": [{"type": "text", "text": "r2"}, PNG],
            "is_error": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "text", "text": "d"},
    ]


def test_what_the_system_says_first_stands_apart_and_later_the_user_says_it() -> None:
    system = message_of("system", [Text("s")])
    user, assistant = message_of("user", [Text("a")]), message_of("assistant", [Text("b")])
    assert given(system, user)[0] == "s"
    assert given(system, message_of("system", [Text("t")]), user)[0] == [
        {"type": "text", "text": "s"},
        {"type": "text", "text": "t"},
    ]
    assert given(user, assistant, system)[1][2] == {"role": "user", "content": "s"}
    assert given(user, assistant, system, system_messages=True)[1][2] == {
        "role": "system",
        "content": "s",
    }


def test_blanks_are_left_out_with_the_messages_they_leave_empty() -> None:
    _, messages = given(
        message_of("user", [Text("a")]),
        message_of("assistant", [Text("\n\n")]),
        message_of("user", [Text("b")]),
    )
    assert messages == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]
    result = message_of("tool", [Text(" ")], result_of="c")
    assert given(result)[1] == [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]}
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        pytest.param(
            Text("a", "1h"), {"type": "text", "text": "a", **cache_control("1h")}, id="cached text"
        ),
        pytest.param(Refusal("no"), {"type": "text", "text": "no"}, id="refusal"),
        pytest.param(Image("data:image/png;base64,AA=="), PNG, id="image"),
        pytest.param(Image("data:image/png;x=y;base64,AA=="), PNG, id="image with parameters"),
        pytest.param(
            Image("https://x/y"),
            {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
            id="image by URL",
        ),
        pytest.param(
            Image(file_id="f"),
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            id="uploaded image",
        ),
        pytest.param(
            File("data:application/pdf;base64,AA==", name="a.pdf", cache="5m"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "a.pdf",
                "cache_control": {"type": "ephemeral"},
            },
            id="document",
        ),
        pytest.param(
            ToolCall("functions.read:0", "read", '{"x": 1}', cache="5m"),
            {
                "type": "tool_use",
                "id": "functions_read_0",
                "name": "read",
                "input": {"x": 1},
                "cache_control": {"type": "ephemeral"},
            },
            id="call",
        ),
        pytest.param(
            Reasoning("r", "thinking", "s", "signature"),
            {"type": "thinking", "thinking": "r", "signature": "s"},
            id="signed",
        ),
        pytest.param(
            Reasoning("", "thinking", "d", "redacted_thinking"),
            {"type": "redacted_thinking", "data": "d"},
            id="redacted",
        ),
        pytest.param(Foreign("messages", SEARCH), SEARCH, id="foreign"),
    ],
)
def test_a_part_is_a_block(part: Part, block: Json) -> None:
    assert blocks_of(part) == [block]


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        (Reasoning("r", "reasoning_content"), [{"type": "thinking", "thinking": "r"}]),
        (Reasoning("", "reasoning_content"), [{"type": "thinking", "thinking": ""}]),
        (Reasoning("s", "summary"), []),
        (Reasoning("", "summary", "e", "encrypted_content"), []),
    ],
    ids=str,
)
def test_thinking_without_a_signature_goes_to_those_who_take_it(
    part: Part, blocks: list[Json]
) -> None:
    assert blocks_of(part) == []
    assert blocks_of(part, unsigned_thinking=True) == blocks


def test_ids_are_mended_alike_in_calls_and_results() -> None:
    result = given(message_of("tool", [], result_of="functions.read:0"))[1][0]["content"][0]
    assert result["tool_use_id"] == blocks_of(ToolCall("functions.read:0", "f", "{}"))[0]["id"]


@pytest.mark.parametrize(
    "part",
    [Foreign("responses", {"type": "web_search_call"}), Image("data:image/png,raw")],
    ids=["foreign", "not base64"],
)
def test_what_has_no_place_is_refused(part: Part) -> None:
    with pytest.raises(RequestError) as refusal:
        blocks_of(part)
    assert refusal.value.problem.status == 400


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"x": 1}', {"x": 1}),
        (' {"x":1}\n', {"x": 1}),
        ("", {}),
        (" ", {}),
        ("{cut", {"input": "{cut"}),
        ("*** patch", {"input": "*** patch"}),
        ("[1]", {"input": "[1]"}),
    ],
)
def test_arguments_are_an_object_whatever_they_are(arguments: str, given: Json) -> None:
    assert input_of(arguments) == given


def test_arguments_of_more_values_than_any_model_writes_are_refused_before_they_are_made() -> None:
    many = "{" + ",".join(f'"k{number}":1' for number in range(100_001)) + "}"
    with pytest.raises(RequestError) as refusal:
        blocks_of(ToolCall("call_1", "Read", many))
    assert refusal.value.problem.status == 413


@pytest.mark.parametrize(
    "arguments",
    ['{"x": 1}', '{"x":1.10,"y":12345678901234567890123}', '{"x":{"x":[]},"x":2}', "{}"],
)
def test_arguments_are_sent_as_they_came(arguments: str) -> None:
    _, (message,) = given(message_of("assistant", [ToolCall("c", "read", arguments)]))
    assert arguments.encode() in json_text(message["content"])


def test_arguments_are_the_same_beside_a_name_that_is_no_text() -> None:
    _, (message,) = given(message_of("assistant", [ToolCall("c\ud800", "read", '{"x":[1]}')]))
    [block] = json.loads(json_text(message["content"]))
    assert block["input"] == {"x": [1]}
