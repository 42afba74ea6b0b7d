"""Lessons in the table: one row each, and others' rows beside them."""

from msgspec.structs import replace

from shared.store.engine import Engine, Statement
from shared.store.lessons import (
    Lesson,
    forget_lesson,
    keep_lesson,
    read_lessons,
    unread_lessons,
)

PICTURES = Lesson(
    upstream="one", model="m", kind="pictures", profile="glm", words="no!", learned_at=7
)
EMPTY = replace(PICTURES, kind="empty", scope="calls")


def run(engine: Engine, *statements: Statement) -> None:
    engine.transact(lambda work: [work.run(sql, params) for sql, params in statements], alone=())


def test_lessons_are_found_in_order_and_replaced(engine: Engine) -> None:
    elsewhere = replace(EMPTY, upstream="a")
    wider = replace(EMPTY, scope="all")
    run(engine, *map(keep_lesson, (PICTURES, EMPTY, elsewhere, wider)))
    assert read_lessons(engine) == [elsewhere, wider, PICTURES]
    assert unread_lessons(engine) == []


def test_one_lesson_is_forgotten_by_its_key(engine: Engine) -> None:
    run(engine, keep_lesson(PICTURES), keep_lesson(EMPTY), forget_lesson(EMPTY.key))
    assert read_lessons(engine) == [PICTURES]


def test_fault_12_an_earlier_lesson_that_comes_late_changes_nothing(engine: Engine) -> None:
    later = replace(EMPTY, scope="all", learned_at=8)
    run(engine, keep_lesson(later), keep_lesson(EMPTY), forget_lesson(EMPTY.key, until=7))
    assert read_lessons(engine) == [later]
    run(engine, keep_lesson(replace(later, scope="foreign")))
    assert read_lessons(engine) == [replace(later, scope="foreign")]
    run(engine, forget_lesson(EMPTY.key, until=8))
    assert read_lessons(engine) == []


def test_names_with_blanks_are_told_apart(engine: Engine) -> None:
    one, other = (
        replace(EMPTY, upstream="a b", model="c"),
        replace(EMPTY, upstream="a", model="b c"),
    )
    run(engine, keep_lesson(one), keep_lesson(other))
    assert read_lessons(engine) == [other, one]


def test_rows_in_another_shape_are_no_lessons(engine: Engine) -> None:
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:key, :value, 3)"
    later = '{"upstream": "one", "model": "m", "kind": "later", "profile": "glm"}'
    rows = [("one m", '{"profile": "glm"}', 3), ("x", "no json", 3), ("y", later, 3)]
    run(engine, *((sql, {"key": key, "value": value}) for key, value, _ in rows))
    run(engine, keep_lesson(EMPTY))
    assert read_lessons(engine) == [EMPTY]
    assert sorted(unread_lessons(engine)) == rows
