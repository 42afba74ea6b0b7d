"""Reasoning goes to a Responses upstream as the item, and with the state, that it had there."""

import json
from typing import Any

from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.turn import SUMMARY, Edit, Reasoning, Text, ToolCall
from tests.addon.formats.responses.test_patch_request import (
    CALL,
    MCP,
    RESULT,
    SAID,
    SHELL,
    SHELL_RESULT,
    USER,
    items_of,
    never,
    request,
    same,
    sent,
)

STATE = Reasoning("s", SUMMARY, "state", "encrypted_content", "rs_1")


def thought(state: str = "sealed", **more: Any) -> bytes:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": None,
    }
    if state:
        item["encrypted_content"] = state
    return json.dumps(item | more).encode()


def opening(**held: Reasoning | None) -> Unseal:
    return lambda copy: held[copy.opaque]


# -- what the client sends of it -------------------------------------------------------------------


def test_a_copy_is_opened_within_the_item() -> None:
    found = request(USER, thought(), SAID, unseal=opening(sealed=STATE))
    assert found.request.messages[1].parts[0] == STATE
    assert items_of(sent(found))[1:] == same(thought("state"), SAID)


def test_a_copy_is_opened_once() -> None:
    opened: list[str] = []

    def unseal(copy: Reasoning) -> Reasoning:
        opened.append(copy.opaque)
        return STATE

    found = request(thought(), SAID, USER, thought("other"), SAID, unseal=unseal)
    sent(found)
    sent(found)
    assert opened == ["sealed", "other"]


def test_a_client_that_drops_the_id_need_not_send_it() -> None:
    item = b'{"type":"reasoning","encrypted_content":"sealed","summary":[]}'
    assert items_of(sent(request(item, unseal=opening(sealed=STATE)))) == same(
        item.replace(b"sealed", b"state")
    )


def test_an_id_of_ours_becomes_the_upstreams() -> None:
    found = sent(request(thought(id="rs_ours"), unseal=opening(sealed=STATE)))
    assert items_of(found) == same(thought("state"))


def test_a_copy_that_does_not_open_is_left_out_with_its_item() -> None:
    found = request(USER, thought(), SAID, unseal=opening(sealed=None))
    assert items_of(sent(found)) == same(USER, SAID)
    assert [message.role for message in found.request.messages] == ["user", "assistant"]


def test_state_that_is_not_to_go_out_takes_its_item_along() -> None:
    found = request(USER, thought(), SAID, unseal=opening(sealed=STATE))
    assert items_of(sent(found, unusable=frozenset(["state"]))) == same(USER, SAID)


def test_what_was_thought_word_for_word_goes_without_its_state() -> None:
    content = [{"type": "reasoning_text", "text": "word", "new": 1}]
    held = Reasoning("word", "reasoning_text", "state", "encrypted_content", "rs_1")
    found = request(thought(content=content), unseal=opening(sealed=held))
    assert items_of(sent(found, unusable=frozenset(["state"]))) == same(
        thought("", content=content)
    )


def test_a_client_that_drops_what_was_thought_has_it_in_its_copy() -> None:
    held = Reasoning("word", "reasoning_text")
    found = sent(request(thought(), unseal=opening(sealed=held)))
    assert items_of(found) == same(
        thought("", content=[{"type": "reasoning_text", "text": "word"}])
    )


def test_what_was_shown_as_a_summary_goes_out_as_what_it_is() -> None:
    found = sent(
        request(
            thought(),
            unseal=opening(sealed=Reasoning("s", "reasoning_content", "sig", "signature")),
        )
    )
    expected = thought("", content=[{"type": "reasoning_text", "text": "s"}], summary=[])
    assert items_of(found) == same(expected)


def test_a_summary_without_state_is_not_looked_for_by_its_id() -> None:
    assert items_of(sent(request(thought("")))) == same(thought("").replace(b'"id": "rs_1", ', b""))


def test_reasoning_that_says_nothing_is_left_out() -> None:
    assert items_of(sent(request(USER, thought("", summary=[])))) == same(USER)


# -- restored reasoning ----------------------------------------------------------------------------


def restoring(
    *items: bytes, parts: list[Any], unseal: Unseal = never, **target: Any
) -> list[bytes]:
    found = request(USER, *items, unseal=unseal)
    return items_of(sent(found, edits={1: Edit(parts=tuple(parts))}, **target))


def test_reasoning_is_put_where_it_stood() -> None:
    call = ToolCall("call_ours", "f", '{ "a": 1}')
    other = Reasoning("", SUMMARY, "more", "encrypted_content", "rs_2")
    found = restoring(SAID, CALL, parts=[STATE, Text("hi"), other, call])
    first, said, second, called = found[1:]
    assert (said, called) == tuple(same(SAID, CALL))
    assert json.loads(first) == json.loads(thought("state").replace(b', "content": null', b""))
    assert json.loads(second) == {
        "type": "reasoning",
        "summary": [],
        "id": "rs_2",
        "encrypted_content": "more",
    }


def test_reasoning_that_follows_everything_is_put_behind() -> None:
    found = restoring(SAID, RESULT, parts=[Text("hi"), STATE])
    assert [json.loads(item)["type"] for item in found[1:]] == [
        "message",
        "reasoning",
        "function_call_output",
    ]


def test_what_the_client_sent_of_it_keeps_its_bytes_and_its_place() -> None:
    found = request(USER, thought(new=[1.0]), SAID, CALL, unseal=opening(sealed=STATE))
    parts = (STATE, Text("hi"), ToolCall("call_ours", "f", '{ "a": 1}'))
    assert sent(found, edits={1: Edit(parts=parts)}) == sent(found)


def test_a_lost_thought_goes_before_the_one_that_followed_it() -> None:
    lost = Reasoning("", SUMMARY, "lost", "encrypted_content", "rs_0")
    found = restoring(
        thought(), SAID, parts=[lost, STATE, Text("hi")], unseal=opening(sealed=STATE)
    )
    assert [json.loads(item).get("encrypted_content") for item in found] == [
        None,
        "lost",
        "state",
        None,
    ]


def test_a_thought_that_is_not_the_turns_is_taken_out() -> None:
    held = Reasoning("another", SUMMARY)
    found = restoring(thought(), SAID, parts=[STATE, Text("hi")], unseal=opening(sealed=held))
    assert [json.loads(item).get("encrypted_content") for item in found] == [None, "state", None]


def test_all_reasoning_is_taken_out_where_that_is_wanted() -> None:
    found = restoring(thought(), SAID, parts=[Text("hi")], unseal=opening(sealed=STATE))
    assert found == same(USER, SAID)


def test_a_thought_of_a_turn_that_was_read_as_one_with_the_next_stays() -> None:
    later = Reasoning("", SUMMARY, "later", "encrypted_content", "rs_2")
    copies = opening(sealed=STATE, sealed2=later)
    decided = b'{"type":"mcp_approval_response","approval_request_id":"mcpr_1","approve":true}'
    items = [thought(), MCP, decided, thought("sealed2", id="rs_2"), CALL]
    found = request(USER, *items, unseal=copies)
    assert len(found.request.messages) == 2
    wanted = (
        later,
        *(part for part in found.request.messages[1].parts if not isinstance(part, Reasoning)),
    )
    assert sent(found, edits={1: Edit(parts=wanted)}) == sent(found)


def test_the_result_of_a_tool_with_a_kind_of_its_own_parts_two_turns() -> None:
    later = Reasoning("", SUMMARY, "later", "encrypted_content", "rs_2")
    copies = opening(sealed=STATE, sealed2=later)
    items = [thought(), SHELL, SHELL_RESULT, thought("sealed2", id="rs_2"), CALL]
    found = request(USER, *items, unseal=copies)
    assert [message.role for message in found.request.messages] == [
        *("user", "assistant", "tool", "assistant"),
    ]
    assert found.request.messages[2].result_of == found.request.messages[1].calls[0].id


def test_plain_reasoning_is_restored_as_what_was_thought() -> None:
    found = items_of(sent(request(USER, SAID), edits={1: Edit({"reasoning_content": "word"})}))
    text = [{"type": "reasoning_text", "text": "word"}]
    assert json.loads(found[1]) == {"type": "reasoning", "summary": [], "content": text}
    assert found[2] == same(SAID)[0]


def test_restored_state_that_is_not_to_go_out_stays() -> None:
    assert restoring(SAID, parts=[STATE, Text("hi")], unusable=frozenset(["state"])) == same(
        USER, SAID
    )


def test_an_item_without_parts_stays_in_its_place() -> None:
    empty = b'{"type":"message","role":"assistant","content":[]}'
    found = restoring(empty, SAID, parts=[STATE, Text("hi")])
    assert (found[1], found[3]) == tuple(same(empty, SAID))
