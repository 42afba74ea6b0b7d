"""Faults of what says where a body ends: a name, what puts it in, and whether no upstream may be
asked then.
"""

from collections.abc import Callable
from random import Random

from tests.harden.sound import Request, Spoil

__all__ = ("CHUNKS", "FRAMING")

LONG = 140_000
"""Bytes: more than a chunk's header may have, however it is read."""


# -- framing ---------------------------------------------------------------------------------------


def _length(*texts: bytes) -> Spoil:
    """`%d` is the true length."""

    def spoil(rng: Random, request: Request) -> None:
        true = b"%d" % len(request.body)
        request.framing = [b"content-length: " + rng.choice(texts).replace(b"%d", true)]

    return spoil


def _framed(*framings: list[bytes]) -> Spoil:
    def spoil(rng: Random, request: Request) -> None:
        true = b"%d" % len(request.body)
        request.framing = [line.replace(b"%d", true) for line in rng.choice(framings)]

    return spoil


_CHUNKED = b"transfer-encoding: chunked"

FRAMING: dict[str, tuple[Spoil, bool]] = {
    "no length": (
        _length(b"-1", b"+5", b"0x5", b"5e1", b"5.0", b"%d,", b"", b"9" * 5_000, b"1 0", b"\xb2"),
        True,
    ),
    "a length with blanks": (_length(b" \t%d\t ", b"000%d"), False),
    "a length too short": (_length(b"0", b"1", b"17"), True),
    "a length too great": (_length(b"%d0", b"99999999", b"9223372036854775808"), True),
    "several lengths": (
        _framed(
            [b"content-length: %d", b"content-length: %d"],
            [b"content-length: %d", b"content-length: 5"],
            [b"content-length: %d, %d"],
            [b"content-length: %d", b"Content-Length: 0"],
        ),
        True,
    ),
    "length and chunks": (
        _framed(
            [b"content-length: %d", _CHUNKED],
            [_CHUNKED, b"content-length: 0"],
            [b"content-length: %d", b"transfer-encoding: identity"],
        ),
        True,
    ),
    "an odd coding": (
        _framed(
            [b"transfer-encoding: chunked, chunked"],
            [b"transfer-encoding: gzip, chunked"],
            [b"transfer-encoding: chunked, gzip"],
            [b"transfer-encoding: xchunked"],
            [b"transfer-encoding: \x0bchunked"],
            [b"transfer-encoding:\x0bchunked", b"content-length: 3"],
            [b"transfer-encoding:\x0cchunked"],
            [b"transfer-encoding: chunked\x00"],
            [b"transfer-encoding : chunked"],
            [b"transfer-encoding:\r\n chunked"],
            [b'transfer-encoding: "chunked"'],
            [b"transfer-encoding: chunked;a=b"],
            [b"transfer-encoding: c\xc4hunked"],
            [b"transfer-encoding: "],
            [b"transfer-encoding: identity"],
            [_CHUNKED, _CHUNKED],
            [_CHUNKED, b"transfer-encoding: identity"],
        ),
        True,
    ),
    "no framing": (_framed([]), True),
}


# -- chunks ----------------------------------------------------------------------------------------


def _chunked(make: Callable[[Random, bytes], bytes]) -> Spoil:
    def spoil(rng: Random, request: Request) -> None:
        request.framing = [_CHUNKED]
        request.wire = make(rng, request.body or b"{}")

    return spoil


def _one_chunk(body: bytes, size: bytes = b"", more: bytes = b"") -> bytes:
    return b"%b%b\r\n%b\r\n0\r\n\r\n" % (size or b"%x" % len(body), more, body)


def _odd_size(rng: Random, body: bytes) -> bytes:
    sizes = [b"zz", b"-1", b"+5", b"0x5", b" 5", b"f" * 16, b"f" * 21, b"1_0", b"\xff", b";", b" "]
    return _one_chunk(body, rng.choice(sizes))


def _odd_extension(rng: Random, body: bytes) -> bytes:
    extensions = [b";a=b", b";", b';a="\r\n"', b"; " + b"x" * 300, b";\xff", b" ", b"\t;a"]
    return _one_chunk(body, more=rng.choice(extensions))


def _wrong_size(rng: Random, body: bytes) -> bytes:
    return _one_chunk(body, b"%x" % max(1, len(body) + rng.choice([-3, -1, 1, 7])))


def _odd_ends(rng: Random, body: bytes) -> bytes:
    ends = [
        b"%x\n%b\n0\n\n" % (len(body), body),
        b"%x\r\n%b0\r\n\r\n" % (len(body), body),
        b"%x\r\n%b\rX0\r\n\r\n" % (len(body), body),
        b"%x\r%b\r0\r\r" % (len(body), body),
    ]
    return rng.choice(ends)


def _trailers(rng: Random, body: bytes) -> bytes:
    trailers = [
        b"x: y\r\n",
        b"authorization: Bearer sk-x\r\n",
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"no colon\r\n",
        b"a\0: \x0b\r\n",
        b"x: y\r\n" * 500,
        b"x: " + b"y" * LONG + b"\r\n",
    ]
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, rng.choice(trailers))


def _tiny(rng: Random, body: bytes) -> bytes:
    size = rng.choice([1, 1, 3, 16])
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKS: dict[str, tuple[Spoil, bool]] = {
    "an odd size": (_chunked(_odd_size), True),
    "a wrong size": (_chunked(_wrong_size), True),
    "an odd extension": (_chunked(_odd_extension), False),
    "a long extension": (
        _chunked(lambda rng, body: _one_chunk(body, more=b";" + b"x" * LONG)),
        True,
    ),
    "odd ends": (_chunked(_odd_ends), True),
    "trailers": (_chunked(_trailers), False),
    "tiny chunks": (_chunked(_tiny), False),
    "a size without an end": (_chunked(lambda rng, body: b"1" * LONG), True),
}
