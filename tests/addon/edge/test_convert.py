"""Requests, replies and errors keep their meaning on the way into and out of mitmproxy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.test import tflow

from addon.edge.convert import (
    connect_words,
    head_of,
    header_map,
    peer_address,
    problem_of,
    request_for,
    response_of,
)
from addon.exchange.upstream_request import Outgoing
from addon.exchange.verdict import Reply


def test_headers_of_one_name_are_joined_in_their_order() -> None:
    headers = http.Headers([(b"X-A", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])
    assert header_map(headers) == {"x-a": "1, 3", "x-b": "2"}


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=4))
def test_no_header_breaks_a_head_that_it_is_copied_to(fields: list[tuple[bytes, bytes]]) -> None:
    for name, text in header_map(http.Headers(fields)).items():
        assert not set(name + text) & {"\r", "\n", "\0"}
        assert name
        assert " " not in name


def test_headers_with_a_long_name_are_joined_too() -> None:
    assert header_map(http.Headers([(b"X" * 99, b"a")] * 3)) == {"x" * 99: "a, a, a"}


def test_a_reply_reaches_the_client_as_it_is() -> None:
    response = response_of(Reply(404, {"x-a": "caf\udcc3\udca9"}, b"{}"), {"connection": "close"})
    head, _, body = http1.assemble_response(response).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert head.endswith(b"\r\nx-a: caf\xc3\xa9\r\nconnection: close\r\ncontent-length: 2")
    assert body == b"{}"


def test_bytes_of_a_header_reach_the_upstream_as_they_are() -> None:
    outgoing = Outgoing(
        host="up.test",
        port=443,
        tls=True,
        target="/v1/x?y",
        headers=[("host", "up.test"), ("x-a", "caf\udcc3\udca9")],
        body=b"{}",
    )
    assert http1.assemble_request_head(request_for(outgoing)) == head_of(outgoing)
    assert (
        head_of(outgoing) == b"POST /v1/x?y HTTP/1.1\r\nhost: up.test\r\nx-a: caf\xc3\xa9\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("[Errno 111] Connect call failed ('127.0.0.1', 9)", "connection refused"),
        ("[Errno -2] Name or service not known", "its name does not resolve"),
        ("Certificate verify failed: self-signed", "its TLS certificate is not valid"),
        ("10.0.0.7 is strange", "no connection"),
    ],
)
def test_a_connect_error_is_told_without_addresses(error: str, words: str) -> None:
    assert connect_words(error) == words


def test_a_reply_without_a_message_is_told_by_its_status() -> None:
    assert problem_of(Reply(503, {}, b"<html>")).message == (
        "The upstream answered with an error (503)."
    )


@pytest.mark.parametrize(
    ("peer", "address"),
    [(("::ffff:192.0.2.7", 1), "192.0.2.7"), (("2001:db8::1", 1), "2001:db8::1"), (None, "")],
)
def test_the_peers_address_has_one_spelling(peer: tuple[str, int] | None, address: str) -> None:
    flow = tflow.tflow()
    flow.client_conn.peername = peer
    assert peer_address(flow) == address
