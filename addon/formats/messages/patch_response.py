"""Whole Messages answers for Messages clients: the same bytes but for model, tool-call ids
and reasoning state.
"""

from collections.abc import Iterator
from itertools import count

from addon.formats.messages import response
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.protocols import Mint, Seal
from addon.formats.neutral.turn import Reasoning, Turn, Usage
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import (
    MalformedJson,
    Members,
    array_elements,
    array_text,
    changed,
    members,
    object_text,
    scalar_text,
    value,
    with_members,
)

__all__ = ("Answer", "as_stream", "decode", "for_client", "renamed")

_OF_THE_END = ("stop_reason", "stop_sequence", "container")
"""Members of a message that its stream tells in the `delta` at the end
(https://platform.claude.com/docs/en/build-with-claude/streaming).
"""


class Answer:
    """A whole answer of an upstream."""

    def __init__(self, body: bytes) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        read = response.Answer(body)
        self._body = body
        self.error: StreamError | None = read.error
        self.usage: Usage | None = read.usage
        self.turns: dict[int, Turn] = read.turns

    def patched(self, *, model: str, mint: Mint, seal: Seal) -> bytes:
        """The body for the client: the model it asked for, our tool-call ids, its copies of
        the reasoning.
        """
        parts = members(self._body)
        patched: Members = []
        for name, raw in parts:
            if name == "model":
                patched.append((name, renamed(raw, model)))
            elif name == "content":
                patched.append((name, _content_for_client(raw, mint, seal)))
            else:
                patched.append((name, raw))
        if patched == parts:
            return self._body
        return object_text(patched)


def decode(body: bytes) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body)
    except MalformedJson:
        return None


def _content_for_client(content: bytes, mint: Mint, seal: Seal) -> bytes:
    given = array_elements(content)
    numbers = count()
    patched = [for_client(raw, numbers, mint, seal) for raw in given]
    if patched == given:
        return content
    return array_text(patched)


def renamed(raw: bytes, model: str) -> bytes:
    """The text of a `model`, as the client named it."""
    if value(raw) == model:
        return raw
    return scalar_text(model)


def for_client(raw: bytes, numbers: Iterator[int], mint: Mint, seal: Seal) -> bytes:
    """A whole block as the client gets it; `numbers` count the tool calls."""
    block = as_dict(value(raw))
    match block.get("type"):
        case "tool_use":
            return with_members(
                raw, {"id": scalar_text(mint(0, next(numbers), as_str(block.get("id"))))}
            )
        case "thinking" | "redacted_thinking":
            return _sealed(raw, seal)
    return raw


def _sealed(raw: bytes, seal: Seal) -> bytes:
    """A block of reasoning whose state is the client's copy; one without state stays as it is."""
    block = as_dict(value(raw))
    member, carrier, said = "signature", "signature", as_str(block.get("thinking"))
    if block.get("type") == "redacted_thinking":
        member, carrier, said = "data", "redacted_thinking", ""
    state = as_str(block.get(member))
    if not state:
        return raw
    copy = seal(Reasoning(said, "thinking", state, carrier))
    return changed(raw, (member,), lambda _: scalar_text(copy))


# -- as a stream -----------------------------------------------------------------------------------


def as_stream(body: bytes) -> bytes:
    """A whole answer as the stream of events that says the same."""
    parts = members(body)
    found = dict(parts)
    begun = {"content": b"[]", "stop_reason": b"null", "stop_sequence": b"null"}
    message = object_text([(name, begun.get(name, raw)) for name, raw in parts])
    content = found.get("content", b"[]")
    end: dict[str, bytes] = {name: found[name] for name in _OF_THE_END if name in found}
    told = [("type", b'"message_delta"'), ("delta", object_text(list(end.items())))]
    told += [(name, found[name]) for name in ("usage", "context_management") if name in found]
    return b"".join(
        [
            _event("message_start", [("message", message)]),
            *(_block_events(at, raw) for at, raw in enumerate(array_elements(content))),
            sse.event(object_text(told), "message_delta"),
            _event("message_stop", []),
        ]
    )


def _block_events(at: int, raw: bytes) -> bytes:
    """A block begins empty, where its kind grows by deltas."""
    block = as_dict(value(raw))
    steps = [step for step in _GROWING.get(as_str(block.get("type")), ()) if step[0] in block]
    begun = raw
    if steps:
        begun = with_members(raw, {member: empty for member, empty, _, _ in steps})
    index = ("index", scalar_text(at))
    events = [_event("content_block_start", [index, ("content_block", begun)])]
    for member, _, kind, name in steps:
        said = dict(members(raw))[member]
        if member == "input":
            said = scalar_text(said.decode())
        delta = object_text([("type", scalar_text(kind)), (name, said)])
        events.append(_event("content_block_delta", [index, ("delta", delta)]))
    return b"".join([*events, _event("content_block_stop", [index])])


_GROWING = {
    "text": (("text", b'""', "text_delta", "text"),),
    "thinking": (
        ("thinking", b'""', "thinking_delta", "thinking"),
        ("signature", b'""', "signature_delta", "signature"),
    ),
    "tool_use": (("input", b"{}", "input_json_delta", "partial_json"),),
    "server_tool_use": (("input", b"{}", "input_json_delta", "partial_json"),),
}
"""Members that come in deltas: what they begin as, the kind of their deltas, and the
delta's member.
"""


def _event(kind: str, rest: list[tuple[str, bytes]]) -> bytes:
    return sse.event(object_text([("type", scalar_text(kind)), *rest]), kind)
