"""The same answer as upstreams of each format stream it: reasoning, text, a tool call; and
how clients ask for it.
"""

import json
from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.request import WireFormat

__all__ = ("FORMATS", "asked", "stream")

FORMATS: tuple[WireFormat, ...] = ("chat", "responses", "messages")

type Json = dict[str, Any]

ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
USAGE: Json = {"input_tokens": 900, "output_tokens": 100}
PATH = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


def stream(wire_format: WireFormat, deltas: int) -> list[bytes]:
    """The raw events of an answer: of its deltas half are reasoning, most of the others
    text, some arguments.
    """
    thoughts, calls = deltas // 2, deltas // 10
    made = _STREAMS[wire_format](thoughts, deltas - thoughts - calls, calls)
    if wire_format == "chat":
        return [*(b"data: " + _text(event) + b"\n\n" for event in made), b"data: [DONE]\n\n"]
    return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _text(event)) for event in made]


def asked(wire_format: WireFormat, model: str) -> tuple[str, bytes]:
    """Path and body of a request that wants to see all of the answer."""
    function = {"name": "Read", "parameters": {"type": "object"}}
    said = {"role": "user", "content": "hello"}
    body: Json = {"model": model, "stream": True}
    match wire_format:
        case "chat":
            body |= {"messages": [said], "tools": [{"type": "function", "function": function}]}
            body["stream_options"] = {"include_usage": True}
        case "responses":
            body |= {"input": [said], "tools": [{"type": "function", **function}], "store": False}
            body |= {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        case "messages":
            body |= {
                "messages": [said],
                "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
            }
            body |= {"max_tokens": 8000, "thinking": {"type": "adaptive"}}
    return PATH[wire_format], _text(body)


def _text(found: Any) -> bytes:
    return json.dumps(found, separators=(",", ":")).encode()


def _chat(thoughts: int, words: int, pieces: int) -> Iterator[Json]:
    head = {"id": ID, "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "m"}
    head["system_fingerprint"] = "fp_0a1b2c3d4e"

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return head | {
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        }

    yield chunk({"role": "assistant", "content": None, "reasoning_content": ""})
    yield from (chunk({"content": None, "reasoning_content": " thought"}) for _ in range(thoughts))
    yield from (chunk({"content": " word", "reasoning_content": None}) for _ in range(words))
    function = {"name": "Read", "arguments": ""}
    yield chunk(
        {
            "tool_calls": [
                {"index": 0, "id": "call_00_0a1b2c", "type": "function", "function": function}
            ]
        }
    )
    for piece in _arguments(pieces):
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield chunk({"content": "", "reasoning_content": None}, "tool_calls")
    yield head | {
        "choices": [],
        "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000},
    }


def _arguments(pieces: int) -> list[str]:
    return ['{"path":"', *["src/"] * (pieces - 2), '"}']


def _messages(thoughts: int, words: int, pieces: int) -> Iterator[Json]:
    message = {
        "id": f"msg_{ID}",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
    }
    yield {"type": "message_start", "message": message | {"stop_reason": None, "usage": USAGE}}
    yield {"type": "ping"}
    blocks: list[tuple[Json, list[Json]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [{"type": "thinking_delta", "thinking": " thought"}] * thoughts
            + [{"type": "signature_delta", "signature": ID * 8}],
        ),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": " word"}] * words),
        (
            {"type": "tool_use", "id": "toolu_0a1b2c", "name": "Read", "input": {}},
            [{"type": "input_json_delta", "partial_json": piece} for piece in _arguments(pieces)],
        ),
    ]
    for at, (block, deltas) in enumerate(blocks):
        yield {"type": "content_block_start", "index": at, "content_block": block}
        yield from (
            {"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas
        )
        yield {"type": "content_block_stop", "index": at}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": USAGE,
    }
    yield {"type": "message_stop"}


def _responses(thoughts: int, words: int, pieces: int) -> Iterator[Json]:
    for number, event in enumerate(_response_events(thoughts, words, pieces)):
        yield event | {"sequence_number": number}


def _response_events(thoughts: int, words: int, pieces: int) -> Iterator[Json]:
    response: Json = {
        "id": f"resp_{ID}",
        "object": "response",
        "created_at": 1_760_000_000,
        "model": "m",
    }
    started = response | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    reasoning: Json = {
        "type": "reasoning",
        "id": f"rs_{ID}",
        "summary": [],
        "encrypted_content": ID * 8,
    }
    said: Json = {
        "type": "message",
        "id": f"msg_{ID}",
        "role": "assistant",
        "status": "completed",
        "content": [],
    }
    call = {"type": "function_call", "id": f"fc_{ID}", "call_id": "call_0a1b2c", "name": "Read"}
    thought = {"type": "summary_text", "text": " thought" * thoughts}
    text: Json = {"type": "output_text", "text": " word" * words, "annotations": [], "logprobs": []}
    whole = "".join(_arguments(pieces))
    ends = [
        reasoning | {"summary": [thought]},
        said | {"content": [text]},
        call | {"arguments": whole, "status": "completed"},
    ]
    yield {"type": "response.output_item.added", "output_index": 0, "item": reasoning}
    where: Json = {"output_index": 0, "item_id": f"rs_{ID}", "summary_index": 0}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": thought | {"text": ""}}
    padded = {"obfuscation": "0a1b2c3d4e"}
    yield from [
        {"type": "response.reasoning_summary_text.delta", **where, "delta": " thought", **padded}
    ] * thoughts
    yield {"type": "response.reasoning_summary_text.done", **where, "text": thought["text"]}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": thought}
    yield {"type": "response.output_item.done", "output_index": 0, "item": ends[0]}
    yield {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": said | {"status": "in_progress"},
    }
    where = {"output_index": 1, "item_id": f"msg_{ID}", "content_index": 0}
    yield {"type": "response.content_part.added", **where, "part": text | {"text": ""}}
    yield from [
        {"type": "response.output_text.delta", **where, "delta": " word", "logprobs": [], **padded}
    ] * words
    yield {"type": "response.output_text.done", **where, "text": text["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": text}
    yield {"type": "response.output_item.done", "output_index": 1, "item": ends[1]}
    yield {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": call | {"arguments": ""},
    }
    where = {"output_index": 2, "item_id": f"fc_{ID}"}
    for piece in _arguments(pieces):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece, **padded}
    yield {"type": "response.function_call_arguments.done", **where, "arguments": whole}
    yield {"type": "response.output_item.done", "output_index": 2, "item": ends[2]}
    yield {
        "type": "response.completed",
        "response": response | {"status": "completed", "output": ends, "usage": USAGE},
    }


_STREAMS = {"chat": _chat, "responses": _responses, "messages": _messages}
