"""What goes wrong between a provider and its clients: each fault turns a good answer into a
bad one.
"""

import gzip
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from tests.support.rawhttp import CUT, RESET, Gate, Piece, Reply, json_reply

__all__ = ("FAULTS", "Fault", "FaultCase", "Outcome", "held")

type Fault = Callable[[Reply], Reply]
type Outcome = Literal["whole", "error", "either"]
"""What the client must see: the whole turn, a clear error, or one of the two."""

IN_BAND = b'{"error":{"message":"The engine is overloaded","type":"server_error","code":"engine_overloaded"}}'


class FaultCase(msgspec.Struct, frozen=True):
    """A fault, the kinds of answers it can hit, and what the client must see."""

    name: str
    apply: Fault
    streamed: bool
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.name}-{'streamed' if self.streamed else 'plain'}"


def held(gate: Gate, *, before: int | None = None) -> Fault:
    """Silence until the gate opens: before the status line, or before one piece (negative:
    from the end).
    """

    def hold(reply: Reply) -> Reply:
        if before is None:
            return msgspec.structs.replace(reply, prelude=[gate, *reply.prelude])
        return _with(reply, [*reply.pieces[:before], gate, *reply.pieces[before:]])

    return hold


def _with(reply: Reply, pieces: list[Piece]) -> Reply:
    return msgspec.structs.replace(reply, pieces=pieces)


def _bytes(reply: Reply) -> list[bytes]:
    return [piece for piece in reply.pieces if isinstance(piece, bytes)]


def _each(reply: Reply, change: Callable[[bytes], bytes]) -> Reply:
    return _with(reply, [change(piece) for piece in _bytes(reply)])


def _promising(reply: Reply, pieces: list[Piece]) -> Reply:
    """The pieces under the length of the whole body, so that a cut breaks the framing."""
    if reply.framing == "chunked":
        return _with(reply, pieces)
    length = ("content-length", str(sum(map(len, _bytes(reply)))))
    return msgspec.structs.replace(
        reply, pieces=pieces, headers=[*reply.headers, length], framing="bare"
    )


def _cut(reply: Reply, *, how: Literal["cut", "reset"] = CUT) -> Reply:
    pieces = _bytes(reply)
    half = pieces[: len(pieces) // 2] or [pieces[0][: len(pieces[0]) // 2]]
    return _promising(reply, [*half, how])


def _cut_mid_event(reply: Reply) -> Reply:
    pieces = _bytes(reply)
    half = len(pieces) // 2
    return _promising(reply, [*pieces[:half], pieces[half][:-20], CUT])


def _cut_mid_utf8(reply: Reply) -> Reply:
    body = b"".join(_bytes(reply))
    inside = next((at for at, byte in enumerate(body) if byte >= 0xC0), len(body) // 2) + 1
    return _promising(reply, [body[:inside], CUT])


def _without(marker: bytes) -> Fault:
    return lambda reply: _with(reply, [piece for piece in _bytes(reply) if marker not in piece])


def _commented(reply: Reply) -> Reply:
    return _each(reply, lambda event: b": keep-alive\n\n:\n" + event)


def _multiline(reply: Reply) -> Reply:
    return _each(reply, lambda event: event.replace(b"data: {", b"data: {\ndata:", 1))


def _crlf(reply: Reply) -> Reply:
    return _each(reply, lambda event: event.replace(b"\n", b"\r\n"))


def _error(event: bytes, *, head: bool) -> Fault:
    def fail(reply: Reply) -> Reply:
        good = [] if head else _bytes(reply)[: len(reply.pieces) // 2]
        return _with(reply, [*good, event])

    return fail


def _gzip(reply: Reply) -> Reply:
    whole = gzip.compress(b"".join(_bytes(reply)))
    headers = [*reply.headers, ("content-encoding", "gzip")]
    return msgspec.structs.replace(reply, pieces=[whole[:10], whole[10:]], headers=headers)


def _byte_by_byte(reply: Reply) -> Reply:
    return _with(reply, [bytes([byte]) for byte in b"".join(_bytes(reply))])


def _early_hints(reply: Reply) -> Reply:
    return msgspec.structs.replace(
        reply, prelude=[b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"]
    )


def _trailers(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, framing="chunked", trailer=b"x-checksum: 1\r\n")


def _huge_header(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, headers=[*reply.headers, ("x-huge", "a" * 300_000)])


def _framed(framing: Literal["length", "chunked", "close"]) -> Fault:
    return lambda reply: msgspec.structs.replace(reply, framing=framing)


def _closing(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, close=True)


def _hang_up(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, prelude=[CUT])


def _json_error(reply: Reply) -> Reply:
    return json_reply(IN_BAND)


def _not_http(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, prelude=[b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CUT])


def _cases() -> Iterator[FaultCase]:
    frame, event = b"data: " + IN_BAND + b"\n\n", b"event: error\ndata: " + IN_BAND + b"\n\n"
    streamed: list[tuple[str, Fault, Outcome]] = [
        ("cut_mid_event", _cut_mid_event, "error"),
        ("no_done", _without(b"[DONE]"), "whole"),
        ("no_finish_reason", _without(b'"finish_reason":"'), "either"),
        ("crlf", _crlf, "whole"),
        ("comments", _commented, "whole"),
        ("multi_line_data", _multiline, "whole"),
        ("error_event_first", _error(event, head=True), "error"),
        ("error_event_later", _error(event, head=False), "error"),
        ("error_frame_first", _error(frame, head=True), "error"),
        ("error_frame_later", _error(frame, head=False), "error"),
        ("with_length", _framed("length"), "whole"),
        ("empty_stream", lambda reply: _with(reply, []), "error"),
    ]
    both: list[tuple[str, Fault, Outcome]] = [
        ("cut", _cut, "error"),
        ("reset", lambda reply: _cut(reply, how=RESET), "error"),
        ("cut_mid_utf8", _cut_mid_utf8, "error"),
        ("gzip", _gzip, "whole"),
        ("byte_by_byte", _byte_by_byte, "whole"),
        ("early_hints", _early_hints, "either"),
        ("trailers", _trailers, "either"),
        ("huge_header", _huge_header, "either"),
        ("until_close", _framed("close"), "whole"),
        ("closing", _closing, "whole"),
        ("hang_up", _hang_up, "error"),
        ("json_error", _json_error, "error"),
        ("not_http", _not_http, "error"),
    ]
    yield from (
        FaultCase(name, apply, True, outcome) for name, apply, outcome in (*streamed, *both)
    )
    yield from (FaultCase(name, apply, False, outcome) for name, apply, outcome in both)


FAULTS = tuple(_cases())
