"""What a message's text says of it, whichever request it comes with."""

import pytest

from addon.formats.chat.known_message import read_message


def called(*ids: str, arguments: str = "{}") -> bytes:
    calls = [
        b'{"id":"%b","function":{"name":"Read","arguments":"%b"}}'
        % (call_id.encode(), arguments.encode())
        for call_id in ids
    ]
    return b'{"role":"assistant","content":null,"tool_calls":[%b]}' % b",".join(calls)


def test_ids_are_found_where_they_stand() -> None:
    raw = called("a", "b")
    places = read_message(raw).id_places
    assert {call_id: raw[start:end] for call_id, (start, end) in places.items()} == {
        "a": b'"a"',
        "b": b'"b"',
    }
    result = b'{"role":"tool","tool_call_id": "call_1","content":"of call_1"}'
    assert [result[start:end] for start, end in read_message(result).id_places.values()] == [
        b'"call_1"'
    ]


@pytest.mark.parametrize(
    "raw",
    [
        called("a", "a"),
        called("assistant"),
        called("caf\\u00e9"),
        called(""),
        b'{"role":"tool","tool_call_id" : "a","content":""}',
    ],
    ids=["twice", "another string", "other spelling", "empty", "a blank"],
)
def test_an_id_that_may_be_something_else_has_no_place(raw: bytes) -> None:
    assert read_message(raw).id_places == {}


def test_calls_of_custom_tools_are_told_by_their_arguments() -> None:
    assert read_message(called("a", arguments="*** Begin Patch")).has_custom_call
    assert not read_message(called("a", arguments=" {}")).has_custom_call
    assert not read_message(called("a", arguments="")).has_custom_call


def test_pictures_reasoning_and_developers_are_seen() -> None:
    picture = b'{"role":"user","content":[{"type": "image_url","image_url":{"url":"u"}}]}'
    assert read_message(picture).pictured
    assert read_message(b'{"role":"assistant","reasoning_content":"r"}').has_reasoning
    assert read_message(b'{"role":"developer","content":"d"}').is_developers
    plain = read_message(b'{"role":"user","content":"developer"}')
    assert (plain.pictured, plain.has_reasoning, plain.is_developers) == (False,) * 3
