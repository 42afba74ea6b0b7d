"""Kinds of requests, each with what its upstreams answer."""

import json
from collections.abc import Callable

import msgspec

from tests.addon.edge.line import END, SSE, chunk, event, refusal

__all__ = ("STORIES", "Story")

USAGE = chunk(
    b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'
)
STREAMED = [
    SSE,
    event(content="one"),
    event(content=" two"),
    event("stop"),
    USAGE,
    chunk(b"data: [DONE]\n\n"),
    END,
]
ANSWER = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"one"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'
)
WHOLE = [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER), ANSWER]
PAGE = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"ok"]


class Story(msgspec.Struct, frozen=True):
    """One client's request, and what its upstreams answer."""

    name: str
    request: Callable[[str], bytes]
    """Made for a key that is known."""

    answers: tuple[list[bytes], ...] = ()
    """One for each attempt, in pieces."""

    admitted: bool = True
    """Whether an upstream may get anything."""

    kept: bool = True
    """Whether what an upstream was asked has to be in the ledger."""

    cut: bool = False
    """Whether the upstream closes after its last piece."""

    leaves: bool = False
    """Whether the client closes before the last three pieces."""

    passes: bool = False
    """Whether the answer is passed on as it is, so that nothing can be said after its head."""

    def __str__(self) -> str:
        return self.name


def _post(path: str, key: str = "", extra: str = "", **body: object) -> Callable[[str], bytes]:
    content = json.dumps({"model": "m", **body}).encode()

    def made(known: str) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key or known}\r\n{extra}"
        return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content

    return made


def _get(path: str) -> Callable[[str], bytes]:
    return lambda known: (
        f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {known}\r\n\r\n".encode()
    )


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
ASKED = [{"role": "user", "content": "hi"}]
CHATS = _post(CHAT, messages=ASKED, stream=True)
UPLOAD = b"POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70_000

STORIES = (
    Story("chat streamed", CHATS, (STREAMED,)),
    Story("chat whole", _post(CHAT, messages=ASKED), (WHOLE,)),
    Story("chat refused, empty, then streamed", CHATS, ([refusal(503)], [SSE + END], STREAMED)),
    Story("chat cut by its upstream", CHATS, (STREAMED[:3],), cut=True),
    Story("chat left by its client", CHATS, (STREAMED,), leaves=True),
    Story("responses streamed", _post(RESPONSES, input="hi", stream=True), (STREAMED,)),
    Story("responses whole", _post(RESPONSES, input="hi"), (WHOLE,)),
    Story(
        "messages streamed", _post(MESSAGES, messages=ASKED, max_tokens=9, stream=True), (STREAMED,)
    ),
    Story("messages whole", _post(MESSAGES, messages=ASKED, max_tokens=9), (WHOLE,)),
    Story("a count", _post(f"{MESSAGES}/count_tokens", messages=ASKED), (WHOLE,), kept=False),
    Story(
        "asked to go on",
        _post(CHAT, extra="expect: 100-continue\r\n", messages=ASKED, stream=True),
        (STREAMED,),
    ),
    Story("a stranger", _post(CHAT, "sk-none", messages=ASKED), admitted=False),
    Story("a bad body", _post(CHAT, messages=7), admitted=False),
    Story(
        "a bad head", lambda known: b"POST http://x/ HTTP/1.1\r\nhost: x\r\n\r\n", admitted=False
    ),
    Story("a list of models", _get("/v1/models"), admitted=False),
    Story("a page", _get("/dashboard"), (PAGE,), kept=False, passes=True),
    Story("an upload", lambda known: UPLOAD, (PAGE,), kept=False, passes=True),
)
