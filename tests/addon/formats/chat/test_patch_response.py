"""Whole answers are patched so that nothing else changes."""

import json
from typing import Any

import pytest

from addon.formats.chat.patch_response import as_stream, decode
from addon.formats.chat.reader import ChatReader
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.wire import sse

CALLS = [
    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
    {"id": "a", "type": "function", "function": {"name": "g", "arguments": ""}},
]


def minted(choice: int, index: int, _: str) -> str:
    return f"minted {choice}.{index}"


def patched(body: bytes, model: str = "m") -> bytes:
    found = decode(body)
    assert found is not None
    return found.patched(model=model, mint=minted)


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{ "model" : "m", "choices":[ {"message":{"content":"\\ud83d"}, "x":1e400} ] }\n',
        b'{"model":"m","choices":[]}',
        b'{"model":"\\u006d","choices":[{"message":{"tool_calls":[]}}]}',
    ],
)
def test_an_answer_that_needs_no_change_stays_byte_identical(body: bytes) -> None:
    assert patched(body) == body


def test_only_model_and_ids_change() -> None:
    body = (
        b'{ "model": "up", "x": 1.0, "choices": [ {"message" : {"tool_calls": [{"type": "function","id":"a","y":1e400},'
        b'{"y": 2}], "z": "\\u0041"}}, {"message": {"content":"\\ud83d" } } ] }'
    )
    assert patched(body) == (
        b'{"model":"m","x":1.0,"choices":[{"message":{"tool_calls":[{"type":"function","id":"minted 0.0","y":1e400},'
        b'{"y":2,"id":"minted 0.1"}],"z":"\\u0041"}},{"message": {"content":"\\ud83d" } }]}'
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b'{"p":"\\u00e9"}', b'"{\\"p\\":\\"\xc3\xa9\\"}"'),
        (b'"{\\"p\\":1}"', b'"{\\"p\\":1}"'),
        (b"{}", b'"{}"'),
        (b"null", b'"{}"'),
        (b'""', b'"{}"'),
    ],
    ids=["object", "text", "empty object", "null", "empty text"],
)
def test_arguments_reach_the_client_as_text(given: bytes, told: bytes) -> None:
    body = b'{"model":"m","choices":[{"message":{"tool_calls":[{"id":"%b","function":{"arguments":%b}}]}}]}'
    assert patched(body % (b"a", given)) == body % (b"minted 0.0", told)


def test_a_call_that_was_cut_off_keeps_what_it_has() -> None:
    call = b'{"id":"a","function":{"name":"f","arguments":""}}'
    body = (
        b'{"model":"m","choices":[{"finish_reason":"length","message":{"tool_calls":[%b]}}]}' % call
    )
    assert b'"arguments":""' in patched(body)


def test_a_turn_that_was_cut_into_choices_is_one_for_the_client() -> None:
    body = json.dumps(
        {
            "model": "m",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Let me look."}},
                {"index": 0, "message": {"content": None, "tool_calls": CALLS[:1]}},
            ],
        }
    ).encode()
    [choice] = json.loads(patched(body))["choices"]
    assert choice["message"]["content"] == "Let me look."
    assert choice["message"]["tool_calls"][0]["id"] == "minted 0.0"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"model": "up","choices":[{"message":{}}]}',
            b'{"model":"m","choices":[{"message":{}}]}',
        ),
        (
            b'{"model":"m","choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}',
            b'{"model":"m","choices":[{"message":{"tool_calls":[{"id":"minted 0.0"}]}}]}',
        ),
    ],
    ids=["model", "id"],
)
def test_either_change_alone_is_made(body: bytes, expected: bytes) -> None:
    assert patched(body) == expected


@pytest.mark.parametrize(
    "calls", ['"x"', "[null]", '[{"id":"a"},null]', "[[]]", "{}", "null", '[{"id":"a"},"b"]']
)
def test_what_stands_where_calls_should_is_passed_on(calls: str) -> None:
    choice = f'{{"message":{{"tool_calls":{calls},"function_call":{{"name":"f"}}}}}}'
    assert (
        patched(f'{{"model":"up","choices":[{choice}]}}'.encode())
        == f'{{"model":"m","choices":[{choice}]}}'.encode()
    )


def replayed(body: bytes) -> Accumulator:
    reading, accumulator = ChatReader(), Accumulator()
    for raw in sse.Events().feed(body):
        for delta in reading.read(raw):
            accumulator.add(delta)
    assert reading.done
    return accumulator


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "a\u2028\n", "reasoning_content": "r"},
        {
            "content": None,
            "tool_calls": [
                *CALLS,
                {"id": "b", "index": 0, "function": {"name": "h", "arguments": ""}},
            ],
        },
        {"content": "\ud83d"},
        {},
    ],
    ids=["text", "calls", "lone surrogate", "nothing"],
)
def test_an_answer_as_a_stream_says_the_same(message: dict[str, Any]) -> None:
    body = json.dumps(
        {
            "model": "m",
            "created": 10**30,
            "choices": [
                {"index": 0, "message": message, "finish_reason": "stop"},
                {"index": 1, "message": message, "finish_reason": "length"},
            ],
            "usage": {"prompt_tokens": 7},
        }
    ).encode()
    found = decode(body)
    assert found is not None
    assert replayed(as_stream(body)).turns() == found.turns
    assert replayed(as_stream(body)).usage == found.usage


def test_the_stream_of_an_answer_has_usage_in_a_chunk_of_its_own_unless_it_is_hidden() -> None:
    body = b'{"model":"m","choices":[],"usage":{"prompt_tokens":1}}'
    assert b'"choices":[],"usage":{"prompt_tokens":1}' in as_stream(body)
    assert b"usage" not in as_stream(body, hide_usage=True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[null,7]}',
        b'{"choices":[{"message":{"tool_calls":[null]}}]}',
        b"{}",
        b'{"choices":[]}',
    ],
)
def test_an_odd_answer_is_still_a_stream(body: bytes) -> None:
    assert replayed(as_stream(body)).usage is None
