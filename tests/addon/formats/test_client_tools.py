"""Tools of one format that the client runs work over upstreams of every format: declared as
functions, called, answered and replayed.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import ToolCall, Turn
from addon.formats.paths import classify
from addon.formats.translate import CLIENTS
from addon.formats.wire import sse
from addon.translation.pair import Answered, Encoded, Identity, Pair, Wanted
from addon.translation.read import read
from shared.profiles import builtin_profiles
from tests.addon.formats.hearing import Json
from tests.addon.formats.test_losses import PATHS, SERVED
from tests.support.grammar import own_state

USER: Json = {"role": "user", "content": "hi"}
OTHERS: list[WireFormat] = ["chat", "messages"]


def pair_of(client: WireFormat, body: Json) -> Pair:
    endpoint = classify(PATHS[client])
    assert endpoint is not None
    side = read(endpoint, json.dumps({"model": "m"} | body).encode(), lambda copy: copy, None)
    return side.pair(
        Identity(Head("1", 7, "m"), lambda choice, index, _: f"ours_{index}", own_state)
    )


def sent(pair: Pair, upstream: WireFormat) -> Encoded:
    served, model = SERVED[upstream]
    return pair.body_for(
        Wanted(
            upstream=served,
            model=model,
            profile=builtin_profiles()["field-generic"],
            sure=False,
            edits={},
            effort="",
            thinking_off=False,
            unusable=frozenset(),
            pictures=True,
            allows_consecutive_user_messages=True,
        )
    )


def heard(upstream: WireFormat, encoded: Encoded) -> Request:
    return CLIENTS[upstream].decode(encoded.body)


def answered(
    pair: Pair, upstream: WireFormat, encoded: Encoded, calls: Sequence[ToolCall], *, stream: bool
) -> bytes:
    """What the client gets when the upstream calls tools."""
    turn = Turn(calls=tuple(calls), finish_reason="tool_calls")
    speaks = CLIENTS[upstream]
    request = heard(upstream, encoded)
    given = (request, Head("2", 7, "up"), lambda choice, index, call_id: call_id, own_state)
    answer = Answered(upstream=upstream, custom=encoded.custom, names=encoded.names)
    if not stream:
        whole = pair.whole(answer, speaks.whole({0: turn}, None, *given))
        assert whole is not None
        return whole.body()
    writer = speaks.writer(*given)
    relay = pair.relay(answer)
    events = sse.Events().feed(writer.write(list(deltas_of(turn))) + writer.end())
    return b"".join(relay.feed(event)[1] for event in events)


def items(client_body: bytes, *, stream: bool) -> list[Json]:
    """The output items of a response; of a stream those that are done."""
    if not stream:
        return list(json.loads(client_body)["output"])
    events = [json.loads(sse.data_of(raw) or b"{}") for raw in sse.Events().feed(client_body)]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == done
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    return done


SEARCH_SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}}
AGENTS: Json = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Sub-agents.",
    "tools": [
        {"type": "function", "name": "spawn_agent", "parameters": SEARCH_SCHEMA},
        {"type": "custom", "name": "note"},
    ],
}

KINDS = [
    pytest.param(
        {"type": "local_shell"},
        "local_shell",
        '{"command":["ls","-l"],"timeout_ms":5}',
        {
            "type": "local_shell_call",
            "action": {"type": "exec", "command": ["ls", "-l"], "env": {}, "timeout_ms": 5},
        },
        {"type": "local_shell_call_output", "output": "a.txt"},
        "a.txt",
        id="local_shell",
    ),
    pytest.param(
        {"type": "shell", "environment": {"type": "local"}},
        "shell",
        '{"commands":["ls","pwd"]}',
        {
            "type": "shell_call",
            "action": {"commands": ["ls", "pwd"]},
            "environment": {"type": "local"},
        },
        {
            "type": "shell_call_output",
            "output": [
                {"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 1}},
                {"stdout": "", "stderr": "", "outcome": {"type": "timeout"}},
            ],
        },
        "a\n[stderr]\nb\n[exit code 1]\n[timed out]",
        id="shell",
    ),
    pytest.param(
        {"type": "apply_patch"},
        "apply_patch",
        '{"type":"update_file","path":"a.py","diff":"@@\\n-a\\n+b"}',
        {
            "type": "apply_patch_call",
            "operation": {"type": "update_file", "path": "a.py", "diff": "@@\n-a\n+b"},
        },
        {"type": "apply_patch_call_output", "status": "failed", "output": "no such file"},
        "no such file",
        id="apply_patch",
    ),
    pytest.param(
        {"type": "tool_search", "execution": "client", "parameters": SEARCH_SCHEMA},
        "tool_search",
        '{"query":"agents"}',
        {"type": "tool_search_call", "execution": "client", "arguments": {"query": "agents"}},
        {"type": "tool_search_output", "execution": "client", "tools": [AGENTS]},
        "Found tools: multi_agent_v1__spawn_agent, multi_agent_v1__note",
        id="tool_search",
    ),
    pytest.param(
        {"type": "computer_use_preview", "display_width": 1, "display_height": 1},
        "computer",
        '{"type":"click","x":1,"y":2}',
        {
            "type": "computer_call",
            "action": {"type": "click", "x": 1, "y": 2},
            "pending_safety_checks": [],
        },
        {
            "type": "computer_call_output",
            "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,aGk="},
        },
        "",
        id="computer_use_preview",
    ),
    pytest.param(
        {"type": "computer"},
        "computer",
        '{"actions":[{"type":"screenshot"}]}',
        {
            "type": "computer_call",
            "actions": [{"type": "screenshot"}],
            "pending_safety_checks": [],
        },
        {
            "type": "computer_call_output",
            "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,aGk="},
        },
        "",
        id="computer",
    ),
    pytest.param(
        AGENTS,
        "multi_agent_v1__spawn_agent",
        '{"query":"x"}',
        {
            "type": "function_call",
            "name": "spawn_agent",
            "namespace": "multi_agent_v1",
            "arguments": '{"query":"x"}',
        },
        {"type": "function_call_output", "output": "spawned"},
        "spawned",
        id="namespace",
    ),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize(("declared", "name", "arguments", "item", "result", "said"), KINDS)
def test_a_responses_client_gets_the_items_that_it_expects(
    declared: Json,
    name: str,
    arguments: str,
    item: Json,
    result: Json,
    said: str,
    upstream: WireFormat,
    stream: bool,
) -> None:
    asked: Json = {"input": [USER], "tools": [declared], "stream": stream}
    pair = pair_of("responses", asked)
    encoded = sent(pair, upstream)
    tool = next(tool for tool in heard(upstream, encoded).tools if tool.name == name)
    assert (tool.parameters or {}).get("type") == "object"
    assert not heard(upstream, encoded).hosted
    client_body = answered(pair, upstream, encoded, [ToolCall("c", name, arguments)], stream=stream)
    [got] = items(client_body, stream=stream)
    expected = item | {"id": got["id"], "call_id": "ours_0", "status": "completed"}
    assert got == expected

    again = asked | {"input": [USER, got, result | {"call_id": "ours_0"}, USER]}
    replayed = heard(upstream, sent(pair_of("responses", again), upstream))
    call = replayed.messages[1].calls[0]
    assert (call.name, json.loads(call.arguments)) == (name, json.loads(arguments))
    answer = replayed.messages[2]
    assert (answer.role, answer.result_of, answer.text) == ("tool", call.id, said)


@pytest.mark.parametrize("upstream", OTHERS)
def test_what_a_search_has_found_can_be_called(upstream: WireFormat) -> None:
    found: Json = {"type": "tool_search_output", "call_id": "c", "tools": [AGENTS]}
    search: Json = {"type": "tool_search_call", "call_id": "c", "arguments": {"query": "x"}}
    tools = [{"type": "tool_search", "execution": "client"}]
    pair = pair_of("responses", {"input": [USER, search, found], "tools": tools})
    encoded = sent(pair, upstream)
    name = "multi_agent_v1__spawn_agent"
    assert name in [tool.name for tool in heard(upstream, encoded).tools]
    client_body = answered(pair, upstream, encoded, [ToolCall("c", name, "{}")], stream=False)
    [got] = items(client_body, stream=False)
    assert (got["name"], got["namespace"]) == ("spawn_agent", "multi_agent_v1")


@pytest.mark.parametrize("upstream", OTHERS)
def test_tools_that_are_added_in_the_input_are_offered(upstream: WireFormat) -> None:
    added: Json = {"type": "additional_tools", "role": "developer", "tools": [AGENTS]}
    request = heard(upstream, sent(pair_of("responses", {"input": [added, USER]}), upstream))
    assert [tool.name for tool in request.tools] == [
        "multi_agent_v1__spawn_agent",
        "multi_agent_v1__note",
    ]
    assert [message.role for message in request.messages] == ["user"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", OTHERS)
def test_a_custom_tool_of_a_group_comes_back_as_its_text(
    upstream: WireFormat, stream: bool
) -> None:
    pair = pair_of("responses", {"input": [USER], "tools": [AGENTS], "stream": stream})
    call = ToolCall("c", "multi_agent_v1__note", '{"input":"words"}')
    encoded = sent(pair, upstream)
    [got] = items(answered(pair, upstream, encoded, [call], stream=stream), stream=stream)
    assert (got["type"], got["name"], got["input"]) == ("custom_tool_call", "note", "words")
    assert got["namespace"] == "multi_agent_v1"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", OTHERS)
def test_calls_by_the_names_without_their_group_find_their_tools(
    upstream: WireFormat, stream: bool
) -> None:
    pair = pair_of("responses", {"input": [USER], "tools": [AGENTS], "stream": stream})
    calls = [ToolCall("a", "spawn_agent", "{}"), ToolCall("b", "note", '{"input":"words"}')]
    client_body = answered(pair, upstream, sent(pair, upstream), calls, stream=stream)
    spawned, noted = items(client_body, stream=stream)
    assert (spawned["name"], spawned["namespace"]) == ("spawn_agent", "multi_agent_v1")
    assert (noted["name"], noted["namespace"]) == ("note", "multi_agent_v1")
    assert (noted["type"], noted["input"]) == ("custom_tool_call", "words")


def test_a_tool_without_a_group_keeps_its_name_beside_one_of_a_group() -> None:
    plain: Json = {"type": "function", "name": "spawn_agent", "parameters": SEARCH_SCHEMA}
    pair = pair_of("responses", {"input": [USER], "tools": [AGENTS, plain]})
    call, encoded = ToolCall("c", "spawn_agent", "{}"), sent(pair, "chat")
    [got] = items(answered(pair, "chat", encoded, [call], stream=False), stream=False)
    assert got["name"] == "spawn_agent"
    assert "namespace" not in got


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_responses_upstream_has_its_own_items_with_ids_of_ours(stream: bool) -> None:
    pair = pair_of("responses", {"input": [USER], "tools": [{"type": "local_shell"}]})
    call = {"type": "local_shell_call", "id": "lsh_1", "call_id": "theirs", "status": "completed"}
    call |= {"action": {"type": "exec", "command": ["ls"], "env": {}}}
    answer = Answered(upstream="responses")
    response = {"id": "resp_1", "status": "completed", "output": [call]}
    if not stream:
        whole = pair.whole(answer, json.dumps(response).encode())
        assert whole is not None
        assert whole.turns[0].calls == (ToolCall("theirs", "local_shell", '{"command":["ls"]}'),)
        [got] = json.loads(whole.body())["output"]
    else:
        relay = pair.relay(answer)
        event = {"type": "response.output_item.done", "output_index": 0, "item": call}
        deltas, out = relay.feed(sse.event(json.dumps(event).encode(), event["type"]))
        assert [getattr(delta, "name", "") for delta in deltas] == ["local_shell", ""]
        got = json.loads(sse.data_of(out) or b"")["item"]
    assert got == call | {"call_id": "ours_0"}


TYPED = [
    pytest.param({"type": "bash_20250124", "name": "bash"}, '{"command":"ls"}', id="bash"),
    pytest.param(
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        '{"command":"insert","path":"a","insert_line":1,"insert_text":"b"}',
        id="text editor",
    ),
    pytest.param(
        {"type": "text_editor_20250124", "name": "str_replace_editor"},
        '{"command":"undo_edit","path":"a"}',
        id="earlier text editor",
    ),
    pytest.param(
        {"type": "memory_20250818", "name": "memory"},
        '{"command":"rename","old_path":"a","new_path":"b"}',
        id="memory",
    ),
    pytest.param(
        {
            "type": "computer_20250124",
            "name": "computer",
            "display_width_px": 1024,
            "display_height_px": 768,
        },
        '{"action":"left_click","coordinate":[1,2]}',
        id="computer",
    ),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", ["chat", "responses"])
@pytest.mark.parametrize(("declared", "arguments"), TYPED)
def test_a_messages_client_has_its_typed_tools_called(
    declared: Json, arguments: str, upstream: WireFormat, stream: bool
) -> None:
    pair = pair_of("messages", {"messages": [USER], "tools": [declared], "stream": stream})
    encoded = sent(pair, upstream)
    [tool] = heard(upstream, encoded).tools
    schema = tool.parameters or {}
    given = json.loads(arguments)
    assert tool.name == declared["name"]
    assert given.keys() <= schema["properties"].keys()
    choices = [schema["properties"][key].get("enum", [given[key]]) for key in given]
    assert all(given[key] in among for key, among in zip(given, choices, strict=True))
    call = ToolCall("c", tool.name, arguments)
    client_body = answered(pair, upstream, encoded, [call], stream=stream)
    block = block_of(client_body, stream=stream)
    assert (block["type"], block["name"], block["id"]) == ("tool_use", tool.name, "ours_0")
    assert block["input"] == given


def block_of(client_body: bytes, *, stream: bool) -> Json:
    """The only block of an answer."""
    if not stream:
        [block] = json.loads(client_body)["content"]
        return dict(block)
    events = [json.loads(sse.data_of(raw) or b"{}") for raw in sse.Events().feed(client_body)]
    [block] = [one["content_block"] for one in events if one["type"] == "content_block_start"]
    pieces = [one["delta"] for one in events if one["type"] == "content_block_delta"]
    written = "".join(piece["partial_json"] for piece in pieces)
    return dict(block) | {"input": json.loads(written)}


@pytest.mark.parametrize(
    ("upstream", "typed"), [("chat", False), ("responses", False), ("messages", True)]
)
def test_a_chat_client_may_declare_the_tools_of_other_formats(
    upstream: WireFormat, typed: bool
) -> None:
    tools: list[Json] = [{"type": "local_shell"}, {"type": "bash_20250124", "name": "bash"}]
    pair = pair_of("chat", {"messages": [USER], "tools": tools})
    encoded = sent(pair, upstream)
    request = heard(upstream, encoded)
    assert [tool.name for tool in request.tools] == ["local_shell", "bash"]
    assert [bool(tool.declared) for tool in request.tools] == [False, typed]
    call = ToolCall("c", "local_shell", '{"command":["ls"]}')
    body = json.loads(answered(pair, upstream, encoded, [call], stream=False))
    [got] = body["choices"][0]["message"]["tool_calls"]
    assert got["function"] == {"name": "local_shell", "arguments": '{"command":["ls"]}'}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_name_that_is_too_long_with_its_group_comes_back_whole(stream: bool) -> None:
    function = {"type": "function", "name": "f" * 60, "parameters": {"type": "object"}}
    group: Json = {"type": "namespace", "name": "mcp__server__", "tools": [function]}
    pair = pair_of("responses", {"input": [USER], "tools": [group], "stream": stream})
    encoded = sent(pair, "chat")
    [tool] = heard("chat", encoded).tools
    assert len(tool.name) == 64
    call = ToolCall("c", tool.name, "{}")
    [got] = items(answered(pair, "chat", encoded, [call], stream=stream), stream=stream)
    assert (got["name"], got["namespace"]) == ("f" * 60, "mcp__server__")


def test_a_shell_in_the_providers_container_is_its_own() -> None:
    container: Json = {"type": "shell", "environment": {"type": "container_auto"}}
    call: Json = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    call["environment"] = {"type": "container_reference", "container_id": "cntr_1"}
    result: Json = {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a.txt"}]}
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    asked: Json = {"input": [USER, call, result, USER], "tools": [function, container]}
    encoded = sent(pair_of("responses", asked), "chat")
    request = heard("chat", encoded)
    assert [tool.name for tool in request.tools] == ["f"]
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]
    assert "ls" in request.messages[1].text
    assert "a.txt" in request.messages[1].text


@pytest.mark.parametrize("upstream", OTHERS)
def test_a_forced_tool_with_a_kind_of_its_own_is_forced_by_its_name(upstream: WireFormat) -> None:
    choice = {"type": "local_shell"}
    asked: Json = {"input": [USER], "tools": [{"type": "local_shell"}], "tool_choice": choice}
    pair = pair_of("responses", asked)
    encoded = sent(pair, upstream)
    forced = heard(upstream, encoded).tool_choice
    assert forced is not None
    assert (forced.mode, forced.names) == ("required", ("local_shell",))
    call = ToolCall("c", "local_shell", "{}")
    body: dict[str, Any] = json.loads(answered(pair, upstream, encoded, [call], stream=False))
    assert (body["tools"], body["tool_choice"]) == (asked["tools"], choice)


def test_the_response_repeats_the_tools_as_they_were_declared() -> None:
    tools = [AGENTS, {"type": "shell"}, {"type": "web_search"}]
    pair = pair_of("responses", {"input": [USER], "tools": tools})
    encoded = sent(pair, "chat")
    body = json.loads(answered(pair, "chat", encoded, [], stream=False))
    assert body["tools"] == tools


def test_calls_of_several_kinds_keep_their_order() -> None:
    tools = [{"type": "local_shell"}, {"type": "apply_patch"}]
    pair = pair_of("responses", {"input": [USER], "tools": tools, "stream": True})
    calls = [ToolCall("a", "local_shell", '{"command":["ls"]}'), ToolCall("b", "apply_patch", "{}")]
    done = items(answered(pair, "chat", sent(pair, "chat"), calls, stream=True), stream=True)
    assert [item["type"] for item in done] == ["local_shell_call", "apply_patch_call"]
    assert [item["call_id"] for item in done] == ["ours_0", "ours_1"]
