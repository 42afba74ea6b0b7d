"""The bytes of the bench: what is asked, and what the canned upstream answers."""

from collections.abc import Iterable, Iterator

__all__ = (
    "DELTAS",
    "MODEL",
    "PLAIN_ANSWER",
    "STREAM_HEAD",
    "answer",
    "chunked",
    "delta",
    "ending",
    "flood",
    "post",
    "request",
)

DELTAS = 250
"""Of a streamed answer: five seconds of reading when they are paced."""

MODEL = b"deepseek-v4-pro"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)

_CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"%b","choices":[{"index":0,"delta":'
    b'%b,"logprobs":null,"finish_reason":%b}]}\n\n'
)
_USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}'


def request(key: str, mode: str) -> bytes:
    """A small chat request: `plain`, for a `turn`, or for a stream that comes as fast as it goes
    (`flood`) or `paced`.
    """
    streamed = mode in ("flood", "paced")
    more = b',"stream":true,"stream_options":{"include_usage":true}' if streamed else b""
    body = b'{"model":"%b","messages":[{"role":"user","content":"%b"}]%b}'
    return post(key, body % (MODEL, mode.encode(), more))


def post(key: str, body: bytes) -> bytes:
    """A chat request with this body."""
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(message: bytes, finish: bytes) -> bytes:
    """A whole answer with this message."""
    body = (
        b'{"id":"c","object":"chat.completion","created":1,"model":"%b","choices":[{"index":0,"message":'
        b'%b,"logprobs":null,"finish_reason":"%b"}],%b}' % (MODEL, message, finish, _USAGE)
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


PLAIN_ANSWER = answer(
    b'{"role":"assistant","content":"Hello there.","reasoning_content":"They said hello."}', b"stop"
)


def delta(number: int, text: bytes) -> bytes:
    """One event of a stream: thoughts up to its middle, then words."""
    if number == 0:
        said = b'{"role":"assistant","content":null,"reasoning_content":"%b"}'
    elif number < DELTAS // 2:
        said = b'{"content":null,"reasoning_content":"%b"}'
    else:
        said = b'{"content":"%b","reasoning_content":null}'
    return _CHUNK % (MODEL, said % text, b"null")


def ending() -> bytes:
    """What follows the last delta: why it ended, what was used."""
    usage = (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"%b","choices":[],%b}\n\n'
        % (MODEL, _USAGE)
    )
    return _CHUNK % (MODEL, b'{"content":""}', b'"stop"') + usage + b"data: [DONE]\n\n"


def chunked(events: Iterable[bytes]) -> list[bytes]:
    """Each event as a chunk of its own."""
    return [b"%x\r\n%b\r\n" % (len(event), event) for event in events]


def flood() -> Iterator[bytes]:
    """The events of a stream that is not paced."""
    yield from (delta(number, b" word") for number in range(DELTAS))
    yield ending()
