"""Requests are read leniently and patched so that nothing else changes."""

import json
from typing import Any

import pytest

from addon.formats.chat.patch_request import ChatRequest, decode, edited, encode
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.turn import Edit, Message, ToolCall
from addon.formats.wire.splice import scalar_text

ODD = rb'{ "content" : [ {"text":"\u0041\ud83d \u2028\\", "x": 1.0e+2} ],  "role":"user", "big": 1e400 }'
CALL = '{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\\"a\\": 1}"}}'


def request(*messages: str | bytes, more: str = "") -> ChatRequest:
    texts = [text if isinstance(text, bytes) else text.encode() for text in messages]
    return decode(b'{"model":"m"' + more.encode() + b',"messages":[' + b" , ".join(texts) + b"]}")


def message(text: str | bytes) -> Message:
    return request(text).messages[0]


def refused(body: bytes, deployment: str = "") -> Problem:
    with pytest.raises(RequestError) as caught:
        decode(body, deployment)
    return caught.value.problem


def sent(given: ChatRequest, model: str = "m", edits: dict[int, Edit] | None = None) -> bytes:
    return encode(given, model=model, edits=edits or {}, extra=[])


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["developer", "system", "user", "assistant", "tool", "function"])
def test_roles_become_neutral(given: str) -> None:
    expected = {"developer": "system", "function": "tool"}.get(given, given)
    assert message(f'{{"role":"{given}","content":""}}').role == expected


@pytest.mark.parametrize("odd", ['{"role":"critic"}', '{"role":7}', "{}"])
def test_a_message_of_no_known_role_is_let_through(odd: str) -> None:
    assert message(odd).role == ""
    assert sent(request(odd)) == request(odd).body


def test_a_turn_is_read_with_its_calls_and_reasoning() -> None:
    found = message(
        f'{{"role":"assistant","content":null,"tool_calls":[{CALL}],"reasoning_content":"r","reasoning":""}}'
    )
    assert found.calls == (ToolCall("call_1", "f", '{"a": 1}'),)
    assert found.reasoning == (("reasoning_content", "r"), ("reasoning", ""))
    assert found.text == ""


def test_a_result_names_its_call() -> None:
    assert message('{"role":"tool","tool_call_id":"call_1","content":"x"}').result_of == "call_1"


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param(
            '[{"function":{"name":"f","arguments":"patch"}}]',
            (ToolCall("", "f", "patch"),),
            id="no JSON",
        ),
        pytest.param(
            '[{"id":"a","function":{"arguments":{"b":[1]}}}]',
            (ToolCall("a", "", '{"b":[1]}'),),
            id="object",
        ),
        pytest.param(
            '[{"id":"a","function":{"arguments":1e400}}]',
            (ToolCall("a", "", "null"),),
            id="infinity",
        ),
        pytest.param(
            f'[{{"id":{10**40},"function":null}}]', (ToolCall("", "", ""),), id="number as id"
        ),
        pytest.param(
            r'[{"id":"\ud83d","function":"f"}]', (ToolCall("\ud83d", "", ""),), id="lone surrogate"
        ),
        pytest.param("null", (), id="null"),
    ],
)
def test_calls_of_any_shape_are_read(calls: str, expected: tuple[ToolCall, ...]) -> None:
    assert message(f'{{"role":"assistant","tool_calls":{calls}}}').calls == expected


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ("null", "messages[0]"),
        ('"x"', "messages[0]"),
        ("[]", "messages[0]"),
        ("7", "messages[0]"),
        ('{"role":"assistant","tool_calls":{"id":"a"}}', "messages[0].tool_calls"),
        ('{"role":"assistant","tool_calls":[{},null]}', "messages[0].tool_calls[1]"),
        ('{"role":"tool","content":7}', "messages[0].content"),
        ('{"role":"user","content":["a",{},[]]}', "messages[0].content[2]"),
    ],
)
def test_what_is_no_message_is_refused(text: str, param: str) -> None:
    problem = refused(f'{{"model":"m","messages":[{text}]}}'.encode())
    assert (problem.status, problem.code, problem.param) == (400, "malformed_message", param)


def test_a_legacy_function_call_is_a_call() -> None:
    text = '{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}'
    assert message(text).calls == (ToolCall("", "f", "{}"),)


def test_a_message_that_only_the_lenient_parser_reads_is_read_whole() -> None:
    found = message(
        rb'{"role":"assistant","content":"\ud83d","tool_calls":[{"id":"a","x":NaN}],"reasoning":"\udfff"}'
    )
    assert (found.role, found.text, found.reasoning) == (
        "assistant",
        "\ud83d",
        (("reasoning", "\udfff"),),
    )
    assert found.calls == (ToolCall("a", "", ""),)


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("", False),
        (',"stream_options":null', False),
        (',"stream_options":{}', False),
        (',"stream_options":{"include_usage":false}', False),
        (',"stream_options":{"include_usage":1}', False),
        (',"stream_options":{ "include_usage" : true }', True),
    ],
)
def test_usage_is_asked_only_by_true(more: str, asked: bool) -> None:
    assert request(more=more).usage_asked is asked


@pytest.mark.parametrize(
    ("more", "has_tools"),
    [("", False), (',"tools":null', False), (',"tools":[]', False), (',"tools":[{}]', True)],
)
def test_a_request_with_tools_is_known(more: str, has_tools: bool) -> None:
    assert request(more=more).has_tools is has_tools


def test_an_answer_may_be_as_long_as_the_largest_limit_says() -> None:
    both = request(more=',"max_completion_tokens":7,"max_tokens":9,"n":3')
    assert (both.max_tokens, both.choices) == (9, 3)
    neither = request(more=',"max_completion_tokens":"7","max_tokens":-1,"n":0')
    assert (neither.max_tokens, neither.choices) == (None, 1)


@pytest.mark.parametrize(
    ("more", "stream"),
    [
        ("", False),
        (',"stream":false', False),
        (',"stream":1', False),
        (' , "stream" : true ', True),
    ],
)
def test_a_request_streams_only_by_true(more: str, stream: bool) -> None:
    assert request(more=more).stream is stream


# -- refusing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["model", "stream", "messages", "input"])
@pytest.mark.parametrize(
    "second", [str, str.capitalize, lambda key: rf"\u{ord(key[0]):04x}{key[1:]}"]
)
def test_a_routing_key_that_stands_twice_is_refused(key: str, second: Any) -> None:
    body = f'{{"model":"m","{key}":[], "{second(key)}" : [],"messages":[]}}'
    assert f"'{key}' stands in the body more than once" in refused(body.encode()).message


@pytest.mark.parametrize("key", ["meſſages", "model\u212a"])
def test_keys_that_some_servers_take_for_routing_keys_are_known(key: str) -> None:
    body = f'{{"model":"m","messages":[],"{key}":[]}}'.encode()
    if key.casefold() == "messages":
        assert refused(body).code == "invalid_json"
    else:
        assert sent(decode(body)) == body


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        pytest.param(b"", "invalid_json", "malformed", id="empty"),
        pytest.param(b"[]", "invalid_json", "malformed", id="array"),
        pytest.param(
            b'{"model":"m","messages":[]} x', "invalid_json", "after its end", id="trailing text"
        ),
        pytest.param(
            b'{"model":"m","messages":[1,]}', "invalid_json", "malformed", id="trailing comma"
        ),
        pytest.param(
            b'{"model":"m","messages":["\xff"]}', "invalid_json", "not UTF-8", id="not UTF-8"
        ),
        pytest.param(
            b'{"model":"m", "messages":["\xff"]}',
            "invalid_json",
            "not UTF-8",
            id="not UTF-8, spaced",
        ),
        pytest.param(b'{"a":' * 100_000, "invalid_json", "too deeply", id="deep"),
        pytest.param(b'{"model":"m"}', "missing_messages", "no 'messages'", id="no messages"),
        pytest.param(
            b'{"model":"m","messages":null}', "missing_messages", "not an array", id="null messages"
        ),
        pytest.param(
            b'{"model":"m","messages":"x"}', "missing_messages", "not an array", id="text messages"
        ),
        pytest.param(
            b'{"model":"m","input":[]}', "missing_messages", "no 'messages'", id="Responses"
        ),
        pytest.param(
            b'{"model":"m","messages":[{"role":"user"}]}',
            "missing_content",
            "role 'user'",
            id="no content",
        ),
        pytest.param(
            b'{"model":"m","messages":[{"role":"developer","content":7}]}',
            "missing_content",
            "role 'developer'",
            id="a number as content",
        ),
        pytest.param(b'{"messages":[]}', "missing_model", "names no 'model'", id="no model"),
        pytest.param(
            b'{"model":7,"messages":[]}', "missing_model", "names no 'model'", id="number as model"
        ),
        pytest.param(
            b'{"model":"","messages":[]}', "missing_model", "names no 'model'", id="empty model"
        ),
        pytest.param(
            rb'{"model":"\ud83d","messages":[]}',
            "invalid_model",
            "printable",
            id="surrogate as model",
        ),
        pytest.param(
            rb'{"model":"a\u0000","messages":[]}',
            "invalid_model",
            "printable",
            id="NUL in the model",
        ),
        pytest.param(
            rb'{"model":"a\u202e","messages":[]}',
            "invalid_model",
            "printable",
            id="direction override",
        ),
        pytest.param(
            b'{"model":"%b","messages":[]}' % (b"x" * 257), "invalid_model", "256", id="long model"
        ),
    ],
)
def test_what_cannot_be_routed_is_refused_in_words(body: bytes, code: str, words: str) -> None:
    problem = refused(body)
    assert (problem.status, problem.code) == (400, code)
    assert words in problem.message


def read_or_refused(text: str) -> str:
    try:
        return request(text).messages[0].text
    except RequestError as error:
        return error.problem.message


@pytest.mark.parametrize("depth", [9_000, *range(9_990, 10_003), 50_000])
@pytest.mark.parametrize("member", ['"tool_calls"', '"content"', '"reasoning"', '"x"'])
def test_a_deep_message_is_read_or_refused(member: str, depth: int) -> None:
    deep = f'[{{"x":{"[" * depth + "]" * depth}}}]'
    told = read_or_refused(f'{{"role":"assistant",{member}:{deep}}}')
    assert (
        told == ""
        if depth == 9_000
        else told in ("", "The request is refused: the JSON is nested too deeply.")
    )


def test_a_long_model_is_taken() -> None:
    assert len(decode(b'{"model":"%b","messages":[]}' % (b"x" * 256)).model) == 256


def test_a_deployment_is_held_to_the_same_as_a_model() -> None:
    assert refused(b'{"messages":[]}', "a\nb").code == "invalid_model"


# -- patching --------------------------------------------------------------------------------------

UNCHANGED = {
    "compact": b'{"model":"m","messages":[%b]}' % ODD,
    "spaced": b'\n{ "messages" : [ %b , {} ] , "model" : "m" }\r\n' % ODD,
    "mark": b'\xef\xbb\xbf{"model":"m","messages":[]}',
    "escaped": rb'{"mod\u0065l":"\u006d","messages":[]}',
    "twice": b'{"model":"m","messages":[],"x":1,"x":2}',
    "numbers": b'{"model":"m","messages":[],"a":1e400,"b":-0.0,"c":%b,"d":NaN}' % (b"1" * 4_500),
    "streams with usage": b'{"model":"m","stream":true,"stream_options":{"include_usage":true },"messages":[]}',
    "stream options of no stream": b'{"model":"m","stream_options":7,"messages":[]}',
}


@pytest.mark.parametrize("body", UNCHANGED.values(), ids=UNCHANGED)
def test_a_body_that_needs_no_change_stays_byte_identical(body: bytes) -> None:
    assert sent(decode(body)) == body


def test_a_messages_worth_of_no_change_leaves_the_body_alone() -> None:
    given = request(f'{{"role":"assistant","tool_calls":[{CALL}], "reasoning_content":"r"}}', ODD)
    assert sent(given, edits={0: Edit({"reasoning_content": "r"}), 1: Edit()}) == given.body


def test_only_the_model_changes_when_it_is_renamed() -> None:
    body = b'{ "x": 1.0, "model" : "m" , "messages": [ %b ] }' % ODD
    assert (
        sent(decode(body), model="n\u00e9")
        == '{"x":1.0,"model":"né","messages":['.encode() + b" " + ODD + b" ]}"
    )


@pytest.mark.parametrize("named", [b'"model":"other",', b'"model":{"a":1},', b""])
def test_a_deployment_replaces_the_bodys_model(named: bytes) -> None:
    given = decode(b"{" + named + b'"messages":[]}', "dep")
    assert given.model == "dep"
    assert json.loads(sent(given, model="dep")) == {"model": "dep", "messages": []}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", b'{"include_usage":true}'),
        (',"stream_options":null', b'{"include_usage":true}'),
        (',"stream_options":"x"', b'{"include_usage":true}'),
        (
            ',"stream_options":{ "a" : 1.0, "include_usage":false}',
            b'{"a":1.0,"include_usage":true}',
        ),
    ],
)
def test_usage_is_asked_for_in_every_stream(options: str, expected: bytes) -> None:
    given = request(more=f',"stream":true{options}')
    assert dict(decode(sent(given)).parts)["stream_options"] == expected


def test_extra_members_replace_or_extend_the_top_level() -> None:
    given = request(more=',"thinking":{"type":"enabled"}')
    body = encode(
        given, model="m", edits={}, extra=[("thinking", b'{"type":"disabled"}'), ("new", b"1")]
    )
    assert json.loads(body) == {
        "model": "m",
        "messages": [],
        "thinking": {"type": "disabled"},
        "new": 1,
    }


def test_messages_without_an_edit_stay_byte_identical_in_a_patched_body() -> None:
    turn = '{"role":"assistant", "content":"a"}'
    body = sent(request(ODD, turn, ODD), edits={1: Edit({"reasoning_content": "r"})})
    assert (
        body
        == b'{"model":"m","messages":['
        + ODD
        + b',{"role":"assistant", "content":"a","reasoning_content":"r"},'
        + (ODD + b"]}")
    )


@pytest.mark.parametrize(
    ("raw", "reasoning", "expected"),
    [
        pytest.param(
            '{"role":"assistant"}',
            {"reasoning": "r"},
            '{"role":"assistant","reasoning":"r"}',
            id="added",
        ),
        pytest.param(
            '{"a": 1 }\n', {"reasoning": ""}, '{"a": 1 ,"reasoning":""}', id="added to blanks"
        ),
        pytest.param(
            '{"reasoning":"x","a":1.0}',
            {"reasoning": "r"},
            '{"a":1.0,"reasoning":"r"}',
            id="replaced",
        ),
        pytest.param(
            '{"reasoning" : "r","a": 1}',
            {"reasoning": "r"},
            '{"reasoning" : "r","a": 1}',
            id="as it was",
        ),
        pytest.param(
            '{"reasoning_text":"x","a":1}',
            {"reasoning": "r"},
            '{"a":1,"reasoning":"r"}',
            id="renamed",
        ),
        pytest.param(
            '{"a":1,"reasoning":"x","reasoning_content":"y"}', {}, '{"a":1}', id="removed"
        ),
        pytest.param('{"a":1}', {}, '{"a":1}', id="nothing to remove"),
        pytest.param('{"reasoning":"x"}', None, '{"reasoning":"x"}', id="let alone"),
        pytest.param(
            '{"a":"\\"reasoning\\""}',
            {"reasoning": "r"},
            '{"a":"\\"reasoning\\"","reasoning":"r"}',
            id="word",
        ),
        pytest.param(
            '{"reasoning_details":[]}',
            {"reasoning": "r"},
            '{"reasoning_details":[],"reasoning":"r"}',
            id="kin",
        ),
        pytest.param(
            '{"a":1}',
            {"reasoning": "\ud83d\u2028"},
            '{"a":1,"reasoning":"\\ud83d\\u2028"}',
            id="surrogate",
        ),
        pytest.param('{"a":1}', {"x": "1", "y": "2"}, '{"a":1,"x":"1","y":"2"}', id="two names"),
    ],
)
def test_reasoning_is_put_in_and_the_rest_stays(
    raw: str, reasoning: dict[str, str] | None, expected: str
) -> None:
    assert edited(raw.encode(), Edit(reasoning)) == expected.encode()


def test_ids_are_mapped_in_calls_and_results() -> None:
    ids = {"call_1": "functions.Read:0", "call_2": "é"}
    calls = f'{{"role":"assistant","tool_calls":[ {CALL}, {{"id": "call_2"}}, {{"id":"other"}} ]}}'
    expected = calls.replace("call_1", "functions.Read:0").replace("call_2", "é")
    assert edited(calls.encode(), Edit(ids=ids)) == expected.encode()
    result = b'{"role":"tool", "tool_call_id":"call_1", "content":"1.0"}'
    assert edited(result, Edit(ids={"call_1": "x"})) == result.replace(b"call_1", b"x")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            '{"tool_call_id":"c","content":"c"}', '{"tool_call_id":"p","content":"c"}', id="content"
        ),
        pytest.param(
            '{"tool_call_id": "c","name":"c"}', '{"tool_call_id":"p","name":"c"}', id="name"
        ),
        pytest.param(
            '{"tool_calls":null,"tool_call_id":"c","content":[{"text":"c"}]}',
            '{"tool_calls":null,"tool_call_id":"p","content":[{"text":"c"}]}',
            id="part",
        ),
        pytest.param(
            '{"tool_calls":[null,{"id":"c","function":{"name":"c","arguments":{"id":"c"}}}]}',
            '{"tool_calls":[null,{"id":"p","function":{"name":"c","arguments":{"id":"c"}}}]}',
            id="arguments",
        ),
        pytest.param(
            '{"tool_calls":[{"id":"\\u0063","c":1}]}',
            '{"tool_calls":[{"id":"p","c":1}]}',
            id="escaped",
        ),
        pytest.param('{"tool_call_id" :\n"c"}', '{"tool_call_id":"p"}', id="blanks"),
        pytest.param('{"tool_calls":{"id":"c"},"tool_call_id":["c"]}', None, id="other shapes"),
        pytest.param('{"tool_calls": [ {"id": "d"} ], "name": "c"}', None, id="no id"),
    ],
)
def test_only_ids_are_mapped_where_other_texts_equal_one(raw: str, expected: str | None) -> None:
    assert edited(raw.encode(), Edit(ids={"c": "p"})) == (expected or raw).encode()


def test_reasoning_and_ids_change_in_one_edit() -> None:
    raw = f'{{"role":"assistant","tool_calls":[{CALL}]}}'
    body = edited(raw.encode(), Edit({"reasoning_content": '"call_1"'}, {"call_1": "p"}))
    assert (
        body
        == raw.replace("call_1", "p").encode()[:-1]
        + b',"reasoning_content":'
        + scalar_text('"call_1"')
        + b"}"
    )
