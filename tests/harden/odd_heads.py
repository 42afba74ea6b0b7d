"""Faults of a request's line, headers and credentials: a name, what puts it in, and whether no
upstream may be asked then.
"""

from random import Random

from tests.harden.sound import Request, Spoil

__all__ = ("HEADERS", "KEYS", "LINE", "ODD")

LONG = 140_000
"""Bytes: more than a head may have, however it is read."""

CONTROLS = [bytes([byte]) for byte in (*range(9), 11, 12, *range(14, 32), 127)]
ODD = [*CONTROLS, b"\r", b"\n", b"\r\n", b"\r\n ", b"\xff", b"\xc3\xa4", b"\x80", b" ", b"\t"]


# -- the request line ------------------------------------------------------------------------------


def _line(*lines: bytes) -> Spoil:
    """`%b` is the sound target."""

    def spoil(rng: Random, request: Request) -> None:
        request.line = rng.choice(lines).replace(b"%b", request.target)

    return spoil


def _target(*targets: bytes) -> Spoil:
    def spoil(rng: Random, request: Request) -> None:
        request.target = rng.choice(targets).replace(b"%b", request.target)

    return spoil


def _method(*methods: bytes) -> Spoil:
    def spoil(rng: Random, request: Request) -> None:
        request.method = rng.choice(methods)

    return spoil


def _odd_target(rng: Random, request: Request) -> None:
    at = rng.randrange(1 + len(request.target))
    request.target = request.target[:at] + rng.choice(ODD) + request.target[at:]


def _before(rng: Random, request: Request) -> None:
    request.before = rng.choice([b"\r\n", b"\n\n\n", b" ", b"\0", b"\r\n" * 500, b"\xef\xbb\xbf"])


LINE: dict[str, tuple[Spoil, bool]] = {
    "another method": (
        _method(b"PUT", b"DELETE", b"TRACE", b"PATCH", b"CONNECT", b"GET", b"PROPFIND"),
        True,
    ),
    "no method": (_method(b"P OST", b"", b"P\0ST", b"A" * 400, b"P\xffST", b"{"), True),
    "HEAD": (_method(b"HEAD"), True),
    "a target of another form": (
        _target(b"http://evil.test%b", b"*", b"evil.test:443", b"127.0.0.1:22", b"https:%b"),
        True,
    ),
    "a target that leads elsewhere": (
        _target(b"/..%b", b"/%2e%2e%b", b"%b/../x", b"/v1%2fchat", b"%b;x", b"%b\\", b"%b%00"),
        False,
    ),
    "slashes and queries": (_target(b"/%b", b"%b/", b"%b?", b"%b?a=b&&=%ff", b"%b#x"), False),
    "a path of nobody's": (
        _target(b"/v1/nothing", b"/v1/models/%ff%00", b"/v1/responses/%2f..", b"/.env", b"/cgi"),
        True,
    ),
    "a long target": (_target(b"%b?" + b"a" * 5_000, b"%b?" + b"a" * LONG), False),
    "odd bytes in the target": (_odd_target, False),
    "another version": (
        _line(b"POST %b HTTP/2.0", b"POST %b HTTP/1.2", b"POST %b HTTP/11", b"POST %b http/1.1"),
        True,
    ),
    "no version": (_line(b"POST %b", b"POST %b ", b"POST %b HTTP/", b"POST %b HTTP/1.1 x"), True),
    "HTTP/1.0": (_line(b"POST %b HTTP/1.0"), False),
    "blanks in the line": (_line(b"POST  %b HTTP/1.1", b"POST\t%b\tHTTP/1.1", b" POST %b"), False),
    "bytes before it": (_before, False),
}


# -- headers ---------------------------------------------------------------------------------------


def _added(*lines: bytes) -> Spoil:
    def spoil(rng: Random, request: Request) -> None:
        request.headers.insert(rng.randrange(1 + len(request.headers)), rng.choice(lines))

    return spoil


def _odd_value(rng: Random, request: Request) -> None:
    at = rng.randrange(len(request.headers))
    line = request.headers[at]
    cut = rng.randrange(len(line) + 1)
    request.headers[at] = line[:cut] + rng.choice(ODD) + line[cut:]


def _control(rng: Random, request: Request) -> None:
    request.headers.append(b"x-odd: a%bb" % rng.choice(CONTROLS))


def _twice(rng: Random, request: Request) -> None:
    line = rng.choice(request.headers)
    request.headers += [line] * rng.choice([1, 1, 100])


def _missing(rng: Random, request: Request) -> None:
    del request.headers[rng.randrange(len(request.headers))]


def _many(rng: Random, request: Request) -> None:
    request.headers += [b"x%d: y" % at for at in range(rng.choice([250, 300, 3_000]))]


def _huge(rng: Random, request: Request) -> None:
    name = rng.choice([b"user-agent", b"x-request-id", b"cookie", b"x" * 5_000, b"accept"])
    request.headers.append(name + b": " + rng.choice([b"x", b"\xff", b"(", b"a=b;", b",,"]) * LONG)


def _line_ends(rng: Random, request: Request) -> None:
    request.end = rng.choice([b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b" \r\n"])


HEADERS: dict[str, tuple[Spoil, bool]] = {
    "a control character": (_control, True),
    "an odd character": (_odd_value, False),
    "a folded line": (_added(b"a: 1\r\n 2", b"a: 1\r\n\t2", b"a: 1\n 2", b" a: 1"), True),
    "no header": (_added(b"no colon", b": no name", b"a b: c", b"\xff: x", b"a : b", b"@"), False),
    "a header twice": (_twice, False),
    "a header less": (_missing, False),
    "many headers": (_many, False),
    "a huge header": (_huge, True),
    "other line ends": (_line_ends, False),
    "an odd host": (
        _added(b"host: ", b"host: a b", b"host: [::", b"host: x:99999", b"host"),
        False,
    ),
    "hop by hop": (
        _added(
            b"connection: authorization, content-length, host",
            b"connection: close, \xff",
            b"keep-alive: timeout=1e999",
            b"te: trailers, deflate;q=x",
            b"trailer: authorization",
            b"proxy-authorization: Basic !!",
        ),
        False,
    ),
    "another protocol": (
        _added(
            b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x",
            b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQ",
            b"upgrade: TLS/1.0",
        ),
        False,
    ),
    "an expectation": (_added(b"expect: 100-continue", b"expect: 200-ok", b"expect: \xff"), False),
    "another origin": (
        _added(
            b"x-forwarded-for: 127.0.0.1, \xff, [::1%eth0], 1.2.3.4:99999",
            b'forwarded: for="_x";;',
            b"x-forwarded-proto: gopher",
            b"x-forwarded-host: evil.test",
            b"origin: null",
            b"referer: \xff\xfe",
        ),
        False,
    ),
    "an odd type": (
        _added(
            b"content-type: multipart/form-data; boundary=" + b"-" * 3_000,
            b"content-type: application/json; charset=utf-16",
            b"content-type: ;;;=",
            b"accept: */*;q=\xff",
            b"accept-language: " + b"a-" * 3_000,
            b"accept-encoding: gzip;q=1e999",
            b"cookie: session=\xff; =; ;;a",
            b"cookie: session=" + b"e30." * 500,
            b"anthropic-version: \xff",
            b"anthropic-beta: " + b"a," * 3_000,
            b"range: bytes=0-,-1",
            b'if-none-match: "',
            b"if-modified-since: x",
        ),
        False,
    ),
}


# -- credentials -----------------------------------------------------------------------------------


def _keys(*lines: bytes) -> Spoil:
    """`%b` is the key as it was sent, with its header."""

    def spoil(rng: Random, request: Request) -> None:
        line = request.keys[0] if request.keys else b"authorization: Bearer sk-none"
        request.keys = [rng.choice(lines).replace(b"%b", line)]

    return spoil


_AUTH = b"authorization: "

KEYS: dict[str, tuple[Spoil, bool]] = {
    "no key": (
        _keys(b"x-a: b", _AUTH, _AUTH + b"Bearer", _AUTH + b"Bearer  ", b"cookie: a=b"),
        True,
    ),
    "another key": (
        _keys(
            _AUTH + b"Bearer sk-" + b"a" * 40,
            _AUTH + b"Bearer sk-%00",
            _AUTH + b"Bearer ' OR 1=1 --",
            _AUTH + b"Bearer \xff\xfe",
            _AUTH + b"Bearer \xc3\xa4",
            _AUTH + b"Bearer " + b"x" * 20_000,
            _AUTH + b"Basic YWRhOmFkYQ==",
            _AUTH + b"Basic !!",
            _AUTH + b'Digest username="ada"',
            _AUTH + b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
            _AUTH + b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
            _AUTH + b"Bearer ..",
            b"x-api-key: \xff",
            b"api-key: sk-a, sk-b",
            b"cookie: session=eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        ),
        True,
    ),
    "a key and more": (_keys(b"%bx", b"%b, sk-x", b"%b\xff"), True),
    "several keys": (
        _keys(b"%b\r\n%b", b"%b\r\n" + _AUTH + b"Bearer sk-x", b"x-api-key: a\r\n%b"),
        False,
    ),
}
