"""Others may look at a flow, end it or answer it (mitmweb, a script of the operator's): what they
do holds, and its client and its upstream are not left waiting.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import connection, http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from tests.addon.edge.line import END, SSE, Line, chunk, event, request
from tests.addon.edge.scene import Scene

LAST = event("stop") + chunk(b"data: [DONE]\n\n") + END
PAGE = b"POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
CLOSED = connection.ConnectionState.CLOSED


@pytest.fixture
def tctx() -> Iterator[taddons.context]:
    with taddons.context(Proxyserver()) as made:
        made.options.update(validate_inbound_headers=True, keep_host_header=True)
        yield made


@pytest.fixture
def scene(tctx: taddons.context, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, tctx.options)
    yield made
    made.node.engine.close()


def flow_of(line: Line) -> http.HTTPFlow:
    assert line.stream is not None
    return line.stream.flow


@pytest.mark.parametrize("page", [True, False], ids=["a page", "a call"])
def test_what_is_killed_while_its_body_comes_goes_nowhere(scene: Scene, page: bool) -> None:
    line = scene.line()
    sent = PAGE if page else request(scene.key)
    line.says(sent[:-1])
    flow_of(line).kill()
    line.says(sent[-1:])
    assert not line.upstreams
    assert line.client.state is CLOSED


def test_a_call_that_is_killed_while_it_connects_is_not_sent(scene: Scene) -> None:
    line = scene.line(holds=True)
    line.says(request(scene.key))
    flow_of(line).kill()
    while line.release():
        pass
    assert line.sent[line.upstream] == b""
    assert line.client.state is CLOSED


def test_a_page_that_is_killed_while_it_waits_for_the_sidecar_is_not_sent(scene: Scene) -> None:
    line = scene.line()
    line.refusing.add("127.0.0.1")
    line.says(PAGE)
    flow_of(line).kill()
    line.refusing.clear()
    line.fire(0.2)
    assert line.sent[line.upstream] == b""
    assert line.client.state is CLOSED


def test_a_stream_that_is_killed_does_not_come_to_its_end(scene: Scene) -> None:
    line = scene.line()
    line.says(request(scene.key))
    line.upstream_says(SSE + event(content="half"))
    flow_of(line).kill()
    line.upstream_says(LAST)
    assert not line.answer.endswith(END)
    assert line.client.state is CLOSED


@pytest.mark.parametrize("kept", [True, False])
def test_a_flow_holds_a_streamed_answer_where_bodies_are_kept(
    scene: Scene, tctx: taddons.context, kept: bool
) -> None:
    tctx.options.update(store_streamed_bodies=kept)
    line = scene.line()
    line.says(request(scene.key))
    line.upstream_says(SSE + event(content="word") + LAST)
    response = flow_of(line).response
    assert response is not None
    assert (b'"word"' in (response.raw_content or b"")) == kept
    assert (response.raw_content or b"").endswith(b"data: [DONE]\n\n") == kept


def test_what_another_answers_is_the_answer(scene: Scene) -> None:
    line = scene.line()
    sent = request(scene.key)
    line.says(sent[:-1])
    flow_of(line).response = http.Response.make(418, b"tea")
    line.says(sent[-1:])
    assert line.answer.startswith(b"HTTP/1.1 418")
    assert line.answer.endswith(b"tea")
    assert not line.upstreams


@pytest.fixture
def watched(tctx: taddons.context, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, tctx.options, watched=True)
    yield made
    made.node.engine.close()


def test_a_client_that_leaves_while_its_head_is_looked_at_costs_no_upstream(
    watched: Scene,
) -> None:
    line = watched.line(holds=True)
    line.says(request(watched.key))
    line.closes(line.client)
    while line.release():
        pass
    assert not line.upstreams
    assert not line.requests


@pytest.mark.parametrize("leaves", [True, False])
def test_what_comes_while_a_stranger_is_looked_at_is_dropped(watched: Scene, leaves: bool) -> None:
    line = watched.line(holds=True)
    line.says(request("sk-of-nobody"))
    if leaves:
        line.closes(line.client)
    while line.release():
        pass
    assert line.answer.startswith(b"HTTP/1.1 401") != leaves
    assert not line.upstreams
    assert not line.requests


def test_a_request_that_is_sent_ahead_may_come_in_pieces(scene: Scene) -> None:
    line = scene.line(holds=True)
    asked = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    line.says(asked + asked[:9])
    line.says(asked[9:20])
    line.fire(0)
    line.says(asked[20:])
    assert line.answer.count(b"HTTP/1.1 200") == 2
