"""Every endpoint of the APIs is answered as it should be, by whoever it is asked."""

import json
from pathlib import Path

import pytest

from addon.edge.gateway import Gateway
from addon.edge.lifecycle import Lifecycle
from addon.node import Node
from tests.addon.edge.line import CONFIG, SSE, Line, event, request
from tests.addon.edge.test_gateway import flow_for


def ask(line: Line, what: str, key: str = "", body: str = "") -> tuple[int, bytes]:
    """Status and body of the answer to a request like `GET /v1/models`."""
    before = len(line.answer)
    credential = f"authorization: Bearer {key}\r\n" if key else ""
    head = f"{what} HTTP/1.1\r\nhost: x\r\n{credential}content-length: {len(body)}\r\n\r\n"
    line.says(f"{head}{body}".encode())
    head, _, told = line.answer[before:].partition(b"\r\n\r\n")
    return int(head[9:12]), told


def words_of(body: bytes) -> str:
    message = json.loads(body)["error"]["message"]
    assert isinstance(message, str)
    return message


def test_browsers_may_ask_before_they_call(line: Line) -> None:
    status, _ = ask(line, "OPTIONS /v1/chat/completions")
    assert status == 204
    assert b"access-control-allow-methods" in line.answer
    assert not line.upstreams


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/messages/batches"])
def test_what_is_not_served_is_told_by_name(line: Line, path: str) -> None:
    status, body = ask(line, f"POST {path}?a=b")
    assert status == 404
    assert words_of(body).startswith(f"Nothing is served at POST {path}.")


def test_a_caller_that_asks_in_the_wrong_way_is_told_the_right_one(line: Line, key: str) -> None:
    status, body = ask(line, "GET /v1/chat/completions", key)
    assert (status, words_of(body)) == (405, "Use POST here, not GET.")
    assert not line.upstreams


def test_a_caller_gets_the_models_and_each_of_them(line: Line, key: str) -> None:
    status, body = ask(line, "GET /v1/models", key)
    assert (status, json.loads(body)["object"]) == (200, "list")
    status, body = ask(line, "GET /v1/models/none-such", key)
    assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")


def test_a_stored_answer_that_is_not_there_is_not_found(line: Line, key: str) -> None:
    status, body = ask(line, "GET /v1/responses/resp_none", key)
    assert (status, words_of(body)) == (404, "Response with id 'resp_none' not found.")


def limit(node: Node, limits: str) -> None:
    node.engine.transact(lambda work: work.run(f"UPDATE users SET {limits}"), alone=())


def test_questions_without_an_upstream_count_for_the_minute_too(
    line: Line, node: Node, key: str
) -> None:
    limit(node, "rpm = 1")
    assert ask(line, "GET /v1/models", key)[0] == 200
    status, body = ask(line, "GET /v1/models", key)
    assert status == 429
    assert "requests per minute (1)" in words_of(body)


def test_a_spent_quota_is_told_from_the_head(line: Line, node: Node, key: str) -> None:
    limit(node, "quota_tokens = 0")
    line.says(request(key).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert line.answer.startswith(b"HTTP/1.1 429")
    assert b"no token quota for your account yet" in line.answer


def test_where_the_pages_are_local_this_port_has_none(
    line: Line, node: Node, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(f'{CONFIG}\n[server]\nui = "local"\n')
    node.reload()
    status, body = ask(line, "GET /dashboard")
    assert (status, words_of(body)) == (404, "There is nothing here.")
    assert not line.upstreams


def test_what_is_cut_because_the_gateway_ends_is_not_laid_to_the_client(
    gateway: Gateway, line: Line, node: Node, key: str
) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="half"))
    [lifecycle] = [one for one in gateway.addons if isinstance(one, Lifecycle)]
    lifecycle.leaving.cutting = True
    line.closes(line.client)
    node.engine.flush()
    assert node.engine.read("SELECT error_class FROM ledger") == [("gateway_stopped",)]


def test_a_flow_without_an_answer_is_a_fault_in_the_log(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    flow = flow_for(b"GET /dashboard")
    gateway.requestheaders(flow)
    gateway.response(flow)
    [line] = [one.getMessage() for one in caplog.records if one.name == "thinkback.request"]
    assert line.startswith("500 GET /dashboard")
