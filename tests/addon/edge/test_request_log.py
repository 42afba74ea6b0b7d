"""The log has one line for each flow, which says who asked for what and shows no credential."""

import logging
import re

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from addon.admission.log_budget import LINES_OF_AN_ADDRESS
from addon.edge.crowd import Crowd
from addon.edge.request_log import RequestLog, mask_credentials
from addon.node import Node
from shared.config.schema import Server
from shared.log import CALLER_HEADER
from shared.model import Principal
from tests.addon.edge.line import SSE, Clock, Line, chunk, event, request


@pytest.fixture
def log(node: Node) -> RequestLog:
    return RequestLog(node)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "thinkback.request"]


def test_a_flow_ends_in_one_line(log: RequestLog, caplog: pytest.LogCaptureFixture) -> None:
    flow = tflow.tflow()
    log.open(flow, {"user-agent": "agent/1"})
    log.settle(flow, "200")
    log.settle(flow, "500")
    [line] = lines(caplog)
    assert line.startswith(f"200 {flow.request.method} {flow.request.path}")
    assert "agent/1" in line
    assert flow.comment == line


def test_a_healthy_health_check_has_no_line(
    log: RequestLog, caplog: pytest.LogCaptureFixture
) -> None:
    for status in ("200", "503"):
        flow = tflow.tflow()
        log.open(flow, {})
        log.note_routine(flow)
        log.settle(flow, status)
    assert [line[:3] for line in lines(caplog)] == ["503"]


PAGE = "GET %s HTTP/1.1\r\nhost: x\r\nuser-agent: Firefox/140.0\r\n%s\r\n"


def loads(line: Line, path: str, more: str = "", *, status: int = 200, user: str = "ada") -> None:
    """Have a browser ask the sidecar, which answers one with this user's session, if any."""
    line.says((PAGE % (path, more)).encode())
    named = f"{CALLER_HEADER}: {user}\r\n" if user else ""
    answer = f"HTTP/1.1 {status} OK\r\n{named}content-length: 0\r\n\r\n"
    line.upstream_says(answer.encode())


def test_a_page_is_one_short_line_that_says_for_whom(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    loads(line, "/dashboard?page=2", user="ada%20l%C3%B6w")
    [written] = lines(caplog)
    assert re.fullmatch(r"200 GET /dashboard \d\.\d+s ada löw 192\.0\.2\.7", written)
    assert CALLER_HEADER.encode() not in line.answer


@pytest.mark.parametrize("status", [200, 304])
def test_what_pages_load_by_themselves_is_not_logged(
    line: Line, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    loads(line, "/static/app/app.css", status=status, user="")
    loads(line, "/dashboard/requests", "HX-Request: true\r\n", status=status)
    loads(line, "/api/admin/requests/live", "Accept: text/event-stream\r\n", status=status)
    assert lines(caplog) == []


def test_what_pages_load_by_themselves_is_logged_when_it_fails(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    loads(line, "/static/gone.css", status=404, user="")
    loads(line, "/dashboard/requests", "HX-Request: true\r\n", status=500)
    assert [text[:3] for text in lines(caplog)] == ["404", "500"]


def test_a_stranger_does_not_hide_by_asking_as_pages_do(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    loads(line, "/login", "HX-Request: true\r\n", user="")
    [written] = lines(caplog)
    assert written.endswith('192.0.2.7 "Firefox/140.0"')


def test_a_browser_that_is_signed_in_is_no_caller_without_a_key(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2 * LINES_OF_AN_ADDRESS):
        loads(line, "/dashboard")
    assert len(lines(caplog)) == 2 * LINES_OF_AN_ADDRESS
    for _ in range(LINES_OF_AN_ADDRESS):
        loads(line, "/static/app/app.css", user="")
    loads(line, "/login", user="")
    assert len(lines(caplog)) == 2 * LINES_OF_AN_ADDRESS + 1


def test_the_line_of_an_answer_says_what_became_of_it(
    line: Line, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="all") + event("stop") + chunk(b"data: [DONE]\n\n"))
    line.pass_seconds(2)
    [written] = lines(caplog)
    assert "200 POST /v1/chat/completions" in written
    assert "ada …k m @first" in written
    assert "tries=200" in written


def test_the_client_is_who_a_trusted_proxy_says(log: RequestLog) -> None:
    flow = tflow.tflow()
    flow.client_conn.peername = ("::ffff:127.0.0.1", 4000)
    log.open(flow, {"x-forwarded-for": "192.0.2.9"})
    assert log.client(flow) == "192.0.2.9"


def test_credentials_are_masked_where_a_flow_is_looked_at() -> None:
    names = ("authorization", "api-key", "x-api-key", "cookie", "proxy-authorization")
    headers = http.Headers([(name.encode(), b"Bearer sk-0123456789abcdef") for name in names])
    headers["x-plain"] = "shown"
    mask_credentials(headers)
    assert "0123456789" not in str(headers)
    assert {headers[name] for name in names} == {"Bearer …cdef"}
    assert headers["x-plain"] == "shown"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ([(b"Cookie", b"session=0123456789; theme=dark-blue")], ["…blue"]),
        ([(b"X-Api-Key", b"sk-0123456789 abcdefghi")], ["…fghi"]),
        (
            [(b"Authorization", b"Bearer sk-0123456789"), (b"authorization", b"Basic 0123456789")],
            ["Bearer …6789", "Basic …6789"],
        ),
    ],
    ids=["cookies", "a blank in it", "twice"],
)
def test_nothing_before_the_last_blank_of_a_credential_is_shown(
    fields: list[tuple[bytes, bytes]], shown: list[str]
) -> None:
    headers = http.Headers(fields)
    mask_credentials(headers)
    assert [text for name, _ in fields[:1] for text in headers.get_all(name.decode())] == shown


def test_strangers_have_a_budget_of_lines_and_callers_are_always_told(
    node: Node, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    crowd = Crowd(Server, clock)
    log = RequestLog(node, crowd.may_log)
    caller = Principal(id="user:1", name="ada", key_suffix="abcd")
    for n in range(2 * LINES_OF_AN_ADDRESS):
        flow = tflow.tflow()
        log.open(flow, {})
        if n % 2:
            log.note_caller(flow, caller)
        log.settle(flow, "401")
    for _ in range(7):
        flow = tflow.tflow()
        log.open(flow, {})
        log.settle(flow, "401")
    written = lines(caplog)
    assert sum(" ada …" in line for line in written) == LINES_OF_AN_ADDRESS
    assert len(written) == 2 * LINES_OF_AN_ADDRESS
    clock.seconds += 61
    crowd.tell_left_out()
    assert "callers without a key left out: 7 (7 of 127.0.0.1)" in caplog.text


def test_messages_and_bodies_are_shown_for_debugging_without_keys(
    line: Line, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = request(key).replace(b'"hi"', b'"my key is sk-0123456789abcdef"')
    head, _, content = body.partition(b"\r\n\r\n")
    head = head.replace(b"content-length: ", b"x-length: ") + b"\r\ncontent-length: %d"
    with caplog.at_level(logging.DEBUG, "thinkback"):
        line.says(head % len(content) + b"\r\n\r\n" + content)
    shown = [one.getMessage() for one in caplog.records if one.levelno == logging.DEBUG]
    assert [one for one in shown if one.startswith("[0] user: my key is sk-")]
    assert [one for one in shown if one.startswith('body: {"model": "m"')]
    assert "0123456789" not in caplog.text


def test_a_count_of_tokens_has_a_line_and_no_row(
    line: Line, key: str, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    head = f"POST /v1/messages/count_tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    line.says(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert b'"input_tokens":' in line.answer
    [written] = lines(caplog)
    assert written.startswith("200 POST /v1/messages/count_tokens")
    node.engine.flush()
    assert node.engine.read("SELECT count(*) FROM ledger") == [(0,)]
