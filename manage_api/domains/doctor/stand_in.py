"""The stand-in for an upstream that the doctor's conversations are with: it issues reasoning, and
is as strict as DeepSeek when it does not come back.

It keeps no state: what it issues follows from the doctor's token and the turn's place.
https://api-docs.deepseek.com/guides/thinking_mode
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

__all__ = ("PACED", "Refused", "Turn", "judge", "next_turn", "pieces")

PACED = "thinkback-doctor-paced"
"""The model whose answer takes its time, so that a proxy which buffers it shows."""

_MISSING = "The `reasoning_content` in the thinking mode must be passed back to the API."
_FILES = ("README.md", "LICENSE")
"""What each turn with a tool call wants to read; the turn after them is the last."""

type Json = dict[str, Any]


class Refused(Exception):
    """The request is one that DeepSeek answers with status 400."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What the stand-in answers."""

    reasoning: str
    text: str = ""
    call: Json | None = None


class _Message(msgspec.Struct):
    role: str
    reasoning_content: str | None = None


class _Request(msgspec.Struct):
    """What it reads of a request of Chat Completions."""

    messages: list[_Message]
    tools: list[Any] = []
    thinking: dict[str, Any] | None = None


def judge(body: bytes, token: str) -> tuple[list[str], bool]:
    """Say for each replayed turn whether its reasoning came back: `restored`, `missing` or
    `wrong`; and whether there are tools.

    Raises Refused for what is no such request.
    """
    try:
        request = msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Refused(f"The request can't be read: {error}.") from None
    turns = [message for message in request.messages if message.role == "assistant"]
    states = [_state(turn, _reasoning(token, at)) for at, turn in enumerate(turns)]
    thinks = (request.thinking or {}).get("type") != "disabled"
    if request.tools and thinks and any(state != "restored" for state in states):
        raise Refused(_MISSING)
    return states, bool(request.tools)


def _state(turn: _Message, issued: str) -> str:
    if turn.reasoning_content == issued:
        return "restored"
    return "wrong" if turn.reasoning_content else "missing"


def next_turn(states: Sequence[str], token: str, *, tools: bool) -> Turn:
    """Return the turn after these: calls of a tool first, and a report of the `states` as the
    last, as JSON.
    """
    at = len(states)
    reasoning = _reasoning(token, at)
    if tools and at < len(_FILES):
        # With spaces, which Cursor leaves out when it replays the call.
        arguments = f'{{ "path": "{_FILES[at]}" }}'
        function = {"name": "Read", "arguments": arguments}
        call = {"index": 0, "id": f"call_{at}", "type": "function", "function": function}
        return Turn(reasoning=reasoning, call=call)
    return Turn(reasoning=reasoning, text=msgspec.json.encode({"turns": states}).decode())


def pieces(turn: Turn, model: str) -> Iterator[bytes]:
    """Yield a turn as the events of a stream."""
    half = len(turn.reasoning) // 2
    deltas: list[Json] = [
        {"role": "assistant", "content": None, "reasoning_content": turn.reasoning[:half]},
        {"reasoning_content": turn.reasoning[half:]},
    ]
    if turn.call:
        deltas.append({"tool_calls": [turn.call]})
    else:
        deltas.append({"content": turn.text})
    for delta in deltas:
        yield _event(model, [{"index": 0, "delta": delta, "finish_reason": None}])
    reason = "tool_calls" if turn.call else "stop"
    yield _event(model, [{"index": 0, "delta": {}, "finish_reason": reason}])
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    yield _event(model, [], usage=usage)
    yield b"data: [DONE]\n\n"


def _event(model: str, choices: list[Json], **more: object) -> bytes:
    chunk: Mapping[str, object] = {
        "id": "doctor",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model,
        "choices": choices,
        **more,
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _reasoning(token: str, at: int) -> str:
    """What is issued as the reasoning of the turn at this place."""
    proof = hashlib.sha256(f"{token} {at}".encode()).hexdigest()
    return f"Turn {at + 1}: I think of {proof[:16]}.\n"
