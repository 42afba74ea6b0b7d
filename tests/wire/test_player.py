"""What the player puts into a dialect's requests, seen by a provider without a gateway
before it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.provider import StrictProvider
from tests.support.turns import Json
from tests.wire.player import Player, Sent, load, scripted

FIRST: Json = {"role": "user", "content": "Look."}
READ: Json = {"name": "Read", "arguments": {"path": "größe", "limit": 1.0}}
LINES: list[Json] = [
    {"dialect": "made up", "cursor": "0", "sources": []},
    {
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": {"Authorization": "Bearer $key"},
        "body": {"model": "m", "stream": True, "messages": [FIRST]},
        "answer": {
            "text": "I look.",
            "calls": [READ, {"name": "ApplyPatch", "input": "*** Begin"}],
        },
    },
]
EXPECTED: Json = {"asked": {"tools": [0, 1], "images": 2}, "responses": {"images": 3}}


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    with StrictProvider(foreign="any", scope="none") as running:
        yield running


def written(directory: Path, messages: list[Any]) -> Path:
    """A dialect of two requests, the second with these messages."""
    second: Json = {
        "body": {"model": "m", "stream": True, "messages": messages},
        "answer": {"text": "Done."},
    }
    path = directory / "made-up.jsonl"
    path.write_text("\n".join(map(json.dumps, [*LINES, second, EXPECTED])))
    return path


def second(provider: StrictProvider, directory: Path, *messages: Any) -> Sent:
    """The second request, played."""
    dialect = load(written(directory, list(messages)))
    provider.maker = scripted(dialect)
    return Player(provider.base_url, "sk-good").play(dialect)[1]


def test_a_member_goes_out_again_within_an_array(provider: StrictProvider, tmp_path: Path) -> None:
    sent = second(provider, tmp_path, {"$again": "messages"}, {"role": "user", "content": "Go on."})
    assert sent.body["messages"] == [FIRST, {"role": "user", "content": "Go on."}]
    assert sent.replays == frozenset()


def test_an_answer_is_replayed_without_its_reasoning(
    provider: StrictProvider, tmp_path: Path
) -> None:
    turn = {
        "role": "assistant",
        "content": {"$answer": "text"},
        "tool_calls": {"$answer": "tool_calls"},
    }
    sent = second(provider, tmp_path, turn)
    issued = provider.ledger.issued[0]
    replayed = sent.body["messages"][0]
    assert replayed.keys() == turn.keys()
    assert replayed["content"] == "I look."
    assert [call["id"] for call in replayed["tool_calls"]] == [call.id for call in issued.calls]
    assert [call["function"]["arguments"] for call in replayed["tool_calls"]] == [
        c.arguments for c in issued.calls
    ]
    assert sent.replays == {0}


def test_compact_arguments_have_no_spaces(provider: StrictProvider, tmp_path: Path) -> None:
    sent = second(
        provider,
        tmp_path,
        {"role": "assistant", "tool_calls": {"$answer": "tool_calls", "compact": True}},
    )
    arguments = [call["function"]["arguments"] for call in sent.body["messages"][0]["tool_calls"]]
    assert arguments == ['{"path":"größe","limit":1.0}', '{"input":"*** Begin"}']


def test_a_call_is_replayed_member_by_member(provider: StrictProvider, tmp_path: Path) -> None:
    block = {"name": {"$answer": "name", "call": 0}, "input": {"$answer": "input", "call": 0}}
    sent = second(provider, tmp_path, {"role": "user", "content": [block]})
    assert sent.body["messages"][0]["content"] == [{"name": "Read", "input": READ["arguments"]}]


def test_a_quote_is_no_turn(provider: StrictProvider, tmp_path: Path) -> None:
    sent = second(provider, tmp_path, {"role": "user", "content": {"$answer": "quote"}})
    assert sent.body["messages"][0]["content"] == "I look."
    assert sent.replays == frozenset()


def test_what_is_wanted_of_the_upstream_differs_by_request_and_api(tmp_path: Path) -> None:
    dialect = load(written(tmp_path, []))
    assert dialect.wanted("chat") == [{"tools": 0, "images": 2}, {"tools": 1, "images": 2}]
    assert dialect.wanted("responses") == [{"tools": 0, "images": 3}, {"tools": 1, "images": 3}]
