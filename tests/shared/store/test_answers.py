"""Answers are kept once, found by their caller alone, and let go of in time."""

from typing import Any

import pytest

from shared.store.answers import (
    StoredAnswer,
    add_answer,
    answer_bytes,
    delete_answer,
    drop_old_answers,
    find_answer,
    find_answers_before,
)
from shared.store.engine import Engine, Statement, Transaction
from tests.shared.store.plans import Explained, only_sqlite

NOW = 1_795_000_000_000


def answer(answer_id: str = "resp_1", **changes: Any) -> StoredAnswer:
    usual = {
        "principal": "user:7",
        "created_at": NOW,
        "previous": "",
        "items": b"items",
        "response": b"response",
    }
    return StoredAnswer(id=answer_id, **usual | changes)


def run(engine: Engine, *statements: Statement) -> None:
    engine.transact(lambda work: [work.run(sql, params) for sql, params in statements], alone=())


def found(
    engine: Engine, answer_id: str = "resp_1", principal: str = "user:7", since_ms: int = 0
) -> bool:
    return find_answer(engine, principal, answer_id, since_ms=since_ms) is not None


def left(engine: Engine) -> list[str]:
    return [answer_id for (answer_id,) in engine.read("SELECT id FROM answers ORDER BY id")]


def test_an_answer_is_found_as_it_was_kept(engine: Engine) -> None:
    run(engine, add_answer(answer(previous="resp_0")))
    assert find_answer(engine, "user:7", "resp_1", since_ms=NOW) == answer(previous="resp_0")


@pytest.mark.parametrize(
    "wanted",
    [{"principal": "user:8"}, {"answer_id": "resp_2"}, {"since_ms": NOW + 1}],
    ids=["another caller", "another answer", "too old"],
)
def test_nothing_else_is_found(engine: Engine, wanted: Any) -> None:
    run(engine, add_answer(answer()))
    assert not found(engine, **wanted)


def test_an_answer_is_kept_once(engine: Engine) -> None:
    run(engine, add_answer(answer()), add_answer(answer(principal="user:8")))
    assert found(engine)
    assert left(engine) == ["resp_1"]


def before(engine: Engine, **changes: Any) -> list[str]:
    """An answer that goes on from two others, and what of those comes with it."""
    usual = {"since_ms": 0, "most": 10, "most_bytes": 1000}
    answers = find_answers_before(engine, "user:7", "resp_3", **usual | changes)
    return [one.id for one in answers]


def test_an_answer_comes_with_those_it_goes_on_from_newest_first(engine: Engine) -> None:
    for number in (1, 2, 3):
        made = answer(f"resp_{number}", previous=f"resp_{number - 1}", created_at=NOW + number)
        run(engine, add_answer(made))
    assert before(engine) == ["resp_3", "resp_2", "resp_1"]
    assert before(engine, most=2) == ["resp_3", "resp_2"]
    assert before(engine, most_bytes=answer().size) == ["resp_3", "resp_2"]
    assert before(engine, since_ms=NOW + 2) == ["resp_3", "resp_2"]
    assert (
        find_answers_before(engine, "user:8", "resp_3", since_ms=0, most=10, most_bytes=1000) == []
    )


def test_only_its_caller_deletes_an_answer(engine: Engine) -> None:
    run(engine, add_answer(answer()), delete_answer("user:8", "resp_1"))
    assert left(engine) == ["resp_1"]
    run(engine, delete_answer("user:7", "resp_1"))
    assert left(engine) == []


def drop(engine: Engine, *, max_bytes: int, **limits: int) -> None:
    """Let go of answers as far as one step does."""

    def work(transaction: Transaction) -> None:
        before = answer_bytes(transaction)
        freed = drop_old_answers(transaction, excess=before - max_bytes, **limits)
        assert answer_bytes(transaction) == before - freed

    engine.transact(work, alone=())


def test_old_answers_go_a_batch_at_a_time(engine: Engine) -> None:
    run(engine, *(add_answer(answer(f"resp_{at}", created_at=NOW + at)) for at in range(5)))
    drop(engine, before_ms=NOW + 3, max_bytes=1000, batch=2)
    assert left(engine) == ["resp_2", "resp_3", "resp_4"]
    drop(engine, before_ms=NOW + 3, max_bytes=1000, batch=2)
    assert left(engine) == ["resp_3", "resp_4"]


def test_the_oldest_answers_give_way_when_there_is_too_much(engine: Engine) -> None:
    run(
        engine,
        *(
            add_answer(answer(f"resp_{at}", created_at=NOW + at, response=b"x" * 95))
            for at in range(5)
        ),
    )
    drop(engine, before_ms=0, max_bytes=200)
    assert left(engine) == ["resp_3", "resp_4"]


@only_sqlite
def test_letting_go_reads_indexes_only(engine: Engine) -> None:
    watched = Explained(engine)
    drop_old_answers(watched, before_ms=NOW, excess=1)
    answer_bytes(watched)
    tables = [step for step in watched.steps if "answers" in step]
    assert tables
    assert [step for step in tables if "COVERING INDEX" not in step] == []
