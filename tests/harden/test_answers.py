"""The reader of answers takes what is well-formed, however it is cut, and nothing else."""

import pytest

from tests.harden.answers import Answers

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nhi"


def read(received: bytes, *, size: int = 1000, wanted: int = 9, **more: bool) -> Answers:
    answers = Answers(wanted, **more)
    for at in range(0, len(received), size):
        answers.feed(received[at : at + size])
    answers.end()
    return answers


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_answers_are_told_apart_however_they_come(size: int) -> None:
    answers = read(INTERIM + LENGTH + CHUNKED + EMPTY + CHUNKED + TO_THE_END, size=size)
    assert answers.statuses == [200, 404, 204, 404, 200]
    assert answers.bodies[0] == answers.bodies[4] == b"hi"
    assert answers.fault == ""


def test_there_is_nothing_to_wait_for_when_all_have_come() -> None:
    assert not Answers(1).over
    assert read(LENGTH, wanted=1).over
    assert not read(LENGTH, wanted=2).over


def test_an_answer_to_head_has_no_body() -> None:
    assert read(LENGTH[:-2], head_only=True).statuses == [200]


@pytest.mark.parametrize(
    "received",
    [
        LENGTH[:-1],
        CHUNKED[:-2],
        LENGTH[:20],
        LENGTH + b"more",
        LENGTH.replace(b": 2", b": 2\0"),
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
    ],
)
def test_what_is_cut_or_no_answer_is_a_fault(received: bytes) -> None:
    assert read(received).fault


def test_a_client_that_has_left_may_have_got_a_part() -> None:
    answers = Answers(1)
    answers.may_be_cut = True
    answers.feed(LENGTH[:-1])
    answers.end()
    assert answers.fault == ""
