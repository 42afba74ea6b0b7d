"""What a thinking provider says, and how its Chat Completions API spells it.

The stream has DeepSeek's shape (https://api-docs.deepseek.com/guides/thinking_mode): a
first chunk with an empty `reasoning_content`, reasoning with `content: null`, text with
`reasoning_content: null`, tool calls in fragments.
"""

import json
from collections.abc import Iterable
from random import Random
from typing import Any, Literal

import msgspec

__all__ = (
    "FIELD",
    "AlikeMaker",
    "Call",
    "IdStyle",
    "Json",
    "Turn",
    "TurnMaker",
    "call_deltas",
    "canonical",
    "completion",
    "cut",
    "events",
    "message_of",
    "text_of",
    "used_by",
)

type Json = dict[str, Any]
type IdStyle = Literal["unique", "repeating", "kimi"]
"""`call_00_…`; `call_0`, `call_1` again in every turn; `functions.Read:0` counted through
the conversation.
"""

FIELD = "reasoning_content"
NASTY = (
    " data: [DONE]\n\n",
    "<think>not mine</think>",
    "\u2028\u2029",
    '"quoted" \\ back\\slash',
    "\r\n\ttabs",
    "héllo – 思考を続ける 🧠🤖",
    "\x00\x1b[0m",
    "</think>",
    "null",
    "\U0001f469\u200d\U0001f4bb",
)
WORDS = (
    "the",
    "file",
    "looks",
    "fine",
    "so",
    "we",
    "read",
    "it",
    "again",
    "before",
    "writing",
    "one",
    "line",
    "of",
    "code",
)
TOOLS = ("Read", "Grep", "Shell", "StrReplace")


class Call(msgspec.Struct, frozen=True):
    """A tool call as the provider issued it; `arguments` is the raw string."""

    id: str
    name: str
    arguments: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One assistant reply; `reasoning` is None when the provider gave none (no field at
    all), which `""` is not.
    """

    reasoning: str | None
    text: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.calls else "stop"


class TurnMaker:
    """Makes turns that differ from all others in their reasoning, and hard ones at that."""

    def __init__(self, rng: Random, ids: IdStyle = "unique") -> None:
        self.rng = self._rng = rng
        self._ids = ids
        self._made = 0

    def make(self, request: Json) -> Turn:
        """A reply to `request`: mostly tool calls when it has tools, else text."""
        self._made += 1
        calls = self._rng.random() < 0.75 and bool(request.get("tools"))
        text = "" if calls and self._rng.random() < 0.6 else self._words(f"Answer {self._made}")
        made = (
            tuple(self._call(request, n) for n in range(self._rng.choice((1, 1, 2, 3))))
            if calls
            else ()
        )
        return Turn(reasoning=self._reasoning(), text=text, calls=made)

    def _reasoning(self) -> str:
        return "" if self._rng.random() < 0.1 else self._words(f"Thought {self._made}")

    def _words(self, head: str) -> str:
        parts = [*self._rng.choices(WORDS, k=12), *self._rng.sample(NASTY, k=3)]
        self._rng.shuffle(parts)
        return f"{head} {' '.join(parts)} {self._rng.getrandbits(40):x}"

    def _call(self, request: Json, n: int) -> Call:
        name = self._rng.choice(TOOLS)
        arguments = {
            "path": f"src/{self._rng.choice(WORDS)}.py",
            "limit": 1.0,
            "note": self._rng.choice(NASTY),
            "n": n,
        }
        return Call(
            self._id(request, name, n),
            name,
            json.dumps(arguments, ensure_ascii=self._rng.random() < 0.5),
        )

    def _id(self, request: Json, name: str, n: int) -> str:
        match self._ids:
            case "repeating":
                return f"call_{n}"
            case "kimi":
                before = sum(
                    len(message.get("tool_calls") or ()) for message in request["messages"]
                )
                return f"functions.{name}:{before + n}"
            case "unique":
                return f"call_{n:02}_{self._rng.getrandbits(120):030x}"


class AlikeMaker(TurnMaker):
    """Makes turns that all look the same but for their reasoning: three calls of one file,
    then one word.
    """

    def make(self, request: Json) -> Turn:
        self._made += 1
        last, results = (
            request["messages"][-1],
            sum(m["role"] == "tool" for m in request["messages"]),
        )
        if last["role"] == "tool" and results % 3 == 0:
            return Turn(reasoning=self._reasoning(), text="Done.")
        return Turn(
            reasoning=self._reasoning(), calls=(Call("call_0", "Read", '{"path": "README.md"}'),)
        )


def text_of(content: object) -> str:
    """The text of a message's `content`: string, array of parts, null or absent."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def canonical(arguments: str) -> str:
    """One spelling for all arguments that mean the same call; as they are when not JSON."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def message_of(turn: Turn, field: str = FIELD) -> Json:
    """The turn as a message, its reasoning a plain string."""
    message: Json = {"role": "assistant", "content": turn.text}
    if turn.reasoning is not None:
        message[field] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = [_call_json(call, index) for index, call in enumerate(turn.calls)]
    return message


def completion(turn: Turn, model: str, *, field: str = FIELD, message: Json | None = None) -> bytes:
    """The body of a non-streamed answer; `message` in place of the usual one."""
    message = message_of(turn, field) if message is None else message
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": turn.finish_reason}
    body = {
        "id": "chatcmpl-strict",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
    }
    return _dump({**body, "choices": [choice], "usage": used_by(turn)})


def events(
    turn: Turn,
    model: str,
    rng: Random,
    *,
    usage: bool = False,
    field: str = FIELD,
    deltas: Iterable[Json] | None = None,
) -> list[bytes]:
    """The events of a streamed answer, `data: [DONE]` last; a usage chunk before it when asked for.

    `deltas` come in place of the usual ones.
    """
    frames = [_chunk(model, [_choice(delta)]) for delta in deltas or _deltas(turn, rng, field)]
    frames.append(_chunk(model, [_choice({"content": ""}, turn.finish_reason)]))
    if usage:
        frames = [{**frame, "usage": None} for frame in frames]
        frames.append(_chunk(model, []) | {"usage": used_by(turn)})
    ascii_only = rng.random() < 0.3
    return [b"data: " + _dump(frame, ascii_only) + b"\n\n" for frame in frames] + [
        b"data: [DONE]\n\n"
    ]


def _deltas(turn: Turn, rng: Random, field: str) -> Iterable[Json]:
    first: Json = {"role": "assistant", "content": None}
    yield first if turn.reasoning is None else first | {field: ""}
    for piece in cut(turn.reasoning or "", rng):
        yield {"content": None, field: piece}
    for piece in cut(turn.text, rng):
        yield {"content": piece} if turn.reasoning is None else {"content": piece, field: None}
    yield from call_deltas(turn, rng)


def call_deltas(turn: Turn, rng: Random) -> Iterable[Json]:
    """The tool calls in fragments."""
    for index, call in enumerate(turn.calls):
        yield {"tool_calls": [_call_json(Call(call.id, call.name, ""), index)]}
        for piece in cut(call.arguments, rng):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def cut(text: str, rng: Random) -> Iterable[str]:
    start = 0
    while start < len(text):
        end = start + rng.randint(1, 25)
        yield text[start:end]
        start = end


def _call_json(call: Call, index: int) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": index, "id": call.id, "type": "function", "function": function}


def _chunk(model: str, choices: list[Json]) -> Json:
    head = {
        "id": "chatcmpl-strict",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": model,
    }
    return {**head, "system_fingerprint": "fp_strict", "choices": choices}


def _choice(delta: Json, finish_reason: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def used_by(turn: Turn) -> Json:
    """What a provider tells of the tokens of a turn."""
    said = (
        len(turn.reasoning or "") + len(turn.text) + sum(len(call.arguments) for call in turn.calls)
    )
    return {"prompt_tokens": 100, "completion_tokens": said, "total_tokens": 100 + said}


def _dump(value: Json, ascii_only: bool = False) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate travels only as an escape
        return _dump(value, ascii_only=True)
