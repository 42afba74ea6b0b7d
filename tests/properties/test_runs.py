"""However events come, those of a run that are not read are told, and taken up, like those that
are.
"""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.exchange.answer import PATIENCE, StreamedAnswer
from addon.formats.chat.carriers import Quirks
from addon.formats.neutral.deltas import CUT, Words
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Relay
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Reasoning, Turn
from addon.formats.paths import classify
from addon.formats.wire.run import PROBE, Run
from addon.mirror.stream import Mirror
from addon.translation.pair import Answered, Identity
from addon.translation.read import read
from shared.config.schema import Upstream
from tests.bench.streams import FORMATS, asked, stream
from tests.properties.test_formats import cuts

PROBLEM = Problem(status=502, message="cut", code="upstream_cut")

# -- what upstreams say: `@` is a text, `#` the event's number, `~` padding ------------------------

CHOICE = '{"model":"up","choices":[{"index":0,"delta":{%s},"finish_reason":null}]}'
STEPS = (
    '"content":@',
    '"content":@,"reasoning_content":null',
    '"content":@,"reasoning_content":""',
    '"content":"","reasoning_content":@',
    '"reasoning_content":@',
    '"reasoning":@',
    '"reasoning":@,"reasoning_content":@',
    '"refusal":@',
    '"content":"a","content":@',
    '"content":@,"content":"a"',
    '"cont\\u0065nt":@',
    '"content":[{"type":"text","text":@}]',
    '"reasoning":@,"reasoning_details":[{"type":"reasoning.text","text":@}]',
    '"content":@,"reasoning_details":[]',
    '"tool_calls":[{"index":0,"id":"a","function":{"name":"Read","arguments":""}}]',
    '"tool_calls":[{"index":1,"id":"b","function":{"name":"Read","arguments":@}}]',
    '"tool_calls":[{"index":0,"function":{"arguments":@}}]',
    '"tool_calls":[{"index":1,"function":{"arguments":@}}]',
    '"tool_calls":[{"function":{"arguments":@}}]',
    '"tool_calls":[{"index":0,"id":"a","function":{"arguments":@}}]',
    '"tool_calls":[{"index":0,"function":{"name":@,"arguments":"1"}}]',
    '"tool_calls":[{"index":0,"function":{"arguments":@},"extra_content":{"s":1}}]',
    '"tool_calls":[{"index":0,"function":{"arguments":@}},{"index":1,"function":{}}]',
    '"function_call":{"arguments":@}',
)
CHAT = (
    *(CHOICE % step for step in STEPS),
    '{ "model" : "up", "choices": [ {"index": 0, "delta": {"content": @} } ] , "obfuscation": "~" }',
    '{"model":"mine","choices":[{"delta":{"content":@}}],"obfuscation":"~","sequence_number":#}',
    '{"p":"~","model":"up","choices":[{"delta":{"reasoning_content":@}}],"sequence_number": # }',
    '{"model":"up","choices":[{"index":0,"delta":{"content":@}}],"usage":{"prompt_tokens":1}}',
    '{"model":"up","choices":[{"index":0,"delta":{"content":@},"usage":{"prompt_tokens":1}}]}',
    '{"model":"up","choices":[{"index":1,"delta":{"content":@}}]}',
    '{"model":"up","choices":[{"index":0,"delta":{"content":@}},{"index":1,"delta":{}}]}',
    '{"model":"up","choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":@}}]}',
    '{"model":@,"choices":[{"index":0,"delta":{"content":"a"}}]}',
    '{"model":"up","choices":[{"index":0,"delta":{"content":"a"},"x":@}]}',
    '{"model":"up","choices":[{"index":0,"message":{"content":@}}]}',
    '{"model":"up","choices":[{"index":0,"delta":{"content":@}}],"error":null,"code":7}',
    '{"model":"up","choices":[{"index":0,"delta":{"content":@}}],"x_groq":{"error":"down"}}',
    '{"model":"up","choices":[{"index":0,"delta":{"content":@}}],"x":NaN,"y":"\\ud83d"}',
    '{"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    '{"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
    '{"model":"up","choices":[],"usage":{"prompt_tokens":1}}',
    '{"error":{"message":@}}',
    "[DONE]",
)
GROWS = '{"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":@}}'
MESSAGES = (
    '{"type":"message_start","message":{"model":"up","usage":{"input_tokens":1}}}',
    '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}',
    '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":@}}',
    '{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"a",'
    '"name":"Read","input":{}}}',
    '{"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use"}}',
    GROWS % (0, "thinking_delta", "thinking"),
    GROWS % (0, "signature_delta", "signature"),
    GROWS % (1, "text_delta", "text"),
    GROWS % (2, "input_json_delta", "partial_json"),
    GROWS % (3, "input_json_delta", "partial_json"),
    '{"type":"content_block_delta","delta":{"text":@,"type":"text_delta"},"index":1,"p":"~"}',
    '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a","x":@}}',
    '{"type":"content_block_delta","index":1,"delta":{"type":@,"text":"a"}}',
    '{"type":"content_block_stop","index":0}',
    '{"type":"content_block_stop","index":1}',
    '{"type":"ping"}',
    '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}',
    '{"type":"message_stop"}',
    '{"type":"error","error":{"message":@}}',
)
ITEM = '{"type":"response.output_item.%s","output_index":%d,"item":%s,"sequence_number":#}'
CALLED = '{"type":"function_call","id":"fc_1","call_id":"a","name":"Read","arguments":""}'
ADDS = '{"type":"response.%s.delta","sequence_number":#,"item_id":"%s","output_index":%d,%s}'
TAIL = '{"type":"response.%s.delta","item_id":"%s","output_index":%d,%s,"sequence_number":#}'
RESPONSES = (
    '{"type":"response.created","response":{"id":"r","model":"up"},"sequence_number":#}',
    ITEM % ("added", 0, '{"type":"reasoning","id":"rs_1","summary":[]}'),
    ITEM % ("added", 1, '{"type":"message","id":"msg_1","role":"assistant","content":[]}'),
    ITEM % ("added", 2, CALLED),
    ITEM
    % ("done", 1, '{"type":"message","id":"msg_1","content":[{"type":"output_text","text":@}]}'),
    ADDS % ("output_text", "msg_1", 1, '"delta":@,"logprobs":[],"obfuscation":"~"'),
    ADDS % ("output_text", "msg_1", 1, '"delta":@'),
    TAIL % ("output_text", "msg_1", 1, '"delta":@,"obfuscation":"~"'),
    TAIL % ("output_text", "msg_1", 1, '"delta":@,"x":{"sequence_number":#}'),
    TAIL % ("output_text", "msg_1", 1, '"delta":"a","x":@'),
    TAIL % ("refusal", "msg_1", 1, '"delta":@'),
    TAIL % ("reasoning_summary_text", "rs_1", 0, '"summary_index":0,"delta":@,"obfuscation":"~"'),
    TAIL % ("reasoning_text", "rs_1", 0, '"delta":@'),
    TAIL % ("function_call_arguments", "fc_1", 2, '"delta":@,"obfuscation":"~"'),
    TAIL % ("function_call_arguments", "fc_1", 2, '"call_id":"a","response_id":"r","delta":@'),
    '{"type":"response.output_text.delta","delta":@,"x":{"sequence_number":#}}',
    '{"type":"response.output_text.delta","delta":@}',
    '{"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":1}',
    '{"type":"response.completed","response":{"id":"r","status":"completed"},"sequence_number":#}',
    '{"type":"response.failed","response":{"error":{"message":@}},"sequence_number":#}',
)
SAID: dict[WireFormat, tuple[str, ...]] = {
    "chat": CHAT,
    "messages": MESSAGES,
    "responses": RESPONSES,
}
WORDS = (
    " word",
    " thought",
    "a",
    "{",
    "src/",
    "}",
    "é",
    "思考",
    " \\ud83e\\udde0",
    '\\"',
    "\\n",
    "/",
)
ODD = (
    *("", PROBE, "<think>", "</think>", "event", "[DONE]", "\\u0061", "\\/", "\\ud83d"),
    *("tab\there", 'a"b', 'a","b', "\\", 'a\\","x', ',"x', 'a"\n,"b', "a\n\nb", "a\r\n", "\x7f"),
    *('\\"model\\":\\"up\\"', '","logprobs":[],"obfuscation":"', '"}]', "a\\\\", "\0"),
)
HOW = ("data: %s\n\n", "data:%s\r\n\r\n", "event: x\ndata: %s\n\n", ": x\ndata: %s\n\n")


@st.composite
def literals(draw: st.DrawFn) -> list[str]:
    """The texts of a few events, most of which are plain."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
    if draw(st.integers(0, 3)) == 0:
        odd = draw(
            st.sampled_from(ODD) | st.text(max_size=3).map(lambda text: json.dumps(text)[1:-1])
        )
        words.insert(draw(st.integers(0, len(words))), odd)
    return words


@st.composite
def streams(draw: st.DrawFn, wire_format: WireFormat) -> list[bytes]:
    """The raw events of a stream, of which some are like those before."""
    how = draw(st.sampled_from(HOW))
    pool = draw(st.lists(st.sampled_from(SAID[wire_format]), min_size=1, max_size=4))
    raws: list[bytes] = []
    number = draw(st.sampled_from([0, 7, 98]))
    for _ in range(draw(st.integers(1, 6))):
        template, skips = draw(st.sampled_from(pool)), draw(st.integers(0, 9)) == 0
        for at, text in enumerate(draw(literals())):
            number += 2 if skips else 1
            said = template.replace("#", str(number)).replace("~", "0aZ"[: at % 3 + 1])
            raws.append((how % said.replace("@", f'"{text}"')).encode("utf-8", "surrogatepass"))
    if draw(st.integers(0, 5)) == 0:
        at, put = draw(st.integers(0, len(raws) - 1)), draw(st.binary(max_size=2))
        place = draw(st.integers(0, len(raws[at])))
        raws[at] = raws[at][:place] + put + raws[at][place + draw(st.integers(0, 2)) :]
    return raws


# -- how it is relayed -----------------------------------------------------------------------------


class EventByEvent:
    """A relay that has all events fed."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def __getattr__(self, name: str) -> Any:
        return getattr(self._relay, name)

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        return None


class Counting:
    """A relay that counts what it is asked."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self._relay, name)


class Heard:
    """An answer, and what was remembered of it."""

    def __init__(self, relay: Any) -> None:
        self.remembered: list[Any] = []
        self.answer = StreamedAnswer(relay, remember=self._remember)

    def _remember(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None:
        self.remembered.append((turns, complete, durable))

    def state(self) -> list[Any]:
        """All that it has come to."""
        answer = self.answer
        flags = (answer.done, answer.started, answer.finished, answer.keep_alive)
        return [*flags, answer.error, answer.usage, answer.turns, self.remembered]


HABITS = (
    Answered(upstream="chat"),
    Answered(upstream="chat", quirks=Quirks(tags=True)),
    Answered(upstream="chat", quirks=Quirks(repeats=True)),
    Answered(upstream="chat", custom=frozenset({"Read"})),
)


def relay(client: WireFormat, answered: Answered, *, mirrors: bool, keeps: bool) -> Relay:
    path, body = asked(client, "mine")
    endpoint = classify(path)
    assert endpoint is not None
    if keeps:
        body = body.replace(b'"store":false', b'"store":true')
    served = Upstream(name="u", base_url="https://u.example", api=answered.upstream)
    side = read(endpoint, body, lambda copy: copy, None).for_upstreams([served])
    head = Head("abc", 7, "mine", keep=lambda request, name, stored: None)
    if mirrors and client == "chat":
        answered = Answered(
            upstream=answered.upstream,
            quirks=answered.quirks,
            custom=answered.custom,
            mirror=Mirror("details", lambda: "token"),
        )
    return side.pair(Identity(head, minted, sealed)).relay(answered)


def minted(choice: int, index: int, upstreams: str) -> str:
    return f"call_{choice}_{index}"


def sealed(reasoning: Reasoning) -> str:
    return f"sealed {reasoning.text}"


@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
@given(data=st.data())
def test_a_run_is_told_like_the_same_events_read_one_by_one(
    client: WireFormat, upstream: WireFormat, data: st.DataObject
) -> None:
    habit = data.draw(st.sampled_from(HABITS)) if upstream == "chat" else HABITS[0]
    answered = Answered(upstream=upstream, quirks=habit.quirks, custom=habit.custom)
    ways = {"mirrors": data.draw(st.booleans()), "keeps": data.draw(st.booleans())}
    raws = data.draw(streams(upstream))
    chunks = raws
    if data.draw(st.booleans()):
        chunks = data.draw(cuts(b"".join(raws)))
    agree(client, answered, chunks, **ways)


def agree(client: WireFormat, answered: Answered, chunks: list[bytes], **ways: bool) -> None:
    """Hear the chunks both ways, and compare all that comes of it."""
    fast = Heard(relay(client, answered, **ways))
    plain = Heard(EventByEvent(relay(client, answered, **ways)))
    for chunk in chunks:
        assert fast.answer.feed(chunk) == plain.answer.feed(chunk)
        assert fast.state() == plain.state()
    assert fast.answer.end() == plain.answer.end()
    assert fast.state() == plain.state()
    assert fast.answer.fail(PROBLEM) == plain.answer.fail(PROBLEM)


TEXT, THOUGHT, OTHER_THOUGHT, CALL, CALL_1, ADDED = (
    CHOICE % '"content":@',
    CHOICE % '"reasoning_content":@',
    CHOICE % '"reasoning":@',
    CHOICE % '"tool_calls":[{"index":0,"id":"a","function":{"name":"Bash","arguments":""}}]',
    CHOICE % '"tool_calls":[{"index":1,"id":"b","function":{"name":"Bash","arguments":""}}]',
    CHOICE % '"tool_calls":[{"index":0,"function":{"arguments":@}}]',
)
ADDED_1 = ADDED.replace('[{"index":0,"function"', '[{"index":1,"function"')
SECOND_THOUGHT = THOUGHT.replace('{"index":0,', '{"index":1,')
SECOND = '{"model":"up","choices":[{"index":1,"delta":{"content":@}}]}'
STOP = '{"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
CREATED, NESTED = (
    RESPONSES[0],
    '{"type":"response.output_text.delta","delta":@,"x":{"sequence_number":#}}',
)
WORD = TAIL % ("output_text", "msg_1", 1, '"delta":@')
ARGUMENTS = TAIL % ("function_call_arguments", "fc_1", 2, '"delta":@')
THINKING, SIGNED = (
    GROWS % (0, "thinking_delta", "thinking"),
    GROWS % (0, "signature_delta", "signature"),
)
TYPED = '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}'
GROWN = GROWS % (1, "text_delta", "text")
CLOSED = '{"type":"content_block_stop","index":1}'
TRAPS: dict[str, tuple[WireFormat, list[tuple[str, ...]]]] = {
    "the text is another string": (
        "chat",
        [('{"x":@,"choices":[{"index":0,"delta":{"content":"\\u0061"}}]}', "a", "b", "c")],
    ),
    "a step may be a repetition": ("chat", [(THOUGHT, "a", "a", "b", "b"), (TEXT, "a", "a")]),
    "a text says event": (
        "chat",
        [
            (
                '{"choices":[{"index":0,"delta":{"content":@}}],"x_groq":{"error":"down"}}',
                *("a", "b", "event"),
            )
        ],
    ),
    "texts wait for a call": ("chat", [(CALL,), (ADDED, "{"), (TEXT, "a", "b"), (STOP,)]),
    "a call goes on late": (
        "chat",
        [
            (CALL,),
            (ADDED, "{}"),
            (CALL_1,),
            (ADDED_1, "{"),
            (ADDED, "x", "y", "z"),
            (TEXT, "a", "b"),
            (STOP,),
        ],
    ),
    "arguments begin with blanks": ("chat", [(CALL,), (ADDED, " ", "{", "}"), (STOP,)]),
    "arguments are no object": ("chat", [(CALL,), (ADDED, "a", "b", "c"), (STOP,)]),
    "a call has no name": ("chat", [(ADDED, "{", "1", "}"), (CALL,), (ADDED, "a", "b"), (STOP,)]),
    "a thought comes under another name": (
        "chat",
        [(THOUGHT, "a", "b"), (OTHER_THOUGHT, "c", "d", "e"), (TEXT, "f", "g"), (STOP,)],
    ),
    "another choice speaks": (
        "chat",
        [(TEXT, "a", "b"), (SECOND, "c", "d", "e"), (TEXT, "f", "g"), (STOP,)],
    ),
    "another choice thinks": (
        "chat",
        [(THOUGHT, "a", "b"), (SECOND_THOUGHT, "c", "d", "e"), (TEXT, "f", "g"), (STOP,)],
    ),
    "a thought ends": ("chat", [(THOUGHT, "a", "b", "c"), (TEXT, "d", "e", "f"), (STOP,)]),
    "the state of a thought is sealed": (
        "messages",
        [
            *((MESSAGES[0],), (MESSAGES[1],), (THINKING, "a", "b", "c"), (SIGNED, "s"), (TYPED,)),
            *((GROWN, "d", "e", "f"), (MESSAGES[-2],)),
        ],
    ),
    "a block begins anew": (
        "messages",
        [
            *((TYPED,), (GROWN, "a", "b"), (CLOSED,), (GROWN, "c", "d"), (CLOSED,), (TYPED,)),
            (GROWN, "e", "f"),
        ],
    ),
    "the text is another member": (
        "messages",
        [
            (
                '{"type":"content_block_delta","index":1,"x":@,'
                '"delta":{"type":"text_delta","text":"\\u0061"}}',
                *("a", "b", "c"),
            )
        ],
    ),
    "events were held": ("responses", [(CREATED,), (CREATED,), (WORD, "a", "b", "c")]),
    "an answer fails after its last number": ("responses", [(CREATED,), (WORD, "a", "b", "c")]),
    "the number is another's": ("responses", [(CREATED,), (NESTED, "a", "b", "c")]),
    "a call was not announced": ("responses", [(CREATED,), (ARGUMENTS, "a", "b", "c")]),
}
"""For each what makes it one, the upstream's format and the events that share a template."""


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("trap", TRAPS)
def test_what_only_looks_like_a_run_is_read(trap: str, client: WireFormat) -> None:
    upstream, said = TRAPS[trap]
    raws = [
        template.replace("@", f'"{text}"') for template, *texts in said for text in texts or [""]
    ]
    numbered = [raw.replace("#", str(at)) for at, raw in enumerate(raws)]
    chunks = [b"data: %b\n\n" % raw.encode() for raw in numbered]
    for habit in HABITS if upstream == "chat" else HABITS[:1]:
        answered = Answered(upstream=upstream, quirks=habit.quirks, custom=habit.custom)
        for mirrors in (False, True):
            agree(client, answered, chunks, mirrors=mirrors, keeps=mirrors)
            agree(client, answered, [b"".join(chunks)], mirrors=mirrors, keeps=mirrors)
            begun = [*chunks[:3], b'data: {"x":"', *chunks[3:]]
            agree(client, answered, begun, mirrors=mirrors, keeps=mirrors)


def test_nothing_more_is_taken_of_a_run_that_was_cut() -> None:
    heard = Heard(relay("chat", Answered(upstream="chat"), mirrors=False, keeps=False))
    event = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
    assert [heard.answer.feed(event) for _ in range(3)] == [event] * 3
    heard.answer.error = CUT
    assert heard.answer.feed(event) == b""
    assert heard.answer.turns[0].text == " word" * 3


@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
def test_few_events_of_a_stream_are_read(client: WireFormat, upstream: WireFormat) -> None:
    counting = Counting(relay(client, Answered(upstream=upstream), mirrors=False, keeps=False))
    heard = Heard(counting)
    for raw in stream(upstream, 400):
        heard.answer.feed(raw)
    assert heard.answer.done
    assert counting.asked["feed"] < 40


def test_events_that_never_make_a_run_are_soon_not_searched_for_one() -> None:
    counting = Counting(relay("chat", Answered(upstream="chat"), mirrors=False, keeps=False))
    heard = Heard(counting)
    for at in range(100):
        said = '{"id":"%d","choices":[{"index":0,"delta":{"content":" word"}}]}'
        heard.answer.feed(b"data: " + (said % at).encode() + b"\n\n")
    assert counting.asked["feed"] == 100
    assert counting.asked["run"] == PATIENCE
