"""Requests whose client and upstream speak different formats: asked, restored and answered
as if they spoke one.
"""

import json
from random import Random
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.formats.wire import sse
from shared.config.schema import ModelRewrite, Upstream
from shared.model import Principal
from tests.addon.desk import MODEL, Desk, Refused, open_exchange, reply_of, upstream, whole
from tests.addon.recall.chat import FIELD, Json
from tests.support.turns import Call, Turn, events

CALLING = Turn(
    reasoning="thought of a call",
    text="Let me see.",
    calls=(Call("call_0", "Read", '{"path": "a.py"}'),),
)
SAYING = Turn(reasoning="thought of words", text="All of it is done.")
TOOL = {"type": "function", "name": "Read", "parameters": {"type": "object"}}
ASKED = {"role": "user", "content": "fix it"}


def azure(**settings: Any) -> Upstream:
    given = {
        "base_url": "https://res.openai.azure.com/openai/v1",
        "api": "responses",
        "models": ("gpt-5",),
    }
    return upstream("azure", **given | settings)


def asked(desk: Desk, items: list[Json], **members: Any) -> Exchange:
    """A Responses client's request, opened."""
    return open_exchange(
        desk.intake(path="/v1/responses"),
        json.dumps({"model": MODEL, "input": items, "tools": [TOOL], **members}).encode(),
    )


def output(exchange: Exchange, turn: Turn) -> list[Json]:
    """The items a Responses client gets."""
    return list(json.loads(whole(exchange, turn).body)["output"])


def sent(exchange: Exchange) -> Json:
    found: Json = json.loads(exchange.outgoing.body)
    return found


def carried(exchange: Exchange) -> list[str | None]:
    return [
        message.get(FIELD)
        for message in sent(exchange)["messages"]
        if message["role"] == "assistant"
    ]


def result(items: list[Json]) -> Json:
    call = next(item for item in items if item["type"] == "function_call")
    return {"type": "function_call_output", "call_id": call["call_id"], "output": "fine"}


# -- Responses over Chat Completions ---------------------------------------------------------------


def test_a_responses_request_reaches_a_chat_upstream_as_chat(desk: Desk) -> None:
    body = sent(asked(desk, [ASKED], instructions="Be brief.", max_output_tokens=7))
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["tools"][0]["function"]["name"], body["max_tokens"]) == ("Read", 7)
    assert desk.upstreams[0].target(MODEL) == "/v1/chat/completions"


def test_what_a_chat_upstream_thought_is_restored_for_a_responses_client(desk: Desk) -> None:
    items = output(asked(desk, [ASKED]), CALLING)
    assert [item["type"] for item in items] == ["reasoning", "message", "function_call"]
    bare = [item for item in items if item["type"] != "reasoning"]
    exchange = asked(desk, [ASKED, *bare, result(items)])
    assert carried(exchange) == ["thought of a call"]
    assert sent(exchange)["messages"][-1]["tool_call_id"] == "call_0"


def test_a_client_that_carries_its_copy_needs_no_table(desk: Desk) -> None:
    items = output(asked(desk, [ASKED], include=["reasoning.encrypted_content"]), CALLING)
    assert "thought of a call" not in items[0]["encrypted_content"]
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    assert carried(asked(desk, [ASKED, *items, result(items)])) == ["thought of a call"]


def test_a_copy_made_for_somebody_else_is_left_out(desk: Desk) -> None:
    items = output(asked(desk, [ASKED], include=["reasoning.encrypted_content"]), SAYING)
    other = open_exchange(
        desk.intake(
            principal=Principal(id="user:2", name="eve", key_suffix="x"), path="/v1/responses"
        ),
        json.dumps({"model": MODEL, "input": [ASKED, *items, ASKED], "tools": [TOOL]}).encode(),
    )
    assert carried(other) == [""]


def test_a_streamed_answer_is_the_grammar_of_responses(desk: Desk) -> None:
    exchange = asked(desk, [ASKED], stream=True)
    answer = exchange.stream({})
    out = b"".join(map(answer.feed, chat_events(SAYING)))
    kinds = [json.loads(sse.data_of(raw) or b"{}")["type"] for raw in sse.Events().feed(out)]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in kinds
    assert answer.done


def chat_events(turn: Turn) -> list[bytes]:
    return events(turn, MODEL, Random(1), usage=True)


def test_a_stream_that_breaks_ends_as_a_failed_response(desk: Desk) -> None:
    exchange = asked(desk, [ASKED], stream=True)
    answer = exchange.stream({})
    out = answer.feed(chat_events(SAYING)[2])
    answer.end()
    assert answer.error is not None
    out += exchange.failed_end(exchange.stream_problem(answer.error))
    last = sse.Events().feed(out)[-1]
    assert json.loads(sse.data_of(last) or b"")["type"] == "response.failed"


def test_a_hosted_tool_is_refused_by_name(desk: Desk) -> None:
    with pytest.raises(Refused, match="web_search"):
        asked(desk, [ASKED], tools=[{"type": "web_search"}])


def test_a_hosted_tool_beside_others_is_left_out_with_a_note(desk: Desk) -> None:
    exchange = asked(desk, [ASKED], tools=[TOOL, {"type": "web_search"}])
    assert [tool["function"]["name"] for tool in sent(exchange)["tools"]] == ["Read"]
    whole(exchange, SAYING)
    assert "'web_search' was left out" in exchange.outcome().notes[0]


def test_an_operator_may_have_every_hosted_tool_refused(desk: Desk) -> None:
    desk.upstreams = (upstream("one", hosted_tools="refuse"),)
    with pytest.raises(Refused, match="web_search"):
        asked(desk, [ASKED], tools=[TOOL, {"type": "web_search"}])


def test_a_request_for_nothing_but_a_search_is_refused(desk: Desk) -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    body = {"model": MODEL, "max_tokens": 9, "messages": [ASKED], "tools": [search]}
    with pytest.raises(Refused, match="web_search_20250305"):
        open_exchange(desk.intake(path="/v1/messages"), json.dumps(body).encode())


def test_a_call_of_a_tool_with_a_kind_of_its_own_gets_its_thought_back(desk: Desk) -> None:
    tools = [{"type": "local_shell"}]
    ran = Turn(
        reasoning="thought of a call", calls=(Call("call_0", "local_shell", '{"command": ["ls"]}'),)
    )
    [call] = [
        item
        for item in output(asked(desk, [ASKED], tools=tools), ran)
        if item["type"] == "local_shell_call"
    ]
    listed = {"type": "local_shell_call_output", "call_id": call["call_id"], "output": "a.py"}
    exchange = asked(desk, [ASKED, call, listed], tools=tools)
    assert carried(exchange) == ["thought of a call"]
    function = sent(exchange)["messages"][1]["tool_calls"][0]
    assert function["id"] == "call_0"
    assert function["function"] == {"name": "local_shell", "arguments": '{"command":["ls"]}'}


def test_a_request_goes_on_from_an_answer_and_what_was_thought_of_it(desk: Desk) -> None:
    told = json.loads(whole(asked(desk, [ASKED]), CALLING).body)
    desk.memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    desk.restart()
    exchange = asked(desk, [result(told["output"])], previous_response_id=told["id"])
    assert carried(exchange) == ["thought of a call"]
    assert [message["role"] for message in sent(exchange)["messages"]] == [
        "user",
        "assistant",
        "tool",
    ]


def test_nobody_goes_on_from_an_answer_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(Refused, match="'resp_1' not found"):
        asked(desk, [ASKED], previous_response_id="resp_1")


# -- Chat Completions over Responses ---------------------------------------------------------------

ENCRYPTED = "gAAAA-state-of-the-upstream"
ITEMS: list[Json] = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": ENCRYPTED},
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_theirs",
        "name": "Read",
        "arguments": "{}",
    },
]


def chat(desk: Desk, messages: list[Json], model: str = "gpt-5", **members: Any) -> Exchange:
    return desk.open(messages, model=model, headers={"user-agent": "Cursor/1.0"}, **members)


def answered(exchange: Exchange, items: list[Json]) -> Json:
    """The upstream answers with these items; the message that the chat client gets."""
    body = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": items,
        "model": "gpt-5",
    }
    body["usage"] = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    reply = reply_of(
        exchange.whole(200, {"content-type": "application/json"}, json.dumps(body).encode())
    )
    return dict(json.loads(reply.body)["choices"][0]["message"])


def test_an_effort_in_the_models_name_reaches_azure_with_its_key_and_version(desk: Desk) -> None:
    rewrite = ModelRewrite(from_="gpt-high", to="my-deployment", effort="high")
    desk.upstreams = (azure(models=(), model_rewrites=(rewrite,), api_version="preview"),)
    exchange = chat(desk, [ASKED], model="gpt-high")
    headers = dict(exchange.outgoing.headers)
    assert exchange.outgoing.target == "/openai/v1/responses?api-version=preview"
    assert (headers["api-key"], "authorization" in headers) == ("sk-azure-secret", False)
    assert (sent(exchange)["model"], sent(exchange)["reasoning"]["effort"]) == (
        "my-deployment",
        "high",
    )


def test_state_that_a_chat_client_drops_is_restored_to_the_account_that_made_it(desk: Desk) -> None:
    desk.upstreams = (azure(),)
    message = answered(chat(desk, [ASKED]), ITEMS)
    made = message["tool_calls"][0]["id"]
    replayed = [ASKED, message, {"role": "tool", "tool_call_id": made, "content": "fine"}]
    body = sent(chat(desk, replayed))
    kinds = [item.get("type", "message") for item in body["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    assert body["input"][1]["encrypted_content"] == ENCRYPTED
    assert {body["input"][2]["call_id"], body["input"][3]["call_id"]} == {"call_theirs"}


def test_state_never_goes_to_another_account(desk: Desk) -> None:
    desk.upstreams = (azure(),)
    message = answered(chat(desk, [ASKED]), ITEMS)
    desk.upstreams = (azure(api_keys=("sk-of-another-account",)),)
    body = sent(chat(desk, [ASKED, message]))
    assert [item.get("type") for item in body["input"] if item.get("type") == "reasoning"] == []


def test_of_several_keys_the_one_that_has_the_state_goes_first(desk: Desk) -> None:
    desk.upstreams = (azure(api_keys=("sk-first-0000", "sk-second-000", "sk-third-0000")),)
    first = chat(desk, [ASKED])
    message = answered(first, ITEMS)
    for _ in range(3):
        assert chat(desk, [ASKED, message]).candidate.key == first.candidate.key


def test_a_chat_client_streams_what_a_responses_upstream_says(desk: Desk) -> None:
    desk.upstreams = (azure(),)
    exchange = chat(desk, [ASKED], stream=True)
    answer = exchange.stream({})
    steps = [
        {
            "type": "response.created",
            "response": {"id": "resp_1", "status": "in_progress", "output": []},
        },
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "message", "id": "msg_1"},
        },
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Done."},
        {
            "type": "response.completed",
            "response": {"id": "resp_1", "status": "completed", "output": []},
        },
    ]
    out = b"".join(
        answer.feed(sse.event(json.dumps(event).encode(), str(event["type"]))) for event in steps
    )
    assert b'"content":"Done."' in out
    assert out.endswith(b"data: [DONE]\n\n")
    assert b'"model":"gpt-5"' in out


def test_a_chat_conversation_goes_on_at_a_chat_upstream_after_a_responses_one(desk: Desk) -> None:
    desk.upstreams = (azure(), upstream("one", models=(MODEL,)))
    message = answered(chat(desk, [ASKED]), ITEMS)
    exchange = chat(desk, [ASKED, message], model=MODEL)
    assert FIELD not in sent(exchange)["messages"][1] or sent(exchange)["messages"][1][FIELD] == ""
    assert whole(exchange, SAYING).status == 200


# -- how hard to think -----------------------------------------------------------------------------

HIGH: Json = {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}
OFF: Json = {"thinking": {"type": "disabled"}}


def told(exchange: Exchange) -> Json:
    """The members by which the upstream is told how hard to think."""
    return {
        name: given
        for name, given in sent(exchange).items()
        if name in ("thinking", "reasoning_effort")
    }


@pytest.mark.parametrize(
    ("asked_for", "members", "expected"),
    [
        pytest.param(f"{MODEL}-high", {}, HIGH, id="the model's name"),
        pytest.param(f"{MODEL}:off", {"reasoning_effort": "high"}, OFF, id="the name wins"),
        pytest.param(MODEL, {"reasoning_effort": "medium"}, HIGH, id="the client's field"),
        pytest.param(
            MODEL,
            OFF | {"reasoning_effort": "high"},
            OFF | {"reasoning_effort": "high"},
            id="its own words",
        ),
        pytest.param(
            MODEL,
            {"reasoning_effort": "odd"},
            {"reasoning_effort": "odd"},
            id="a word nobody knows",
        ),
        pytest.param(MODEL, {}, {}, id="nothing said"),
    ],
)
def test_an_effort_reaches_a_chat_upstream_in_its_own_words(
    desk: Desk, asked_for: str, members: Json, expected: Json
) -> None:
    desk.upstreams = (upstream("one", base_url="https://api.deepseek.com", models=(MODEL,)),)
    assert told(chat(desk, [ASKED], model=asked_for, **members)) == expected


@pytest.mark.parametrize(
    ("path", "members", "expected"),
    [
        ("/v1/responses", {"input": [ASKED], "reasoning": {"effort": "high"}}, HIGH),
        ("/v1/messages", {"messages": [ASKED], "thinking": {"type": "disabled"}}, OFF),
        (
            "/v1/messages",
            {"messages": [ASKED], "thinking": {"type": "enabled", "budget_tokens": 16_000}},
            HIGH,
        ),
    ],
)
def test_what_other_formats_say_of_thinking_reaches_a_chat_upstream_too(
    desk: Desk, path: str, members: Json, expected: Json
) -> None:
    desk.upstreams = (upstream("one", base_url="https://api.deepseek.com"),)
    exchange = open_exchange(
        desk.intake(path=path), json.dumps({"model": MODEL, **members}).encode()
    )
    assert told(exchange) == expected


def test_a_rewrites_effort_wins_over_a_client_that_thinks_not(desk: Desk) -> None:
    rewrite = ModelRewrite(from_="m", to=MODEL, effort="high")
    desk.upstreams = (upstream("one", model_rewrites=(rewrite,)),)
    exchange = open_exchange(
        desk.intake(path="/v1/messages"),
        json.dumps({"model": "m", "messages": [ASKED], "thinking": {"type": "disabled"}}).encode(),
    )
    assert told(exchange) == HIGH
