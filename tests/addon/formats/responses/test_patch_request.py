"""A Responses request goes to a Responses upstream as it came, but for what has to change."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.turn import Edit, Reasoning, Text, message_of
from addon.formats.responses.patch_request import PatchableRequest, Target, decode
from addon.formats.wire.splice import members

type Json = dict[str, Any]

USER = b'{ "role" : "user", "content" : "caf\\u00e9", "odd": 1.0e+2 }'
CALL = (
    b'{"type":"function_call","id":"fc_1","call_id":"call_ours","name":"f","arguments":"{ \\"a\\": 1}",'
    b'"status":"completed"}'
)
RESULT = b'{"call_id" : "call_ours", "type":"function_call_output","output":"call_ours"}'
CUSTOM = b'{"type":"custom_tool_call","call_id":"call_b","name":"g","input":"raw"}'
CUSTOM_RESULT = b'{"type":"custom_tool_call_output","call_id":"call_b","output":[{"type":"input_text","text":"x"}]}'
SAID = (
    b'{"type":"message","id":"msg_1","role":"assistant","phase":"commentary",'
    b'"content":[{"type":"output_text","text":"hi"}]}'
)
TOOLS = b'{"type":"additional_tools","role":"developer","tools":[{"type":"namespace","name":"n","tools":[]}]}'
COMPACTION = b'{"type":"compaction","id":"cmp_1","encrypted_content":"e","new":[1e400]}'
SEARCH = b'{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}}'
MCP = b'{"type":"mcp_list_tools","id":"mcpl_1","server_label":"s","tools":[]}'
SHELL = b'{"type":"local_shell_call","call_id":"call_ls","action":{"command":["ls"]}}'
SHELL_RESULT = b'{"type":"local_shell_call_output","id":"call_ls","output":"x"}'


def never(copy: Reasoning) -> Reasoning | None:
    raise AssertionError(f"nothing is to be opened: {copy}")


class Stored:
    """Answers that are stored."""

    def __init__(self, *items: Json, answer_id: str = "resp_1") -> None:
        self.items = items
        self.answer_id = answer_id

    def conversation(self, answer_id: str) -> list[Json]:
        assert answer_id == self.answer_id
        return list(self.items)

    def item(self, item_id: str) -> Json | None:
        return next((item for item in self.items if item.get("id") == item_id), None)


def body(*items: bytes, more: bytes = b"") -> bytes:
    rest = b',"store":false,"include":["reasoning.encrypted_content"]'
    return b'{"model":"m" , "input": [' + b" , ".join(items) + b"]" + rest + more + b"}"


def request(*items: bytes, more: bytes = b"", unseal: Unseal = never) -> PatchableRequest:
    return decode(body(*items, more=more), past=None, unseal=unseal)


def sent(given: PatchableRequest, **target: Any) -> bytes:
    return given.body(Target(**{"model": "m", "abilities": Abilities()} | target)).body


def items_of(sent_body: bytes) -> list[bytes]:
    """The texts of the items in a body whose input was written anew."""
    found = dict(members(sent_body))["input"]
    return [json.dumps(item).encode() for item in json.loads(found)]


def same(*items: bytes) -> list[bytes]:
    return [json.dumps(json.loads(item)).encode() for item in items]


def refused(text: bytes, past: Stored | None = None) -> Problem:
    with pytest.raises(RequestError) as caught:
        decode(text, past=past, unseal=never)
    return caught.value.problem


# -- what nothing has to change in -----------------------------------------------------------------


OF_ALL_KINDS = [TOOLS, USER, SAID, COMPACTION, SEARCH, MCP, SHELL, SHELL_RESULT]


@pytest.mark.parametrize("items", [[USER], OF_ALL_KINDS, []])
def test_a_body_that_needs_no_change_goes_out_as_it_came(items: list[bytes]) -> None:
    more = b', "tools":[{"type":"mcp","server_label":"s"}], "client_metadata":{"a":1},"temperature":1.00,"temperature":2'
    given = body(*items, more=more)
    assert sent(decode(given, past=None, unseal=never)) == given


def test_an_input_of_one_text_goes_out_as_it_came() -> None:
    given = b'{"input" : "caf\\u00e9\\ud83d","model":"m","store": false,"include":["reasoning.encrypted_content"]}'
    found = decode(given, past=None, unseal=never)
    assert sent(found) == given
    assert found.request.messages == [message_of("user", [Text("café\ud83d")])]


def test_the_members_that_were_cut_before_are_taken() -> None:
    given = body(USER)
    assert sent(decode(given, past=None, unseal=never, parts=members(given))) == given


# -- members ---------------------------------------------------------------------------------------


def test_the_model_is_the_upstreams() -> None:
    given = b'{"model":"m","input":[ {"type":"x","y":1.0e+2} ],"store":false,"include":["reasoning.encrypted_content"],"x":{ }}'
    found = sent(decode(given, past=None, unseal=never), model="theirs")
    assert found == given.replace(b'"m"', b'"theirs"')


@pytest.mark.parametrize("store", [b"", b',"store":true', b',"store":null'])
def test_an_upstream_stores_nothing(store: bytes) -> None:
    given = b'{"model":"m","input":[],"include":["reasoning.encrypted_content"]' + store + b"}"
    found = json.loads(sent(decode(given, past=None, unseal=never)))
    assert found["store"] is False


@pytest.mark.parametrize(
    ("include", "asked"),
    [
        (b"", b'["reasoning.encrypted_content"]'),
        (b',"include":null', b'["reasoning.encrypted_content"]'),
        (b',"include":[ "a" ]', b'["a","reasoning.encrypted_content"]'),
        (
            b',"include":[ "reasoning.encrypted_content", "a" ]',
            b'[ "reasoning.encrypted_content", "a" ]',
        ),
    ],
)
def test_reasoning_that_can_be_sent_back_is_asked_for(include: bytes, asked: bytes) -> None:
    given = b'{"model":"m","store":false' + include + b"}"
    assert dict(members(sent(decode(given, past=None, unseal=never))))["include"] == asked


def test_it_is_not_asked_of_models_that_do_not_reason() -> None:
    given = b'{"model":"m","store":false,"include":[ "reasoning.encrypted_content", 1.0 ]}'
    found = sent(
        decode(given, past=None, unseal=never), abilities=Abilities(encrypted_reasoning=False)
    )
    assert found == b'{"model":"m","store":false,"include":[1.0]}'


@pytest.mark.parametrize(
    ("reasoning", "effort", "told"),
    [
        (b'{ "summary": "auto" }', "high", b'{"summary":"auto","effort":"high"}'),
        (b'{"effort":"low" ,"new": 1.0}', "high", b'{"effort":"high","new":1.0}'),
        (b'{ "effort" : "high" }', "high", b'{ "effort" : "high" }'),
        (b'{ "effort" : "low" }', "", b'{ "effort" : "low" }'),
        (b"null", "none", b'{"effort":"none"}'),
    ],
)
def test_an_effort_is_told_beside_what_the_client_says(
    reasoning: bytes, effort: str, told: bytes
) -> None:
    found = sent(request(USER, more=b',"reasoning":' + reasoning), effort=effort)
    assert dict(members(found))["reasoning"] == told


def test_members_that_win_are_set() -> None:
    found = sent(
        request(USER, more=b',"thinking":{"type":"enabled"}'),
        override={"thinking": {"type": "disabled"}},
    )
    assert dict(members(found))["thinking"] == b'{"type":"disabled"}'


# -- ids of tool calls -----------------------------------------------------------------------------


def test_an_upstream_gets_its_own_ids_back() -> None:
    found = request(USER, CALL, CUSTOM, RESULT, CUSTOM_RESULT)
    ids = {"call_ours": "call_theirs"}
    edits = {
        1: Edit(ids=ids | {"call_b": "ctc_theirs"}),
        2: Edit(ids=ids),
        3: Edit(ids={"call_b": "ctc_theirs"}),
    }
    assert items_of(sent(found, edits=edits)) == same(
        USER,
        CALL.replace(b"call_ours", b"call_theirs"),
        CUSTOM.replace(b"call_b", b"ctc_theirs"),
        RESULT.replace(b'"call_ours", ', b'"call_theirs", '),
        CUSTOM_RESULT.replace(b"call_b", b"ctc_theirs"),
    )


def test_what_stands_beside_an_id_keeps_its_bytes() -> None:
    found = sent(request(USER, CALL), edits={1: Edit(ids={"call_ours": "call_theirs"})})
    assert USER in found
    assert CALL.replace(b"call_ours", b"call_theirs") in found


def test_an_id_that_stands_for_a_call_is_mapped_too() -> None:
    call = b'{"type":"function_call","id":"call_ours","name":"f","arguments":""}'
    found = sent(request(call), edits={0: Edit(ids={"call_ours": "c"})})
    assert items_of(found) == same(call.replace(b"call_ours", b"c"))


# -- lost turns ------------------------------------------------------------------------------------


def test_messages_before_a_lost_turn_are_dropped() -> None:
    found = request(USER, SAID, CALL, RESULT, USER)
    assert items_of(sent(found, edits={at: Edit(dropped=True) for at in range(3)})) == same(USER)


def test_instructions_are_a_message_without_an_item() -> None:
    found = request(USER, SAID, more=b',"instructions":"be brief"')
    assert [message.role for message in found.request.messages] == ["system", "user", "assistant"]
    assert items_of(sent(found, edits={2: Edit(dropped=True)})) == same(USER)


# -- stored answers --------------------------------------------------------------------------------

ASKED = {"role": "user", "content": "before", "type": "message", "id": "msg_0"}
ANSWERED = json.loads(SAID)


def test_what_a_request_goes_on_from_stands_before_it() -> None:
    given = body(USER, more=b',"previous_response_id":"resp_1"')
    found = decode(given, past=Stored(ASKED, ANSWERED), unseal=never)
    assert items_of(sent(found)) == same(json.dumps(ASKED).encode(), SAID, USER)
    assert USER in sent(found)
    assert b"previous_response_id" not in sent(found)
    assert found.request.previous_response_id == "resp_1"
    assert [message.role for message in found.request.messages] == ["user", "assistant", "user"]


def test_a_text_alone_becomes_an_item_behind_it() -> None:
    given = b'{"model":"m","input":"caf\\u00e9","previous_response_id":"resp_1"}'
    found = sent(decode(given, past=Stored(ANSWERED), unseal=never))
    assert b',{"role":"user","content":"caf\\u00e9"}]' in found


def test_edits_know_their_items_behind_what_came_before() -> None:
    given = body(RESULT, more=b',"previous_response_id":"resp_1"')
    past = Stored(ASKED, json.loads(CALL))
    edits = {at: Edit(ids={"call_ours": "c"}) for at in (1, 2)}
    found = items_of(sent(decode(given, past=past, unseal=never), edits=edits))
    assert [json.loads(item).get("call_id") for item in found] == [None, "c", "c"]


def test_a_reference_becomes_its_item() -> None:
    given = body(USER, b'{"type":"item_reference","id":"msg_1"}').replace(
        b'"store":false', b'"store":true'
    )
    found = decode(given, past=Stored(ANSWERED), unseal=never)
    assert items_of(sent(found)) == same(USER, SAID)
    assert found.request.own_items == [json.loads(USER), ANSWERED]


def test_references_and_answers_that_are_not_there_are_refused() -> None:
    assert (
        refused(body(b'{"type":"item_reference","id":"msg_2"}'), Stored(ANSWERED)).code
        == "item_not_found"
    )
    assert refused(body(more=b',"previous_response_id":"resp_1"')).code == "unsupported_parameter"


# -- pictures --------------------------------------------------------------------------------------

PICTURE = b'{"type":"input_image","image_url":"data:x"}'
SHOWN = (
    b'{"role":"user","content":[{"type":"input_text","text":"look" , "x":1.0},' + PICTURE + b"]}"
)


def test_pictures_are_left_out_with_a_remark() -> None:
    found = request(
        SHOWN, b'{"type":"function_call_output","call_id":"c","output":[' + PICTURE + b"]}"
    )
    sent_body = found.body(Target(model="m", abilities=Abilities(images="drop")))
    assert sent_body.body.count(b"[image left out: this model can't read it]") == 2
    assert b'{"type":"input_text","text":"look" , "x":1.0}' in sent_body.body
    assert sent_body.notes == tuple(
        f"the image in item {at} was left out: the upstream takes none" for at in (0, 1)
    )


def test_pictures_are_refused_where_that_is_wanted() -> None:
    with pytest.raises(RequestError, match="can't read the image in item 0"):
        sent(request(SHOWN), abilities=Abilities(images="refuse"))


def test_files_may_go_where_pictures_may_not() -> None:
    item = b'{"role":"user","content":[{"type":"input_file","file_id":"f"}]}'
    assert items_of(sent(request(item), abilities=Abilities(images="drop"))) == same(item)


# -- what is read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[", "invalid_json"),
        (b'{"model":"m","model":"n"}', "invalid_json"),
        (b'{"model":"m","input":[}', "invalid_json"),
        (b'{"model":"m","input":7}', "invalid_input"),
        (b'{"input":[]}', "missing_model"),
        (b'{"model":"m","background":true}', "unsupported_parameter"),
    ],
)
def test_what_cannot_be_read_is_refused(text: bytes, code: str) -> None:
    assert refused(text).code == code


NOT_NATIVE: Mapping[str, bytes] = {
    "a result as a message": b'{"role":"tool","tool_call_id":"c","content":"x"}',
    "calls in a message": b'{"role":"assistant","tool_calls":[]}',
    "reasoning in a message": b'{"role":"assistant","content":"x","reasoning_content":"r"}',
    "a part of Chat Completions": b'{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}',
    "a block of Messages": b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"}]}',
}


@pytest.mark.parametrize("item", NOT_NATIVE.values(), ids=NOT_NATIVE.keys())
def test_the_shapes_of_other_formats_are_told_apart(item: bytes) -> None:
    assert not request(item).is_native


NESTED = b',"tools":[{"type":"function","function":{"name":"f"}}]'


@pytest.mark.parametrize("more", [NESTED, b',"tools":[{"name":"f","input_schema":{}}]'])
def test_tools_in_the_shapes_of_other_formats_are_told_apart(more: bytes) -> None:
    assert not request(USER, more=more).is_native


def test_unknown_items_and_parts_are_native() -> None:
    part = b'{"role":"user","content":[{"type":"hologram","beam":1}]}'
    found = request(USER, TOOLS, COMPACTION, SEARCH, part, b'{"type":"novel","role":"stranger"}')
    assert found.is_native
    assert sent(found) == body(
        USER, TOOLS, COMPACTION, SEARCH, part, b'{"type":"novel","role":"stranger"}'
    )
