"""The end of an answer is held back until its turns are in the database, whatever comes
meanwhile, and no longer than a few seconds.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pysqlite3
import pytest
from mitmproxy import connection
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addon.edge import http1
from addon.edge.llm_stream import HELD_RETRY_SECONDS, RESERVE_SECONDS
from addon.recall.commits import PATIENCE_SECONDS
from tests.addon.edge.line import END, SSE, Line, chunk, event, request
from tests.addon.edge.scene import Scene
from tests.support.database import full_disk

WORD = event(content="word")
FINISH = event("stop")
DONE = chunk(b"data: [DONE]\n\n")
WHOLE = json.dumps({"choices": [{"message": {"content": "word"}, "finish_reason": "stop"}]})
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(WHOLE), WHOLE.encode())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    http1.install()
    with taddons.context(Proxyserver()) as tctx:
        tctx.options.update(validate_inbound_headers=True, keep_host_header=True)
        made = Scene(tmp_path, tctx.options)
        yield made
        made.node.engine.close()


@pytest.fixture
def line(scene: Scene) -> Line:
    """A line whose request is with the upstream."""
    line = scene.line()
    line.says(request(scene.key))
    return line


def used(scene: Scene) -> list[tuple[int, int]]:
    """The tokens in the ledger, as another process sees it now."""
    with closing(pysqlite3.connect(str(scene.database))) as other:
        rows: list[tuple[int, int]] = other.execute(
            "SELECT prompt_tokens, completion_tokens FROM ledger"
        ).fetchall()
        return rows


def look_again(line: Line) -> None:
    """Let calls that wait for the database look."""
    line.fire_within(HELD_RETRY_SECONDS)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_who_has_read_the_end_of_an_answer_finds_its_tokens_in_the_ledger(
    scene: Scene, stream: bool
) -> None:
    line, counted = scene.line(), b'"usage":{"prompt_tokens":9,"completion_tokens":2}'
    line.says(request(scene.key, stream=stream))
    with scene.busy():
        if stream:
            last = chunk(b'data: {"choices":[],%b}\n\n' % counted)
            line.upstream_says(SSE + WORD + FINISH + last + DONE)
        else:
            body = WHOLE.encode()[:-1] + b"," + counted + b"}"
            line.upstream_says(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        look_again(line)
        assert b"[DONE]" not in line.answer
        assert counted not in line.answer
        assert used(scene) == []
    scene.node.engine.flush()
    look_again(line)
    assert (b"[DONE]" if stream else counted) in line.answer
    assert used(scene) == [(9, 2)]


def test_what_has_come_of_a_stream_is_in_the_books_before_its_end(scene: Scene, line: Line) -> None:
    for _ in range(3):
        line.upstream_says((SSE if not line.answer else b"") + event(content="w" * 400))
        line.pass_seconds(2)
    scene.node.engine.flush()
    [(entry,)] = scene.node.engine.read("SELECT entry FROM open_exchanges")
    assert json.loads(entry)["completion_tokens"] == 300


def test_the_end_of_a_turn_is_seen_when_the_turn_is_stored(scene: Scene, line: Line) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD)
        line.upstream_says(FINISH)
        look_again(line)
        assert line.answer.endswith(WORD)
        line.upstream_says(DONE + END)
        look_again(line)
        assert line.answer.endswith(WORD)
    scene.node.engine.flush()
    look_again(line)
    assert line.answer.count(b"HTTP/1.1 200") == 1
    assert b'"word"' in line.answer.partition(b'"stop"')[0]
    assert line.answer.endswith(DONE.partition(b"\r\n")[2] + END)


def test_a_stream_goes_on_when_the_turn_is_stored(scene: Scene, line: Line) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD + FINISH)
        assert b'"stop"' not in line.answer
    scene.node.engine.flush()
    look_again(line)
    assert b'"stop"' in line.answer
    line.upstream_says(DONE + END)
    assert line.answer.endswith(DONE + END)


def test_a_whole_answer_is_held_back_too(scene: Scene) -> None:
    line = scene.line()
    line.says(request(scene.key, stream=False))
    with scene.busy():
        line.upstream_says(ANSWER)
        look_again(line)
        assert line.answer == b""
    scene.node.engine.flush()
    look_again(line)
    assert line.answer.startswith(b"HTTP/1.1 200")
    assert b'"stop"' in line.answer


def test_nothing_is_held_back_while_the_database_is_free(line: Line) -> None:
    line.upstream_says(SSE + WORD + FINISH)
    assert b'"stop"' in line.answer


def test_the_next_stream_goes_on_while_one_is_held_back(scene: Scene, line: Line) -> None:
    other = scene.line()
    other.says(request(scene.key))
    with scene.busy():
        line.upstream_says(SSE + FINISH)
        other.upstream_says(SSE + WORD)
        assert line.answer == b""
        assert b"word" in other.answer


def test_an_end_is_held_back_for_seconds_and_the_log_says_so_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [scene.line() for _ in range(3)]
    for line in lines:
        line.says(request(scene.key))
    with scene.busy():
        for line in lines:
            line.upstream_says(SSE + WORD + FINISH + DONE + END)
        scene.clock.seconds += PATIENCE_SECONDS - 1
        for line in lines:
            look_again(line)
            assert b'"stop"' not in line.answer
        scene.clock.seconds += 1
        for line in lines:
            look_again(line)
            assert line.answer.endswith(END)
        said = [one.getMessage() for one in caplog.records if one.name == "thinkback.recall"]
        assert len(said) == 1
        assert "busy for 5 s" in said[0]


def test_a_cut_turn_is_stored_before_its_error_is_seen(scene: Scene, line: Line) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD)
        line.closes(line.upstream)
        assert b"upstream_cut" not in line.answer
    scene.node.engine.flush()
    look_again(line)
    assert b"upstream_cut" in line.answer
    assert line.answer.endswith(END)


def test_an_upstream_that_fails_after_the_end_of_a_turn_is_told_after_it(
    scene: Scene, line: Line
) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD + FINISH)
        line.upstream_says(chunk(b'data: {"error":{"message":"overloaded","code":529}}\n\n'))
        assert line.upstream.state is connection.ConnectionState.CLOSED
        assert line.answer.endswith(WORD)
    scene.node.engine.flush()
    look_again(line)
    end, _, error = line.answer.partition(b'"stop"')
    assert b"word" in end
    assert b"overloaded" in error
    assert line.answer.endswith(END)


def test_comments_come_before_what_is_held_back(scene: Scene, line: Line) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD)
        scene.clock.seconds += 9
        line.upstream_says(FINISH)
        line.pass_seconds(1)
        assert line.answer.endswith(b": keep-alive\n\n\r\n")
    scene.node.engine.flush()
    look_again(line)
    assert b'"stop"' in line.answer.partition(b": keep-alive\n\n")[2]


def test_the_answer_ends_when_the_upstream_lingers_while_it_is_held_back(
    scene: Scene, line: Line
) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD + FINISH + DONE)
        line.pass_seconds(2)
        assert line.upstream.state is connection.ConnectionState.CLOSED
        assert line.answer.endswith(WORD)
    scene.node.engine.flush()
    look_again(line)
    assert line.answer.endswith(END)


def test_a_client_that_leaves_what_is_held_back_loses_no_turn(scene: Scene, line: Line) -> None:
    with scene.busy():
        line.upstream_says(SSE + WORD + FINISH)
        line.closes(line.client)
        assert line.upstream.state is connection.ConnectionState.CLOSED
    scene.node.engine.flush()
    look_again(line)
    assert line.answer.endswith(WORD)
    assert scene.node.engine.read("SELECT count(*) FROM recall_turns") == [(1,)]


def test_a_database_that_cannot_be_written_holds_nothing_back(line: Line) -> None:
    with full_disk():
        line.upstream_says(SSE + WORD + FINISH)
        assert b'"stop"' in line.answer


def test_a_caller_with_a_quota_is_told_that_the_books_stay_busy(scene: Scene) -> None:
    scene.node.engine.transact(
        lambda work: work.run("UPDATE users SET quota_tokens = 1000000"), alone=()
    )
    line = scene.line()
    with scene.busy():
        line.says(request(scene.key))
        line.pass_time(RESERVE_SECONDS)
        look_again(line)
    assert line.answer.startswith(b"HTTP/1.1 503")
    assert b'"code":"quota_unavailable"' in line.answer
    assert not line.upstreams
