"""Each event of a chat stream is read into deltas; test_patch_stream.py reads more of them."""

import json
from typing import Any

import pytest

from addon.formats.chat.reader import ChatReader
from addon.formats.neutral.deltas import CallDelta, Delta, Finish, StreamError, TextDelta
from addon.formats.wire import sse


def event(chunk: object) -> bytes:
    return sse.event(json.dumps(chunk).encode())


def chunk(delta: Any, index: Any = 0, **more: Any) -> bytes:
    return event({"id": "1", "model": "m", "choices": [{"index": index, "delta": delta, **more}]})


def deltas_of(raw: bytes) -> list[Delta]:
    return ChatReader().read(raw)


@pytest.mark.parametrize(
    ("index", "choice"),
    [(0, 0), (1, 1), (None, 0), ("1", 0), ([], 0)],
    ids=["0", "1", "null", "text", "list"],
)
def test_a_choice_is_known_by_its_index_or_its_place(index: object, choice: int) -> None:
    assert deltas_of(chunk({"content": "a"}, index)) == [TextDelta("a", choice)]


@pytest.mark.parametrize(
    ("reason", "finishes"), [("stop", True), (None, False), ("", False), (7, False)]
)
def test_only_a_reason_finishes(reason: object, finishes: bool) -> None:
    assert deltas_of(chunk({}, finish_reason=reason)) == ([Finish("stop")] if finishes else [])


def test_text_that_comes_with_the_finish_is_said_before_it() -> None:
    assert deltas_of(chunk({"content": "a"}, 1, finish_reason="stop")) == [
        TextDelta("a", 1),
        Finish("stop", 1),
    ]


def test_two_choices_in_one_event_are_both_read() -> None:
    raw = event(
        {
            "choices": [
                {"index": 1, "delta": {"content": "b"}},
                {"index": 0, "delta": {"content": "a"}},
            ]
        }
    )
    assert deltas_of(raw) == [TextDelta("b", 1), TextDelta("a", 0)]


def test_calls_keep_the_ids_of_the_upstream() -> None:
    raw = chunk({"tool_calls": [{"index": 3, "id": "a", "function": {"name": "f"}}]})
    assert deltas_of(raw) == [CallDelta(0, "a", "f")]


def test_a_chunk_with_an_error_says_nothing_else() -> None:
    raw = event({"error": {"message": "m", "code": 429}, "choices": [{"delta": {"content": "a"}}]})
    assert deltas_of(raw) == [StreamError("m", 429, "429")]


def test_the_end_of_the_stream_is_noted() -> None:
    reader = ChatReader()
    assert reader.read(b": a comment\n\n") == []
    assert not reader.done
    assert reader.read(b"data:[DONE]\n\n") == []
    assert reader.done
