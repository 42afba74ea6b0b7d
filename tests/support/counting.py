"""A loopback provider that keeps its own books, and a crowd of clients that behave as badly
as they are told.

What happens to a request is the first word of its last user message, its name is the whole
message.
"""

import asyncio
import json
from typing import Literal

import msgspec

from tests.support.rawhttp import CUT, Gate, Loopback, Piece, Received, Reply, json_reply

__all__ = ("Count", "CountingProvider", "Seen", "ask", "ask_all")

type Fate = Literal["whole", "plain", "uncounted", "cut", "left"]
"""`whole` and `plain`: answered well, streamed or not; `uncounted`: without usage; `cut`:
by the upstream in the midst; `left`: the client hangs up in the middle.
"""

WORDS = 20
A_LOT = 30_000
"""Tokens of an answer that nothing limits."""


class Count(msgspec.Struct, frozen=True):
    """What the provider says a request used."""

    prompt: int
    completion: int


class CountingProvider(Loopback):
    """Chat Completions on 127.0.0.1; `books` has what it told of each request that it
    counted, by name.
    """

    def __init__(self, count: Count | None = None, *, fills: bool = False) -> None:
        """With `fills` it answers with all tokens that a request allows, or with a lot."""
        super().__init__()
        self._fills = fills
        self.books: dict[str, Count | None] = {}
        """Every request that came; None: its usage was not told."""

        self._count = count

    async def _answer(self, request: Received) -> Reply:
        body = json.loads(request.body)
        name = body["messages"][-1]["content"]
        fate: Fate = name.split()[0]
        count = self._count or Count(
            prompt=50 + len(self.books) % 7, completion=WORDS + len(self.books) % 5
        )
        if self._fills:
            count = Count(prompt=count.prompt, completion=body.get("max_tokens", A_LOT))
        self.books[name] = count if fate in ("whole", "plain") else None
        return (
            _plain(body["model"], count)
            if fate == "plain"
            else _streamed(body["model"], fate, count)
        )


def _plain(model: str, count: Count) -> Reply:
    message = {"role": "assistant", "content": "word " * WORDS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json_reply(
        json.dumps({"model": model, "choices": [choice], "usage": _usage(count)}).encode()
    )


def _streamed(model: str, fate: Fate, count: Count) -> Reply:
    pieces: list[Piece] = [_event(model, {"content": f"word{n} "}) for n in range(WORDS)]
    if fate == "cut":
        pieces = [*pieces[: WORDS // 2], CUT]
    elif fate == "left":
        pieces = [*pieces[: WORDS // 2], Gate()]
    else:
        pieces.append(_event(model, {}, finish="stop"))
        if fate == "whole":
            pieces.append(_sse({"model": model, "choices": [], "usage": _usage(count)}))
        pieces.append(b"data: [DONE]\n\n")
    return Reply(headers=[("content-type", "text/event-stream")], pieces=pieces, framing="chunked")


def _usage(count: Count) -> dict[str, int]:
    return {
        "prompt_tokens": count.prompt,
        "completion_tokens": count.completion,
        "total_tokens": count.prompt + count.completion,
    }


def _event(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    return _sse(
        {"model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    )


def _sse(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


# -- clients ---------------------------------------------------------------------------------------


class Seen(msgspec.Struct, frozen=True):
    """What a client saw of its answer."""

    name: str
    status: int
    body: bytes

    @property
    def whole(self) -> bool:
        """Whether the answer came to its proper end."""
        return self.status == 200 and (b"data: [DONE]" in self.body or b'"usage"' in self.body)


async def ask(
    port: int,
    key: str,
    name: str,
    *,
    model: str = "m",
    size: int = 0,
    max_tokens: int | None = None,
) -> Seen:
    """One request on a connection of its own; `size` pads its body. Status 0: nothing came back."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": name}],
        "stream": not name.startswith("plain"),
    }
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    text = json.dumps(body).encode()
    text += b" " * (size - len(text))
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
        f"{key}\r\nconnection: close\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}content-length: {len(text)}\r\n\r\n".encode() + text)
        answer = await (reader.readuntil(b"word1 ") if name.startswith("left") else reader.read())
        writer.transport.abort()
    except (OSError, asyncio.IncompleteReadError):
        return Seen(name, 0, b"")
    head_text, _, rest = answer.partition(b"\r\n\r\n")
    return Seen(name, int(head_text.split()[1]) if head_text else 0, rest)


def ask_all(
    port: int, key: str, names: list[str], *, size: int = 0, max_tokens: int | None = None
) -> list[Seen]:
    """All of the requests at once."""

    async def crowd() -> list[Seen]:
        return await asyncio.gather(
            *(ask(port, key, name, size=size, max_tokens=max_tokens) for name in names)
        )

    return asyncio.run(crowd())
