"""Requests to the sidecar are passed on as they are, and wait for one that is just starting."""

import pytest
from mitmproxy import connection

from addon.admission.body_room import Held
from addon.edge.gateway import Gateway
from tests.addon.edge.line import Line, chunk

LONG = b"POST /api/import HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"


def test_the_sidecar_being_down_is_said(line: Line) -> None:
    line.refusing.add("127.0.0.1")
    line.says(b"GET /dashboard HTTP/1.1\r\nhost: x\r\n\r\n")
    line.pass_seconds(5)
    line.fire(0.2)
    assert line.answer.startswith(b"HTTP/1.1 502")
    assert b"management service" in line.answer


def test_a_request_waits_for_a_sidecar_that_is_just_starting(line: Line) -> None:
    line.refusing.add("127.0.0.1")
    line.says(b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
    line.refusing.clear()
    line.fire(0.2)
    assert line.sent[line.upstream].endswith(b"\r\n\r\n{}")
    line.upstream_says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    assert line.answer.startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_is_not_waited_for(line: Line) -> None:
    line.refusing.add("127.0.0.1")
    line.says(b"GET /dashboard HTTP/1.1\r\nhost: x\r\n\r\n")
    line.closes(line.client)
    tried = len(line.upstreams)
    line.fire(0.2)
    assert len(line.upstreams) == tried


def test_a_long_upload_is_told_once_that_the_sidecar_is_down(line: Line) -> None:
    line.refusing.add("127.0.0.1")
    line.says(LONG + b"x" * 500)
    line.says(b"x" * 99_500)
    assert line.answer.count(b"HTTP/1.1 502") == 1
    line.says(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer.count(b"HTTP/1.1 200") == 1


def test_a_long_upload_is_passed_on_as_it_comes(line: Line) -> None:
    line.says(LONG + b"first")
    assert line.sent[line.upstream].endswith(b"\r\n\r\nfirst")
    line.says(b"then")
    assert line.sent[line.upstream].endswith(b"firstthen")


def test_a_response_is_passed_on_as_it_comes(line: Line) -> None:
    line.says(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
    line.upstream_says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"one"))
    assert line.answer.endswith(chunk(b"one"))
    line.upstream_says(chunk(b"two"))
    assert line.answer.endswith(chunk(b"one") + chunk(b"two"))


def test_an_answer_may_come_while_the_body_is_still_coming(line: Line) -> None:
    line.says(LONG + b"first")
    line.upstream_says(b"HTTP/1.1 413 Too large\r\ncontent-length: 2\r\n\r\n{}")
    assert line.answer.startswith(b"HTTP/1.1 413")
    line.says(b"x" * 99_995)
    assert line.sent[line.upstream].endswith(b"x" * 99_995)


def test_a_client_that_leaves_an_upload_is_reported_to_the_sidecar(line: Line) -> None:
    line.says(LONG + b"first")
    line.closes(line.client)
    assert line.upstream.state is connection.ConnectionState.CLOSED


def test_a_sidecar_that_breaks_off_is_a_bad_gateway(line: Line) -> None:
    line.says(b"GET /dashboard HTTP/1.1\r\nhost: x\r\n\r\n")
    line.closes(line.upstream)
    assert line.answer.startswith(b"HTTP/1.1 502")


def test_a_page_that_the_gateway_does_not_wait_for_ends_with_its_connection(line: Line) -> None:
    line.says(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
    line.cut()
    assert line.client.state is connection.ConnectionState.CLOSED
    assert line.upstream.state is connection.ConnectionState.CLOSED


@pytest.mark.parametrize("at_once", [True, False])
def test_a_form_that_finds_no_room_is_told_so(gateway: Gateway, line: Line, at_once: bool) -> None:
    most = gateway.server.waiting_bytes
    head = b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-length: 200\r\n\r\n"
    if not at_once:
        line.says(head + b"x" * 100)
    # Its own share leaves room for nothing more, or others' bytes push out what is largest.
    gateway.room.hold(
        Held("192.0.2.7", lambda: None),
        gateway.server.waiting_bytes_of_one,
        most=most,
        most_of_owner=most,
    )
    if at_once:
        line.says(head + b"x" * 100)
    else:
        gateway.room.hold(Held("user:9", lambda: None), 1, most=1, most_of_owner=1)
        line.pass_seconds(1)
    assert line.answer.startswith(b"HTTP/1.1 503")
    assert b"no room for so large a request" in line.answer
    assert not line.upstreams
