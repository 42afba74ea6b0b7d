"""Messages are written as the items of a Responses input."""

from typing import Any

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import (
    SUMMARY,
    File,
    Foreign,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    message_of,
)
from addon.formats.responses.items import items_of
from addon.formats.tolerant.items import item_parts

type Json = dict[str, Any]

PNG = "data:image/png;base64,AA=="
OUTPUT = {"type": "output_text", "text": "a", "annotations": []}
SAID = {"type": "message", "role": "assistant", "content": [OUTPUT]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("message", "items"),
    [
        pytest.param(
            message_of("system", [Text("a")]),
            [
                {
                    "type": "message",
                    "role": "system",
                    "content": [{"type": "input_text", "text": "a"}],
                }
            ],
            id="system",
        ),
        pytest.param(
            message_of(
                "user",
                [Text("a"), Image(PNG), Image(file_id="f", detail="low"), File("data:x", name="n")],
            ),
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "a"},
                        {"type": "input_image", "detail": "auto", "image_url": PNG},
                        {"type": "input_image", "detail": "low", "file_id": "f"},
                        {"type": "input_file", "file_data": "data:x", "filename": "n"},
                    ],
                }
            ],
            id="user",
        ),
        pytest.param(
            message_of("user", []),
            [{"type": "message", "role": "user", "content": ""}],
            id="nothing",
        ),
        pytest.param(
            message_of("user", [File("https://x")]),
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_file", "file_url": "https://x"}],
                }
            ],
            id="file by URL",
        ),
        pytest.param(
            message_of(
                "assistant", [Text("a"), Refusal("no"), ToolCall("c", "f", "{}"), Text("a")]
            ),
            [SAID | {"content": [OUTPUT, {"type": "refusal", "refusal": "no"}]}, CALL, SAID],
            id="in order",
        ),
        pytest.param(
            message_of("assistant", [ToolCall("c", "f", "raw", custom=True)]),
            [{"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "raw"}],
            id="custom",
        ),
        pytest.param(
            message_of("assistant", [Reasoning("told", SUMMARY, "e", "encrypted_content", "rs")]),
            [
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "told"}],
                    "id": "rs",
                    "encrypted_content": "e",
                }
            ],
            id="encrypted",
        ),
        pytest.param(
            message_of("assistant", [Reasoning("r", "reasoning_content")]),
            [
                {
                    "type": "reasoning",
                    "summary": [],
                    "content": [{"type": "reasoning_text", "text": "r"}],
                }
            ],
            id="quoted",
        ),
        pytest.param(
            message_of("assistant", [Reasoning("", SUMMARY)]), [], id="reasoning that says nothing"
        ),
        pytest.param(
            message_of("assistant", [Foreign("responses", {"type": "x"})]),
            [{"type": "x"}],
            id="foreign",
        ),
        pytest.param(
            message_of("tool", [Text("a")], result_of="c"),
            [{"type": "function_call_output", "call_id": "c", "output": "a"}],
            id="result",
        ),
        pytest.param(
            message_of("tool", [], result_of="c"),
            [{"type": "function_call_output", "call_id": "c", "output": ""}],
            id="empty result",
        ),
        pytest.param(
            message_of("tool", [Text("a"), Image(PNG)], result_of="c"),
            [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [
                        {"type": "input_text", "text": "a"},
                        {"type": "input_image", "detail": "auto", "image_url": PNG},
                    ],
                }
            ],
            id="result with a picture",
        ),
    ],
)
def test_a_message_is_written_as_items(message: Message, items: list[Json]) -> None:
    assert list(items_of([message])) == items


def test_the_result_of_a_custom_call_is_one_of_its_kind() -> None:
    turn = message_of(
        "assistant", [ToolCall("c", "f", "raw", custom=True), ToolCall("d", "g", "{}")]
    )
    results = [message_of("tool", [Text("a")], result_of=one) for one in ("c", "d")]
    kinds = [item["type"] for item in items_of([turn, *results])]
    assert kinds == [
        "custom_tool_call",
        "function_call",
        "custom_tool_call_output",
        "function_call_output",
    ]


@pytest.mark.parametrize(
    "message",
    [
        message_of("user", [ToolCall("c", "f", "")]),
        message_of("assistant", [Image(PNG)]),
        message_of("assistant", [Foreign("messages", {"type": "server_tool_use"})]),
    ],
    ids=["a user's call", "an assistant's picture", "of another format"],
)
def test_what_responses_has_no_place_for_is_refused(message: Message) -> None:
    with pytest.raises(RequestError) as refused:
        list(items_of([message]))
    assert refused.value.problem.status == 400


def test_a_state_that_is_not_of_this_format_is_not_sent() -> None:
    (item,) = items_of([message_of("assistant", [Reasoning("r", "thinking", "s", "signature")])])
    assert "encrypted_content" not in item


@pytest.mark.parametrize("item", [SAID, CALL], ids=["message", "call"])
def test_an_item_is_read_as_it_was_written(item: Json) -> None:
    assert list(items_of([message_of("assistant", item_parts(item))])) == [item]
