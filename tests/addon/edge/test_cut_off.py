"""What the gateway does not wait for when it ends is cut off: its client is told, the upstream
stops, and the books say what it was.
"""

import pytest
from mitmproxy import connection

from addon.node import Node
from tests.addon.edge.line import END, SSE, Line, event, request


def words(node: Node) -> list[str]:
    """Why each request in the ledger did not end well."""
    node.engine.flush()
    return [error for (error,) in node.engine.read("SELECT error_class FROM ledger ORDER BY id")]


def test_a_stream_ends_with_an_error_and_well_formed(line: Line, node: Node, key: str) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="half"))
    line.cut()

    assert b'"code":"gateway_stopped"' in line.answer
    assert line.answer.endswith(b"[DONE]\n\n\r\n" + END)
    assert line.upstream.state is connection.ConnectionState.CLOSED
    assert words(node) == ["gateway_stopped"]


@pytest.mark.parametrize("stream", [True, False])
def test_who_has_got_nothing_yet_gets_a_503(line: Line, node: Node, key: str, stream: bool) -> None:
    line.says(request(key, stream=stream))
    line.cut()

    assert line.answer.startswith(b"HTTP/1.1 503")
    assert b'"code":"gateway_stopped"' in line.answer
    assert line.upstream.state is connection.ConnectionState.CLOSED
    assert words(node) == ["gateway_stopped"]


def test_who_has_got_comments_only_gets_an_event(line: Line, node: Node, key: str) -> None:
    line.says(request(key))
    line.pass_seconds(11)
    line.cut()

    assert b'"code":"gateway_stopped"' in line.answer
    assert line.answer.endswith(END)
    assert words(node) == ["gateway_stopped"]


def test_half_a_request_is_answered_too(line: Line, key: str) -> None:
    line.says(request(key)[:-2])
    line.cut()

    assert line.answer.startswith(b"HTTP/1.1 503")


def test_an_answer_that_has_come_to_its_end_is_no_error(line: Line, node: Node, key: str) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="all") + event("stop") + b"e\r\ndata: [DONE]\n\n\r\n")
    line.cut()

    assert b"gateway_stopped" not in line.answer
    assert line.answer.endswith(END)
    assert words(node) == [""]


def test_what_the_client_has_seen_of_a_turn_is_remembered(line: Line, node: Node, key: str) -> None:
    line.says(request(key))
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    line.upstream_says(SSE + event(reasoning_content="thought") + event(tool_calls=[call]))
    line.cut()

    node.engine.flush()
    assert node.engine.read("SELECT count(*) FROM recall_turns") == [(1,)]
