"""Hooks become plans: what is planned for a flow is all that becomes of it, and it shows no
secret.
"""

import pytest
from mitmproxy import connection, http
from mitmproxy.proxy import layer
from mitmproxy.test import tflow

from addon.edge.gateway import Gateway
from addon.edge.plan import LlmCall, ToSidecar
from addon.node import Node
from tests.addon.edge.line import Line, request
from tests.addon.edge.test_http1 import context

OPEN = connection.ConnectionState.OPEN


def flow_for(head: bytes, **headers: str) -> http.HTTPFlow:
    method, _, target = head.partition(b" ")
    flow = tflow.tflow()
    flow.request.method, flow.request.path = method.decode(), target.decode()
    flow.request.authority = ""
    flow.request.headers = http.Headers(
        [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    )
    return flow


def test_a_call_of_a_key_is_planned_with_its_limit(gateway: Gateway, key: str) -> None:
    flow = flow_for(b"POST /v1/chat/completions", authorization=f"Bearer {key}")
    gateway.requestheaders(flow)
    plan = gateway.plan_of(flow)
    assert isinstance(plan, LlmCall)
    assert plan.max_body == 32 * 1024 * 1024
    assert flow.response is None


def test_a_stranger_gets_an_answer_and_no_plan(gateway: Gateway) -> None:
    flow = flow_for(b"POST /v1/chat/completions", authorization="Bearer sk-none")
    gateway.requestheaders(flow)
    assert gateway.plan_of(flow) is None
    assert flow.response is not None
    assert flow.response.status_code == 401


def test_a_hook_that_fails_leaves_an_error_and_no_plan(
    gateway: Gateway, key: str, node: Node
) -> None:
    flow = flow_for(b"POST /v1/chat/completions", authorization=f"Bearer {key}")
    node.engine.close()
    gateway.requestheaders(flow)
    assert gateway.plan_of(flow) is None
    assert flow.response is not None
    assert flow.response.status_code == 500


def test_a_body_that_we_fail_on_is_an_error_for_its_client(
    line: Line, key: str, node: Node
) -> None:
    head, _, body = request(key).partition(b"\r\n\r\n")
    line.says(head + b"\r\n\r\n")
    node.engine.close()
    line.says(body)
    assert line.answer.startswith(b"HTTP/1.1 500")
    assert b'"code":"gateway_error"' in line.answer


def test_a_flow_shows_no_credential(gateway: Gateway, key: str) -> None:
    flow = flow_for(b"POST /v1/chat/completions", authorization=f"Bearer {key}", cookie="id=secret")
    gateway.requestheaders(flow)
    assert key not in str(flow.request.headers)
    assert "secret" not in str(flow.request.headers)


def test_other_paths_are_the_sidecars(gateway: Gateway) -> None:
    flow = flow_for(b"GET /dashboard")
    gateway.requestheaders(flow)
    plan = gateway.plan_of(flow)
    assert isinstance(plan, ToSidecar)
    assert (plan.request.host, plan.request.port) != (flow.request.host, flow.request.port)


@pytest.mark.parametrize(
    ("headers", "streams"),
    [
        ({"content_length": "65536"}, False),
        ({"content_length": "65537"}, True),
        ({"transfer_encoding": "chunked"}, True),
    ],
)
def test_large_bodies_are_passed_on_as_they_come(
    gateway: Gateway, headers: dict[str, str], streams: bool
) -> None:
    flow = flow_for(b"POST /api/import", **headers)
    gateway.requestheaders(flow)
    assert bool(flow.request.stream) == streams


def test_the_sidecar_hears_of_the_client_and_nothing_of_its_connection(line: Line) -> None:
    line.says(
        b"GET /dashboard HTTP/1.1\r\nhost: x\r\nconnection: x-hop\r\nx-hop: 1\r\ncookie: id=secret\r\n"
        b"x-forwarded-for: 203.0.113.1\r\nx-forwarded-proto: https\r\n\r\n"
    )
    sent = bytes(line.sent[line.upstream])
    assert b"x-forwarded-for: 192.0.2.7\r\n" in sent
    assert b"x-forwarded-proto: http\r\n" in sent
    assert b"cookie: id=secret\r\n" in sent
    assert b"x-hop" not in sent


def test_a_trusted_proxy_says_how_the_client_came(line: Line) -> None:
    line.client.peername = ("127.0.0.1", 4000)
    line.says(b"GET /dashboard HTTP/1.1\r\nhost: x\r\nx-forwarded-proto: https\r\n\r\n")
    assert b"x-forwarded-proto: https\r\n" in line.sent[line.upstream]


def test_a_request_of_this_machine_is_not_called_forwarded(line: Line) -> None:
    line.client.peername = ("127.0.0.1", 4000)
    line.says(b"GET /dashboard HTTP/1.1\r\nhost: localhost:8787\r\n\r\n")
    assert b"x-forwarded" not in line.sent[line.upstream]


@pytest.mark.parametrize(
    "head",
    [
        b"host: think.example.com\r\n",
        b"host: localhost\r\nx-real-ip: 203.0.113.1\r\n",
        b"host: localhost\r\nforwarded: for=203.0.113.1\r\n",
    ],
)
def test_what_came_through_a_tunnel_is_called_forwarded(line: Line, head: bytes) -> None:
    line.client.peername = ("127.0.0.1", 4000)
    line.says(b"GET /dashboard HTTP/1.1\r\n" + head + b"\r\n")
    assert b"x-forwarded-for: 127.0.0.1\r\n" in line.sent[line.upstream]


def test_an_absolute_target_is_refused_and_ends_the_connection(line: Line, key: str) -> None:
    line.says(b"GET http://evil.test/v1/models HTTP/1.1\r\nhost: x\r\n\r\n" + request(key))
    assert line.answer.startswith(b"HTTP/1.1 400")
    assert line.answer.count(b"HTTP/1.1") == 1
    assert not line.upstreams


def test_a_session_reaches_its_client_and_no_onlooker(gateway: Gateway) -> None:
    flow = flow_for(b"POST /api/login")
    gateway.requestheaders(flow)
    flow.request.content = b'{"password":"secret"}'
    gateway.request(flow)
    plan = gateway.plan_of(flow)
    assert isinstance(plan, ToSidecar)
    assert (plan.request.content, flow.request.content) == (b'{"password":"secret"}', b"")
    flow.response = http.Response.make(200, b"{}", {"set-cookie": "id=1", "server": "uvicorn"})
    gateway.responseheaders(flow)
    assert flow.response.headers["set-cookie"] == "id=1"
    assert "server" not in flow.response.headers
    gateway.response(flow)
    assert "set-cookie" not in flow.response.headers


def test_anybody_may_ask_whether_it_lives(line: Line) -> None:
    line.says(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/dashboard"])
def test_a_proxy_forwards_only_so_many_requests_of_one_address_at_once(
    gateway: Gateway, key: str, monkeypatch: pytest.MonkeyPatch, node: Node, path: str
) -> None:
    most = node.snapshot.server.max_connections_per_address
    flows = [
        flow_for(
            f"POST {path}".encode(), authorization=f"Bearer {key}", x_forwarded_for="203.0.113.5"
        )
        for _ in range(most + 1)
    ]
    for flow in flows:
        flow.client_conn.peername = ("127.0.0.1", 1)
        gateway.requestheaders(flow)
    assert [flow.response is None for flow in flows] == [True] * most + [False]
    last = flows[-1].response
    assert last is not None
    assert last.status_code == 429
    assert last.headers["retry-after"]
    gateway.error(flows[0])
    again = flow_for(
        f"POST {path}".encode(), authorization=f"Bearer {key}", x_forwarded_for="203.0.113.5"
    )
    again.client_conn.peername = ("127.0.0.1", 1)
    gateway.requestheaders(again)
    assert again.response is None


@pytest.mark.parametrize("length", ["5", "٥", ""])
def test_a_request_to_the_sidecar_with_an_odd_length_is_no_fault_of_ours(
    gateway: Gateway, length: str, caplog: pytest.LogCaptureFixture
) -> None:
    flow = flow_for(b"POST /api/login", content_length="5")
    flow.request.headers.add("content-length", length)
    gateway.requestheaders(flow)
    assert flow.response is not None
    assert flow.response.status_code == 400
    assert "Traceback" not in caplog.text
    assert len(caplog.records) == 0


def test_a_connection_asks_for_few_wake_ups(line: Line, key: str) -> None:
    assert line.wakeups == 1
    for _ in range(100):
        line.says(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer.count(b"HTTP/1.1 200") == 100
    assert line.wakeups <= 3
    line.pass_seconds(100)
    assert line.wakeups <= 5
    assert line.client.state is OPEN
    line.pass_seconds(30)
    assert line.client.state is not OPEN


def test_a_silent_connection_is_closed_by_its_first_wake_up(line: Line) -> None:
    line.pass_seconds(11)
    assert line.client.state is not OPEN
    assert line.wakeups == 1


def test_what_is_no_connection_of_a_client_has_no_layer_of_ours(gateway: Gateway) -> None:
    other = layer.NextLayer(context())
    gateway.next_layer(other)
    assert other.layer is None
