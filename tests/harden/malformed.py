"""Malformed requests by a grammar: sound ones with faults in their line, headers, framing,
credentials or body, cut, mixed up or sent ahead.
"""

from collections.abc import Callable
from random import Random
from typing import Literal

import msgspec

from tests.harden.odd_bodies import BODY
from tests.harden.odd_framings import CHUNKS, FRAMING
from tests.harden.odd_heads import HEADERS, KEYS, LINE, ODD
from tests.harden.sound import Request, call_of, page_of

__all__ = ("Sent", "malformed")

type Leave = Literal["", "fin", "reset"]

LEAVES: list[Leave] = ["fin", "reset", ""]
MOST_PIECES = 12


class Sent(msgspec.Struct, frozen=True):
    """What is sent on one connection."""

    pieces: list[bytes]
    calls: int
    """How many LLM calls of it may reach an upstream at most."""

    answers: int
    """For how many it waits."""

    leave: Leave
    """How it goes before it has them; empty: it waits."""

    sort: str
    """What is wrong with it."""

    @property
    def raw(self) -> bytes:
        return b"".join(self.pieces)


def malformed(rng: Random, key: bytes) -> Sent:
    """The next of the grammar."""
    return rng.choices(*_SORTS)[0](rng, key)


def _cut(rng: Random, raw: bytes) -> list[bytes]:
    """Most are sent at once, some in pieces, the first of which are short."""
    if rng.random() < 0.7:
        return [raw]
    ends = sorted({rng.randrange(1, 1 + len(raw)) for _ in range(rng.randrange(MOST_PIECES))})
    if rng.random() < 0.3:
        ends = [*range(1, min(len(raw), 30)), *(end for end in ends if end > 30)]
    return [raw[a:b] for a, b in zip([0, *ends], [*ends, len(raw)], strict=True) if a < b]


def _request(rng: Random, key: bytes) -> Request:
    if rng.random() < 0.15:
        return page_of(rng, key)
    return call_of(rng, key, counts=rng.random() < 0.1)


# -- what is sent on one connection ----------------------------------------------------------------


def _spoilt(table: str) -> Callable[[Random, bytes], Sent]:
    """One request with a fault of this table, a few with another's, too."""

    def make(rng: Random, key: bytes) -> Sent:
        request = _request(rng, key)
        tables = {table, rng.choice(list(TABLES))} if rng.random() < 0.2 else {table}
        names = [_spoil(rng, request, each) for each in TABLES if each in tables]
        return Sent(_cut(rng, request.bytes), request.calls, 1, "", ", ".join(names))

    return make


def _spoil(rng: Random, request: Request, table: str) -> str:
    """Put a fault of this table in; its name."""
    name, (spoil, fatal) = rng.choice(list(TABLES[table].items()))
    spoil(rng, request)
    if fatal:
        request.calls = 0
    return name


def _incomplete(rng: Random, key: bytes) -> Sent:
    raw = _request(rng, key).bytes
    at = rng.randrange(1, len(raw))
    leave = rng.choices(LEAVES, [70, 27, 3])[0]
    return Sent(_cut(rng, raw[:at]), 0, 1, leave, "incomplete")


def _mixed_up(rng: Random, key: bytes) -> Sent:
    """Bytes of it are others, twice, missing or elsewhere."""
    raw = bytearray(_request(rng, key).bytes)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, other = rng.randrange(len(raw)), rng.randrange(len(raw))
        piece = bytes(raw[other : other + rng.randrange(1, 20)])
        new = rng.choice([rng.choice(ODD), rng.randbytes(rng.randrange(9)), piece])
        raw[at : at + rng.choice([0, 1, 1, 5, 40])] = new
    calls = 1 + raw.count(b"POST /")  # what it is now only its answer tells
    return Sent(_cut(rng, bytes(raw)), calls, 1, "", "mixed up")


def _noise(rng: Random, key: bytes) -> Sent:
    """No HTTP at all, TLS and other protocols among it."""
    starts = [
        bytes.fromhex("1603010200010001fc0303"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x04\x01\x00\x50",
        b"<policy-file-request/>\0",
        b"",
        b"A" * 100,
    ]
    raw = rng.choice(starts) + rng.randbytes(rng.randrange(1, 300))
    leave = rng.choices(LEAVES, [70, 27, 3])[0]
    return Sent(_cut(rng, raw), 0, 1, leave, "noise")


def _sent_ahead(rng: Random, key: bytes) -> Sent:
    """Several requests at once; nothing may come of what follows one that is no request."""
    raws, calls, names = [], 0, []
    for _ in range(rng.randrange(1, 5)):
        request = _request(rng, key)
        if rng.random() < 0.3:
            names.append(_spoil(rng, request, "body"))
        raws.append(request.bytes)
        calls += request.calls
    last = call_of(rng, key)
    names.append(_spoil(rng, last, rng.choice(["headers", "framing", "chunks"])))
    raws.append(last.bytes)
    calls += last.calls
    if last.calls:  # it may be fit to be answered
        raws.append(call_of(rng, key).bytes)
        calls += 1
    return Sent(_cut(rng, b"".join(raws)), calls, len(raws), "", f"ahead: {', '.join(names)}")


def _smuggled(rng: Random, key: bytes) -> Sent:
    """A second request where only some would look for one."""
    request, second = call_of(rng, key), call_of(rng, key).bytes
    request.calls = 0
    request.framing = rng.choice(
        [
            [b"content-length: %d" % (5 + len(second)), b"transfer-encoding: chunked"],
            [b"transfer-encoding: chunked", b"content-length: 0"],
            [b"content-length: 0", b"content-length: %d" % (5 + len(second))],
            [b"content-length: 0", b"transfer-encoding: x, chunked"],
            [b"content-length: 0", b"transfer-encoding:\x0bchunked"],
            [b"content-length: 0", b"transfer-encoding : chunked"],
            [b"content-length: 0", b"transfer-encoding: \tchunked\x00"],
            [b"transfer-encoding: identity, chunked", b"content-length: 5"],
            [b"content-length: +0"],
            [b"content-length: 0, 0"],
            [b"content-length: 0\r\n 9"],
            [b"content-length: 0_0"],
        ]
    )
    raw = request.bytes[: -len(request.body)] + b"0\r\n\r\n" + second
    return Sent(_cut(rng, raw), 0, 2, "", "smuggled")


# -- tables ------------------------------------------------------------------------------------------

TABLES = {
    "body": BODY,
    "chunks": CHUNKS,
    "framing": FRAMING,
    "keys": KEYS,
    "headers": HEADERS,
    "line": LINE,
}
"""In the order in which their faults are put in."""

type _Make = Callable[[Random, bytes], Sent]

_WEIGHED: list[tuple[int, _Make]] = [
    *((15 if table == "body" else 9, _spoilt(table)) for table in TABLES),
    (14, _incomplete),
    (14, _mixed_up),
    (4, _noise),
    (6, _sent_ahead),
    (5, _smuggled),
]
"""How often of a hundred or so, and what makes one."""

_SORTS = [make for _, make in _WEIGHED], [weight for weight, _ in _WEIGHED]
