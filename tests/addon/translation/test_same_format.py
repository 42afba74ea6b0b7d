"""A request is patched for an upstream of its format, and translated for another."""

import json
from typing import Any

import pytest

from addon.exchange.verdict import Again, Reply
from tests.addon.desk import MODEL, Desk, open_exchange, reply_of, upstream

type Json = dict[str, Any]

HI: Json = {"role": "user", "content": "hi"}
BILLING = "x-anthropic-billing-header: cc_version=2.1; cch=abcde;"
MIXED: dict[str, Json] = {
    "responses": {"model": MODEL, "input": [HI, {"type": "x_item"}], "x_member": 1.0},
    "messages": {"model": MODEL, "max_tokens": 9, "messages": [HI], "x_member": 1.0},
}


def sent(desk: Desk, path: str, body: Json, **headers: str) -> Json:
    call = desk.intake(headers, path=path).open(json.dumps(body).encode())
    assert not isinstance(call, Reply)
    found: Json = json.loads(call.outgoing.body)
    return found


@pytest.mark.parametrize("wire_format", MIXED)
def test_each_attempt_passes_or_translates_for_its_own_upstream(
    desk: Desk, wire_format: str
) -> None:
    desk.upstreams = (upstream("one", api=wire_format), upstream("two", api="chat"))
    body = MIXED[wire_format]
    if wire_format == "responses":
        body = body | {"input": [HI]}
    intake = desk.intake(path=f"/v1/{wire_format}")
    exchange = open_exchange(intake, json.dumps(body).encode())
    assert json.loads(exchange.outgoing.body)["x_member"] == 1.0
    assert exchange.unreachable("no route") == Again()
    translated = json.loads(exchange.outgoing.body)
    assert translated["messages"] == [HI]
    assert "x_member" not in translated
    message = {"role": "assistant", "content": "hello"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answer = json.dumps({"model": MODEL, "choices": choices}).encode()
    said = json.loads(reply_of(exchange.whole(200, {}, answer)).body)
    blocks = said["output"][0]["content"] if wire_format == "responses" else said["content"]
    assert [block["text"] for block in blocks] == ["hello"]


def test_items_of_another_format_are_translated_for_a_responses_upstream(desk: Desk) -> None:
    desk.upstreams = (upstream(api="responses"),)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    shaped = [
        HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    found = sent(desk, "/v1/responses", {"model": MODEL, "input": shaped})
    kinds = ["message", "function_call", "function_call_output"]
    assert [item.get("type") for item in found["input"]] == kinds


@pytest.mark.parametrize(
    ("host", "lines"), [("https://api.anthropic.com", 1), ("https://elsewhere.example", 0)]
)
def test_only_anthropic_gets_the_line_that_bills(desk: Desk, host: str, lines: int) -> None:
    desk.upstreams = (upstream(api="messages", base_url=host),)
    system = [{"type": "text", "text": BILLING}, {"type": "text", "text": "Be brief."}]
    body = {"model": "claude-sonnet-4-6", "max_tokens": 9, "system": system, "messages": [HI]}
    assert sent(desk, "/v1/messages", body)["system"] == system[1 - lines :]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("system", [f"{BILLING}\n\nBe brief.", [BILLING, "Be brief."]], ids=str)
def test_no_other_format_gets_the_line_that_bills(desk: Desk, api: Any, system: Any) -> None:
    desk.upstreams = (upstream(api=api),)
    if isinstance(system, list):
        system = [{"type": "text", "text": text} for text in system]
    body = {"model": MODEL, "max_tokens": 9, "system": system, "messages": [HI]}
    told = json.dumps(sent(desk, "/v1/messages", body))
    assert "Be brief." in told
    assert "billing" not in told


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "deepseek-v4-pro"])
def test_no_messages_upstream_gets_half_of_a_character(desk: Desk, model: str) -> None:
    desk.upstreams = (upstream(api="messages"),)
    asked = [{"role": "user", "content": "\ud83d"}]
    body = {"model": model, "max_tokens": 9, "messages": asked}
    assert sent(desk, "/v1/messages", body)["messages"][0]["content"] == "\ufffd"


def test_a_question_for_tokens_keeps_what_nobody_knows(desk: Desk) -> None:
    desk.upstreams = (upstream(api="messages"),)
    body = MIXED["messages"] | {"mcp_servers": [], "stream": True}
    found = sent(desk, "/v1/messages/count_tokens", body)
    assert found == {"model": MODEL, "messages": [HI], "x_member": 1.0, "mcp_servers": []}
