"""Messages clients and Messages upstreams: asked, restored and answered as if everybody
spoke one format.
"""

import json
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from addon.formats.wire import sse
from shared.config.schema import ModelRewrite, Upstream
from tests.addon.desk import MODEL, Desk, error, open_exchange, reply_of, upstream, whole
from tests.addon.recall.chat import FIELD, Json
from tests.support.turns import Call, Turn

CALLING = Turn(
    reasoning="thought of a call",
    text="Let me see.",
    calls=(Call("call_0", "Read", '{"path": "a.py"}'),),
)
TOOL = {"name": "Read", "input_schema": {"type": "object"}}
ASKED = {"role": "user", "content": "fix it"}
CLAUDE = "claude-opus-5"
THINKING = {"type": "thinking", "thinking": "thought of it", "signature": "signed-by-claude"}
USING = {"type": "tool_use", "id": "toolu_theirs", "name": "Read", "input": {"path": "a.py"}}
JSON = {"content-type": "application/json"}


def anthropic(**settings: Any) -> Upstream:
    return upstream(
        "anthropic", **{"base_url": "https://api.anthropic.com", "api": "messages"} | settings
    )


def asked(desk: Desk, messages: list[Json], model: str = MODEL, **members: Any) -> Exchange:
    """A Messages client's request, opened."""
    intake = desk.intake({"anthropic-beta": "some-beta"}, path="/v1/messages")
    body = {"model": model, "max_tokens": 9000, "messages": messages, "tools": [TOOL], **members}
    return open_exchange(intake, json.dumps(body).encode())


def sent(exchange: Exchange) -> Json:
    found: Json = json.loads(exchange.outgoing.body)
    return found


def answered(exchange: Exchange, *content: Json) -> Json:
    """The upstream answers with these blocks; what the client gets."""
    usage = {"input_tokens": 5, "output_tokens": 3}
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": content,
    }
    stop = {
        "stop_reason": "tool_use" if USING in content else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    reply = reply_of(exchange.whole(200, JSON, json.dumps(body | stop).encode()))
    found: Json = json.loads(reply.body)
    return found


# -- Messages over Chat Completions ----------------------------------------------------------------


def using(content: list[Json]) -> list[Json]:
    """The turn and its tool's result."""
    call = next(block for block in content if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "fine"}
    return [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]


def test_a_thinking_client_gets_blocks_that_restore_their_reasoning_without_the_table(
    desk: Desk,
) -> None:
    content = json.loads(whole(asked(desk, [ASKED], thinking={"type": "adaptive"}), CALLING).body)[
        "content"
    ]
    assert [block["type"] for block in content] == ["thinking", "text", "tool_use"]
    assert (content[0]["thinking"], content[0]["signature"][:4]) == ("thought of a call", "tb1.")
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    messages = sent(asked(desk, [ASKED, *using(content)]))["messages"]
    assert messages[1][FIELD] == "thought of a call"


def test_a_client_that_sees_no_thinking_gets_its_reasoning_from_the_table(desk: Desk) -> None:
    content = json.loads(whole(asked(desk, [ASKED]), CALLING).body)["content"]
    assert [block["type"] for block in content] == ["text", "tool_use"]
    messages = sent(asked(desk, [ASKED, *using(content)]))["messages"]
    assert (messages[1][FIELD], messages[2]["tool_call_id"]) == ("thought of a call", "call_0")


def test_a_problem_is_told_as_messages_tells_it(desk: Desk) -> None:
    exchange = asked(desk, [ASKED])
    reply = reply_of(exchange.refused(400, JSON, error("no such parameter")))
    found = json.loads(reply.body)
    assert (found["type"], found["error"]["message"]) == ("error", "no such parameter")


# -- Messages upstreams ----------------------------------------------------------------------------


def chat(desk: Desk, messages: list[Json], **members: Any) -> Exchange:
    return desk.open(messages, model=CLAUDE, **members)


def thought_through(desk: Desk, exchange: Exchange) -> list[Json]:
    """A chat client's messages after a turn of thinking and a call, thinking dropped."""
    message = answered(exchange, THINKING, USING)["choices"][0]["message"]
    made = message["tool_calls"][0]["id"]
    bare = {key: kept for key, kept in message.items() if not key.startswith("reasoning")}
    return [ASKED, bare, {"role": "tool", "tool_call_id": made, "content": "fine"}]


def test_a_chat_request_reaches_anthropic_with_its_key_and_version(desk: Desk) -> None:
    rewrite = ModelRewrite(from_=CLAUDE, to=CLAUDE, effort="high")
    desk.upstreams = (anthropic(model_rewrites=(rewrite,)),)
    exchange = chat(desk, [{"role": "system", "content": "Be brief."}, ASKED], temperature=0.3)
    headers = dict(exchange.outgoing.headers)
    assert exchange.outgoing.target == "/v1/messages"
    assert (headers["x-api-key"], headers["anthropic-version"]) == (
        "sk-anthropic-secret",
        "2023-06-01",
    )
    assert "authorization" not in headers
    body = sent(exchange)
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    assert "temperature" not in body
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}


def test_thinking_that_a_chat_client_drops_is_restored_with_its_signature(desk: Desk) -> None:
    desk.upstreams = (anthropic(),)
    replayed = thought_through(desk, chat(desk, [ASKED]))
    turn = sent(chat(desk, replayed))["messages"][1]
    assert turn["content"] == [THINKING, USING]


def test_thinking_never_goes_to_another_account(desk: Desk) -> None:
    desk.upstreams = (anthropic(),)
    replayed = thought_through(desk, chat(desk, [ASKED]))
    desk.upstreams = (anthropic(api_keys=("sk-of-another-account",)),)
    assert [block["type"] for block in sent(chat(desk, replayed))["messages"][1]["content"]] == [
        "tool_use"
    ]


def test_thinking_that_is_refused_is_left_out_once_and_for_all(desk: Desk) -> None:
    desk.upstreams = (anthropic(),)
    replayed = thought_through(desk, chat(desk, [ASKED]))
    exchange = chat(desk, replayed)
    refusal = error("messages.1.content.0: The block is bound to a different conversation")
    assert exchange.refused(400, JSON, refusal) == Again()
    assert sent(exchange)["messages"][1]["content"] == [USING]
    answered(exchange, {"type": "text", "text": "Done."})
    assert sent(chat(desk, replayed))["messages"][1]["content"] == [USING]


def test_what_is_refused_twice_is_told(desk: Desk) -> None:
    desk.upstreams = (anthropic(),)
    exchange = chat(desk, thought_through(desk, chat(desk, [ASKED])))
    refusal = error("Invalid `signature` in `thinking` block")
    assert exchange.refused(400, JSON, refusal) == Again()
    reply = reply_of(exchange.refused(400, JSON, refusal))
    assert "Invalid `signature`" in json.loads(reply.body)["error"]["message"]


def test_a_turn_without_thinking_is_repaired_by_a_request_without_it(desk: Desk) -> None:
    desk.upstreams = (anthropic(),)
    elsewhere = {"role": "assistant", "content": "Elsewhere."}
    exchange = chat(desk, [ASKED, elsewhere, ASKED], reasoning_effort="high")
    refusal = error("Expected `thinking` or `redacted_thinking`, but found `tool_use`")
    assert exchange.refused(400, JSON, refusal) == Again()
    assert sent(exchange)["thinking"] == {"type": "disabled"}


def test_a_messages_clients_betas_reach_a_messages_upstream(desk: Desk) -> None:
    desk.upstreams = (anthropic(),)
    exchange = asked(desk, [ASKED], model=CLAUDE, thinking={"type": "adaptive"})
    assert dict(exchange.outgoing.headers)["anthropic-beta"] == "some-beta"
    content = answered(exchange, THINKING, USING)["content"]
    assert content[0]["thinking"] == THINKING["thinking"]
    replayed = sent(asked(desk, [ASKED, *using(content)], model=CLAUDE))["messages"][1]["content"]
    assert replayed == [THINKING, USING]


def test_an_answer_that_fails_at_once_begins_nothing(desk: Desk) -> None:
    desk.upstreams = (anthropic(), upstream("one"))
    exchange = asked(desk, [ASKED], model=CLAUDE, stream=True)
    answer = exchange.stream({})
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    out = answer.feed(sse.event(json.dumps(overloaded).encode(), "error"))
    assert (out, answer.error is not None) == (b"", True)


@pytest.mark.parametrize("stream", [True, False])
def test_a_messages_clients_stream_is_kept_alive_by_pings(desk: Desk, stream: bool) -> None:
    path = "/v1/messages" if stream else "/v1/chat/completions"
    exchange = open_exchange(
        desk.intake(path=path),
        json.dumps({"model": MODEL, "max_tokens": 9, "messages": [ASKED], "stream": True}).encode(),
    )
    answer = exchange.stream({})
    before = answer.keep_alive
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}
    answer.feed(sse.event(json.dumps(chunk).encode()))
    assert before == sse.KEEP_ALIVE
    assert (b"event: ping" in answer.keep_alive) == stream
