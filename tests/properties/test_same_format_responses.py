"""What a Responses client and a Responses upstream say arrives, byte for byte but for what
is ours in it.
"""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from addon.exchange.answer import StreamedAnswer
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Edit, Reasoning
from addon.formats.responses.patch_request import PatchableRequest, Target, decode
from addon.formats.responses.patch_response import as_stream
from addon.formats.responses.patch_response import decode as decode_answer
from addon.formats.responses.patch_stream import PatchStream
from addon.formats.wire import sse
from addon.formats.wire.splice import elements, members
from tests.properties.test_formats import cuts, json_texts, utf8

NAME = "0123456789abcdef01234567"
KEYS = st.sampled_from(["x", "novel", "phase", "é", "\ud83d", "x "])
ODD_VALUES = [
    *(
        b"1.0e+2",
        b"-0.0",
        b"1e400",
        b"NaN",
        b"12345678901234567890.10",
        b"null",
        b'"caf\\u00e9 \\ud83d"',
        b"[ ]",
    ),
    *(
        b'{ "a" : [1.0 ,\n2] , "a":true}',
        '"思考\u2028"'.encode(),
        b'{"type":"reasoning","encrypted_content":"e"}',
    ),
]
VALUES = st.one_of(
    st.sampled_from(ODD_VALUES), json_texts(1).map(lambda text: utf8(text).strip(b" \t\r\n"))
)
"""Values in any spelling."""

FEWER = settings(max_examples=settings().max_examples // 4)
"""Examples of whole conversations and streams are slow to make."""

type Pairs = list[tuple[str, bytes]]


def spelled(pairs: Pairs) -> bytes:
    return b"{" + b",".join(_key(key) + b":" + text for key, text in pairs) + b"}"


def _key(key: str) -> bytes:
    try:
        return json.dumps(key, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(key).encode()


@st.composite
def wild(draw: st.DrawFn, *pairs: tuple[str, bytes]) -> bytes:
    """The object with members that nobody knows anywhere among its own."""
    found: Pairs = list(pairs)
    for key, text in draw(st.lists(st.tuples(KEYS, VALUES), max_size=3)):
        found.insert(draw(st.integers(0, len(found))), (key, text))
    return spelled(found)


def quoted(text: str) -> bytes:
    return json.dumps(text).encode()


# -- items -----------------------------------------------------------------------------------------

NOVEL = st.sampled_from(
    ["novel", "compaction", "web_search_call", "mcp_list_tools", "local_shell_call"]
)
NOVEL_ITEMS = NOVEL.flatmap(
    lambda kind: wild(("type", quoted(kind)), ("encrypted_content", b'"e"'))
)
TOOLS = wild(
    ("type", b'"additional_tools"'), ("role", b'"developer"'), ("tools", b'[{"type":"novel"}]')
)
PARTS = st.one_of(
    wild(("type", b'"output_text"'), ("text", b'"hi"')), wild(("type", b'"hologram"'))
)
CONTENTS = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: b"[" + b",".join(parts) + b"]")
SAID = CONTENTS.flatmap(
    lambda content: wild(
        ("type", b'"message"'), ("id", b'"msg_up"'), ("role", b'"assistant"'), ("content", content)
    )
)
ASKED = CONTENTS.flatmap(lambda content: wild(("role", b'"user"'), ("content", content)))
RESULT_PARTS = st.one_of(st.just(b'"x"'), CONTENTS)


def calls(call_id: str) -> st.SearchStrategy[bytes]:
    function = [("type", b'"function_call"'), ("name", b'"f"'), ("arguments", b'"{ }"')]
    custom = [("type", b'"custom_tool_call"'), ("name", b'"g"'), ("input", b'"raw"')]
    shell = [("type", b'"local_shell_call"'), ("action", b'{"type":"exec","command":["ls"]}')]
    return st.sampled_from([function, custom, shell]).flatmap(
        lambda pairs: wild(*pairs, ("call_id", quoted(call_id)))
    )


def results(call_id: str) -> st.SearchStrategy[bytes]:
    kinds = st.sampled_from([b'"function_call_output"', b'"custom_tool_call_output"'])
    return st.tuples(kinds, RESULT_PARTS).flatmap(
        lambda drawn: wild(("type", drawn[0]), ("call_id", quoted(call_id)), ("output", drawn[1]))
    )


def thoughts(state: str) -> st.SearchStrategy[bytes]:
    summary = ("summary", b'[{"type":"summary_text","text":"s","novel":1.0}]')
    content = ("content", b'[{"type":"reasoning_text","text":"w" , "novel":1.0}]')
    plain = wild(("type", b'"reasoning"'), ("id", b'"rs_plain"'), content)
    carrying = st.sampled_from([[summary], [summary, content]]).flatmap(
        lambda pairs: wild(
            ("type", b'"reasoning"'),
            ("id", b'"rs_up"'),
            *pairs,
            ("encrypted_content", quoted(state)),
        )
    )
    return st.one_of(plain, carrying)


@st.composite
def outputs(draw: st.DrawFn, turn: int) -> list[bytes]:
    """The output items of one turn; ids and states are the upstream's."""
    return [
        draw(
            st.one_of(
                thoughts(f"STATE {turn} {at}"), SAID, calls(f"THEIRS {turn} {at}"), NOVEL_ITEMS
            )
        )
        for at in range(draw(st.integers(1, 4)))
    ]


def call_ids(items: list[bytes]) -> list[str]:
    """The ids of the calls among the items, in their order."""
    found = [dict(members(item)) for item in items]
    return [json.loads(item["call_id"]) for item in found if "call_id" in item]


class Desk:
    """Seals and opens copies, and maps the ids of calls."""

    def __init__(self) -> None:
        self.copies: dict[str, Reasoning] = {}
        self.ids: dict[str, str] = {}

    def seal(self, reasoning: Reasoning) -> str:
        copy = f"COPY {len(self.copies)}"
        self.copies[copy] = reasoning
        return copy

    def unseal(self, copy: Reasoning) -> Reasoning | None:
        return self.copies.get(copy.opaque)

    def mint(self, choice: int, index: int, call_id: str) -> str:
        ours = next(
            (mine for mine, theirs in self.ids.items() if theirs == call_id),
            f"OURS {len(self.ids)}",
        )
        self.ids[ours] = call_id
        return ours

    def opened(self, text: bytes) -> bytes:
        """What the client says, in the upstream's words."""
        for ours, theirs in self.ids.items():
            text = text.replace(quoted(ours), quoted(theirs))
        for copy, reasoning in self.copies.items():
            appended = b',"encrypted_content":' + quoted(copy)
            text = text.replace(appended, b"") if not reasoning.opaque else text
            text = text.replace(quoted(copy), quoted(reasoning.opaque))
        return text

    def sent(self, body: bytes) -> bytes:
        """The body that the upstream gets, as an exchange has it made."""
        found = decode(body, past=None, unseal=self.unseal)
        assert found.is_native
        return found.body(
            Target(model="THEIRS", abilities=Abilities(), edits=self._edits(found))
        ).body

    def _edits(self, found: PatchableRequest) -> dict[int, Edit]:
        edits: dict[int, Edit] = {}
        for at, message in enumerate(found.request.messages):
            named = (
                [call.id for call in message.calls]
                if message.role == "assistant"
                else [message.result_of]
            )
            if mapped := {call_id: self.ids[call_id] for call_id in named if call_id in self.ids}:
                edits[at] = Edit(ids=mapped)
        return edits


def asking() -> Request:
    body = b'{"model":"MINE","include":["reasoning.encrypted_content"],"store":false,"stream":true}'
    return decode(body, past=None, unseal=lambda copy: None).request


HEAD = Head(NAME, 7, "MINE")

# -- requests --------------------------------------------------------------------------------------


@st.composite
def inputs(draw: st.DrawFn, desk: Desk) -> list[bytes]:
    """A conversation as a client replays it."""
    items: list[bytes] = draw(st.lists(st.one_of(TOOLS, ASKED, NOVEL_ITEMS), max_size=3))
    for turn in range(draw(st.integers(0, 3))):
        for at in range(draw(st.integers(0, 2))):
            ours = desk.mint(0, at, f"THEIRS {turn} {at}")
            items += [draw(calls(ours)), draw(results(ours))]
        copy = desk.seal(Reasoning("s", "summary", f"STATE {turn}", "encrypted_content", "rs_up"))
        pairs = (("type", b'"reasoning"'), ("id", b'"rs_up"'), ("summary", b'[{"text":"s"}]'))
        items.append(draw(wild(*pairs, ("encrypted_content", quoted(copy)))))
        items += draw(st.lists(st.one_of(SAID, ASKED, NOVEL_ITEMS), max_size=3))
    return items


@given(st.data(), st.sampled_from([b",", b" , ", b",\n"]))
def test_all_that_a_client_says_reaches_the_upstream(data: st.DataObject, between: bytes) -> None:
    desk = Desk()
    items = data.draw(inputs(desk))
    tools = data.draw(st.lists(wild(("type", b'"novel"')), max_size=2))
    body = data.draw(
        wild(
            ("model", b'"MINE"'),
            ("input", b"[ " + between.join(items) + b" ]"),
            ("store", b"false"),
            ("include", b'["novel","reasoning.encrypted_content"]'),
            ("tools", b"[" + between.join(tools) + b"]"),
            ("reasoning", data.draw(wild(("effort", b'"low"')))),
        )
    )
    sent = desk.sent(body)
    expected = [
        (key, desk.opened(text)) for key, text in members(body.replace(b'"MINE"', b'"THEIRS"'))
    ]
    assert elements(dict(members(sent))["input"]) == elements(dict(expected)["input"])
    assert [pair for pair in members(sent) if pair[0] != "input"] == [
        pair for pair in expected if pair[0] != "input"
    ]
    assert desk.sent(body) == sent


# -- answers ---------------------------------------------------------------------------------------


@st.composite
def responses(draw: st.DrawFn, items: list[bytes], status: str = "completed") -> bytes:
    return draw(
        wild(
            ("id", b'"resp_up"'),
            ("model", b'"THEIRS"'),
            ("status", quoted(status)),
            ("store", b"false"),
            ("output", b"[" + b",".join(items) + b"]"),
            ("usage", draw(wild(("input_tokens", b"1"), ("output_tokens", b"2")))),
        )
    )


def back(out: bytes, desk: Desk) -> bytes:
    """What the client got, in the upstream's words."""
    return (
        desk.opened(out)
        .replace(b'"MINE"', b'"THEIRS"')
        .replace(b'"resp_%b"' % NAME.encode(), b'"resp_up"')
    )


def answered(body: bytes, desk: Desk) -> bytes:
    answer = decode_answer(body)
    assert answer is not None
    assert answer.error is None
    return answer.patched(asking(), HEAD, mint=desk.mint, seal=desk.seal)


@given(st.data())
def test_all_that_an_upstream_answers_reaches_the_client(data: st.DataObject) -> None:
    desk = Desk()
    body = data.draw(responses(data.draw(outputs(0))))
    out = answered(body, desk)
    assert back(out, desk) == body
    assert b"STATE" not in out
    assert list(desk.ids.values()) == call_ids(elements(dict(members(body))["output"]))


@given(st.data())
def test_a_whole_answer_as_a_stream_has_every_item_of_it(data: st.DataObject) -> None:
    items = data.draw(outputs(0))
    events = sse.Events().feed(as_stream(data.draw(responses(items))))
    done = [raw for raw in events if sse.name_of(raw) == "response.output_item.done"]
    lines = [item.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for item in items]
    assert [dict(members(sse.data_of(raw) or b""))["item"] for raw in done] == lines


_LINE_END = re.compile(rb"[\r\n]")


def event(kind: str, *pairs: tuple[str, bytes]) -> st.SearchStrategy[bytes]:
    rest = st.sampled_from([b"", b"id: 7\n", b": hm\nevent: %b\n" % kind.encode()])
    made = wild(("type", quoted(kind)), *pairs)
    return st.tuples(rest, made).map(
        lambda drawn: drawn[0] + b"data: " + _LINE_END.sub(b" ", drawn[1]) + b"\n\n"
    )


ODD = st.one_of(
    *(
        event("novel"),
        event("codex.rate_limits", ("item_id", b'"ws"')),
        event("response.novel.delta"),
    ),
    st.sampled_from(
        [b": alive\n\n", b"data: [7]\n\n", b"event: ping\n\n", b'data: {"type":7}\n\n']
    ),
)


@st.composite
def streams(draw: st.DrawFn, items: list[bytes]) -> list[bytes]:
    """The events of one answer, with those that nobody knows anywhere among them."""
    raws = [draw(event("response.created", ("response", draw(responses([], "in_progress")))))]
    for at, item in enumerate(items):
        place = ("output_index", b"%d" % at)
        raws.append(draw(event("response.output_item.added", place, ("item", item))))
        raws.append(draw(event("response.output_text.delta", place, ("delta", b'"caf\\u00e9"'))))
        raws.append(draw(event("response.output_item.done", place, ("item", item))))
    for odd in draw(st.lists(ODD, max_size=4)):
        raws.insert(draw(st.integers(0, len(raws))), odd)
    return [*raws, draw(event("response.completed", ("response", draw(responses(items)))))]


UNDELAYED = (b": alive", b"event: ping")
"""What says nothing does not wait for the first event that does."""


@FEWER
@given(st.data())
def test_all_that_an_upstream_streams_reaches_the_client(data: st.DataObject) -> None:
    desk = Desk()
    items = data.draw(outputs(0))
    raws = data.draw(streams(items))
    relay = PatchStream(asking(), HEAD, mint=desk.mint, seal=desk.seal)
    answer = StreamedAnswer(relay, remember=lambda turns, *, complete, durable: None)
    out = b"".join(answer.feed(cut) for cut in data.draw(cuts(b"".join(raws))))
    assert answer.done
    assert b"STATE" not in out
    heard = sse.Events().feed(back(out, desk))
    assert [raw for raw in heard if not raw.startswith(UNDELAYED)] == [
        raw for raw in raws if not raw.startswith(UNDELAYED)
    ]
    assert sorted(heard) == sorted(raws)


# -- a conversation --------------------------------------------------------------------------------


@FEWER
@given(st.data())
def test_ten_turns_go_back_to_the_upstream_as_it_said_them(data: st.DataObject) -> None:
    desk = Desk()
    client: list[bytes] = []
    upstream: list[bytes] = []
    for turn in range(10):
        asked = data.draw(ASKED) if turn < 2 else b'{"role":"user","content":"go on"}'
        client.append(asked)
        upstream.append(asked)
        sent = desk.sent(_body(client))
        assert elements(dict(members(sent))["input"]) == upstream
        output = data.draw(outputs(turn)) if turn < 2 else [b'{"type":"novel"}']
        told = elements(dict(members(answered(_answer(output), desk)))["output"])
        client += told
        upstream += output
        for ours in call_ids(told):
            result = b'{"type":"function_call_output","call_id":%b,"output":"x"}'
            client.append(result % quoted(ours))
            upstream.append(result % quoted(desk.ids[ours]))


def _answer(items: list[bytes]) -> bytes:
    return b'{"id":"resp_up","output":[' + b",".join(items) + b"]}"


def _body(items: list[bytes]) -> bytes:
    rest = b'"store":false,"include":["reasoning.encrypted_content"]'
    return b'{"model":"MINE","input":[' + b",".join(items) + b"]," + rest + b"}"


@FEWER
@given(st.data())
def test_a_request_that_is_replayed_goes_out_the_same_each_time(data: st.DataObject) -> None:
    desk = Desk()
    body = _body(data.draw(inputs(desk)))
    assert len({desk.sent(body) for _ in range(10)}) == 1
