"""Stored items are listed as the Responses API lists them."""

from typing import Any

import pytest
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter

from addon.formats.neutral.problem import RequestError
from addon.formats.responses.listing import Query, listed, page, shown

type Json = dict[str, Any]

ITEMS: list[Json] = [{"id": f"msg_{at}", "type": "message"} for at in range(30)]
THOUGHT: Json = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "e"}


def ids(found: Json) -> list[str]:
    return [item["id"] for item in found["data"]]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"role": "user", "content": "hi"},
            {
                "id": "msg_ai0",
                "status": "completed",
                "content": [{"type": "input_text", "text": "hi"}],
            },
        ),
        (
            {
                "type": "message",
                "role": "assistant",
                "content": "yo",
                "id": "msg_1",
                "status": "incomplete",
            },
            {"id": "msg_1", "content": [{"type": "output_text", "text": "yo", "annotations": []}]},
        ),
        (
            {"type": "message", "role": "developer", "content": [], "id": None},
            {"id": "msg_ai0", "status": "completed"},
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"id": "fc_ai0", "status": "completed"},
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": ""},
            {"id": "fco_ai0", "status": "completed"},
        ),
        ({"type": "reasoning", "summary": []}, {"id": "rs_ai0", "status": "completed"}),
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
            {"id": "ctc_ai0", "status": "completed"},
        ),
    ],
    ids=["bare", "said", "developer's", "call", "result", "reasoning", "custom call"],
)
def test_what_a_client_may_leave_out_is_said(item: Json, expected: Json) -> None:
    (found,) = listed([item], "a")
    given = {key: kept for key, kept in item.items() if kept is not None}
    assert found == {"type": "message"} | given | expected
    TypeAdapter(ResponseItem).validate_python(found)


def test_what_only_an_upstream_knows_stays_as_it_came() -> None:
    assert listed([{"type": "compaction", "encrypted_content": "e"}], "a") == [
        {"type": "compaction", "encrypted_content": "e"}
    ]


@pytest.mark.parametrize(
    ("query", "first", "last", "more"),
    [
        ({}, "msg_29", "msg_10", True),
        ({"order": ["asc"]}, "msg_0", "msg_19", True),
        ({"limit": ["30"], "order": ["desc"]}, "msg_29", "msg_0", False),
        ({"limit": ["1"]}, "msg_29", "msg_29", True),
        ({"after": ["msg_10"]}, "msg_9", "msg_0", False),
        ({"after": ["msg_10"], "order": ["asc"]}, "msg_11", "msg_29", False),
    ],
    ids=str,
)
def test_a_page_is_what_the_query_asks_for(query: Query, first: str, last: str, more: bool) -> None:
    found = page(ITEMS, query)
    assert (found["object"], found["first_id"], found["last_id"], found["has_more"]) == (
        "list",
        first,
        last,
        more,
    )
    assert (ids(found)[0], ids(found)[-1]) == (first, last)


def test_pages_are_the_whole_list_once() -> None:
    found, query = page(ITEMS, {"limit": ["7"]}), {"limit": ["7"]}
    seen = ids(found)
    while found["has_more"]:
        found = page(ITEMS, query | {"after": [found["last_id"]]})
        seen += ids(found)
    assert seen == [item["id"] for item in reversed(ITEMS)]


def test_a_list_may_be_empty() -> None:
    found = page([], {})
    assert found == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "²"),
        ("limit", "-1"),
        ("order", "up"),
        ("after", "msg_99"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(name: str, given: str) -> None:
    with pytest.raises(RequestError) as refused:
        page(ITEMS, {name: [given]})
    assert (refused.value.problem.status, refused.value.problem.param) == (400, name)


@pytest.mark.parametrize("name", ["include", "include[]", "include[0]"])
def test_the_state_of_reasoning_is_shown_to_those_who_ask(name: str) -> None:
    assert shown([THOUGHT], {name: ["reasoning.encrypted_content"]}) == [THOUGHT]
    assert "encrypted_content" not in shown([THOUGHT], {name: ["file_search_call.results"]})[0]
    assert page([THOUGHT], {})["data"] == [{"id": "rs_1", "type": "reasoning", "summary": []}]
