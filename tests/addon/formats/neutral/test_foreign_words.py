"""What only one format can say reaches the others in words."""

from typing import Any

import pytest

from addon.formats.neutral.foreign_words import words_of
from addon.formats.neutral.problem import RequestError


@pytest.mark.parametrize(
    ("item", "lines"),
    [
        pytest.param(
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {
                    "type": "search",
                    "query": "weather in Paris",
                    "sources": [{"type": "url", "url": "https://example.org"}],
                },
            },
            ["[web_search_call]", "query: weather in Paris", "url: https://example.org"],
            id="a search of Responses",
        ),
        pytest.param(
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": "Paris",
                        "url": "https://example.org",
                        "encrypted_content": "b3BhcXVl",
                    }
                ],
            },
            ["[web_search_tool_result]", "title: Paris", "url: https://example.org"],
            id="what a search of Messages found",
        ),
        pytest.param(
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "container_id": "cntr_1",
                "code": "1 + 1",
                "outputs": [{"type": "logs", "logs": "2"}],
            },
            ["[code_interpreter_call]", "code: 1 + 1", "logs: 2"],
            id="code and its output",
        ),
        pytest.param(
            {
                "type": "file_search_call",
                "queries": ["a", "b"],
                "results": [{"filename": "a.md", "text": "all of it", "score": 0.5}],
            },
            ["[file_search_call]", "queries: a", "queries: b", "filename: a.md", "all of it"],
            id="files",
        ),
        pytest.param(
            {"type": "image_generation_call", "result": "aGk=" * 200, "revised_prompt": "a cat"},
            ["[image_generation_call]", "revised_prompt: a cat"],
            id="a picture",
        ),
        pytest.param(
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False},
            ["[mcp_approval_response]", "approval_request_id: mcpr_1", "approve: False"],
            id="a decision",
        ),
        pytest.param(
            {"type": "compaction", "content": "They greeted.", "encrypted_content": "b3BhcXVl"},
            ["[compaction]", "They greeted."],
            id="a summary",
        ),
        pytest.param({"type": "unknown", "payload": "x" * 501}, ["[unknown]"], id="no text"),
    ],
)
def test_the_essential_contents_are_said(item: dict[str, Any], lines: list[str]) -> None:
    assert words_of(item).strip().splitlines() == lines


def test_a_tool_that_was_found_is_named() -> None:
    assert "'mcp__x__y'" in words_of({"type": "tool_reference", "tool_name": "mcp__x__y"})


def test_a_compaction_that_failed_says_nothing() -> None:
    assert words_of({"type": "compaction", "content": None}) == ""


def test_the_words_are_bounded() -> None:
    assert len(words_of({"type": "mcp_call", "output": "many words " * 10_000})) < 9_000


@pytest.mark.parametrize(
    "item",
    [
        {"type": "compaction", "encrypted_content": "b3BhcXVl"},
        {"type": "compaction_trigger"},
        {"type": "compaction", "content": None, "encrypted_content": "b3BhcXVl"},
    ],
    ids=str,
)
def test_a_conversation_that_only_its_maker_can_read_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="compact"):
        words_of(item)


def test_an_item_of_any_depth_is_said_in_words() -> None:
    deep: Any = "too deep"
    for _ in range(5_000):
        deep = [deep]
    assert words_of({"type": "mcp_call", "name": "look", "output": deep}).split() == [
        *("[mcp_call]", "name:", "look"),
    ]
