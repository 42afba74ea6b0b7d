"""What is known of messages that came before makes no difference but in time: a request is read
and patched as if it were the first one.
"""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from addon.formats import cursor
from addon.formats.chat.patch_request import ChatRequest, decode, edited, encode
from addon.formats.messages import patch_request as messages_request
from addon.formats.messages.patch_request import Target
from addon.formats.neutral import adapt
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.request import cut as cut_body
from addon.formats.neutral.request import outline_of
from addon.formats.neutral.turn import Edit, Reasoning
from addon.formats.responses import patch_request as responses_request
from addon.formats.tolerant.length import cut_unless_long, refuse_long
from addon.formats.wire.pieces import Cut, Pieces
from addon.formats.wire.splice import array_text, elements, members, object_text
from addon.mirror.blocks import has_marks
from tests.properties.test_patched_messages import MODELS, Asked, asking, unsealed
from tests.properties.test_patched_messages import read as read_messages

type Json = dict[str, Any]

EXAMPLES = settings(max_examples=settings().max_examples // 3)
MOST = 16
IDS = st.sampled_from(["call_a", "call_b", "call_" + "c" * 40, 'call_"d', ""])
TEXTS = st.sampled_from(
    [
        *("", "hi", "a, b, [c] {d}", '"},{"role":"user"', "\N{GRINNING FACE}\u2028", "half \ud83d"),
        *("x" * 200, "x" * 200 + "y", '"id":"call_a"', '"reasoning_content":"r"', "--thinkback"),
        '"type":"image_url"',
    ]
)
CALLS = st.fixed_dictionaries(
    {"id": IDS, "function": st.fixed_dictionaries({"name": TEXTS, "arguments": TEXTS})},
    optional={"type": st.sampled_from(["function", "custom"]), "extra_content": st.just({"a": 1})},
)
PARTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "image_url", "tool_use"]), "text": TEXTS}
    ),
    max_size=2,
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "developer", "assistant", "tool"]), "content": TEXTS | PARTS},
    optional={
        "tool_calls": st.lists(CALLS, max_size=2),
        "tool_call_id": IDS,
        "reasoning_content": TEXTS,
        "type": st.sampled_from(["message", "function_call_output"]),
    },
)
ODD = st.sampled_from([b'{"a":1}', b"7", b'{"role":"user","content":NaN}', b'{"role":"user"}'])
RAW = ODD | st.builds(
    lambda message, separators: json.dumps(message, separators=separators).encode(),
    MESSAGES,
    st.sampled_from([(",", ":"), (", ", ": ")]),
)
BETWEEN = st.sampled_from([b",", b", ", b" ,\n"])
BESIDE = st.lists(
    st.sampled_from(
        [
            *(b'"model":"m"', b'"model":"other"', b'"stream":true', b'"tools":[{"function":{}}]'),
            *(b'"x":{"messages":[{}]}', b'"input":[{}]', b'"":"--thinkback"', b'"a":1', b'"n":2'),
            b'"tools":[{"type":"image"}]',
        ]
    ),
    max_size=3,
)


@st.composite
def bodies(draw: st.DrawFn, raws: list[bytes]) -> bytes:
    conversation = b'"messages":[' + draw(BETWEEN).join(raws) + b"]"
    return b"{" + b",".join([b'"model":"m"', *draw(BESIDE), conversation, *draw(BESIDE)]) + b"}"


@st.composite
def replays(draw: st.DrawFn) -> list[bytes]:
    """A conversation that grows, and is changed here and there."""
    raws = draw(st.lists(RAW, max_size=8))
    found = [draw(bodies(raws))]
    for _ in range(draw(st.integers(1, 3))):
        begin, end = sorted(draw(st.tuples(st.integers(0, 8), st.integers(0, 8))))
        raws = [*raws[:begin], *draw(st.lists(RAW, max_size=2)), *raws[end:]]
        found.append(draw(bodies(raws)))
    return found


def taken_apart(body: bytes, known: Pieces) -> Cut | Problem | None:
    try:
        return cut_unless_long(body, MOST, known)
    except RequestError as error:
        return error.problem


def too_long(body: bytes) -> Problem | None:
    try:
        refuse_long(body, MOST)
    except RequestError as error:
        return error.problem
    return None


def read(body: bytes, cut: Cut | None) -> tuple[bool, ChatRequest] | Problem:
    try:
        parts = cut_body(body) if cut is None else outline_of(cut)
        return cursor.is_plain(parts, cut), decode(body, parts=parts, cut=cut)
    except RequestError as error:
        return error.problem


def described(request: ChatRequest) -> list[object]:
    return [
        *(request.model, request.messages, request.raw_messages, request.has_tools),
        *(request.stream, request.replays_custom_calls, request.pictured, bytes(request.span)),
        *(request.max_tokens, request.choices),
    ]


@EXAMPLES
@given(sent=replays())
def test_a_body_is_read_as_if_it_were_the_first(sent: list[bytes]) -> None:
    known = Pieces(1024 * 1024)
    for body in sent:
        cut = taken_apart(body, known)
        if cut is None or isinstance(cut, Problem):
            assert too_long(body) == cut
            continue
        assert too_long(body) is None
        assert has_marks(cut) == (b"--thinkback" in body)
        assert cut.parts == members(body)
        plain, parsed = read(body, None), read(body, cut)
        if isinstance(plain, Problem) or isinstance(parsed, Problem):
            assert parsed == plain
        else:
            assert parsed[0] == plain[0]
            assert described(parsed[1]) == described(plain[1])


EDITS = st.builds(
    Edit,
    ids=st.dictionaries(IDS, st.sampled_from(["their_1", 'their_"2']), max_size=2),
    reasoning=st.none() | st.dictionaries(st.just("reasoning_content"), TEXTS, max_size=1),
    members=st.dictionaries(st.just("role"), st.just(b'"system"'), max_size=1),
    dropped=st.booleans(),
)


@EXAMPLES
@given(sent=replays(), data=st.data())
def test_a_body_is_patched_as_if_it_were_the_first(sent: list[bytes], data: st.DataObject) -> None:
    known = Pieces(1024 * 1024)
    for body in sent:
        cut = taken_apart(body, known)
        found = read(body, cut) if isinstance(cut, Cut) else None
        if not isinstance(found, tuple) or not found[0]:
            continue
        edits = data.draw(st.dictionaries(st.integers(0, 9), EDITS))
        patched = encode(found[1], model="m", edits=edits, extra=[])
        assert read_again(patched) == expected(body, edits)


def read_again(body: bytes) -> tuple[list[bytes], dict[str, bytes]]:
    parts = dict(members(body))
    return elements(parts.pop("messages")), parts


def expected(body: bytes, edits: dict[int, Edit]) -> tuple[list[bytes], dict[str, bytes]]:
    raws, beside = read_again(body)
    if beside.get("stream") == b"true":
        beside["stream_options"] = b'{"include_usage":true}'
    kept = [(edits.get(at, Edit()), raw) for at, raw in enumerate(raws)]
    patched = [edited(raw, edit) for edit, raw in kept if not edit.dropped]
    whole = object_text([("messages", array_text(patched)), *beside.items()])
    return read_again(whole)


@EXAMPLES
@given(st.lists(asking(), min_size=1, max_size=2), st.sampled_from(list(MODELS)))
def test_a_body_of_messages_is_read_and_patched_as_if_it_were_the_first(
    sent: list[Asked], model: str
) -> None:
    known = Pieces(1024 * 1024)
    for asked in [*sent, *sent]:
        cut = known.cut(known.begin(asked.body))
        assert cut is not None
        target = Target(model=model, abilities=MODELS[model], edits=asked.edits)
        found = messages_request.decode(asked.body, unseal=unsealed, parts=outline_of(cut), cut=cut)
        assert found is not None
        assert found.request == read_messages(asked.body).request
        assert found.body(target) == read_messages(asked.body).body(target)


ITEMS = st.one_of(
    st.builds(
        lambda role, text: {"role": role, "content": text},
        st.sampled_from(["user", "assistant", "developer"]),
        TEXTS,
    ),
    st.builds(
        lambda call_id, text: {
            "type": "function_call",
            "call_id": call_id,
            "name": "Read",
            "arguments": text,
        },
        IDS,
        TEXTS,
    ),
    st.builds(
        lambda call_id, text: {
            "type": "function_call_output",
            "call_id": call_id,
            "output": text,
        },
        IDS,
        TEXTS,
    ),
    st.builds(
        lambda text, state: {
            "type": "reasoning",
            "summary": [],
            "encrypted_content": state,
            "x": text,
        },
        TEXTS,
        st.sampled_from(["", "state", "sealed"]),
    ),
    st.sampled_from([{"type": "x_item"}, {"type": "shell_call", "call_id": "c"}]),
)
ITEM_EDITS = st.builds(
    Edit,
    ids=st.dictionaries(IDS, st.sampled_from(["their_1", "their_2"]), max_size=2),
    reasoning=st.none() | st.dictionaries(st.just("reasoning_text"), TEXTS, max_size=1),
    dropped=st.booleans(),
)


def opened(copy: Reasoning) -> Reasoning | None:
    return None if copy.opaque == "sealed" else copy


@EXAMPLES
@given(
    sent=st.lists(st.lists(ITEMS, max_size=5), min_size=1, max_size=3),
    edits=st.dictionaries(st.integers(0, 4), ITEM_EDITS, max_size=3),
)
def test_a_body_of_responses_is_read_and_patched_as_if_it_were_the_first(
    sent: list[list[Json]], edits: dict[int, Edit]
) -> None:
    known = Pieces(1024 * 1024)
    for items in [*sent, *sent]:
        body = json.dumps({"model": "m", "input": items}).encode()
        cut = known.cut(known.begin(body))
        assert cut is not None
        found = responses_request.decode(
            body, past=None, unseal=opened, parts=outline_of(cut), cut=cut
        )
        first = responses_request.decode(body, past=None, unseal=opened)
        assert (found.request, found.is_native) == (first.request, first.is_native)
        there = {at: edit for at, edit in edits.items() if at < len(first.request.messages)}
        target = adapt.Target(model="theirs", abilities=Abilities(api="responses"), edits=there)
        assert found.body(target) == first.body(target)
