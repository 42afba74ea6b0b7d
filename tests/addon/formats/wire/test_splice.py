"""JSON text is taken apart without touching what stays."""

import json

import pytest

from addon.formats.wire.splice import (
    MalformedJson,
    array_elements,
    array_text,
    changed,
    count,
    elements,
    json_text,
    members,
    object_raw,
    object_text,
    scalar_text,
    utf8_text,
    value,
)
from tests.support.breaths import breaths

HUGE_INTEGER = b"1" * 4_500
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"1.0e+2", id="float spelling"),
        pytest.param(b"1e400", id="beyond a double"),
        pytest.param(HUGE_INTEGER, id="4500 digits"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-Infinity", id="infinity"),
        pytest.param(rb'"\ud83d"', id="lone surrogate"),
        pytest.param(rb'"\u0041\/"', id="needless escapes"),
        pytest.param('"\u2028 🧠"'.encode(), id="line separator"),
        pytest.param(b'"a\tb\n"', id="control characters"),
        pytest.param(b'{ "a" : [ 1 , 2 ] }', id="blanks"),
        pytest.param(b'"' + b"x" * 5_000_000 + b'"', id="huge string"),
    ],
)
@pytest.mark.parametrize(
    "form", [b'{"a":%b,"b":1}', b'{ "a" : %b , "b" : 1 }'], ids=["compact", "spaced"]
)
def test_a_member_keeps_the_text_it_was_written_in(form: bytes, raw: bytes) -> None:
    assert members(form % raw) == [("a", raw), ("b", b"1")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"a":1,"b":2,"a":3}', id="compact"),
        pytest.param(b'{"a": 1, "b": 2, "a": 3}', id="spaced"),
        pytest.param(rb'{"a":1,"b":2,"\u0061":3}', id="escaped"),
        pytest.param(b'\xef\xbb\xbf\n{"a" :1,"b":2 ,"a":3}\r\n', id="mark and blanks"),
    ],
)
def test_members_that_stand_twice_are_both_found(text: bytes) -> None:
    assert members(text) == [("a", b"1"), ("b", b"2"), ("a", b"3")]


def test_equal_members_that_stand_twice_are_both_found() -> None:
    assert members(b'{"a": 1, "a": 1}') == [("a", b"1"), ("a", b"1")]


@pytest.mark.parametrize(
    "text", [b"{}", b" { } ", b"\xef\xbb\xbf{}"], ids=["bare", "blanks", "mark"]
)
def test_an_empty_object_has_no_members(text: bytes) -> None:
    assert members(text) == []


MALFORMED = {
    "empty": b"",
    "array": b"[]",
    "scalar": b"1",
    "cut": b'{"a":1',
    "trailing comma": b'{"a":1,}',
    "no colon": b'{"a" 1}',
    "no comma": b'{"a":1 "b":2}',
    "number as key": b"{1:2}",
    "bare word": b'{"a":b}',
    "leading zero": b'{"a":01}',
    "trailing text": b'{"a":1} x',
    "trailing NUL": b'{"a":1}\x00',
    "no-break space": '{"a":1}\xa0'.encode(),
    "second object": b'{"a":1}{"a":1}',
    "bad escape": rb'{"a":"\q"}',
    "deep": b'{"a":' + DEEP + b"}",
    "deep and spaced": b'{"a": ' + DEEP + b"}",
    "not UTF-8 as key": b'{"\xff":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_object_is_refused_in_words(text: bytes) -> None:
    with pytest.raises(MalformedJson, match=r"malformed|nested too deeply|not UTF-8"):
        members(text)


def test_members_with_control_characters_are_found_although_one_stands_twice() -> None:
    assert members(b'{"a":"\t","a\n":1,"a":2}') == [("a", b'"\t"'), ("a\n", b"1"), ("a", b"2")]
    assert value(b'["\t"]') == ["\t"]


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", b"null", b"[1", b"[1,]", b"[1 2]", b"[] x", DEEP, b"[\xff]"),
        rb'["\ud83d"] x',
        rb'["\ud83d"]]',
    ],
)
def test_what_is_no_array_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        elements(text)


def test_elements_keep_the_text_they_were_written_in() -> None:
    assert elements(rb' [ 1.0 , "\ud83d", { "a" : NaN },[ ]] ') == [
        b"1.0",
        rb'"\ud83d"',
        b'{ "a" : NaN }',
        b"[ ]",
    ]
    assert elements(rb'["\ud83d"]') == [rb'"\ud83d"']
    assert elements(b"[ ]") == []


def test_text_is_put_together_from_its_parts() -> None:
    assert object_text([("a", b"1.0"), ('"', b"[ ]")]) == rb'{"a":1.0,"\"":[ ]}'
    assert array_text([b"1.0", b"{ }"]) == b"[1.0,{ }]"
    assert object_text([]) == b"{}"
    assert array_text([]) == b"[]"


@pytest.mark.parametrize(
    "scalar", ["", "é\u2028", "\ud83d", 'a"\\\n\x00', None, True, 10**400, {"a": ["\udfff"]}]
)
def test_values_of_ours_become_json(scalar: object) -> None:
    assert json.loads(scalar_text(scalar)) == scalar
    assert value(scalar_text(scalar)) == scalar


@pytest.mark.parametrize(
    "text", [b"", b"{", b"01", rb'"\q"', DEEP, HUGE_INTEGER, b"\xff", b'"\xff"']
)
def test_what_has_no_value_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        value(text)


def test_only_the_value_at_the_path_changes() -> None:
    text = b'{ "x":1.0, "a":{"b": [1] ,"c" :NaN}, "a2":{"b":0} }'
    expected = b'{"x":1.0,"a":{"b":[1,2],"c":NaN},"a2":{"b":0}}'
    assert changed(text, ("a", "b"), lambda raw: array_text([*elements(raw), b"2"])) == expected


def test_a_path_that_is_not_there_changes_nothing() -> None:
    assert changed(b'{"a":{"b":1}}', ("a", "c"), lambda _: b"2") == b'{"a":{"b":1}}'


def test_text_that_is_not_utf_8_is_refused_with_its_place() -> None:
    with pytest.raises(MalformedJson, match="invalid byte at offset 6"):
        utf8_text(b'{"a":"\xff"}')


@pytest.mark.parametrize("array", ["[]", "[{},{}, {}]", '[1,"a",[2,3]]', '[{"a":NaN},{},{}]'])
def test_elements_are_counted_without_being_kept(array: str) -> None:
    text = array.encode()
    assert count(text, 10) == len(elements(text))


def test_what_no_decoder_takes_is_counted_as_far_as_one_beyond_the_most() -> None:
    assert count(b"[" + b"1," * 1000, 10) == 11
    with pytest.raises(MalformedJson):
        count(b"[1, 2", 10)


@pytest.mark.parametrize(
    "form", ['"k{}": 1', '"k{}":1', '"k": {}'], ids=["spaced", "compact", "the same key"]
)
def test_an_object_with_more_members_than_any_has_is_not_taken_apart(form: str) -> None:
    def text(size: int) -> bytes:
        return ("{" + ",".join(form.format(at) for at in range(size)) + "}").encode()

    assert len(members(text(10_000))) == 10_000
    with pytest.raises(MalformedJson, match="more than 10,000 members"):
        members(text(10_001))


def test_what_is_no_array_has_no_elements() -> None:
    assert array_elements(b' [1, "a"]') == [b"1", b'"a"']
    assert [array_elements(text) for text in (b"", b"null", b'"[1]"', b'{"a":[1]}')] == [[]] * 4


LARGE = 3 * 1024 * 1024
LARGE_TEXTS = {
    "plain": b"x",
    "escapes": b"\\u00e4",
    "quotes": b'\\"',
    "pairs": b"\\ud83d\\ude00",
    "lone surrogates": b"\\ud800x",
    "letters": "ä😀".encode(),
}


@pytest.mark.parametrize("filler", LARGE_TEXTS.values(), ids=LARGE_TEXTS)
def test_others_go_on_while_a_large_value_is_read_and_written(filler: bytes) -> None:
    literal = b'"%b"' % (filler * (LARGE // len(filler)))
    text = b'{"a":[{"b":%b},1],"c":{"d":%b}}' % (literal, literal)
    found, read = breaths(lambda: value(text))
    assert found == json.loads(text)
    assert read >= 10
    written, count = breaths(lambda: json_text(found))
    assert json.loads(written) == found
    assert count >= 5
    assert json.loads(breaths(lambda: scalar_text(found["c"]["d"]))[0]) == found["c"]["d"]


def test_a_long_list_of_short_values_is_written_as_it_is_at_once() -> None:
    node = {"a": [{"b": [n, None, "x" * 50]} for n in range(9000)], "c": {}, "d": []}
    written, count = breaths(lambda: json_text(node))
    assert written == scalar_text(node)
    assert count > 9000


def test_large_values_deep_within_others_are_refused() -> None:
    text = b"[" * 20 + b'"%b"' % (b"x" * LARGE) + b"]" * 20
    with pytest.raises(MalformedJson, match="too deeply"):
        value(text)


@pytest.mark.parametrize("begin", [b"1", b"-1", b" 0."])
def test_a_number_of_a_million_digits_is_not_worked_out(begin: bytes) -> None:
    with pytest.raises(MalformedJson, match="digits"):
        value(begin + b"1" * LARGE)


def test_others_go_on_while_many_deep_values_are_written() -> None:
    deep: object = 1
    for _ in range(300):
        deep = {"a": deep}
    node = [deep] * 1500
    written, count = breaths(lambda: json_text(node))
    assert written == scalar_text(node)
    assert count > 1000


@pytest.mark.parametrize(
    "text", [b"[]", b"", b"{} {}", b'{"a":tru}', b'{"a":NaN}', b'{"a":"\\ud800"}']
)
def test_only_the_text_of_one_object_stands_in_a_value_as_it_is(text: bytes) -> None:
    assert object_raw(text) is None


def test_an_objects_text_stands_in_a_value_as_it_is_but_beside_what_is_no_text() -> None:
    raw = object_raw(b' {"a": [1]}\n')
    assert scalar_text({"x": raw, "y": ""}) == b'{"x":{"a": [1]},"y":""}'
    assert scalar_text({"x": raw, "y": "\ud800"}) == b'{"x":{"a":[1]},"y":"\\ud800"}'


def test_others_go_on_while_many_objects_are_written_as_they_are() -> None:
    raw = object_raw(b'{"a":"%b"}' % (b"x" * 100_000))
    written, count = breaths(lambda: json_text([raw] * 100))
    assert written == scalar_text([raw] * 100)
    assert count > 20
