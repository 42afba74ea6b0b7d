"""A Messages body goes to a Messages upstream as it came, but for what has to change."""

import json
from typing import Any

import pytest

from addon.formats.messages import request as messages_request
from addon.formats.messages.patch_request import PatchableRequest, PatchedBody, Target, decode
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import Edit, Reasoning

type Json = dict[str, Any]

CLAUDE = "claude-opus-4-6"
OTHER = "deepseek-v4"
BILLING = "x-anthropic-billing-header: cc_version=2.1.328.abc; cc_entrypoint=cli; cch=36ee5;"
SCHEMA = {"type": "object"}
TOOL = {"name": "Read", "input_schema": SCHEMA}
ODD = (
    b'{ "model" : "claude-opus-4-6","x\\u0041":[1.0e+2, 1e400],"max_tokens":9,\n"container":{"id":"c"},'
    b'"context_management":{"edits":[ ]},"messages":[ {"role":"user" , "content":[{"type":"document","source":'
    b'{"type":"text","media_type":"text/plain","data":"d"},"title":"t","citations":{"enabled":true}} ,'
    b'{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"\\ud83d\\ude00"}]}],"y":1},'
    b'{"role":"assistant","content":[{"type":"compaction","content":"c"},{"type":"text","text":"a","citations":[ {} ]},'
    b'{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"q" : 1.0}},{"type":"of_the_future"}]},'
    b'{"role":"user","content":"go\\u0020on"}],"mcp_servers":[{"name":"m"}]}'
)


def unsealed(copy: Reasoning) -> Reasoning | None:
    """Copies of ours begin with `tb1.` and hold the state after it, and `long.` the text
    that was seen short.
    """
    if not copy.opaque.startswith("tb1."):
        return None
    state = copy.opaque.removeprefix("tb1.")
    said = "all of it" if state.startswith("long") else copy.text
    return Reasoning(
        said, "thinking", state if state != "none" else "", copy.carrier if state != "none" else ""
    )


def request(*messages: Json, **members: Any) -> PatchableRequest:
    body = {"model": CLAUDE, "max_tokens": 9_000, "messages": list(messages), **members}
    found = decode(json.dumps(body).encode(), unseal=unsealed)
    assert found is not None
    return found


def patched(given: PatchableRequest, model: str = CLAUDE, **wanted: Any) -> PatchedBody:
    abilities = wanted.pop("abilities", Abilities(unsigned_thinking=model == OTHER))
    return given.body(Target(model=model, abilities=abilities, **wanted))


def sent(given: PatchableRequest, model: str = CLAUDE, **wanted: Any) -> Json:
    found: Json = json.loads(patched(given, model, **wanted).body)
    return found


def contents(given: PatchableRequest, model: str = CLAUDE, **wanted: Any) -> list[Any]:
    return [message["content"] for message in sent(given, model, **wanted)["messages"]]


def said(role: str, *blocks: Json | str) -> Json:
    texts = [
        {"type": "text", "text": block} if isinstance(block, str) else block for block in blocks
    ]
    return {"role": role, "content": texts}


def thinking(text: str, signature: str | None = None, **members: Any) -> Json:
    state = {} if signature is None else {"signature": signature}
    return {"type": "thinking", "thinking": text, **state, **members}


def using(call_id: str = "call_1", **members: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": "Read", "input": {"path": "a"}, **members}


def result(call_id: str = "call_1", content: Any = "fine", **members: Any) -> Json:
    return {"tool_use_id": call_id, "type": "tool_result", "content": content, **members}


# -- nothing to change -----------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \n"])
def test_a_body_with_nothing_to_change_goes_out_as_it_came(before: bytes) -> None:
    found = decode(before + ODD, unseal=unsealed)
    assert found is not None
    assert patched(found) == PatchedBody(before + ODD, ())


def test_another_model_changes_its_name_alone() -> None:
    found = decode(ODD, unseal=unsealed)
    assert found is not None
    compact = ODD.replace(b'{ "model" : "claude-opus-4-6"', b'{"model":"up"').replace(
        b'9,\n"', b'9,"'
    )
    assert patched(found, "up").body == compact.replace(b"x\\u0041", b"xA")


def test_the_neutral_request_is_the_one_that_is_translated() -> None:
    body = json.dumps(
        {
            "model": CLAUDE,
            "system": [{"type": "text", "text": "s"}],
            "messages": [
                said("user", "a", {"type": "image", "source": {"type": "url", "url": "u"}}),
                said(
                    "assistant",
                    thinking("t", "sig"),
                    {"type": "redacted_thinking", "data": "d"},
                    "b",
                    using(),
                ),
                said("user", result(content=[{"type": "text", "text": "r"}]), "more"),
                {"role": "system", "content": "plan"},
                {"role": "assistant", "content": "done"},
            ],
            "tools": [TOOL],
            "thinking": {"type": "adaptive"},
        }
    ).encode()
    found = decode(body, unseal=lambda copy: copy)
    assert found is not None
    assert found.request == messages_request.decode(body)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"messages": {}}, "missing_messages"),
        ({"messages": None}, "missing_messages"),
        ({"model": 7}, "missing_model"),
    ],
)
def test_what_is_no_request_is_refused(members: Json, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(json.dumps({"model": "m", "messages": [], **members}).encode(), unseal=unsealed)
    assert caught.value.problem.code == code


@pytest.mark.parametrize(
    "body", [b"", b"{}x", b'{"model":"m","model":"n","messages":[]}', b'{"messages":["\xff"]}']
)
def test_what_is_malformed_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode(body, unseal=unsealed)
    assert caught.value.problem.code == "invalid_json"


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": "", "tool_calls": []}]},
        {"messages": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
        {"messages": [said("user", {"type": "image_url", "image_url": {"url": "u"}})]},
        {"messages": [{"role": "user", "content": ["bare"]}]},
        {"messages": [{"role": "user"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tools": [{"type": "custom", "name": "f"}]},
    ],
)
def test_words_of_another_format_have_to_be_translated(members: Json) -> None:
    assert (
        decode(json.dumps({"model": "m", "messages": [], **members}).encode(), unseal=unsealed)
        is None
    )


# -- tool-call ids ---------------------------------------------------------------------------------


def test_the_upstream_gets_its_own_ids_back_and_all_else_stays() -> None:
    caller = {"caller": {"type": "direct"}}
    given = request(
        said("user", "go"),
        said("assistant", using("call_1", **caller), using("call_2")),
        said("user", result("call_2", is_error=True), result("call_1"), "and"),
    )
    edits = {
        1: Edit(ids={"call_1": "toolu_1", "call_2": "toolu_2"}),
        2: Edit(ids={"call_2": "toolu_2"}),
        3: Edit(ids={"call_1": "toolu_1"}),
    }
    assert contents(given, edits=edits)[1:] == [
        [using("toolu_1", **caller), using("toolu_2")],
        [result("toolu_2", is_error=True), result("toolu_1"), {"type": "text", "text": "and"}],
    ]


def test_what_looks_like_an_id_stays() -> None:
    call = {"note": '"id":"call_1"', "input": {}, **using()}
    call["input"] = {"id": "call_1", "signature": "tb1.one"}
    given = request(
        said("assistant", call, thinking("t", "tb1.one")), said("user", result(content='"call_1"'))
    )
    edits = {at: Edit(ids={"call_1": "toolu_1"}) for at in (0, 1)}
    assert contents(given, edits=edits) == [
        [call | {"id": "toolu_1"}, thinking("t", "one")],
        [result("toolu_1", '"call_1"')],
    ]


@pytest.mark.parametrize(
    ("model", "expected"), [(CLAUDE, "functions_Bash_0"), (OTHER, "functions.Bash:0")]
)
def test_ids_that_claude_refuses_are_mended_for_claude(model: str, expected: str) -> None:
    given = request(
        said("assistant", using("functions.Bash:0")), said("user", result("functions.Bash:0"))
    )
    assert contents(given, model) == [[using(expected)], [result(expected)]]
    restored = request(said("assistant", using()), said("user", result()))
    edits = {at: Edit(ids={"call_1": "functions.Bash:0"}) for at in (0, 1)}
    assert contents(restored, model, edits=edits) == [[using(expected)], [result(expected)]]


def test_what_is_lost_is_left_out_as_a_whole() -> None:
    given = request(
        said("user", "old"),
        said("assistant", using()),
        said("user", result(), "new"),
        said("assistant", "a"),
    )
    edits = {at: Edit(dropped=True) for at in range(3)}
    assert contents(given, edits=edits) == [
        [{"type": "text", "text": "new"}],
        [{"type": "text", "text": "a"}],
    ]


# -- documented edits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (
            [{"type": "text", "text": BILLING}, {"type": "text", "text": "Be brief.", "x": 1}],
            "rest",
        ),
        (BILLING + "\n\nBe brief.", "Be brief."),
        ([{"type": "text", "text": BILLING}], None),
        (BILLING, None),
    ],
)
def test_the_billing_line_reaches_nobody_but_anthropic(system: Any, expected: Any) -> None:
    given = request(said("user", "hi"), system=system)
    wanted = system[1:] if expected == "rest" else expected
    assert sent(given, OTHER).get("system") == wanted
    assert sent(given, OTHER, reads_billing_line=True)["system"] == system


def test_the_prompt_stays_the_same_whatever_the_billing_line_says() -> None:
    lines = [BILLING, BILLING.replace("36ee5", "0aaa9")]
    given = [
        request(
            said("user", "hi"),
            system=[{"type": "text", "text": line}, {"type": "text", "text": "s"}],
        )
        for line in lines
    ]
    assert len({patched(one, OTHER).body for one in given}) == 1


@pytest.mark.parametrize("model", [CLAUDE, OTHER])
def test_a_lone_surrogate_is_replaced(model: str) -> None:
    given = request(said("user", "x \ud83d y \ud83d\ude00"))
    assert rb"x \ufffd y \ud83d\ude00" in patched(given, model).body


def test_system_messages_are_the_users_where_the_model_takes_none() -> None:
    given = request(
        said("user", "go"),
        {"role": "system", "content": "plan", "x": 1},
        said("assistant", using()),
        {"role": "system", "content": [{"type": "text", "text": "mode"}]},
        said("user", result()),
    )
    body = sent(given)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "go"},
        {"type": "text", "text": "plan"},
    ]
    assert body["messages"][2]["content"] == [result(), {"type": "text", "text": "mode"}]
    assert contents(given, abilities=Abilities(system_messages=True))[1] == "plan"


@pytest.mark.parametrize("system", [None, "s", [{"type": "text", "text": "s"}]])
def test_system_messages_at_the_beginning_are_the_prompt(system: Any) -> None:
    given = request({"role": "system", "content": "be brief"}, said("user", "go"), system=system)
    body = sent(given)
    assert body["system"] == [
        {"type": "text", "text": text} for text in ("s", "be brief")[system is None :]
    ]
    assert body["messages"] == [said("user", "go")]


def test_claude_gets_no_blank_texts() -> None:
    given = request(
        said("user", " ", "go"),
        {"role": "assistant", "content": ""},
        {
            "role": "user",
            "content": [
                result(content=[{"type": "text", "text": ""}, {"type": "text", "text": "r"}])
            ],
        },
        system=[{"type": "text", "text": "\n"}],
    )
    body = sent(given)
    assert "system" not in body
    assert [message["content"] for message in body["messages"]] == [
        [{"type": "text", "text": "go"}, result(content=[{"type": "text", "text": "r"}])][::-1]
    ]
    assert patched(given, OTHER).body.count(b'" "') == 1


def test_results_come_first_for_claude() -> None:
    given = request(said("assistant", using()), said("user", "see", result()))
    assert contents(given)[1] == [result(), {"type": "text", "text": "see"}]
    assert contents(given, OTHER)[1] == [{"type": "text", "text": "see"}, result()]


@pytest.mark.parametrize("taking", ["drop", "refuse"])
def test_pictures_become_remarks_where_they_are_not_taken(taking: Any) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    picture = {"type": "image", "source": {"type": "url", "url": "u"}, **mark}
    file = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "d"},
    }
    paper = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
        "title": "t",
    }
    given = request(
        said("user", picture, paper),
        said("assistant", using()),
        said("user", result(content=[file])),
    )
    abilities = Abilities(images=taking, files=taking)
    if taking == "refuse":
        with pytest.raises(RequestError, match="can't read the image in message 0"):
            patched(given, abilities=abilities)
        return
    found = patched(given, abilities=abilities)
    left = "left out: this model can't read it]"
    assert [message["content"] for message in json.loads(found.body)["messages"]][::2] == [
        [{"type": "text", "text": f"[image {left}", **mark}, paper],
        [result(content=[{"type": "text", "text": f"[file {left}"}])],
    ]
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    ("given", "model", "expected"),
    [
        pytest.param({"tools": [{"name": "f", "input_schema": {"x": 1}}]}, OTHER,
                     {"tools": [{"name": "f", "input_schema": {"x": 1, "type": "object"}}]}, id="schema"),
        pytest.param({"tools": [{"type": "web_search_20250305", "name": "w"}]}, OTHER, {}, id="server tool"),
        pytest.param({"stop_sequences": ["\n", "END"]}, CLAUDE, {"stop_sequences": ["END"]}, id="blank stop"),
        pytest.param({"stop_sequences": ["\n"]}, CLAUDE, {"stop_sequences": None}, id="only a blank stop"),
        pytest.param({"stop_sequences": ["\n"]}, OTHER, {}, id="blank stop elsewhere"),
        pytest.param({"tool_choice": {"type": "auto"}}, CLAUDE, {"tool_choice": None}, id="choice of no tools"),
        pytest.param({"tool_choice": {"type": "auto"}}, OTHER, {}, id="choice of no tools elsewhere"),
        pytest.param({"max_tokens": None}, OTHER, {"max_tokens": 32_000}, id="no limit"),
        pytest.param({"max_tokens": 1.5}, OTHER, {}, id="odd limit"),
    ],
)  # fmt: skip
def test_a_member_that_would_be_refused_is_mended(given: Json, model: str, expected: Json) -> None:
    body = {"model": model, "max_tokens": 9, "messages": [], **given}
    found = decode(json.dumps(body).encode(), unseal=own)
    assert found is not None
    wanted = {name: kept for name, kept in (body | expected).items() if kept is not None}
    assert sent(found, model) == wanted


def own(copy: Reasoning) -> Reasoning:
    return copy


def test_a_question_for_tokens_asks_for_nothing_else() -> None:
    given = request(
        said("user", "hi"),
        system="s",
        tools=[TOOL],
        stream=True,
        temperature=1,
        metadata={},
        context_management={"edits": []},
        thinking={"type": "enabled", "budget_tokens": 20_000},
    )
    assert sent(given, CLAUDE, counts=True).keys() == {
        *("model", "messages", "system", "tools", "context_management", "thinking"),
    }
    bare = decode(
        json.dumps(
            {
                "model": CLAUDE,
                "messages": [],
                "thinking": {"type": "enabled", "budget_tokens": 99_000},
            }
        ).encode(),
        unseal=own,
    )
    assert bare is not None
    assert sent(bare, counts=True)["thinking"]["budget_tokens"] == 99_000


@pytest.mark.parametrize("knows", [True, False], ids=["Claude", "another model"])
def test_a_tool_of_anthropics_kind_is_a_function_for_other_models(knows: bool) -> None:
    bash = {"type": "bash_20250124", "name": "bash", "cache_control": {"type": "ephemeral"}}
    search = {"type": "web_search_20250305", "name": "web_search"}
    given = request(said("user", "hi"), tools=[TOOL, bash, search])
    tools = sent(given, abilities=Abilities(api="messages", dated_tools=knows))["tools"]
    assert (tools[0], tools[2]) == (TOOL, search)
    if knows:
        assert tools[1] == bash
    else:
        assert (tools[1]["name"], tools[1]["cache_control"]) == ("bash", bash["cache_control"])
        assert tools[1]["input_schema"]["properties"].keys() == {"command", "restart"}
        assert "type" not in tools[1]
