"""A body's conversation is cut into pieces, of which those that came before are known."""

import json
import tracemalloc
from typing import Any

import pytest

from addon.formats.wire.pieces import Cut, Pieces
from addon.formats.wire.splice import elements, members
from addon.formats.wire.weight import SEPARATORS

ROOM = 1024 * 1024
CONVERSATION: list[Any] = [
    {"role": "system", "content": "Be brief, [and] {kind}. " * 20},
    {"role": "user", "content": "hi"},
    {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "ho"}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}, {"id": "call_2"}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "done, " * 100},
    {"role": "user", "content": "go on, please"},
]
SPELLINGS: dict[str, Any] = {
    "compact": {"separators": (",", ":")},
    "Python's": {},
    "with lines": {"indent": 1},
}


def text(messages: list[Any], name: str = "messages", **spelling: Any) -> bytes:
    body = {"model": "m", "stop": ["a", "b"], name: messages, "tools": [{"a": [1, 2]}], "n": 1}
    return json.dumps(body, **spelling).encode()


def cut(known: Pieces, body: bytes) -> Cut:
    begun = known.begin(body)
    assert begun is not None
    found = known.cut(begun)
    assert found is not None
    return found


READ: list[bytes] = []


def length(raw: bytes) -> int:
    READ.append(raw)
    return len(raw)


def learnt(known: Pieces, body: bytes) -> list[bytes]:
    """The pieces that something is learnt of now, for the first time."""
    READ.clear()
    for piece in cut(known, body).pieces:
        assert piece.fact(length) == len(piece.raw)
    return READ[:]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", ["messages", "input"])
def test_the_members_and_the_messages_are_those_of_the_body(spelling: str, name: str) -> None:
    known = Pieces(ROOM)
    for count in (3, 2, 6, 6, 0):
        body = text(CONVERSATION[:count], name, **SPELLINGS[spelling])
        found = cut(known, body)
        parts = members(body)
        assert found.parts == parts
        assert dict(found.outline) == {**dict(parts), name: b"[]"}
        assert [piece.raw for piece in found.pieces] == elements(dict(parts)[name])
        assert bytes(found.span) == dict(parts)[name]


@pytest.mark.parametrize("spelling", ["compact", "Python's"])
def test_nothing_is_learnt_twice_of_a_message(spelling: str) -> None:
    known, how = Pieces(ROOM), SPELLINGS[spelling]
    body = text(CONVERSATION[:4], **how)
    assert learnt(known, body) == elements(dict(members(body))["messages"])
    body = text(CONVERSATION, **how)
    assert learnt(known, body) == elements(dict(members(body))["messages"])[4:]
    changed = [{"role": "system", "content": "Be long."}, *CONVERSATION[2:]]
    assert learnt(known, text(changed, "input", **how)) == [json.dumps(changed[0], **how).encode()]


def test_messages_that_begin_alike_are_told_apart() -> None:
    known = Pieces(ROOM)
    alike = [{"role": "user", "content": "a" * 1000 + end} for end in ("", "b", "bc", "c")]
    for messages in (alike, alike[::-1], alike[1:]):
        assert json.loads(cut(known, text(messages)).parts[2][1]) == messages
        assert [json.loads(piece.raw) for piece in cut(known, text(messages)).pieces] == messages


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"messages":"text"}',
        b'{"model":"m"}',
        b'{"messages":[{}',
        b'{"messages":[{},]}',
        b'{"messages":[{"a":1},{"b":2},]}',
        b'{"messages":[{"a":1},{"b":2} {"b":2}]}',
        b'{"messages":[{"a":1},{"b":2}],}',
        b'{"messages":[{"a":1},{"b":2}]} {}',
        b'{"messages":[{"a":1},7]}',
        b'{"messages":[{"a":1}],"x":"\xff"}',
        b'{"x":"\xff","messages":[{"a":1}]}',
        b'{"a":{"messages":[{"a":1}]},"model":"m"}',
        b'{"a":"\\"messages\\":[{","model":"m"}',
    ],
)
def test_what_is_no_such_body_is_not_cut(body: bytes) -> None:
    known = Pieces(ROOM)
    cut(known, b'{"messages":[{"a":1},{"b":2}]}')
    begun = known.begin(body)
    assert begun is None or known.cut(begun) is None


@pytest.mark.parametrize(
    "before",
    [
        b'{"x":{"messages":[{"a":1},{"b":2}]}',
        b'{"x":"\\"messages\\":[{\\"a\\":1}]"',
        b'{"x\\"messages":[{"a":1}]',
        b'\xef\xbb\xbf {"messages":null',
    ],
)
def test_the_conversation_is_no_text_that_looks_like_it(before: bytes) -> None:
    known = Pieces(ROOM)
    body = before + b',"messages":[{"a":1},{"c":3}],"model":"m"}'
    for _ in range(2):
        found = cut(known, body)
        assert found.parts == members(body)
        assert [piece.raw for piece in found.pieces] == [b'{"a":1}', b'{"c":3}']


def test_a_name_that_stands_twice_is_seen() -> None:
    body = b'{"messages":[{"a":1}],"model":"a","":1,"messages":[{"b":2}],"model":"b"}'
    assert [key for key, _ in cut(Pieces(ROOM), body).parts] == [
        *("messages", "model", "", "messages", "model")
    ]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_commas_and_brackets_are_counted_whatever_is_known(spelling: str) -> None:
    known = Pieces(ROOM)
    for count in (3, 6, 6, 2, 0):
        body = text(CONVERSATION[:count], **SPELLINGS[spelling])
        begun = known.begin(body)
        assert begun is not None
        assert begun.commas == body.count(b",")
        assert begun.separators == sum(map(body.count, SEPARATORS))
        assert begun.values(10**6) == sum(
            map(json.dumps(blank(json.loads(body))).count, (",", "[", "{"))
        )
        known.cut(begun)


def blank(node: Any) -> Any:
    """The value with empty strings."""
    if isinstance(node, dict):
        return {key: blank(item) for key, item in node.items()}
    if isinstance(node, list):
        return list(map(blank, node))
    return "" if isinstance(node, str) else node


def test_the_room_is_bounded_and_what_came_last_is_known() -> None:
    known = Pieces(100_000)
    bodies = [text([{"role": "user", "content": f"{at} " * 1000}] * 2) for at in range(50)]
    assert [len(learnt(known, body)) for body in bodies] == [1] * 50
    assert [len(learnt(known, body)) for body in (bodies[-1], bodies[0])] == [0, 1]
    for at in range(40):  # one that comes again and again stays
        assert (len(learnt(known, bodies[0])), len(learnt(known, bodies[at + 1]))) == (0, 1)


def test_a_conversation_that_has_room_is_known_as_a_whole() -> None:
    known = Pieces(1_000_000)
    body = text([{"role": "user", "content": f"{at} " * 1000} for at in range(80)])
    assert [len(learnt(known, body)) for _ in range(3)] == [80, 0, 0]


def test_what_is_learnt_of_a_run_goes_on_with_it_and_with_no_other() -> None:
    known = Pieces(ROOM)
    said = [{"role": "user", "content": f"{at}"} for at in range(30)]
    other = [*said[:10], {"role": "user", "content": "other words"}, *said[11:]]
    for messages in (said[:20], said, said[:12], other, said, other[:25]):
        found = cut(known, text(messages)).run
        raws = [piece.raw for piece in found.pieces]
        assert [json.loads(raw) for raw in raws] == messages
        assert found.all(len) == list(map(len, raws))
        assert found.each(bytes.upper, len) == list(map(len, raws))


def test_conversations_of_the_same_messages_have_no_more_room() -> None:
    known, same = Pieces(ROOM), [{"role": "user", "content": "x"}] * 2000
    tracemalloc.start()
    for at in range(60):
        cut(known, text([{"role": "user", "content": f"{at}"}, *same])).run.all(len)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * ROOM
