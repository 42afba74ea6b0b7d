"""Content parts of every format mean the same."""

from typing import Any

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import (
    File,
    Foreign,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from addon.formats.tolerant.parts import arguments_of, cache_of, parts_of

PNG = "data:image/png;base64,AA=="
PDF = "data:application/pdf;base64,AA=="
BASE64 = {"type": "base64", "media_type": "image/png", "data": "AA=="}

CACHED = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        pytest.param(None, [], id="null"),
        pytest.param("", [], id="empty"),
        pytest.param([], [], id="no parts"),
        pytest.param("a", [Text("a")], id="string"),
        pytest.param(["a", {"text": "b"}], [Text("a"), Text("b")], id="bare"),
        pytest.param({"type": "text", "text": "a"}, [Text("a")], id="one part alone"),
        pytest.param([{"type": "text", "text": ""}], [], id="empty part"),
        pytest.param(7, [], id="number"),
        pytest.param([{"type": "input_text", "text": "a"}], [Text("a")], id="input_text"),
        pytest.param(
            [{"type": "output_text", "text": "a", "annotations": []}], [Text("a")], id="output_text"
        ),
        pytest.param([{"type": "refusal", "refusal": "no"}], [Refusal("no")], id="refusal"),
        pytest.param(
            [{"type": "image_url", "image_url": {"url": PNG}}], [Image(PNG)], id="chat image"
        ),
        pytest.param(
            [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}],
            [Image(PNG, detail="low")],
            id="detail",
        ),
        pytest.param(
            [{"type": "input_image", "image_url": PNG, "detail": "auto"}],
            [Image(PNG)],
            id="Responses image",
        ),
        pytest.param(
            [{"type": "input_image", "file_id": "f1"}], [Image(file_id="f1")], id="uploaded image"
        ),
        pytest.param([{"type": "image", "source": BASE64}], [Image(PNG)], id="Messages image"),
        pytest.param(
            [{"type": "image", "source": {"type": "url", "url": "https://x/y"}}],
            [Image("https://x/y")],
            id="image by URL",
        ),
        pytest.param(
            [{"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}],
            [File(PDF, name="a.pdf")],
            id="chat file",
        ),
        pytest.param(
            [{"type": "input_file", "file_url": "https://x/y"}],
            [File("https://x/y")],
            id="Responses file by URL",
        ),
        pytest.param(
            [{"type": "input_file", "file_id": "f1"}], [File(file_id="f1")], id="uploaded file"
        ),
        pytest.param(
            [
                {
                    "type": "document",
                    "title": "a",
                    "source": BASE64 | {"media_type": "application/pdf"},
                }
            ],
            [File(PDF, name="a")],
            id="Messages document",
        ),
        pytest.param(
            [
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "a"},
                }
            ],
            [Text("a")],
            id="text document",
        ),
        pytest.param(
            [
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "a"}]},
                }
                | CACHED
            ],
            [Text("a", "5m")],
            id="cached text document",
        ),
        pytest.param(
            [
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "a"}],
                }
            ],
            [Text("t\ns\na")],
            id="search result",
        ),
        pytest.param(
            [{"type": "thinking", "thinking": "r", "signature": "s"}],
            [Reasoning("r", "thinking", "s", "signature")],
            id="Messages thinking",
        ),
        pytest.param(
            [{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}],
            [Reasoning("r", "thinking")],
            id="Mistral thinking",
        ),
        pytest.param(
            [{"type": "redacted_thinking", "data": "d"}],
            [Reasoning("", "thinking", "d", "redacted_thinking")],
            id="redacted",
        ),
        pytest.param(
            [{"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}],
            [ToolCall("t", "f", '{"x":1}')],
            id="tool_use",
        ),
        pytest.param(
            [{"type": "tool_use", "id": "t", "name": "f", "input": {}} | CACHED],
            [ToolCall("t", "f", "{}", cache="5m")],
            id="cached tool_use",
        ),
        pytest.param(
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            [Text("a", "1h")],
            id="cached",
        ),
        pytest.param([{"type": "new_text", "text": "a"}], [Text("a")], id="unknown with a text"),
    ],
)
def test_a_part_is_read_in_the_words_of_any_format(content: Any, parts: list[Part]) -> None:
    assert parts_of(content) == parts


def test_what_only_one_format_knows_stays_as_it_is_for_its_upstreams() -> None:
    block = {"type": "new_tool_result", "text": "a"}
    assert parts_of([block, "b"], "messages") == [Foreign("messages", block), Text("b")]


def test_a_part_that_nobody_here_reads_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="'input_audio'"):
        parts_of([{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}])


@pytest.mark.parametrize(
    ("found", "arguments"),
    [("{}", "{}"), ("*** patch", "*** patch"), ({"x": 1}, '{"x":1}'), (None, ""), ([1], "[1]")],
)
def test_arguments_are_the_text_the_model_wrote_or_that_of_an_object(
    found: Any, arguments: str
) -> None:
    assert arguments_of(found) == arguments


@pytest.mark.parametrize(
    ("control", "cache"),
    [
        (None, ""),
        ({"type": "ephemeral"}, "5m"),
        ({"type": "ephemeral", "ttl": "1h"}, "1h"),
        ({"type": "x"}, ""),
        ("x", ""),
    ],
)
def test_a_cache_mark_says_how_long(control: Any, cache: str) -> None:
    assert cache_of({"cache_control": control}) == cache
