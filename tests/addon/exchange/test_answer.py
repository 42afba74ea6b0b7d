"""A streamed answer is passed on as it comes, remembered before its end is seen, and when
cut never ends cleanly.
"""

import gzip
import json
from typing import Any

import pytest

from addon.exchange.answer import StreamedAnswer
from addon.formats.chat.patch_stream import PatchStream
from addon.formats.chat.writer import DONE
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.turn import Reasoning, ToolCall, Turn, Usage
from addon.formats.wire import sse
from addon.formats.wire.inflate import Unreadable

CUT = "The upstream ended its answer in the middle."


def chunk(delta: Any, finish_reason: str | None = None, choice: int = 0, **more: Any) -> bytes:
    choices = [{"index": choice, "delta": delta, "finish_reason": finish_reason}]
    return sse.event(json.dumps({"model": "m", "choices": choices, **more}).encode())


THINK = chunk({"reasoning_content": "r"})
TEXT = chunk({"content": "a"})
FINISH = chunk({}, "stop")
CALL = chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}]})
ARGUMENTS = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
USAGE = sse.event(b'{"choices":[],"usage":{"prompt_tokens":3}}')
WHOLE = Turn(text="a", reasoning=Reasoning("r", "reasoning_content"), finish_reason="stop")


class Listener:
    """An answer, what the client has got of it, and what was remembered when."""

    def __init__(self, *, hide_usage: bool = False, coding: str = "") -> None:
        self.remembered: list[tuple[dict[int, Turn], bool, bool, bytes]] = []
        self.out = b""
        stream = PatchStream(
            model="m",
            hide_usage=hide_usage,
            mint=lambda choice, index, _: f"minted {choice}.{index}",
        )
        self.answer = StreamedAnswer(stream, remember=self._remember, content_encoding=coding)

    def hear(self, *pieces: bytes) -> "Listener":
        for piece in pieces:
            self.out += self.answer.feed(piece)
        return self

    def end(self) -> "Listener":
        self.out += self.answer.end()
        return self

    @property
    def error(self) -> str:
        return self.answer.error.message if self.answer.error else ""

    def _remember(self, turns: dict[int, Turn], *, complete: bool, durable: bool) -> None:
        self.remembered.append((turns, complete, durable, self.out))


def test_events_are_passed_on_as_they_come() -> None:
    heard, sent = Listener(), b""
    for piece in (b": hi\n\n", THINK, TEXT, FINISH, USAGE, DONE):
        sent += piece
        assert heard.hear(piece).out == sent
    assert heard.answer.done
    assert heard.answer.usage == Usage(prompt_tokens=3)
    assert heard.end().out == sent
    assert heard.error == ""


def test_a_turn_is_remembered_before_the_client_can_see_its_end() -> None:
    heard = Listener().hear(THINK, TEXT, FINISH, USAGE, DONE).end()
    heard.answer.stop()
    assert heard.remembered == [({0: WHOLE}, True, True, THINK + TEXT)]


def test_a_call_is_remembered_before_the_client_can_know_its_id() -> None:
    heard = Listener().hear(THINK, CALL)
    call = ToolCall("x", "f", "")
    assert heard.remembered == [
        ({0: Turn(calls=(call,), reasoning=WHOLE.reasoning)}, False, False, THINK)
    ]
    assert b"minted 0.0" in heard.out
    assert len(heard.hear(ARGUMENTS, ARGUMENTS).remembered) == 1


def test_a_server_that_repeats_names_does_not_make_us_remember_each_step() -> None:
    repeated = chunk(
        {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": "1"}}]}
    )
    heard = Listener().hear(*[repeated] * 50, FINISH)
    assert [complete for _, complete, _, _ in heard.remembered] == [False, True]
    assert heard.answer.turns[0].calls == (ToolCall("x", "f", "1" * 50),)


def test_a_stopped_turn_is_kept_as_far_as_it_came() -> None:
    heard = Listener().hear(THINK, TEXT)
    heard.answer.stop()
    assert heard.remembered == [
        ({0: Turn(text="a", reasoning=WHOLE.reasoning)}, False, True, THINK + TEXT)
    ]


def test_of_two_choices_each_is_remembered_when_it_is_whole() -> None:
    heard = Listener().hear(TEXT, chunk({"content": "b"}, choice=1), FINISH)
    heard.answer.stop()
    heard.hear(chunk({}, "length", choice=1))
    heard.answer.stop()
    whole, other = Turn(text="a", finish_reason="stop"), Turn(text="b", finish_reason="length")
    assert [(turns, complete) for turns, complete, _, _ in heard.remembered] == [
        ({0: whole}, True),
        ({1: Turn(text="b")}, False),
        ({1: other}, True),
    ]
    assert heard.end().out.endswith(DONE)


def test_one_whole_choice_of_two_is_no_clean_end() -> None:
    assert Listener().hear(TEXT, chunk({"content": "b"}, choice=1), FINISH).end().error == CUT


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((), id="nothing"),
        pytest.param((b": hi\n\n",), id="comments"),
        pytest.param((THINK, TEXT), id="no finish"),
        pytest.param((TEXT, FINISH[:-9]), id="within the finish"),
        pytest.param((TEXT, chunk({}, "")), id="an empty reason"),
        pytest.param((TEXT, USAGE), id="usage"),
        pytest.param((TEXT, b'data: {"x'), id="within an event"),
    ],
)
def test_a_cut_upstream_is_no_clean_end(pieces: tuple[bytes, ...]) -> None:
    heard = Listener().hear(*pieces).end()
    assert heard.answer.error == StreamError(CUT, code="upstream_cut")
    assert DONE not in heard.out


@pytest.mark.parametrize(
    ("pieces", "out"),
    [
        pytest.param((TEXT, FINISH), TEXT + FINISH + DONE, id="no end announced"),
        pytest.param(
            (TEXT, FINISH[:-2]), TEXT + FINISH + DONE, id="no blank line after the finish"
        ),
        pytest.param(
            (TEXT, FINISH[:-2] + b"\r\r"),
            TEXT + FINISH[:-2] + b"\r\r\n\n" + DONE,
            id="CR after the finish",
        ),
        pytest.param(
            (TEXT, FINISH, DONE[:-2]), TEXT + FINISH + DONE, id="no blank line after the end"
        ),
        pytest.param(
            (TEXT, FINISH, b"data: [DONE] \r\n"), TEXT + FINISH + DONE, id="blanks after the end"
        ),
        pytest.param(
            (TEXT, FINISH, DONE[:-1]), TEXT + FINISH + DONE, id="half a blank line after the end"
        ),
        pytest.param(
            (TEXT, FINISH, USAGE[:-2]), TEXT + FINISH + USAGE + DONE, id="no blank line after usage"
        ),
        pytest.param((TEXT, FINISH, USAGE[:-9]), TEXT + FINISH + DONE, id="within usage"),
        pytest.param((TEXT, FINISH, b"data: [DO"), TEXT + FINISH + DONE, id="within the end"),
        pytest.param((TEXT, FINISH, b": bye"), TEXT + FINISH + DONE, id="within a comment"),
    ],
)
def test_a_whole_turn_ends_cleanly_whatever_is_missing_after_it(
    pieces: tuple[bytes, ...], out: bytes
) -> None:
    heard = Listener().hear(*pieces).end()
    assert (heard.out, heard.error) == (out, "")
    assert heard.answer.turns == {0: Turn(text="a", finish_reason="stop")}


def test_an_end_that_is_announced_without_a_finish_is_one_but_the_turn_is_not_whole() -> None:
    heard = Listener().hear(TEXT, DONE).end()
    assert (heard.out, heard.error) == (TEXT + DONE, "")
    assert heard.remembered == [({0: Turn(text="a")}, False, True, TEXT)]


def test_nothing_is_taken_after_the_end() -> None:
    heard = Listener().hear(FINISH, DONE + TEXT, TEXT).end()
    assert heard.out == FINISH + DONE
    assert heard.answer.turns[0].text == ""


def test_an_error_ends_the_answer_after_what_came_before_it() -> None:
    heard = (
        Listener()
        .hear(TEXT, TEXT + sse.event(b'{"error":{"message":"down","code":503}}') + TEXT, FINISH)
        .end()
    )
    assert heard.answer.error == StreamError("down", 503, "503")
    assert heard.out == TEXT + TEXT


@pytest.mark.parametrize(
    ("started", "pieces"),
    [
        (False, (b": hi\n\n",)),
        (False, (chunk({"role": "assistant", "content": ""}),)),
        (True, (chunk({"reasoning_content": ""}),)),
        (True, (TEXT,)),
        (True, (sse.event(b'{"error":"down"}'),)),
    ],
    ids=["comment", "role", "reasoning", "text", "error"],
)
def test_an_answer_has_started_when_something_was_said(
    started: bool, pieces: tuple[bytes, ...]
) -> None:
    assert Listener().hear(*pieces).answer.started is started


def test_a_hidden_usage_chunk_is_counted_all_the_same() -> None:
    heard = Listener(hide_usage=True).hear(FINISH, USAGE, DONE)
    assert heard.out == FINISH + DONE
    assert heard.answer.usage == Usage(prompt_tokens=3)


@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_a_compressed_stream_is_read(size: int) -> None:
    body = gzip.compress(THINK + TEXT + FINISH + DONE)
    heard = (
        Listener(coding="gzip")
        .hear(*(body[at : at + size] for at in range(0, len(body), size)))
        .end()
    )
    assert (heard.out, heard.error) == (THINK + TEXT + FINISH + DONE, "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (gzip.compress(TEXT + TEXT)[:-12], CUT),
        (b"data: plain\n\n", "damaged"),
        (gzip.compress(b"\n" * (1 << 27)), "grows beyond"),
        (gzip.compress(b"x", 0)[:10] + b"\xff" * 20, "damaged"),
    ],
    ids=["truncated", "not compressed", "bomb", "damaged"],
)
def test_a_compressed_stream_that_cannot_be_read_is_an_error(body: bytes, words: str) -> None:
    heard = Listener(coding="gzip").hear(body).end()
    assert words in heard.error
    assert DONE not in heard.out


def test_a_coding_that_nobody_reads_is_refused_at_once() -> None:
    with pytest.raises(Unreadable):
        Listener(coding="bz2")


def test_an_endless_event_is_an_error() -> None:
    heard = Listener().hear(TEXT, *[b"x" * (1 << 22)] * 5)
    assert "longer than" in heard.error
    assert heard.out == TEXT


def test_a_stream_that_failed_ends_with_an_error_event_and_the_usual_end() -> None:
    problem = Problem(
        status=502, message="Down\n\nnow.", code="upstream_cut", type="upstream_error"
    )
    first, last = sse.Events().feed(Listener().answer.fail(problem))
    assert json.loads(sse.data_of(first) or b"")["error"]["message"] == "Down\n\nnow."
    assert last == DONE
