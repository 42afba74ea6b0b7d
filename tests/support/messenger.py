"""A loopback Messages provider that refuses what Anthropic refuses: altered thinking first of all.

Shapes: https://platform.claude.com/docs/en/api/messages/create and …/build-with-claude/streaming.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from tests.support.provider import Answer, Refusal
from tests.support.rawhttp import Loopback, Piece, Received, Reply, json_reply
from tests.support.signatures import Signatures, blocks_of, thinks
from tests.support.turns import Json, Turn, TurnMaker

__all__ = ("StrictMessenger", "overloaded", "overloaded_at_once")

_COUNTED = {
    "model",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "context_management",
}
_KNOWN = _COUNTED | {
    *(
        "max_tokens",
        "metadata",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "service_tier",
    ),
}
_VERSION = re.compile(r"20\d\d-\d\d-\d\d")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_BUDGETS_ONLY = re.compile(r"claude-(3|(opus|sonnet|haiku)-4-[015]|haiku-4)")
_NEW = re.compile(r"claude-(opus-4-[78]|(opus|sonnet|haiku|fable|mythos)-5)")
_PIECE = 17
"""Characters of a delta."""

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_KINDS |= {529: "overloaded_error"}


class StrictMessenger(Loopback):
    """`/v1/messages` on 127.0.0.1; use as a context manager.

    `keys` are the accepted ones, as `x-api-key` or bearer tokens. `chain`: thinking is
    bound to the conversation before it, as from Claude Fable 5.1 on. `interleaves`: the
    model thinks before each of several calls. Every fifth thought comes redacted.
    """

    def __init__(
        self,
        *,
        keys: tuple[str, ...] = ("sk-ant-good",),
        chain: bool = False,
        interleaves: bool = False,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.rejections: list[str] = []
        self.bodies: list[Json] = []
        self.counted: list[Json] = []
        """The bodies whose tokens were counted."""

        self.maker = self._maker = TurnMaker(Random(seed), "unique")
        self.signatures = Signatures(chain=chain)
        self._keys = keys
        self._interleaves = interleaves
        self._rng = Random(seed)
        self._script: deque[Answer | Refusal] = deque()
        self._thoughts = 0

    @property
    def requests(self) -> list[Received]:
        """Everything that came in, in order."""
        return self._server.requests

    def script(self, *answers: Answer | Refusal) -> None:
        """Give these to the next accepted requests, one each, in order."""
        self._script.extend(answers)

    def reset(self) -> None:
        """Forget requests, rejections, the script and a test's own maker; what was issued
        stays known.
        """
        self.maker = self._maker
        self._thoughts = 0
        for held in (self.requests, self.rejections, self.bodies, self.counted, self._script):
            held.clear()

    async def _answer(self, request: Received) -> Reply:
        path = request.target.partition("?")[0]
        if path not in ("/v1/messages", "/v1/messages/count_tokens"):
            return self._refuse(404, f"Not found: {path}")
        if (request.header("x-api-key") or request.key) not in self._keys:
            return self._refuse(401, "invalid x-api-key")
        if not _VERSION.fullmatch(request.header("anthropic-version") or ""):
            return self._refuse(400, "anthropic-version: header is required")
        body, counts = json.loads(request.body), path.endswith("count_tokens")
        if fault := next(_faults(body, counts=counts), "") or self.signatures.fault(body):
            return self._refuse(400, fault)
        if counts:
            self.counted.append(body)
            return json_reply(b'{"input_tokens":%d}' % (len(request.body) // 4))
        scripted = self._script.popleft() if self._script else Answer()
        if isinstance(scripted, Refusal):
            return _error(scripted)
        self.bodies.append(body)
        return scripted.fault(self._say(scripted.turn or self.maker.make(body), body))

    def _refuse(self, status: int, message: str) -> Reply:
        self.rejections.append(message)
        return _error(Refusal(status, message))

    def _say(self, turn: Turn, body: Json) -> Reply:
        content = list(self._content(turn, body))
        self.signatures.add(body, content)
        message = {
            "id": f"msg_{len(self.bodies)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": "tool_use" if turn.calls else "end_turn",
            "stop_sequence": None,
            "usage": _usage(len(turn.text) + 1),
        }
        if not body.get("stream"):
            return json_reply(json.dumps(message).encode())
        pieces: list[Piece] = [_event(event) for event in _events(message)]
        return Reply(
            headers=[("content-type", "text/event-stream; charset=utf-8")],
            pieces=pieces,
            framing="chunked",
        )

    def _content(self, turn: Turn, body: Json) -> Iterator[Json]:
        thought = turn.reasoning if thinks(body) else None
        if thought is not None:
            yield from self._thinking(thought, body)
        if turn.text:
            yield {"type": "text", "text": turn.text}
        for number, call in enumerate(turn.calls):
            if number and self._interleaves and thought is not None:
                yield from self._thinking(f"{thought} And {number}.", body)
            made = f"toolu_{self._rng.getrandbits(100):025x}"
            yield {
                "type": "tool_use",
                "id": made,
                "name": call.name,
                "input": json.loads(call.arguments),
            }

    def _thinking(self, thought: str, body: Json) -> Iterator[Json]:
        self._thoughts += 1
        state = f"Ep{self._rng.getrandbits(160):040X}=="
        if self._thoughts % 5 == 0:
            yield {"type": "redacted_thinking", "data": state}
            return
        shown = "" if body["thinking"].get("display") == "omitted" else thought
        yield {"type": "thinking", "thinking": shown, "signature": state}


_OVERLOADED: Json = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "Overloaded"},
}


def overloaded(reply: Reply) -> Reply:
    """The fault of a streamed answer that breaks in its middle."""
    return msgspec.structs.replace(
        reply, pieces=[*reply.pieces[: len(reply.pieces) // 2], _event(_OVERLOADED)]
    )


def overloaded_at_once(reply: Reply) -> Reply:
    """The fault of a streamed answer that begins with an error."""
    return msgspec.structs.replace(reply, pieces=[_event(_OVERLOADED)])


def _error(refused: Refusal) -> Reply:
    error = {"type": _KINDS.get(refused.status, "api_error"), "message": refused.message}
    body = {"type": "error", "error": error, "request_id": "req_strict"}
    return json_reply(json.dumps(body).encode(), refused.status, refused.headers)


def _usage(output: int) -> Json:
    """A prompt of a hundred tokens."""
    cached = {"cache_creation_input_tokens": 30, "cache_read_input_tokens": 50}
    return {"input_tokens": 20, **cached, "output_tokens": output}


# -- The stream ------------------------------------------------------------------------------------


def _events(message: Json) -> Iterator[Json]:
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": message["usage"] | {"output_tokens": 1},
    }
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for at, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": at, "content_block": block | _empty(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": at, "delta": delta}
        yield {"type": "content_block_stop", "index": at}
    why = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {
        "type": "message_delta",
        "delta": why,
        "usage": {"output_tokens": message["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _empty(block: Json) -> Json:
    """What of a block comes with its deltas."""
    members: Json = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return dict(members.get(block["type"], {}))


def _deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": piece} for piece in _cut(block["text"]))
        case "thinking":
            pieces = _cut(block["thinking"]) or [""]
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in pieces)
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            pieces = ["", *_cut(json.dumps(block["input"]))]
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)


def _cut(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]


def _event(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


# -- What is refused of a request's form -----------------------------------------------------------


def _faults(body: Json, *, counts: bool) -> Iterator[str]:
    """What is wrong with a request but for its thinking, in Anthropic's words."""
    for member in body.keys() - (_COUNTED if counts else _KNOWN):
        yield f"{member}: Extra inputs are not permitted"
    for member in ("model", "messages") if counts else ("model", "messages", "max_tokens"):
        if member not in body:
            yield f"{member}: Field required"
    for member in (body.get("metadata") or {}).keys() - {"user_id"}:
        yield f"metadata.{member}: Extra inputs are not permitted"
    yield from _knob_faults(body)
    yield from _message_faults(body["messages"])
    yield from _tool_faults(body["messages"])


def _knob_faults(body: Json) -> Iterator[str]:
    thinking, model = body.get("thinking") or {}, body["model"]
    for member in ("temperature", "top_p", "top_k"):
        if member in body and _NEW.match(model):
            yield f"`{member}` is deprecated for this model."
    if thinking.get("type") == "adaptive" and _BUDGETS_ONLY.match(model):
        yield "adaptive thinking is not supported on this model"
    if thinking.get("type") == "enabled":
        if thinking.get("budget_tokens", 0) < 1024:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        if thinking["budget_tokens"] >= body.get("max_tokens", 10**9):
            yield "`max_tokens` must be greater than `thinking.budget_tokens`."
        if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            yield "Thinking may not be enabled when tool_choice forces tool use."
        if _NEW.match(model):
            yield '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    if "effort" in (body.get("output_config") or {}) and _BUDGETS_ONLY.match(model):
        yield "This model does not support the effort parameter."
    if thinks(body) and body.get("temperature", 1) != 1:
        yield "`temperature` may only be set to 1 when thinking is enabled."


def _message_faults(messages: list[Json]) -> Iterator[str]:
    before = "assistant"
    for at, message in enumerate(messages):
        role = message["role"]
        if role not in ("user", "assistant"):
            yield f'messages.{at}.role: Input should be "user" or "assistant"'
        if role == before:
            wanted = 'roles must alternate between "user" and "assistant"'
            yield f'messages: {wanted}, but found multiple "{role}" roles in a row'
        before = role
        content = blocks_of(message["content"])
        if not content:
            yield f"messages.{at}: all messages must have non-empty content"
        if any(block["type"] == "text" and not block["text"].strip() for block in content):
            yield "messages: text content blocks must contain non-whitespace text"


def _tool_faults(messages: list[Json]) -> Iterator[str]:
    """Every call is answered in the next message, and nothing else is."""
    open_calls: list[str] = []
    for at, message in enumerate(messages):
        content = blocks_of(message["content"])
        answered = _members(content, "tool_result", "tool_use_id")
        if lost := [call for call in open_calls if call not in answered]:
            yield (
                f"messages.{at - 1}: `tool_use` ids were found without `tool_result` "
                "blocks immediately after: "
                f"{', '.join(lost)}. Each `tool_use` block must have a corresponding "
                "`tool_result` block in the next "
                "message."
            )
        if unasked := [call for call in answered if call not in open_calls]:
            yield (
                f"messages.{at}: unexpected `tool_use_id` found in `tool_result` "
                f"blocks: {', '.join(unasked)}."
            )
        open_calls = _members(content, "tool_use", "id")
        for call in open_calls:
            if not _ID.fullmatch(call):
                yield (
                    f"messages.{at}.content.tool_use.id: String should match pattern "
                    "'^[a-zA-Z0-9_-]+$'"
                )
        if len(set(open_calls)) < len(open_calls):
            yield f"messages.{at}: `tool_use` ids must be unique"
    if open_calls:
        yield (
            f"messages.{len(messages) - 1}: `tool_use` ids were found without "
            "`tool_result` blocks immediately after"
        )


def _members(content: list[Json], kind: str, member: str) -> list[Any]:
    return [block[member] for block in content if block["type"] == kind]
