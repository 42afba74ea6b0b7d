"""What the newest exchanges tell of upstreams and clients."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from shared.store.engine import Engine, apply_change
from shared.store.feed import Attempt, Replays, read_recent
from shared.store.ledger import Entry, settle


def exchange(engine: Engine, *outcomes: str, turns: str = "", **members: Any) -> None:
    """One with these outcomes of its attempts at `main`, and these rules for its turns."""
    tries = [{"upstream": "main", "outcome": outcome} for outcome in outcomes]
    details = {"tries": tries, "turns": [{"rule": rule} for rule in turns.split()]}
    entry = Entry(
        exchange=str(uuid4()), at=7, details=msgspec.json.encode(details).decode(), **members
    )
    engine.transact(lambda work: apply_change(work, settle(entry)), alone=())


def test_the_attempts_at_an_upstream_are_told_newest_last(engine: Engine) -> None:
    exchange(engine, "429", "200")
    exchange(engine, "(cannot connect)", error_class="upstream_unreachable")

    assert read_recent(engine).attempts == {
        "main": [
            Attempt(at=7, ok=False, outcome="429"),
            Attempt(at=7, ok=True, outcome="200"),
            Attempt(at=7, ok=False, outcome="(cannot connect)"),
        ]
    }


@pytest.mark.parametrize(
    ("error_class", "expected"),
    [
        ("upstream_cut", Attempt(at=7, ok=False, outcome="upstream_cut")),
        ("client_left", Attempt(at=7, ok=True, outcome="200")),
    ],
    ids=["the upstream broke off", "the client left"],
)
def test_an_answer_counts_when_it_was_complete(
    engine: Engine, error_class: str, expected: Attempt
) -> None:
    exchange(engine, "200", error_class=error_class)

    assert read_recent(engine).attempts == {"main": [expected]}


def test_only_the_last_attempts_are_told(engine: Engine) -> None:
    for number in range(50):
        exchange(engine, str(100 + number))

    outcomes = [attempt.outcome for attempt in read_recent(engine).attempts["main"]]

    assert outcomes == [str(100 + number) for number in range(10, 50)]


def test_how_turns_were_recognised_is_counted_by_client(engine: Engine) -> None:
    exchange(engine, turns="id anchor stop", user_agent="codex_cli_rs/0.60 (Linux)")
    exchange(engine, turns="id id id missing", user_agent="Cursor/1.0")
    exchange(engine, turns="id", user_agent="codex_cli_rs/0.60 (Mac)")

    assert read_recent(engine).replays == [
        Replays(client="Cursor/1.0", by_id=3, otherwise=0, missing=1),
        Replays(client="codex_cli_rs/0.60", by_id=2, otherwise=2, missing=0),
    ]


def test_turns_that_tell_nothing_about_ids_are_not_counted(engine: Engine) -> None:
    exchange(engine, turns="client known-empty", user_agent="Cursor/1.0")

    assert read_recent(engine).replays == []


def test_turns_that_are_only_counted_count(engine: Engine) -> None:
    details = {"turns": [{"rule": "missing"}], "rules": {"id": 300, "anchor": 2, "missing": 1}}
    entry = Entry(
        exchange="x", at=7, user_agent="a/1", details=msgspec.json.encode(details).decode()
    )
    engine.transact(lambda work: apply_change(work, settle(entry)), alone=())

    assert read_recent(engine).replays == [Replays(client="a/1", by_id=300, otherwise=2, missing=1)]
