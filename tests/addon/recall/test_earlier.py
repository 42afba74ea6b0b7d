"""What was sent where nothing was known is known to later requests, with its field."""

import pytest

from addon.formats.neutral.turn import Message
from addon.recall.earlier import Earlier
from addon.recall.memory import Record
from addon.recall.turn_keys import Place, places_of
from shared.profiles import builtin_profiles
from tests.addon.recall.chat import ID_KEY, Memory

GENERIC = builtin_profiles()["field-generic"]
NAMING = builtin_profiles()["glm"]
NAMESPACE = b"of a user and a family"


def place(record: Record | None = None, rule: str = "") -> Place:
    [found], _ = places_of([Message("assistant", b'"Done."')], ID_KEY)
    found.record, found.rule = record, rule
    return found


@pytest.mark.parametrize(
    ("sent", "profile", "kept", "empty"),
    [
        ("omit", GENERIC, "omit", "reasoning_content"),
        ("empty", GENERIC, "empty reasoning_content", "reasoning_content"),
        ("empty", NAMING, "empty", "reasoning_content"),
        ("filled", GENERIC, "filled reasoning_content", "reasoning_content"),
        ("bare", GENERIC, "bare", "reasoning_content"),
    ],
)
def test_a_later_request_knows_what_was_sent(
    memory: Memory, sent: str, profile: object, kept: str, empty: str
) -> None:
    unknown = place()
    first = Earlier([unknown], NAMESPACE, memory.recall)
    assert first.of(unknown) == ("", 0)
    first.note(unknown, sent, profile)  # type: ignore[arg-type]
    assert list(first.now.values()) == [kept]
    memory.recall.keep_sent(first.now)
    memory.engine.flush()
    memory.restart()
    later = Earlier([unknown], NAMESPACE, memory.recall)
    assert later.of(unknown) == (sent, memory.clock.now_ms())
    assert list(later.empty(unknown, GENERIC)) == [empty]
    assert Earlier([unknown], NAMESPACE, None).of(unknown) == ("", 0)
    assert Earlier([unknown], b"another", memory.recall).of(unknown) == ("", 0)


def test_an_empty_one_has_the_first_name_that_is_known() -> None:
    named = place(Record(token="a", reasoning="thought", field="reasoning"), "id")
    earlier = Earlier([place(), named], NAMESPACE, None)
    assert earlier.empty(place(), GENERIC) == {"reasoning": ""}
    assert earlier.empty(place(), NAMING) == {"reasoning_content": ""}


@pytest.mark.parametrize(
    ("record", "rule", "is_noted"),
    [
        (None, "", True),
        (Record(token="a", reasoning="thought"), "anchor", True),
        (Record(token="a", reasoning="thought"), "id", False),
        (Record(token="a", reasoning=None), "id", True),
    ],
)
def test_nothing_is_noted_of_what_can_t_vary(
    record: Record | None, rule: str, is_noted: bool
) -> None:
    found = place(record, rule)
    earlier = Earlier([found], NAMESPACE, None)
    earlier.note(found, "restored", GENERIC)
    assert bool(earlier.now) == is_noted


def test_what_is_restored_at_last_is_noted_where_nothing_else_is() -> None:
    found = place(Record(token="a", reasoning=None), "anchor")
    earlier = Earlier([found], NAMESPACE, None)
    earlier.note(found, "filled", NAMING)
    earlier.note(found, "restored", NAMING)
    assert list(earlier.now.values()) == ["filled"]
