"""Requests that are as they should be: what faults are put into."""

import json
from collections.abc import Callable, Iterator
from random import Random

import msgspec

from tests.harden.numbering import MODELS

__all__ = ("Request", "Spoil", "call_of", "document", "page_of")

PATHS = {
    "chat": (b"/v1/chat/completions", b"/chat/completions", b"/cursor/v1/chat/completions"),
    "responses": (b"/v1/responses", b"/cursor/responses"),
    "messages": (b"/v1/messages", b"/v1/messages?beta=true"),
}
COUNTING = {"messages": b"/v1/messages/count_tokens", "responses": b"/v1/responses/input_tokens"}

PAGES = (
    (b"GET", b"/"),
    (b"GET", b"/login"),
    (b"GET", b"/admin/users"),
    (b"GET", b"/api/me"),
    (b"GET", b"/api/admin/requests?limit=5"),
    (b"GET", b"/static/app.css"),
    (b"GET", b"/schema/openapi.json"),
    (b"GET", b"/nowhere"),
    (b"GET", b"/healthz"),
    (b"GET", b"/readyz"),
    (b"GET", b"/v1/models"),
    (b"GET", b"/v1/responses/resp_none"),
    (b"DELETE", b"/v1/responses/resp_none"),
    (b"DELETE", b"/api/keys/1"),
    (b"OPTIONS", b"/v1/chat/completions"),
    (b"POST", b"/api/login"),
    (b"POST", b"/api/logout"),
    (b"POST", b"/api/register"),
    (b"PATCH", b"/api/me"),
)
LOGIN = {"username": "ada", "code": ""}
"""Without a password: checking one takes a quarter of a second by design."""

_SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
_PICTURE = "data:image/png;base64,iVBORw0KGgo="
_AGENTS = (b"Cursor/3.17", b"claude-cli/2.0", b"codex_cli_rs/0.50", b"OpenAI/Python 2.1", b"curl/8")


class Request(msgspec.Struct):
    """A request's parts, to be spoilt."""

    method: bytes
    target: bytes
    headers: list[bytes]
    """Lines but for those that frame the body and say who asks."""

    keys: list[bytes]
    """Lines that say who asks."""

    body: bytes = b""
    version: bytes = b"HTTP/1.1"
    framing: list[bytes] | None = None
    """Lines; None: the body's length."""

    wire: bytes | None = None
    """The body as it is sent, if that is not the body."""

    line: bytes = b""
    """The request line, if it is not made of the parts."""

    end: bytes = b"\r\n"
    """What ends a line."""

    before: bytes = b""

    calls: int = 0
    """How many LLM calls an upstream may get of it."""

    @property
    def bytes(self) -> bytes:
        """As it is sent."""
        first = self.line or b" ".join((self.method, self.target, self.version))
        framing = self.framing
        if framing is None:
            framing = [b"content-length: %d" % len(self.body)] if self.body else []
        lines = [first, *self.headers, *self.keys, *framing, b"", b""]
        body = self.body if self.wire is None else self.wire
        return self.before + self.end.join(lines) + body


type Spoil = Callable[[Random, Request], None]
"""Puts a fault into it."""


def call_of(rng: Random, key: bytes, *, counts: bool = False) -> Request:
    """An LLM call of that key, in any of the formats."""
    api = rng.choice(["messages", "responses"] if counts else list(PATHS))
    request = Request(
        method=b"POST",
        target=COUNTING[api] if counts else rng.choice(PATHS[api]),
        headers=_headers(rng, api),
        keys=[b"authorization: Bearer " + key],
        body=json.dumps(document(rng, api)).encode(),
        calls=int(not counts),
    )
    if api == "messages" and rng.random() < 0.5:
        request.keys = [b"x-api-key: " + key]
    return request


def page_of(rng: Random, key: bytes) -> Request:
    """A request that no upstream is asked for."""
    method, target = rng.choice(PAGES)
    body = b"" if method in (b"GET", b"OPTIONS") else json.dumps(LOGIN).encode()
    headers = _headers(rng, "chat")
    return Request(
        method=method,
        target=target,
        headers=headers,
        keys=[b"authorization: Bearer " + key] if rng.random() < 0.3 else [],
        body=body,
    )


def _headers(rng: Random, api: str) -> list[bytes]:
    headers = [b"host: gateway.test", b"content-type: application/json", b"accept: */*"]
    headers.append(b"user-agent: " + rng.choice(_AGENTS))
    if api == "messages":
        headers.append(b"anthropic-version: 2023-06-01")
    return headers


def document(rng: Random, api: str) -> dict[str, object]:
    """The body of a call: any client's format may ask any upstream."""
    made = {"chat": _chat, "responses": _response, "messages": _message}[api]()
    made["model"] = rng.choice(list(MODELS.values()))
    made["stream"] = rng.random() < 0.5
    return {name: made[name] for name in _some(rng, made)}


def _some(rng: Random, made: dict[str, object]) -> Iterator[str]:
    """Those that are needed, and half of the others."""
    for name in made:
        if name in ("model", "messages", "input", "max_tokens", "stream") or rng.random() < 0.5:
            yield name


def _chat() -> dict[str, object]:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "read", "arguments": '{"path":"x"}'},
    }
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": _PICTURE, "detail": "low"}},
    ]
    function = {"name": "read", "description": "Reads", "parameters": _SCHEMA, "strict": True}
    return {
        "max_tokens": 64,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": parts, "name": "ada"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Reading it.",
                "tool_calls": [call],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "read"},
            {"role": "user", "content": "And?"},
        ],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
        "temperature": 0.5,
        "stop": ["END"],
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _SCHEMA}},
        "reasoning_effort": "low",
        "metadata": {"a": "b"},
        "logit_bias": {"50256": -100},
        "user": "ada",
        "n": 1,
        "seed": 7,
    }


def _response() -> dict[str, object]:
    return {
        "max_output_tokens": 64,
        "instructions": "Be brief.",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "image_url": _PICTURE},
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Reading it."}],
                "encrypted_content": "AAAA",
            },
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "read",
                "arguments": '{"path":"x"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "read"},
            {"role": "user", "content": "And?"},
        ],
        "tools": [{"type": "function", "name": "read", "parameters": _SCHEMA, "strict": True}],
        "tool_choice": {"type": "function", "name": "read"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "parallel_tool_calls": True,
        "store": False,
        "metadata": {"a": "b"},
        "truncation": "auto",
    }


def _message() -> dict[str, object]:
    marked = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    return {
        "max_tokens": 4096,
        "system": [marked],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Look"}, {"type": "image", "source": source}],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Reading it.", "signature": "AAAA"},
                    {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "x"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "read"},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [{"name": "read", "description": "Reads", "input_schema": _SCHEMA}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "ada"},
        "top_k": 5,
    }
