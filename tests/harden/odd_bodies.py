"""Faults of a request's body: a name, what puts it in, and whether no upstream may be asked then."""

import gzip
import json
import zlib
from random import Random

from tests.harden.odd_heads import ODD
from tests.harden.sound import Request, Spoil

__all__ = ("BODY",)

LONG = 70_000
"""Bytes of a text."""

TOKENS = [
    *(b"null", b"true", b"0", b"-1", b"-0", b"1e999", b"-1e-999", b"NaN", b"Infinity", b"01"),
    *(b"1" * 400, b"0." + b"1" * 400, b"1e-400", b"9223372036854775808", b".5", b"0x1", b""),
    *(b'""', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"'),
    *(b'"\n"', b'"\\x"', b"'a'", b"undefined", b'"' + b"x" * LONG + b'"', b'"\\ud83d\\ude00"'),
    *(b"[]", b"{}", b"[null]", b"[[]]", b'{"":""}', b'[{"type":"x"}]', b'{"type":null}', b"[,]"),
    *(b'{"type":"text"}', b'{"type":"text","text":1}', b'["a",1,{}]', b"[" * 900 + b"]" * 900),
    *(b'{"a":' * 500 + b"1" + b"}" * 500, b"[" * 5_000, b'{"a":1,"a":2}', b'"data:,"'),
]
"""What stands where something else is expected; not all of it is JSON."""

MARK = "\N{BULLET}here\N{BULLET}"

type _Place = tuple[dict[str, object] | list[object], str | int]


def _json_fault(rng: Random, request: Request) -> None:
    """Some values are others, wherever they stand."""
    document = json.loads(request.body or b"{}")
    tokens: list[bytes] = []
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if not (places := _places(document)):
            break
        inside, at = rng.choice(places)
        how = rng.random()
        if how < 0.7:
            inside[at] = MARK  # type: ignore[index, call-overload]
            tokens.append(rng.choice(TOKENS))
        elif how < 0.9 and isinstance(inside, dict):
            inside[f"{at}{rng.choice(['', '_', chr(0), ' '])}x"] = inside.pop(str(at), None)
        elif isinstance(inside, list):
            inside *= rng.choice([0, 2, 50])
        else:
            inside.pop(str(at), None)
    request.body = _filled(json.dumps(document), tokens)


def _places(value: object) -> list[_Place]:
    found: list[_Place] = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        for key in keys:
            found += [(value, key), *_places(value[key])]
    return found


def _filled(text: str, tokens: list[bytes]) -> bytes:
    pieces = text.split(json.dumps(MARK))
    body = pieces[0].encode()
    for token, piece in zip([*tokens, *[b"0"] * len(pieces)], pieces[1:], strict=False):
        body += token + piece.encode()
    return body


def _doubled(rng: Random, request: Request) -> None:
    name = rng.choice([b"model", b"messages", b"input", b"stream", b"max_tokens", b"\\u006dodel"])
    value = rng.choice([b'"c"', b'"none"', b"[]", b"1", b"true", b"null"])
    member = b'"%b":%b' % (name, value)
    if rng.random() < 0.5:
        request.body = b"{" + member + b"," + request.body[1:]
    else:
        request.body = request.body[:-1] + b"," + member + b"}"


def _odd_byte(rng: Random, request: Request) -> None:
    at = rng.randrange(1 + len(request.body))
    request.body = request.body[:at] + rng.choice(ODD) + request.body[at:]


def _encoded(rng: Random, request: Request) -> None:
    text = request.body.decode()
    request.body = rng.choice(
        [
            text.encode("utf-16"),
            text.encode("utf-32-le"),
            text.encode("cp037"),
        ]
    )


def _marked(rng: Random, request: Request) -> None:
    request.body = (
        rng.choice([b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2, b"\n\t ", b"\x1e"]) + request.body
    )


def _half(rng: Random, request: Request) -> None:
    request.body = request.body[: rng.randrange(1, max(2, len(request.body)))]


def _other_body(*bodies: bytes) -> Spoil:
    def spoil(rng: Random, request: Request) -> None:
        request.body = rng.choice(bodies).replace(b"%b", request.body)

    return spoil


def _compressed(rng: Random, request: Request) -> None:
    packed = gzip.compress(request.body)
    coding, body = rng.choice(
        [
            (b"gzip", packed),
            (b"gzip", packed[:-9]),
            (b"gzip", request.body),
            (b"gzip", packed * 2),
            (b"deflate", zlib.compress(request.body)),
            (b"deflate", packed),
            (b"br", rng.randbytes(50)),
            (b"zstd", b"\x28\xb5\x2f\xfd" + rng.randbytes(20)),
            (b"zstd", request.body),
            (b"gzip, gzip", gzip.compress(packed)),
            (b"identity", request.body),
            (b"\xff", request.body),
        ]
    )
    request.headers.append(b"content-encoding: " + coding)
    request.body = body


BODY: dict[str, tuple[Spoil, bool]] = {
    "a value of another type": (_json_fault, False),
    "values of other types": (_json_fault, False),
    "anything anywhere": (_json_fault, False),
    "a member twice": (_doubled, False),
    "an odd byte": (_odd_byte, False),
    "another encoding": (_encoded, True),
    "a mark before it": (_marked, False),
    "half of it": (_half, True),
    "no document": (
        _other_body(
            b"", b" ", b"null", b"1", b'"x"', b"[]", b"[%b]", b"%b%b", b"%b x", b"{}", b"{"
        ),
        True,
    ),
    "another language": (
        _other_body(
            b"<a>%b</a>", b"model=c&messages=", b"--x\r\n\r\n%b\r\n--x--", b"//\n%b", b"%b;"
        ),
        True,
    ),
    "deep nesting": (
        _other_body(
            b"[" * 50_000, b'{"model":' * 20_000, b'{"messages":' + b"[" * 3_000 + b"]" * 3_000
        ),
        True,
    ),
    "compressed": (_compressed, False),
}
