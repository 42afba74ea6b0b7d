"""A client gets one well-formed end of each request, at its head, at its body or after it."""

import pytest
from mitmproxy import connection

from addon.admission.log_budget import LINES_OF_AN_ADDRESS
from addon.edge.gateway import Gateway
from addon.node import Node
from tests.addon.edge.line import END, SSE, Line, chunk, event, request


def test_an_unknown_caller_is_answered_before_the_body_came(line: Line) -> None:
    line.says(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n{")
    assert line.answer.startswith(b"HTTP/1.1 401")
    line.says(b"x" * 4_999_999)
    line.says(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer.count(b"HTTP/1.1 200") == 1
    assert not line.upstreams


def test_a_chunked_body_beyond_the_limit_is_answered_at_once(line: Line, key: str) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    line.says(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
    for _ in range(33):
        line.says(chunk(b" " * 1024 * 1024))
    assert line.answer.startswith(b"HTTP/1.1 413")
    assert not line.upstreams


def test_a_fault_inside_the_gateway_is_answered_and_forwards_nothing(
    line: Line, key: str, node: Node
) -> None:
    node.engine.close()
    line.says(request(key))
    assert line.answer.startswith(b"HTTP/1.1 500")
    assert not line.upstreams


def test_clients_of_http_1_0_read_until_the_end_of_the_connection(line: Line, key: str) -> None:
    line.says(request(key).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    line.upstream_says(
        SSE + event(content="old") + event("stop") + chunk(b"data: [DONE]\n\n") + END
    )
    assert b"transfer-encoding" not in line.answer
    assert line.answer.endswith(b"data: [DONE]\n\n")
    assert line.client.state is connection.ConnectionState.CLOSED


def test_requests_sent_ahead_are_answered_in_their_order(line: Line, key: str) -> None:
    line.says(request(key, stream=False) * 3)
    for number in b"123":
        body = b'{"id":"%c","choices":[]}' % number
        line.upstream_says(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    assert [line.answer.index(b'"id":"%c"' % number) for number in b"123"] == sorted(
        line.answer.index(b'"id":"%c"' % number) for number in b"321"
    )
    assert len(line.upstreams) == 1


def test_many_requests_sent_ahead_are_all_answered(line: Line) -> None:
    line.says(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)
    assert line.answer.count(b"HTTP/1.1 200 OK") == 1000


@pytest.mark.parametrize("text", [b"\x0bchunked", b"chunked\x0c", b" \x1fchunked"])
@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/api/x"])
def test_control_characters_around_a_header_make_a_bad_head(
    line: Line, target: bytes, text: bytes
) -> None:
    line.says(b"POST %b HTTP/1.1\r\nhost: x\r\ntransfer-encoding:%b\r\n\r\n" % (target, text))
    assert line.answer.startswith(b"HTTP/1.1 400")
    assert line.client.state is connection.ConnectionState.CLOSED
    assert not line.upstreams


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01",
    ],
    ids=["refused", "answered", "no HTTP"],
)
def test_no_answer_to_a_program_is_taken_for_a_page(line: Line, head: bytes) -> None:
    line.says(head)
    assert b"x-content-type-options: nosniff\r\n" in line.answer


def test_an_answer_to_head_has_no_body(line: Line) -> None:
    line.says(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer.endswith(b"content-length: 15\r\n\r\n")


def test_a_head_that_is_refused_ends_the_connection(line: Line, key: str) -> None:
    line.says(request(key, extra="x-a: 1\r\n folded\r\n") + request(key))
    assert line.answer.count(b"HTTP/1.1 400") == 1
    assert line.client.state is connection.ConnectionState.CLOSED
    assert not line.upstreams


def test_what_comes_after_a_head_that_is_refused_is_not_read(line: Line, key: str) -> None:
    line.says(b"\x16\x03\x01")
    line.says(request(key))
    assert line.answer.count(b"HTTP/1.1") == 1
    assert not line.upstreams


def test_tls_is_told_in_the_log_as_often_as_it_has_room_for(
    line: Line, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    line.says(b"\x16\x03\x01\x02\x00")
    [told] = [text for text in caplog.messages if "TLS" in text]
    assert told.startswith("a connection of 192.0.2.7 is closed: it speaks TLS, and this port")
    assert "http://" in told
    for _ in range(2 * LINES_OF_AN_ADDRESS):
        gateway.note_tls("192.0.2.7")
    assert sum("speaks TLS" in text for text in caplog.messages) == LINES_OF_AN_ADDRESS
