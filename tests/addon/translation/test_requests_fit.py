"""Whatever a client's format allows and an upstream refuses is mended on the way, for each client
and each upstream that it can come to.
"""

import json
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import ToolCall, Turn
from addon.formats.translate import CLIENTS, UPSTREAMS
from tests.addon.desk import MODEL, Desk, Refused, open_exchange, reply_of, upstream
from tests.addon.translation.clients import CALLED, PATHS, Json, Said, asking
from tests.support.grammar import own_state

PAIRS = [(client, api) for client in PATHS for api in PATHS]
TRANSLATED = [pair for pair in PAIRS if pair[0] != pair[1]]
WORDS = {"chat": "messages", "responses": "input", "messages": "messages"}
CHOICES: dict[WireFormat, Json] = {
    "chat": {"tool_choice": "auto", "parallel_tool_calls": True},
    "responses": {"tool_choice": "auto", "parallel_tool_calls": True},
    "messages": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
}
LONG = "mcp__" + "files_" * 30
DOTTED = "files.read"
LONGEST: dict[WireFormat, int] = {"chat": 64, "responses": 64, "messages": 128}
EITHER = {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}
CLAUDE = "claude-sonnet-4-6"


def opened(
    desk: Desk, client: WireFormat, api: WireFormat, body: Json, **settings: Any
) -> Exchange:
    desk.upstreams = (upstream(api=api, **settings),)
    return open_exchange(desk.intake(path=PATHS[client]), json.dumps(body).encode())


def sent(desk: Desk, client: WireFormat, api: WireFormat, body: Json, **settings: Any) -> Json:
    found: Json = json.loads(opened(desk, client, api, body, **settings).outgoing.body)
    return found


def heard(desk: Desk, client: WireFormat, api: WireFormat, said: list[Said]) -> list[Said]:
    """Who says what in what the upstream gets."""
    exchange = opened(desk, client, api, asking(client, said))
    request = CLIENTS[api].decode(exchange.outgoing.body)
    return [(one.role, one.text or one.calls[0].name) for one in request.messages]


# -- histories -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "api"), TRANSLATED)
def test_a_result_follows_its_call(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    said = [CALLED[0], CALLED[1], ("user", "wait"), CALLED[2]]
    assert heard(desk, client, api, said) == [
        ("user", "hi"),
        ("assistant", "Read"),
        ("tool", "fine"),
        ("user", "wait"),
    ]


@pytest.mark.parametrize(("client", "api"), TRANSLATED)
def test_what_was_compacted_away_is_told(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    found = heard(desk, client, api, [*CALLED[:2], ("user", "on")])
    assert found[1:] == [
        ("assistant", "Read"),
        ("tool", "[The result of this tool call is not in the conversation.]"),
        ("user", "on"),
    ]
    orphan = "[Result of a tool call that is not in the conversation]\nfine"
    spoken = "".join(words for _, words in heard(desk, client, api, [CALLED[0], CALLED[2]]))
    assert spoken == "hi" + orphan


@pytest.mark.parametrize(("client", "api"), TRANSLATED)
def test_calls_of_one_id_keep_their_results(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    said = [*CALLED, ("call", "Write"), ("result", "done")]
    exchange = opened(desk, client, api, asking(client, said))
    messages = CLIENTS[api].decode(exchange.outgoing.body).messages
    ids = [call.id for one in messages for call in one.calls]
    results = [(one.result_of, one.text) for one in messages if one.role == "tool"]
    assert results == [(ids[0], "fine"), (ids[1], "done")]
    assert (ids[0] == ids[1]) == (api == "chat")


# -- tools -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_tool_is_declared_once(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    body = asking(client, CALLED, tools=("Read", "Write", "Read"))
    exchange = opened(desk, client, api, body)
    tools = CLIENTS[api].decode(exchange.outgoing.body).tools
    assert [tool.name for tool in tools] == ["Read", "Write"]


@pytest.mark.parametrize("name", [LONG, DOTTED])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "api"), TRANSLATED)
def test_a_tools_name_fits_and_comes_back(
    desk: Desk, client: WireFormat, api: WireFormat, stream: bool, name: str
) -> None:
    said: list[Said] = [("user", "hi"), ("call", name), ("result", "fine")]
    body = asking(client, said, tools=(name, "Read")) | {"stream": stream, **forcing(client, name)}
    exchange = opened(desk, client, api, body)
    request = CLIENTS[api].decode(exchange.outgoing.body)
    short = request.tools[0].name
    assert short != name
    assert len(short) <= LONGEST[api]
    assert request.tool_choice is not None
    assert {*request.tool_choice.names, request.messages[1].calls[0].name} == {short}
    turn = Turn(calls=(ToolCall("c", short, '{"a":1}'), ToolCall("d", "Read", "{}")))
    told = UPSTREAMS[client].read_whole(answer(exchange, request, api, turn, stream=stream))
    assert told is not None
    assert [call.name for call in told.turns[0].calls] == [name, "Read"]


def forcing(client: WireFormat, name: str) -> Json:
    choices: dict[WireFormat, Json] = {
        "chat": {"type": "function", "function": {"name": name}},
        "responses": {"type": "function", "name": name},
        "messages": {"type": "tool", "name": name},
    }
    return {"tool_choice": choices[client]}


def answer(
    exchange: Exchange, request: Request, api: WireFormat, turn: Turn, *, stream: bool
) -> bytes:
    """What the client gets of an upstream's turn."""
    head, turn = Head("1", 7, MODEL), Turn(calls=turn.calls, finish_reason="tool_calls")
    if not stream:
        body = CLIENTS[api].whole({0: turn}, None, request, head, lambda *ids: ids[2], own_state)
        return reply_of(exchange.whole(200, {"content-type": "application/json"}, body)).body
    writer = CLIENTS[api].writer(request, head, lambda *ids: ids[2], own_state)
    events = writer.write(list(deltas_of(turn))) + writer.end()
    told = exchange.stream({"content-type": "text/event-stream"})
    return told.feed(events) + told.end()


@pytest.mark.parametrize(
    ("client", "api"), [*TRANSLATED, ("chat", "chat"), ("messages", "messages")]
)
def test_there_is_no_choice_among_no_tools(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    body = asking(client, CALLED) | CHOICES[client] | {"model": CLAUDE}
    assert not {"tool_choice", "parallel_tool_calls"} & sent(desk, client, api, body).keys()


def declared(client: WireFormat, schema: Json) -> Json:
    """A tool with this schema, as a client declares it."""
    tools: dict[WireFormat, Json] = {
        "chat": {"type": "function", "function": {"name": "f", "parameters": schema}},
        "responses": {"type": "function", "name": "f", "parameters": schema},
        "messages": {"name": "f", "input_schema": schema},
    }
    return tools[client]


def schema_sent(api: WireFormat, body: Json) -> Json:
    (tool,) = CLIENTS[api].decode(json.dumps(body).encode()).tools
    assert tool.parameters is not None
    return tool.parameters


@pytest.mark.parametrize(
    ("api", "base_url"),
    [
        ("chat", "https://api.openai.com/v1"),
        ("responses", "https://api.openai.com/v1"),
        ("chat", "https://r.openai.azure.com/openai/v1"),
    ],
)
@pytest.mark.parametrize("client", PATHS)
def test_neither_has_one_for_openai(
    desk: Desk, client: WireFormat, api: WireFormat, base_url: str
) -> None:
    body = asking(client, CALLED) | {"tools": [declared(client, EITHER)]}
    found = schema_sent(api, sent(desk, client, api, body, base_url=base_url))
    assert found == {"type": "object", "properties": {"a": {}, "b": {}}}


@pytest.mark.parametrize("client", PATHS)
def test_gemini_gets_plain_schemas(desk: Desk, client: WireFormat) -> None:
    uri = {"type": ["string", "null"], "format": "uri"}
    schema = {"$schema": "x", "type": "object", "properties": {"u": uri}}
    body = asking(client, CALLED) | {"tools": [declared(client, schema)]}
    found = schema_sent("chat", sent(desk, client, "chat", body, profile="gemini"))
    assert found == {"type": "object", "properties": {"u": {"type": "string", "nullable": True}}}
    found = schema_sent("chat", sent(desk, client, "chat", body, profile="deepseek-v4"))
    assert found == schema


@pytest.mark.parametrize("client", PATHS)
def test_a_schema_for_claude_has_no_choice_at_its_top(desk: Desk, client: WireFormat) -> None:
    body = asking(client, CALLED) | {"model": CLAUDE, "tools": [declared(client, EITHER)]}
    (tool,) = sent(desk, client, "messages", body)["tools"]
    assert tool["input_schema"] == {"type": "object", "properties": {"a": {}, "b": {}}}


@pytest.mark.parametrize("beta", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_schema_of_the_answer_has_a_name(desk: Desk, api: WireFormat, beta: bool) -> None:
    shape = {"type": "json_schema", "schema": {"type": "object"}}
    body = asking("messages", CALLED) | {"output_config": {"format": shape}}
    if beta:
        body = asking("messages", CALLED) | {"output_format": shape}
    found = sent(desk, "messages", api, body)
    if api == "chat":
        assert found["response_format"]["json_schema"]["name"] == "answer"
    else:
        assert found["text"]["format"]["name"] == "answer"


# -- contents --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["image/jpg", "image/pjpeg"])
@pytest.mark.parametrize("client", PATHS)
def test_claude_gets_pictures_under_their_registered_types(
    desk: Desk, client: WireFormat, given: str
) -> None:
    url = f"data:{given};base64,AA=="
    picture: dict[WireFormat, Json] = {
        "chat": {"type": "image_url", "image_url": {"url": url}},
        "responses": {"type": "input_image", "image_url": url},
        "messages": {
            "type": "image",
            "source": {"type": "base64", "media_type": given, "data": "AA=="},
        },
    }
    body = asking(client, []) | {"model": CLAUDE}
    body[WORDS[client]] = [{"role": "user", "content": [picture[client]]}]
    (message,) = sent(desk, client, "messages", body)["messages"]
    assert message["content"][0]["source"]["media_type"] == "image/jpeg"


@pytest.mark.parametrize("client", PATHS)
def test_an_answer_that_is_begun_for_claude_ends_without_blanks(
    desk: Desk, client: WireFormat
) -> None:
    said: list[Said] = [("user", "hi"), ("assistant", "a \n"), ("user", "on"), ("assistant", "{ ")]
    body = asking(client, said) | {"model": "claude-sonnet-4-5"}
    exchange = opened(desk, client, "messages", body)
    messages = CLIENTS["messages"].decode(exchange.outgoing.body).messages
    assert [one.text for one in messages] == ["hi", "a \n", "on", "{"]


@pytest.mark.parametrize("client", ["chat", "responses"])
def test_a_system_prompt_alone_is_what_the_user_says(desk: Desk, client: WireFormat) -> None:
    found = sent(desk, client, "messages", asking(client, [("system", "Say hello.")]))
    assert "system" not in found
    (message,) = found["messages"]
    assert message["role"] == "user"
    assert "Say hello." in json.dumps(message)


@pytest.mark.parametrize(("client", "api"), [*TRANSLATED, ("messages", "messages")])
def test_nobody_gets_half_of_a_character(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    body = asking(client, [("user", "x \ud83d y \ud83d\ude00")])
    exchange = opened(desk, client, api, body)
    (message,) = CLIENTS[api].decode(exchange.outgoing.body).messages
    assert message.text == "x \ufffd y \U0001f600"


@pytest.mark.parametrize("content", [{}, {"content": 7}], ids=str)
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_message_without_content_is_refused(
    desk: Desk, client: WireFormat, api: WireFormat, content: Json
) -> None:
    body = asking(client, CALLED)
    body[WORDS[client]].append({"role": "user", **content})
    with pytest.raises(Refused, match="role 'user' has no 'content'") as refused:
        opened(desk, client, api, body)
    assert (refused.value.problem.status, refused.value.problem.code) == (400, "missing_content")


MALFORMED: list[tuple[Any, str]] = [
    (7, ""),
    (None, ""),
    (["user", "hi"], ""),
    ({"role": "assistant", "content": "a", "tool_calls": {"id": "c"}}, ".tool_calls"),
    ({"role": "user", "content": [{"type": "text", "text": "a"}, 7]}, ".content[1]"),
]


@pytest.mark.parametrize(("item", "place"), MALFORMED, ids=str)
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_malformed_conversation_is_refused(
    desk: Desk, client: WireFormat, api: WireFormat, item: Any, place: str
) -> None:
    body = asking(client, [("user", "hi")])
    body[WORDS[client]].append(item)
    with pytest.raises(Refused, match="The conversation is malformed") as refused:
        opened(desk, client, api, body)
    problem = refused.value.problem
    assert problem.status == 400
    assert f"'{WORDS[client]}[1]{place}'" in problem.message


# -- members ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "role"),
    [
        ("https://api.deepseek.com", "system"),
        ("https://api.openai.com", "developer"),
        ("https://eu.api.openai.com", "developer"),
        ("https://res.openai.azure.com/openai/v1", "developer"),
    ],
)
def test_only_openai_gets_messages_of_developers(desk: Desk, base_url: str, role: str) -> None:
    said: list[Said] = [("developer", "Be brief."), ("user", "developer"), ("developer", "Now.")]
    found = sent(desk, "chat", "chat", asking("chat", said), base_url=base_url)
    assert [(one["role"], one["content"]) for one in found["messages"]] == [
        (role, "Be brief."),
        ("user", "developer"),
        (role, "Now."),
    ]


@pytest.mark.parametrize("client", ["responses", "messages"])
def test_a_chat_upstream_gets_the_role_that_all_know(desk: Desk, client: WireFormat) -> None:
    who = "developer" if client == "responses" else "system"
    found = sent(desk, client, "chat", asking(client, [(who, "Be brief."), ("user", "hi")]))
    assert [message["role"] for message in found["messages"]] == ["system", "user"]


@pytest.mark.parametrize("client", ["chat", "responses"])
@pytest.mark.parametrize("profile", ["mistral", "groq", "glm"])
def test_members_that_a_profile_refuses_are_left_out(
    desk: Desk, client: WireFormat, profile: str
) -> None:
    body = asking(client, CALLED) | {"prompt_cache_key": "k", "metadata": {"a": "b"}}
    found = sent(desk, client, "chat", body, profile=profile)
    assert ("prompt_cache_key" in found) == (profile == "glm")


def test_so_are_members_of_messages(desk: Desk) -> None:
    body = asking("chat", [("user", "hi"), ("user", "on")])
    body["messages"][0]["name"] = "ada"
    refusal = {"role": "assistant", "content": None, "refusal": "no", "annotations": []}
    body["messages"].insert(1, refusal)
    found = sent(desk, "chat", "chat", body, profile="mistral")["messages"]
    assert found[:2] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no"}]
    assert sent(desk, "chat", "chat", body, profile="glm")["messages"] == body["messages"]


def test_empty_stop_sequences_reach_nobody(desk: Desk) -> None:
    body = asking("messages", CALLED) | {"stop_sequences": ["", "a"]}
    assert sent(desk, "messages", "chat", body)["stop"] == ["a"]


@pytest.mark.parametrize(("client", "api"), TRANSLATED)
def test_a_limit_may_be_written_as_a_fraction(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    found = sent(desk, client, api, asking(client, CALLED) | {LIMITS[client]: 100.0})
    assert 100 in [found.get(name) for name in LIMITS.values()] + [found.get("max_tokens")]


LIMITS: dict[WireFormat, str] = {
    "chat": "max_completion_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
}


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize(("asked", "least"), [(1, 16), (15, 16), (16, 16), (17, 17)])
def test_a_responses_upstream_gets_no_limit_below_its_least(
    desk: Desk, client: WireFormat, asked: int, least: int
) -> None:
    body = asking(client, CALLED) | {LIMITS[client]: asked}
    assert sent(desk, client, "responses", body)["max_output_tokens"] == least


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"profile": "deepseek-v4"}, "max_tokens"),
        ({"profile": "glm"}, "max_tokens"),
        ({"profile": "mimo"}, "max_completion_tokens"),
        ({"base_url": "https://api.openai.com/v1"}, "max_completion_tokens"),
    ],
    ids=str,
)
def test_a_chat_upstream_gets_the_limit_under_the_name_that_it_knows(
    desk: Desk, client: WireFormat, settings: Json, name: str
) -> None:
    body = asking(client, CALLED) | {LIMITS[client]: 50}
    found = sent(desk, client, "chat", body, **settings)
    assert {one: found[one] for one in found if one.endswith("tokens")} == {name: 50}


def test_of_two_limits_the_newer_counts(desk: Desk) -> None:
    body = asking("chat", CALLED) | {"max_tokens": 9, "max_completion_tokens": 8}
    found = sent(desk, "chat", "chat", body, profile="deepseek-v4")
    assert ("max_completion_tokens" in found, found["max_tokens"]) == (False, 8)
    assert sent(desk, "chat", "chat", body)["max_tokens"] == 9


@pytest.mark.parametrize(
    ("profile", "most"), [("deepseek-v4", 16), ("gemini", 5), ("vllm", 20), ("none", 4)]
)
@pytest.mark.parametrize(("client", "name"), [("messages", "stop_sequences"), ("chat", "stop")])
def test_as_many_stop_sequences_go_out_as_the_upstream_takes(
    desk: Desk, client: WireFormat, name: str, profile: str, most: int
) -> None:
    stops = [f"s{number}" for number in range(20)]
    exchange = opened(desk, client, "chat", asking(client, CALLED) | {name: stops}, profile=profile)
    assert json.loads(exchange.outgoing.body)["stop"] == stops[:most]
    assert ("of 20 stop sequences" in "".join(exchange.outcome().notes)) == (most < 20)


def test_no_chat_upstream_gets_more_stop_sequences_than_openai_takes(desk: Desk) -> None:
    body = asking("messages", CALLED) | {"stop_sequences": list("abcdef")}
    exchange = opened(desk, "messages", "chat", body)
    assert json.loads(exchange.outgoing.body)["stop"] == list("abcd")
    assert sent(desk, "chat", "messages", asking("chat", CALLED) | {"stop": list("abcdef")})[
        "stop_sequences"
    ] == list("abcdef")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_messages_client_is_told_which_stop_sequence_a_server_has_met(
    desk: Desk, stream: bool
) -> None:
    body = asking("messages", CALLED) | {"stream": stream, "stop_sequences": ["Human:"]}
    exchange = opened(desk, "messages", "chat", body, profile="vllm")
    choice = {"index": 0, "finish_reason": "stop", "stop_reason": "Human:"}
    if stream:
        chunk = json.dumps({"choices": [{**choice, "delta": {"content": "OK"}}]})
        told = exchange.stream({"content-type": "text/event-stream"})
        events = told.feed(f"data: {chunk}\n\ndata: [DONE]\n\n".encode()) + told.end()
        assert b'"stop_reason":"stop_sequence","stop_sequence":"Human:"' in events
    else:
        answer = {"choices": [{**choice, "message": {"role": "assistant", "content": "OK"}}]}
        reply = exchange.whole(
            200, {"content-type": "application/json"}, json.dumps(answer).encode()
        )
        told_whole = json.loads(reply_of(reply).body)
        assert (told_whole["stop_reason"], told_whole["stop_sequence"]) == (
            "stop_sequence",
            "Human:",
        )
