"""Where a request comes from can't be forged, and nothing odd in its head gets through."""

import pytest

from addon.admission.client import (
    MAX_FIELDS,
    client_address,
    head_fault,
    is_trusted,
    without_hop_by_hop,
)

LOCAL = ("127.0.0.1", "::1")
NETWORKS = ("10.0.0.0/8", "2001:db8::/32", "192.168.1.7")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "trusted", "expected"),
    [
        pytest.param("9.9.9.9", "", LOCAL, "9.9.9.9", id="direct"),
        pytest.param("9.9.9.9", "8.8.8.8", LOCAL, "9.9.9.9", id="a stranger claims"),
        pytest.param("9.9.9.9", "127.0.0.1", LOCAL, "9.9.9.9", id="a stranger claims to be local"),
        pytest.param("127.0.0.1", "8.8.8.8", LOCAL, "8.8.8.8", id="a proxy tells"),
        pytest.param(
            "127.0.0.1", "1.1.1.1, 8.8.8.8", LOCAL, "8.8.8.8", id="a client claims through a proxy"
        ),
        pytest.param(
            "127.0.0.1", "127.0.0.1, 8.8.8.8", LOCAL, "8.8.8.8", id="a client claims to be local"
        ),
        pytest.param(
            "10.0.0.1", "8.8.8.8, 10.9.9.9,192.168.1.7", NETWORKS, "8.8.8.8", id="proxies in a row"
        ),
        pytest.param(
            "10.0.0.1",
            "8.8.8.8, 192.168.1.8",
            NETWORKS,
            "192.168.1.8",
            id="a hop that is no proxy of ours",
        ),
        pytest.param(
            "10.0.0.1", "10.0.0.2, 10.0.0.3", NETWORKS, "10.0.0.2", id="nobody but proxies"
        ),
        pytest.param("127.0.0.1", "", LOCAL, "127.0.0.1", id="a proxy that tells nothing"),
        pytest.param("127.0.0.1", " , ,8.8.8.8, ,", LOCAL, "8.8.8.8", id="empty hops"),
        pytest.param("127.0.0.1", "8.8.8.8, unknown", LOCAL, "127.0.0.1", id="a word"),
        pytest.param("127.0.0.1", "_hidden", LOCAL, "127.0.0.1", id="obfuscated"),
        pytest.param("127.0.0.1", "8.8.8.8:1234", LOCAL, "8.8.8.8", id="port"),
        pytest.param(
            "10.0.0.1", "8.8.8.8:1, 10.0.0.2:99999", NETWORKS, "8.8.8.8", id="a proxy with a port"
        ),
        pytest.param("::1", "2001:DB8::0001", LOCAL, "2001:db8::1", id="IPv6"),
        pytest.param("::1", "[2001:db8::1]", LOCAL, "2001:db8::1", id="IPv6 in brackets"),
        pytest.param("::1", "[2001:db8::1]:443", LOCAL, "2001:db8::1", id="IPv6 with a port"),
        pytest.param(
            "2001:db8::5", "9.9.9.9, [2001:db8::7]:1", NETWORKS, "9.9.9.9", id="proxies with IPv6"
        ),
        pytest.param("::ffff:127.0.0.1", "::ffff:8.8.8.8", LOCAL, "8.8.8.8", id="mapped"),
        pytest.param("127.0.0.1", '::1%"; forged', LOCAL, "127.0.0.1", id="a zone with text in it"),
        pytest.param("127.0.0.1", "[8.8.8.8", LOCAL, "127.0.0.1", id="half a bracket"),
        pytest.param("127.0.0.1", "8.8.8.8:x", LOCAL, "127.0.0.1", id="no port"),
        pytest.param("127.0.0.1", "8.8.8.8:", LOCAL, "127.0.0.1", id="empty port"),
        pytest.param("127.0.0.1", "08.8.8.8", LOCAL, "127.0.0.1", id="octal"),
        pytest.param("127.0.0.1", "134744072", LOCAL, "127.0.0.1", id="number"),
        pytest.param("127.0.0.1", "٨.8.8.8", LOCAL, "127.0.0.1", id="other digits"),
        pytest.param("9.9.9.9", "8.8.8.8", (), "9.9.9.9", id="no proxies"),
        pytest.param("", "8.8.8.8", LOCAL, "", id="no peer"),
    ],
)
def test_the_client_is_the_last_hop_before_our_proxies(
    peer: str, forwarded_for: str, trusted: tuple[str, ...], expected: str
) -> None:
    assert client_address(peer, forwarded_for, trusted) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("192.168.1.7", True),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        ("::ffff:10.0.0.1", True),
        ("::10.0.0.1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_a_proxy_is_trusted_by_its_network(address: str, expected: bool) -> None:
    assert is_trusted(address, NETWORKS) is expected


FIELDS = (
    (b"Host", b"a.example"),
    (b"Connection", b"Keep-Alive, X-Secret"),
    (b"connection", b"close"),
    (b"Keep-Alive", b"timeout=5"),
    (b"X-SECRET", b"1"),
    (b"TE", b"trailers"),
    (b"Trailer", b"X"),
    (b"Upgrade", b"websocket"),
    (b"Proxy-Authorization", b"Basic eA=="),
    (b"Proxy-Connection", b"x"),
    (b"X-Forwarded-For", b"8.8.8.8"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Host", b"evil.example"),
    (b"Forwarded", b"for=8.8.8.8"),
    (b"X-Real-IP", b"8.8.8.8"),
    (b"Cookie", b"a=b"),
    (b"Cookie", b"\xff"),
)


def test_what_is_meant_for_this_hop_or_claims_an_origin_is_not_passed_on() -> None:
    assert without_hop_by_hop(FIELDS) == [
        (b"Host", b"a.example"),
        (b"Cookie", b"a=b"),
        (b"Cookie", b"\xff"),
    ]


@pytest.mark.parametrize(
    "framing",
    [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"Host", b"a.example")],
    ids=repr,
)
def test_no_client_can_strip_what_frames_its_body_for_the_next_hop(
    framing: tuple[bytes, bytes],
) -> None:
    fields = [(b"Connection", b"close, Content-Length, transfer-encoding,HOST"), framing]
    assert without_hop_by_hop(fields) == [framing]


@pytest.mark.parametrize(
    ("method", "target", "version"),
    [
        ("GET", "/", "HTTP/1.1"),
        ("POST", "/v1/models?a=%20&b=[1]#~", "HTTP/1.0"),
        ("PROPFIND", "//x", "HTTP/1.1"),
    ],
)
def test_an_ordinary_head_has_no_fault(method: str, target: str, version: str) -> None:
    assert (
        head_fault(method, target, version, [(b"a", b"tab\tand \xc3\xa9 \xff"), (b"b", b"")]) == ""
    )


@pytest.mark.parametrize("method", ["", "get", "GE T", "GET\x00", "GET\n", "X" * 17, "GÉT", "G3T"])
def test_a_method_is_a_word_of_capital_letters(method: str) -> None:
    assert "method" in head_fault(method, "/", "HTTP/1.1", [])


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "a",
        "http://evil.example/",
        "/a b",
        "/a\x00",
        "/a\n",
        "/é",
        "/\x7f",
        "/\x1b[31m",
        "a:443",
    ],
)
def test_a_target_is_a_path_of_printable_ascii(target: str) -> None:
    assert "target" in head_fault("GET", target, "HTTP/1.1", [])


@pytest.mark.parametrize(
    "version", ["", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "http/1.1"]
)
def test_a_version_is_one_that_is_served(version: str) -> None:
    assert "HTTP/1.0 and HTTP/1.1" in head_fault("GET", "/", version, [])


def test_headers_are_counted() -> None:
    fields = [(b"a", b"b")] * MAX_FIELDS
    assert head_fault("GET", "/", "HTTP/1.1", fields) == ""
    assert "headers" in head_fault("GET", "/", "HTTP/1.1", [*fields, (b"a", b"b")])


@pytest.mark.parametrize(
    "odd", [b"\x00", b"\r", b"\n", b"a\r\n b", b"\x0b", b"\x1b[31m", b"\x7f", b"\x08"]
)
def test_a_header_holds_no_control_characters(odd: bytes) -> None:
    assert "control" in head_fault(
        "GET", "/", "HTTP/1.1", [(b"a", b"b"), (b"x", b"y" + odd + b"z")]
    )
    assert "control" in head_fault("GET", "/", "HTTP/1.1", [(b"x" + odd, b"y")])


@pytest.mark.parametrize(
    "name",
    [
        b"Keep-Alive",
        b"Proxy-Authenticate",
        b"Proxy-Authorization",
        b"Proxy-Connection",
        b"TE",
        b"Trailer",
        b"Upgrade",
        b"Connection",
    ],
)
def test_what_is_meant_for_this_hop_stays_here_though_nobody_lists_it(name: bytes) -> None:
    assert without_hop_by_hop([(name, b"x"), (b"a", b"b")]) == [(b"a", b"b")]


def test_a_length_is_given_once() -> None:
    fields = [(b"Content-Length", b"5"), (b"content-length", b"5")]
    assert head_fault("POST", "/", "HTTP/1.1", fields[:1]) == ""
    assert "length" in head_fault("POST", "/", "HTTP/1.1", fields)
