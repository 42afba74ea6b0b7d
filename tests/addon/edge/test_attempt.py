"""An attempt knows what is no answer, what is too much, and when it is too late."""

import gzip
import tracemalloc
import zlib

import pytest

from addon.edge.attempt import MAX_INFLATED, MAX_REFUSAL, Attempt
from addon.exchange.upstream_request import Outgoing
from shared.config.schema import Timeouts

REQUEST = Outgoing(tls=False, host="up.test", port=80, target="/", headers=[], body=b"")
TIMEOUTS = Timeouts(connect=5, first_byte=30, idle=40, total=500)


@pytest.mark.parametrize(
    ("status", "fails"),
    [(200, False), (299, False), (300, True), (399, True), (400, False), (599, False), (600, True)],
)
def test_redirects_and_numbers_that_are_no_status_are_no_answers(status: int, fails: bool) -> None:
    error = Attempt(REQUEST, reused=False, status=status).head_fault()
    assert (error is not None) == fails


@pytest.mark.parametrize(
    ("status", "content_type", "streams"),
    [
        (200, "text/event-stream", True),
        (200, "", True),
        (200, "application/json; charset=utf-8", False),
        (503, "text/event-stream", False),
    ],
)
def test_events_follow_a_head_that_promises_no_json(
    status: int, content_type: str, streams: bool
) -> None:
    headers = {"content-type": content_type}
    assert Attempt(REQUEST, False, status=status, headers=headers).is_stream == streams


def test_a_refusal_has_fewer_bytes_than_an_answer() -> None:
    body = b" " * (MAX_REFUSAL + 1)
    assert Attempt(REQUEST, False, status=200).add(body) is None
    assert Attempt(REQUEST, False, status=503).add(body[1:]) is None
    assert Attempt(REQUEST, False, status=503).add(body) is not None


def compressed(status: int = 200) -> Attempt:
    attempt = Attempt(REQUEST, False, status=status, headers={"content-encoding": "gzip"})
    attempt.collect()
    return attempt


def test_a_compressed_body_is_inflated_as_it_comes() -> None:
    attempt = compressed()
    for byte in gzip.compress(b'{"choices":[]}'):
        assert attempt.add(bytes([byte])) is None
    assert (bytes(attempt.body), attempt.headers) == (b'{"choices":[]}', {})


def test_a_bomb_is_given_up_before_it_has_grown() -> None:
    deflate, attempt, errors = zlib.compressobj(wbits=31), compressed(), []
    tracemalloc.start()
    while not errors:
        piece = deflate.compress(bytes(1024 * 1024)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        errors = [error for error in [attempt.add(piece)] if error]
    assert errors[0].code == "upstream_too_large"
    assert tracemalloc.get_traced_memory()[1] < 3 * MAX_INFLATED
    tracemalloc.stop()


@pytest.mark.parametrize("status", [200, 503])
def test_a_damaged_body_is_an_error(status: int) -> None:
    error = compressed(status).add(b"no gzip")
    assert error is not None
    assert error.code == "upstream_malformed"


@pytest.mark.parametrize(
    ("attempt", "now", "message"),
    [
        (Attempt(REQUEST, False, sent_at=100), 130, ""),
        (Attempt(REQUEST, False, sent_at=100), 131, "did not answer within 30 s"),
        (Attempt(REQUEST, False, sent_at=100, heard_at=120, status=200), 160, ""),
        (Attempt(REQUEST, False, 100, heard_at=120, status=200), 161, "sent nothing for 40 s"),
        (Attempt(REQUEST, False, 100, heard_at=511, status=200), 512, "longer than 500 s in all"),
    ],
    ids=["in time", "no head", "speaking", "silent", "too long"],
)
def test_a_deadline_that_has_passed_is_told(attempt: Attempt, now: float, message: str) -> None:
    error = attempt.lateness(now, opened_at=10, timeouts=TIMEOUTS)
    if message:
        assert error is not None
        assert message in error.message
        assert error.status == 504
    else:
        assert error is None


def test_a_deadline_of_zero_never_passes() -> None:
    never = Timeouts(connect=0, first_byte=0, idle=0, total=0)
    assert Attempt(REQUEST, False).lateness(1e9, 0, never) is None
    assert Attempt(REQUEST, False, status=200).lateness(1e9, 0, never) is None
