"""A live request is sent to one candidate after the other until its client has an answer."""

import gzip
import re
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from mitmproxy import connection, http
from mitmproxy.proxy.layers.http import _events

from addon.admission.body_room import Held
from addon.edge.gateway import Gateway
from addon.edge.llm_stream import HELD_RETRY_SECONDS
from addon.node import Node
from tests.addon.edge.line import END, SSE, Line, chunk, event, refusal, request


def test_a_refused_key_gives_way_to_the_next_on_the_same_connection(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(refusal(401))
    assert len(line.upstreams) == 1
    sent = bytes(line.sent[line.upstream])
    assert [sent.count(b"Bearer key-one"), sent.count(b"Bearer key-two")] == [1, 1]
    assert not line.answer


def test_an_upstream_that_cannot_be_reached_gives_way_to_the_next(line: Line, key: str) -> None:
    line.refusing.add("first.test")
    line.says(request(key))
    assert line.upstream.address == ("second.test", 80)
    assert b"Bearer key-three" in line.sent[line.upstream]


def test_the_client_is_told_when_nothing_is_left_to_try(line: Line, key: str) -> None:
    line.refusing |= {"first.test", "second.test"}
    line.says(request(key))
    assert line.answer.startswith(b"HTTP/1.1 502")
    assert b"connection refused" in line.answer


def test_a_failed_connection_does_not_answer_for_its_address_later(line: Line, key: str) -> None:
    line.refusing |= {"first.test", "second.test"}
    line.says(request(key))
    line.refusing.clear()
    line.says(request(key))
    line.upstream_says(SSE + event(content="hello"))
    assert b"hello" in line.answer


def test_silence_is_filled_with_comments_every_ten_seconds(line: Line, key: str) -> None:
    line.says(request(key))
    line.pass_seconds(9)
    assert not line.answer
    line.pass_seconds(12)
    assert line.answer.startswith(b"HTTP/1.1 200")
    assert line.answer.count(b": keep-alive\n\n") == 2


def test_comments_alone_do_not_bind_to_an_upstream(line: Line, key: str) -> None:
    line.says(request(key))
    line.pass_seconds(11)
    line.upstream_says(refusal(401))
    line.upstream_says(SSE + event(content="from the second key"))
    assert b"from the second key" in line.answer
    assert line.answer.count(b"HTTP/1.1 200") == 1


def test_an_upstream_that_does_not_answer_in_time_gives_way(line: Line, key: str) -> None:
    line.says(request(key))
    line.pass_seconds(31)
    assert len(line.upstreams) == 2
    assert line.upstreams[0].state is connection.ConnectionState.CLOSED
    line.upstream_says(SSE + event(content="at last"))
    assert b"at last" in line.answer


def test_a_stream_that_falls_silent_ends_with_an_error(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="half"))
    line.pass_seconds(41)
    assert b"sent nothing for 40 s" in line.answer
    assert line.answer.endswith(chunk(b"data: [DONE]\n\n") + END) or line.answer.endswith(
        b"[DONE]\n\n\r\n" + END
    )
    assert line.upstream.state is connection.ConnectionState.CLOSED


def test_a_cut_stream_ends_with_an_error_and_well_formed(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="half"))
    line.closes(line.upstream)
    assert b'"code":"upstream_cut"' in line.answer
    assert line.answer.endswith(END)


def test_the_answer_ends_soon_after_done_when_the_upstream_lingers(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="all") + event("stop") + chunk(b"data: [DONE]\n\n"))
    assert not line.answer.endswith(END)
    line.pass_seconds(1)
    assert line.answer.endswith(END)


def test_an_idle_connection_that_was_closed_under_the_request_costs_nothing(
    line: Line, key: str
) -> None:
    line.says(request(key))
    line.upstream_says(
        SSE + event(content="one") + event("stop") + chunk(b"data: [DONE]\n\n") + END
    )
    line.says(request(key))
    assert len(line.upstreams) == 1
    line.closes(line.upstreams[0])
    assert len(line.upstreams) == 2
    line.upstream_says(SSE + event(content="two"))
    assert b"two" in line.answer


def test_an_error_at_the_head_of_a_stream_gives_way_to_the_next_candidate(
    line: Line, key: str
) -> None:
    line.says(request(key))
    line.upstream_says(SSE + chunk(b'data: {"error":{"message":"overloaded","code":529}}\n\n'))
    assert len(line.upstreams) == 2
    line.upstream_says(SSE + event(content="elsewhere"))
    assert b"elsewhere" in line.answer
    assert b"overloaded" not in line.answer


def test_a_client_that_leaves_stops_the_upstream(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="half"))
    line.closes(line.client)
    assert line.upstream.state is connection.ConnectionState.CLOSED


@pytest.mark.parametrize("status", [b"101", b"302", b"304", b"000", b"-5", b"600", b"20000"])
def test_a_status_that_is_no_answer_gives_way_and_is_told_as_an_error(
    line: Line, key: str, status: bytes
) -> None:
    for _ in range(3):
        line.says(request(key) if not line.upstreams else b"")
        line.upstream_says(
            b"HTTP/1.1 %b X\r\nlocation: http://x.test/\r\ncontent-length: 0\r\n\r\n" % status
        )
    assert line.answer.startswith(b"HTTP/1.1 502")
    assert b"base_url" in line.answer
    assert b"location" not in line.answer


def test_headers_of_an_upstream_that_would_break_a_head_are_dropped(line: Line, key: str) -> None:
    head = (
        b"x-request-id: a\rset-cookie: b\r\nx-ratelimit-a\rset-cookie: "
        b"c\r\nretry-after: 1\r\n 2\r\nrequest-id: kept"
    )
    line.says(request(key, stream=False))
    line.upstream_says(b'HTTP/1.1 200 OK\r\n%b\r\ncontent-length: 14\r\n\r\n{"choices":[]}' % head)
    assert b"request-id: kept\r\n" in line.answer
    assert b"set-cookie" not in line.answer
    assert b"retry-after" not in line.answer


def test_an_error_page_after_comments_ends_the_stream_in_words(line: Line, key: str) -> None:
    line.says(request(key))
    line.pass_seconds(11)
    for _ in range(3):
        line.upstream_says(b"HTTP/1.1 503 No\r\ncontent-length: 6\r\n\r\n<html>")
    assert b"The upstream answered with an error (503)." in line.answer
    assert line.answer.endswith(END)


def test_a_stream_that_falls_silent_for_good_is_no_success_in_the_ledger(
    line: Line, key: str, node: Node
) -> None:
    line.says(request(key))
    line.upstream_says(SSE + event(content="half"))
    line.pass_seconds(41)
    node.engine.flush()
    line.fire_within(HELD_RETRY_SECONDS)  # the end waits for its row
    assert b"upstream_timeout" in line.answer
    assert node.engine.read("SELECT status, error_class FROM ledger") == [(200, "upstream_timeout")]


def test_events_are_passed_on_as_they_come_though_they_are_labelled_json(
    line: Line, key: str
) -> None:
    line.says(request(key))
    line.upstream_says(SSE.replace(b"text/event-stream", b"application/json"))
    line.upstream_says(event(content="hello"))
    assert b"content-type: text/event-stream" in line.answer
    assert b"hello" in line.answer
    line.upstream_says(event("stop") + chunk(b"data: [DONE]\n\n") + END)
    assert line.answer.endswith(END)


def test_an_error_that_is_labelled_a_stream_is_an_error_in_its_words(line: Line, key: str) -> None:
    error = b'{"error":{"message":"Out of cheese.","type":"invalid_request_error","code":400}}'
    line.says(request(key))
    line.upstream_says(SSE + chunk(error) + END)
    assert line.answer.startswith(b"HTTP/1.1 400")
    assert b"Out of cheese." in line.answer


def test_an_answer_that_is_labelled_a_stream_is_told_as_one(line: Line, key: str) -> None:
    line.says(request(key))
    choice = b'{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}'
    line.upstream_says(SSE + chunk(b'{"model":"m","choices":[' + choice + b"]}") + END)
    assert b"content-type: text/event-stream" in line.answer
    assert b'"delta":{"role":"assistant","content":"hello"}' in line.answer
    assert b"data: [DONE]" in line.answer
    assert line.answer.endswith(END)


def test_a_long_opening_lets_others_go_on_and_comes_to_the_same(
    gateway: Gateway, line: Line, key: str
) -> None:
    gateway.slices.workers = 10**12
    line.says(request(key))
    assert line.sent[line.upstream].startswith(b"POST ")
    assert gateway.slices.workers == 10**12
    assert line.wakeups > 3
    assert gateway.room.total == 0


@pytest.mark.parametrize("ends", ["the client leaves", "the body comes"])
def test_a_body_that_comes_holds_room_until_it_is_let_in(
    gateway: Gateway, line: Line, key: str, ends: str
) -> None:
    raw = request(key)
    line.says(raw[:-20])
    assert gateway.room.total == len(raw[:-20].partition(b"\r\n\r\n")[2])
    if "leaves" in ends:
        line.closes(line.client)
    else:
        line.says(raw[-20:])
    assert gateway.room.total == 0


def test_a_fault_of_ours_gives_back_the_room_of_a_body(
    gateway: Gateway, line: Line, key: str
) -> None:
    line.says(request(key)[:-20])
    assert gateway.room.total
    line.give(_events.ResponseData(1, b"nobody was asked"))
    assert line.client.state is connection.ConnectionState.CLOSED
    assert gateway.room.total == 0


def test_a_fault_of_ours_gives_back_the_room_of_what_was_sent_ahead(
    gateway: Gateway, line: Line, key: str
) -> None:
    line.says(request(key))
    line.says(request(key)[:50])
    assert gateway.room.total
    line.give(_events.RequestHeaders(1, http.Request.make("POST", "http://x"), False))
    assert gateway.room.total == 0


def test_a_user_whose_requests_fill_the_room_is_told(
    gateway: Gateway, line: Line, key: str
) -> None:
    other = Held("user:1", lambda: None)
    most = gateway.server.waiting_bytes_of_one
    gateway.room.hold(other, most, most=2 * most, most_of_owner=most)
    line.says(request(key)[:-20])
    assert line.answer.startswith(b"HTTP/1.1 429")
    assert b"Too many large requests of yours" in line.answer
    assert gateway.room.total == most


def test_the_largest_body_makes_room_for_others(gateway: Gateway, line: Line, key: str) -> None:
    line.says(request(key)[:-20])
    server = gateway.server
    for n in range(2):
        other = Held(f"user:{n + 7}", lambda: None)
        other_size = server.waiting_bytes_of_one - 1
        gateway.room.hold(other, other_size, most=2**40, most_of_owner=2**40)
    small = Held("user:9", lambda: None)
    gateway.room.hold(small, 1, most=1, most_of_owner=1)
    line.pass_seconds(1)
    assert line.answer.startswith(b"HTTP/1.1 503")
    assert b"no room for so large a request" in line.answer
    assert b"retry-after: 2" in line.answer


def test_a_body_that_had_to_make_room_is_told_so_at_its_end(
    gateway: Gateway, line: Line, key: str
) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    line.says(f"{head}transfer-encoding: chunked\r\n\r\n".encode() + chunk(b'{"model":"m"}'))
    gateway.room.hold(Held("user:9", lambda: None), 1, most=1, most_of_owner=1)
    line.says(END)
    assert line.answer.startswith(b"HTTP/1.1 503")
    assert b"no room for so large a request" in line.answer
    assert not line.upstreams


def test_a_call_that_a_quota_has_no_room_for_asks_no_upstream(
    line: Line, key: str, node: Node
) -> None:
    node.engine.transact(lambda work: work.run("UPDATE users SET quota_tokens = 5"), alone=())
    line.says(request(key))
    assert line.answer.startswith(b"HTTP/1.1 429")
    assert b"is too small for this request" in line.answer
    assert not line.upstreams


def test_a_refusal_without_end_is_read_no_further(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(b"HTTP/1.1 500 No\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 300_000)
    assert line.upstreams[0].state is connection.ConnectionState.CLOSED
    assert len(line.upstreams) == 2


def test_an_upstream_has_a_second_to_close_its_answer(line: Line, key: str) -> None:
    line.says(request(key))
    line.pass_time(0.5)
    line.upstream_says(SSE + event(content="all") + event("stop") + chunk(b"data: [DONE]\n\n"))
    line.pass_time(0.5)
    assert not line.answer.endswith(END)
    line.pass_seconds(1)
    assert line.answer.endswith(END)


def test_a_whole_answer_after_comments_ends_the_stream(line: Line, key: str) -> None:
    line.says(request(key))
    line.pass_seconds(11)
    choice = b'{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}'
    body = b'{"model":"m","choices":[' + choice + b"]}"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    line.upstream_says(head % len(body) + body)
    assert line.answer.count(b"HTTP/1.1 200") == 1
    assert b'"content":"hello"' in line.answer
    assert line.answer.endswith(END)


GZIPPED = SSE.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"%d "}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def words(first: int, last: int) -> bytes:
    return b"".join(WORD % number for number in range(first, last))


def test_a_compressed_stream_is_passed_on_piece_by_piece_in_its_order(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(GZIPPED)
    before = line.wakeups
    packer = zlib.compressobj(wbits=31)
    begun = packer.compress(words(0, 5_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    ended = packer.compress(words(5_000, 5_010) + LAST) + packer.flush()
    line.upstream_says_at_once(chunk(begun), chunk(ended) + END)
    said = re.findall(rb'"content":"(\d+) "', line.answer)
    assert said == [b"%d" % number for number in range(5_010)]
    assert line.answer.endswith(b"[DONE]\n\n\r\n" + END)
    assert line.wakeups - before >= 2
    assert line.upstream.state is connection.ConnectionState.OPEN


def test_a_compressed_stream_that_comes_too_fast_ends_with_an_error(line: Line, key: str) -> None:
    line.says(request(key))
    line.upstream_says(GZIPPED)
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(words(0, 5_000)) + packer.flush(zlib.Z_SYNC_FLUSH)]
    pieces += [
        packer.compress(words(n, n + 1)) + packer.flush(zlib.Z_SYNC_FLUSH) for n in range(70)
    ]
    line.upstream_says_at_once(*map(chunk, pieces))
    assert b'"code":"upstream_malformed"' in line.answer
    assert line.answer.endswith(END)
    assert line.upstream.state is connection.ConnectionState.CLOSED


def packed(key: str, coding: str, body: bytes) -> bytes:
    """A call with such a body."""
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        f"content-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
    ],
)
def test_a_compressed_body_holds_as_much_room_as_it_grows_to(
    gateway: Gateway, line: Line, key: str, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]'
    piece = bytes(range(256)) * 1024  # lest some of it be held back for what may follow
    raw = packed(key, coding, pack(body + b" " * 100_000 + piece))
    line.says(raw[:-1])
    assert len(raw) < 100_000 < gateway.room.total
    assert not line.answer


@pytest.mark.parametrize(
    ("coding", "body", "status", "words"),
    [
        ("zstd", b"{}", 400, b"zstd"),
        ("gzip", gzip.compress(b"x")[:-6] + b"\0" * 6, 400, b"gzip"),
        ("gzip", gzip.compress(b" " * 1_048_577), 413, b"32 MiB"),
        ("br", brotli.compress(b" " * 1_048_577), 413, b"32 MiB"),
    ],
    ids=["not compressed", "damaged", "too large", "much too large"],
)
def test_a_compressed_body_that_can_not_be_taken_is_refused_as_it_comes(
    line: Line, key: str, coding: str, body: bytes, status: int, words: bytes
) -> None:
    line.says(packed(key, coding, body)[:-1])
    line.says(packed(key, coding, body)[-1:])
    assert line.answer.startswith(b"HTTP/1.1 %d" % status)
    assert b'{"type":"error"' in line.answer
    assert words in line.answer
    assert not line.upstreams
