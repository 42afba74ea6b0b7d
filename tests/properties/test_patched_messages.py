"""What must hold of Messages over Messages: whatever is unknown reaches the other side byte
for byte.
"""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from addon.exchange.answer import StreamedAnswer
from addon.formats.messages import patch_response
from addon.formats.messages.patch_request import PatchableRequest, Target, decode
from addon.formats.messages.patch_stream import PatchStream
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.turn import Edit, Message, Part, Reasoning, Turn, edited
from addon.formats.wire import sse
from addon.formats.wire.splice import array_text, elements, members, object_text, scalar_text, value
from addon.formats.wire.surrogates import without_lone_surrogates
from tests.properties.test_formats import cuts, json_texts, utf8

type Json = dict[str, Any]
type Raw = tuple[str, bytes]

MODELS = {
    "claude-opus-4-6": Abilities(system_messages=True),
    "claude-opus-5": Abilities(budgets=False, sampling=False),
}
MODELS |= {"deepseek-v4": Abilities(unsigned_thinking=True, adaptive_thinking=False)}
UNKNOWN = json_texts(2).map(utf8).map(bytes.strip)
"""The text of any JSON value."""

NAMES = st.sampled_from(
    ["x_beta", "container", "mcp_servers", "context_hint", "é", "cache_control"]
)
KINDS = st.sampled_from(
    ["compaction", "server_tool_use", "mcp_tool_result", "container_upload", "of_the_future"]
)


@st.composite
def with_unknown(draw: st.DrawFn, known: dict[str, bytes]) -> bytes:
    """An object with unknown members at random places."""
    extra = draw(st.dictionaries(NAMES, UNKNOWN, max_size=2))
    parts = draw(
        st.permutations(
            [*known.items(), *((name, raw) for name, raw in extra.items() if name not in known)]
        )
    )
    return object_text(list(parts))


def text_of(block: Json) -> dict[str, bytes]:
    return {name: scalar_text(given) for name, given in block.items()}


@st.composite
def unknown_blocks(draw: st.DrawFn) -> bytes:
    known = {"type": scalar_text(draw(KINDS)), "content": draw(UNKNOWN), "id": draw(UNKNOWN)}
    return draw(with_unknown(known))


def called(at: int) -> str:
    return f"call_{at}"


# -- requests --------------------------------------------------------------------------------------


class Asked:
    """A body, and what an upstream has to get of its messages."""

    def __init__(self, body: bytes, expected: list[bytes], edits: dict[int, Edit]) -> None:
        self.body = body
        self.expected = expected
        self.edits = edits


@st.composite
def turns(
    draw: st.DrawFn, at: int
) -> tuple[list[bytes], list[bytes], list[tuple[int, Reasoning]], int]:
    """An assistant's blocks as the client sends them and as the upstream gets them, what
    was dropped, and its calls.
    """
    sent: list[bytes] = []
    wanted: list[bytes] = []
    thoughts: list[tuple[int, Reasoning]] = []
    calls = others = 0
    for step in draw(
        st.lists(
            st.sampled_from(["thinking", "redacted", "dropped", "text", "tool", "unknown"]),
            max_size=6,
        )
    ):
        if step == "thinking" and not thoughts:
            block = {
                "type": b'"thinking"',
                "thinking": b'"t\\u0041"',
                "signature": scalar_text(f"tb1.{at}"),
            }
            sent.append(draw(with_unknown(block)))
            wanted.append(replaced(sent[-1], "signature", scalar_text(str(at))))
        elif step == "redacted" and not thoughts:
            sent.append(
                draw(
                    with_unknown({"type": b'"redacted_thinking"', "data": scalar_text(f"tb1.{at}")})
                )
            )
            wanted.append(replaced(sent[-1], "data", scalar_text(str(at))))
        elif step == "dropped" and len(sent) == others:
            thoughts.append(
                (others, Reasoning("t", "thinking", f"{at}.{len(thoughts)}", "signature"))
            )
            state = thoughts[-1][1].opaque
            wanted.append(scalar_text({"type": "thinking", "thinking": "t", "signature": state}))
        elif step == "tool":
            block = {
                "type": b'"tool_use"',
                "id": scalar_text(called(at * 10 + calls)),
                "name": b'"f"',
                "input": b"{ }",
            }
            sent.append(draw(with_unknown(block)))
            wanted.append(replaced(sent[-1], "id", scalar_text(f"toolu_{at * 10 + calls}")))
            calls, others = calls + 1, others + 1
        elif step in ("text", "unknown"):
            sent.append(
                draw(
                    with_unknown({"type": b'"text"', "text": b'"\\u0041"'})
                    if step == "text"
                    else unknown_blocks()
                )
            )
            wanted.append(sent[-1])
            others += 1
    return sent, wanted, thoughts, calls


def replaced(raw: bytes, name: str, text: bytes) -> bytes:
    return object_text([(key, text if key == name else given) for key, given in members(raw)])


@st.composite
def asking(draw: st.DrawFn) -> Asked:
    """A body with unknown members, blocks and kinds of content anywhere."""
    bodies: list[bytes] = []
    expected: list[bytes] = []
    edits: dict[int, Edit] = {}
    index = 0
    for at in range(draw(st.integers(0, 4))):
        sent, wanted, thoughts, calls = draw(turns(at))
        bodies.append(draw(with_unknown({"role": b'"assistant"', "content": array_text(sent)})))
        expected.append(
            replaced(bodies[-1], "content", array_text(wanted)) if wanted != sent else bodies[-1]
        )
        ids = {called(at * 10 + call): f"toolu_{at * 10 + call}" for call in range(calls)}
        edits[index] = _edit(sent, thoughts, ids)
        index += 1
        answers = [draw(with_unknown(_result(called(at * 10 + call)))) for call in range(calls)]
        own = [
            replaced(raw, "tool_use_id", scalar_text(f"toolu_{at * 10 + call}"))
            for call, raw in enumerate(answers)
        ]
        more = draw(st.lists(unknown_blocks(), min_size=1, max_size=2))
        edits |= {index + call: Edit(ids=ids) for call in range(calls)}
        index += calls + 1
        bodies.append(
            draw(with_unknown({"role": b'"user"', "content": array_text([*answers, *more])}))
        )
        expected.append(
            replaced(bodies[-1], "content", array_text([*own, *more])) if own else bodies[-1]
        )
    known = {"model": b'"m"', "max_tokens": b"9e0", "messages": b"[" + b" , ".join(bodies) + b"]"}
    return Asked(draw(with_unknown(known)), expected, edits)


def _result(call_id: str) -> dict[str, bytes]:
    return {
        "type": b'"tool_result"',
        "tool_use_id": scalar_text(call_id),
        "content": b'[ {"type":"tool_reference"} ]',
    }


def _edit(sent: list[bytes], thoughts: list[tuple[int, Reasoning]], ids: dict[str, str]) -> Edit:
    """What recall asks for: the client's parts with what it has dropped."""
    if not thoughts:
        return Edit(ids=ids)
    body = b'{"model":"m","messages":[{"role":"assistant","content":%b}]}' % array_text(sent)
    found = decode(body, unseal=unsealed)
    assert found is not None
    others = list(found.request.messages[0].parts)
    parts: list[Part] = []
    for at in range(len(others) + 1):
        parts += [thought for place, thought in thoughts if place == at]
        parts += others[at : at + 1]
    return Edit(parts=tuple(parts), ids=ids)


def unsealed(copy: Reasoning) -> Reasoning:
    return Reasoning(copy.text, copy.field, copy.opaque.removeprefix("tb1."), copy.carrier)


def read(body: bytes) -> PatchableRequest:
    found = decode(body, unseal=unsealed)
    assert found is not None
    return found


def without_marks(raw: bytes) -> bytes:
    """Claude refuses cache marks on thinking."""
    kind = value(dict(members(raw))["type"])
    thinks = kind in ("thinking", "redacted_thinking")
    return object_text(
        [part for part in members(raw) if not (thinks and part[0] == "cache_control")]
    )


@given(asking(), st.sampled_from(list(MODELS)))
def test_a_request_reaches_the_upstream_byte_for_byte_but_for_what_has_to_change_and_so_do_replays(
    asked: Asked, model: str
) -> None:
    target = Target(model=model, abilities=MODELS[model], edits=asked.edits)
    sent, *replays = (read(asked.body).body(target).body for _ in range(3))
    assert replays == [sent, sent]
    before, after = members(asked.body), members(sent)
    assert [name for name, _ in after] == [name for name, _ in before]
    for (name, raw), (_, got) in zip(before, after, strict=True):
        expected = scalar_text(model) if name == "model" else without_lone_surrogates(raw)
        assert name == "messages" or got == expected
    messages = elements(dict(after)["messages"])
    wanted = [without_lone_surrogates(raw) for raw in asked.expected]
    if model == "deepseek-v4":
        assert messages == wanted
    else:
        assert [_claudes(raw) for raw in messages] == [_claudes(raw) for raw in wanted]


def _claudes(message: bytes) -> list[Raw]:
    return [(name, array_text([without_marks(one) for one in elements(raw)]) if name == "content" else raw)
            for name, raw in members(message)]  # fmt: skip


@given(asking())
def test_a_request_that_needs_nothing_goes_out_as_it_came(asked: Asked) -> None:
    body = without_lone_surrogates(asked.body.replace(b"tb1.", b""))
    target = Target(model="m", abilities=MODELS["deepseek-v4"])
    found = read(body).body(target)
    assert (found.body, found.notes) == (body, ())


@given(asking())
def test_the_upstream_gets_what_the_neutral_request_says(asked: Asked) -> None:
    found = read(asked.body)
    sent = found.body(
        Target(model="claude-opus-4-6", abilities=MODELS["claude-opus-4-6"], edits=asked.edits)
    ).body
    again = decode(sent, unseal=lambda copy: copy)
    assert again is not None
    wanted = [
        edited(message, asked.edits.get(at, Edit()))
        for at, message in enumerate(found.request.messages)
    ]
    assert [_said(one) for one in again.request.messages] == [_said(one) for one in wanted]


def _said(message: Message) -> bytes:
    return without_lone_surrogates(json.dumps(msgspec.to_builtins(message.parts)).encode())


# -- answers ---------------------------------------------------------------------------------------

THOUGHTS = [
    {"type": "thinking", "thinking": "t\u2028", "signature": "theirs"},
    {"type": "redacted_thinking", "data": "theirs"},
]
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}}
TEXT = {"type": "text", "text": "a"}
BLOCKS = st.one_of(
    st.sampled_from([*THOUGHTS, CALL, TEXT]).map(text_of).flatmap(with_unknown),
    unknown_blocks(),
)
STATES = {"thinking": "signature", "redacted_thinking": "data"}


def sealed(reasoning: Reasoning) -> str:
    return f"tb1.{reasoning.opaque}.{reasoning.text}"


def minted(choice: int, at: int, theirs: str) -> str:
    return f"call_{at}_{theirs}"


def expected_blocks(blocks: list[bytes]) -> list[bytes]:
    """The blocks as the client has to get them."""
    found: list[bytes] = []
    calls = 0
    for raw in blocks:
        block = value(raw)
        if block["type"] == "tool_use":
            raw = replaced(raw, "id", scalar_text(f"call_{calls}_toolu_1"))
            calls += 1
        elif name := STATES.get(block["type"]):
            raw = replaced(raw, name, scalar_text(f"tb1.theirs.{block.get('thinking', '')}"))
        found.append(raw)
    return found


@given(st.lists(BLOCKS, max_size=6), st.data())
def test_a_whole_answer_reaches_the_client_byte_for_byte_but_for_what_has_to_change(
    blocks: list[bytes], data: st.DataObject
) -> None:
    known = {
        "model": b'"up"',
        "content": b"[" + b" , ".join(blocks) + b"]",
        "stop_reason": data.draw(UNKNOWN),
    }
    body = data.draw(with_unknown(known | {"usage": data.draw(UNKNOWN)}))
    answer = patch_response.decode(body)
    assert answer is not None
    got = members(answer.patched(model="named", mint=minted, seal=sealed))
    assert [name for name, _ in got] == [name for name, _ in members(body)]
    for (name, raw), (_, before) in zip(got, members(body), strict=True):
        if name == "content":
            assert elements(raw) == expected_blocks(blocks)
        else:
            assert raw == (b'"named"' if name == "model" else before)


# -- streams ---------------------------------------------------------------------------------------


@st.composite
def events(draw: st.DrawFn, known: Json, raws: dict[str, bytes] | None = None) -> Raw:
    kind = known["type"]
    return kind, draw(with_unknown(text_of(known) | (raws or {})))


@st.composite
def unknown_events(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["ping", "of_the_future", "comment"]))
    if kind == "comment":
        return b": a comment\n\n"
    return framed((kind, draw(with_unknown({"type": scalar_text(kind), "delta": draw(UNKNOWN)}))))


def framed(event: Raw) -> bytes:
    return sse.event(event[1].replace(b"\r", b" ").replace(b"\n", b" "), event[0])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """A stream with unknown members, blocks and events anywhere, and what the client has to get."""
    sent: list[bytes] = []
    wanted: list[bytes] = []

    def say(event: Raw, *changes: tuple[tuple[str, str], str]) -> None:
        raw = event[1].replace(b"\r", b" ").replace(b"\n", b" ")
        sent.append(framed((event[0], raw)))
        for (outer, inner), text in changes:
            raw = replaced(
                raw, outer, replaced(dict(members(raw))[outer], inner, scalar_text(text))
            )
        wanted.append(framed((event[0], raw)))

    def noise() -> None:
        for raw in draw(st.lists(unknown_events(), max_size=1)):
            sent.append(raw)
            wanted.append(raw)

    message = draw(
        with_unknown({"model": b'"up"', "content": b"[]", "usage": b'{"input_tokens":3,"x":1.0}'})
    )
    say(
        draw(events({"type": "message_start"}, {"message": message})),
        (("message", "model"), "named"),
    )
    calls = 0
    for at, raw in enumerate(draw(st.lists(BLOCKS, max_size=4))):
        noise()
        block = value(raw)
        where = {"index": at}
        kind = block["type"]
        begun = dict.fromkeys(("signature", "thinking"), b'""') if kind == "thinking" else {}
        body = object_text([(name, begun.get(name, text)) for name, text in members(raw)])
        change: list[tuple[tuple[str, str], str]] = []
        if kind == "tool_use":
            change = [(("content_block", "id"), f"call_{calls}_toolu_1")]
            calls += 1
        elif kind == "redacted_thinking":
            change = [(("content_block", "data"), "tb1.theirs.")]
        say(
            draw(events({"type": "content_block_start", **where}, {"content_block": body})), *change
        )
        for delta in _deltas(block):
            noise()
            said = draw(with_unknown(text_of(delta)))
            signs = delta["type"] == "signature_delta"
            copy = [(("delta", "signature"), f"tb1.theirs.{block['thinking']}")] if signs else []
            say(draw(events({"type": "content_block_delta", **where}, {"delta": said})), *copy)
        say(draw(events({"type": "content_block_stop", **where})))
    noise()
    told = draw(with_unknown({"stop_reason": b'"end_turn"', "container": draw(UNKNOWN)}))
    say(
        draw(
            events(
                {"type": "message_delta", "usage": {"output_tokens": 4, "x": {}}}, {"delta": told}
            )
        )
    )
    say(draw(events({"type": "message_stop"})))
    return sent, wanted


def _deltas(block: Json) -> list[Json]:
    match block["type"]:
        case "text":
            return [
                {"type": "text_delta", "text": "\u2028b"},
                {"type": "citations_delta", "citation": {}},
            ]
        case "thinking":
            said = [{"type": "thinking_delta", "thinking": piece} for piece in block["thinking"]]
            return [*said, {"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use":
            return [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ("", '{"x"', ": 1}")
            ]
    return [{"type": "future_delta", "content": "c"}]


class Memory:
    """What was remembered of the answer."""

    def __init__(self) -> None:
        self.turns: dict[int, Turn] = {}

    def __call__(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None:
        self.turns |= turns


@given(streams(), st.data())
def test_a_stream_reaches_the_client_byte_for_byte_but_for_what_has_to_change(
    stream: tuple[list[bytes], list[bytes]], data: st.DataObject
) -> None:
    sent, wanted = stream
    memory = Memory()
    answer = StreamedAnswer(PatchStream(model="named", mint=minted, seal=sealed), remember=memory)
    out = b"".join([answer.feed(chunk) for chunk in data.draw(cuts(b"".join(sent)))]) + answer.end()
    assert (answer.done, answer.error) == (True, None)
    assert sorted(sse.Events().feed(out)) == sorted(wanted)
    # Pings, comments and unknown events may overtake a signature that is not whole.
    assert _in_order(out) == _in_order(b"".join(wanted))
    assert memory.turns[0].finish_reason == "stop"


def _in_order(stream: bytes) -> list[bytes]:
    noise = ("", "ping", "of_the_future")
    return [raw for raw in sse.Events().feed(stream) if sse.name_of(raw) not in noise]


@given(st.lists(st.text(max_size=3), min_size=1, max_size=4), st.data())
def test_a_signature_in_pieces_is_one_copy(pieces: list[str], data: st.DataObject) -> None:
    begun = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "t"},
    }
    steps = [{"type": "signature_delta", "signature": piece} for piece in pieces]
    told = [begun, *({"type": "content_block_delta", "index": 0, "delta": step} for step in steps)]
    relay = PatchStream(model="named", mint=minted, seal=sealed)
    raws = [
        framed((one["type"], scalar_text(one)))
        for one in [*told, {"type": "content_block_stop", "index": 0}]
    ]
    out = b"".join(
        [relay.feed(raw)[1] + relay.feed(data.draw(unknown_events()))[1] for raw in raws]
    )
    found = [
        json.loads(sse.data_of(raw) or b"{}")
        for raw in sse.Events().feed(out)
        if b"signature_delta" in raw
    ]
    whole = "".join(pieces)
    assert [one["delta"]["signature"] for one in found] == [
        f"tb1.{whole}.t" if whole else pieces[0]
    ]
