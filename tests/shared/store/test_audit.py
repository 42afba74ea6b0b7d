"""What users asked is kept once, found by any part of it, and let go of in time."""

import zlib
from typing import Any

import msgspec
import pytest

from shared.store.audit import (
    AuditFilter,
    AuditRecord,
    NumberedRecord,
    add_record,
    drop_old_records,
    find_record,
    record_bytes,
    search,
    unpack_conversation,
)
from shared.store.engine import Engine, Statement, Transaction
from tests.shared.store.plans import Explained, only_sqlite

DAY_MS = 86_400_000
NOW = 1_795_000_000_000


def record(exchange: str = "x", text: str = "hello", **changes: Any) -> AuditRecord:
    usual = {
        "at": NOW,
        "user_id": 7,
        "username": "ada",
        "model": "m",
        "upstream": "main",
        "status": 200,
    }
    return AuditRecord(**usual | changes, exchange=exchange, text=text)


def run(engine: Engine, *statements: Statement) -> None:
    engine.transact(lambda work: [work.run(sql, params) for sql, params in statements], alone=())


def add(engine: Engine, *texts: str, **changes: Any) -> None:
    """Records of these texts; the exchanges are called like them."""
    run(engine, *(add_record(record(text, text, **changes)) for text in texts))


def found(engine: Engine, text: str = "", **conditions: Any) -> list[str]:
    records, following = search(engine, AuditFilter(text=text, **conditions))
    assert following is None
    return [each.exchange for each in records]


def test_a_record_is_found_as_it_was_kept(engine: Engine) -> None:
    kept = record(conversation=zlib.compress(b"{}"))
    run(engine, add_record(kept))
    stored = NumberedRecord(id=1, **msgspec.structs.asdict(kept))
    assert find_record(engine, 1) == stored
    assert search(engine, AuditFilter()) == ([stored], None)
    assert find_record(engine, 2) is None


def test_an_exchange_has_one_record(engine: Engine) -> None:
    run(engine, add_record(record(text="first")), add_record(record(text="second")))
    assert [each.text for each in search(engine, AuditFilter())[0]] == ["first"]
    assert found(engine, "second") == []


TEXTS = (
    "请修复这个错误 in main.py",
    "Fix the ERROR in it's a-b C:\\x 100% _id",
    'say "hi" AND (NOT NEAR',
    "Ünïcode ß Ж",
)


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        pytest.param("修复这个", [0], id="chinese"),
        pytest.param("错误", [0], id="two-chinese-characters"),
        pytest.param("错", [0], id="one-chinese-character"),
        pytest.param("error", [1], id="any-case"),
        pytest.param("IN", [1, 0], id="any-case-of-two"),
        pytest.param("rro", [1], id="inside-a-word"),
        pytest.param("it's", [1], id="apostrophe"),
        pytest.param("a-b", [1], id="hyphen"),
        pytest.param("C:\\x", [1], id="backslash"),
        pytest.param("\\x", [1], id="backslash-of-two"),
        pytest.param("\\i", [], id="backslash-is-itself"),
        pytest.param("0%", [1], id="percent-is-itself"),
        pytest.param("%", [1], id="percent-alone"),
        pytest.param("_", [1], id="underscore-alone"),
        pytest.param("_i", [1], id="underscore-is-itself"),
        pytest.param('"hi"', [2], id="quotes"),
        pytest.param('"', [2], id="one-quote"),
        pytest.param('"""', [], id="only-quotes"),
        pytest.param("AND", [2], id="operator"),
        pytest.param("AND (NOT", [2], id="operators"),
        pytest.param("hello OR", [], id="dangling-operator"),
        pytest.param("text:err", [], id="column-filter"),
        pytest.param("err*", [], id="prefix-star"),
        pytest.param("ünï", [3], id="other-case-of-other-letters"),
        pytest.param("a\x00b", [], id="nul"),
        pytest.param("", [3, 2, 1, 0], id="nothing"),
    ],
)
def test_any_part_of_a_text_is_found_and_nothing_in_it_is_an_operator(
    engine: Engine, text: str, hits: list[int]
) -> None:
    add(engine, *TEXTS)
    assert found(engine, text) == [TEXTS[hit] for hit in hits]


@only_sqlite
def test_fewer_than_three_letters_are_compared_exactly_where_they_are_not_ascii(
    engine: Engine,
) -> None:
    add(engine, *TEXTS)
    assert found(engine, "ж") == []


@pytest.mark.parametrize("text", ["", "es", "tes"], ids=["all", "few characters", "indexed"])
@pytest.mark.parametrize(
    ("condition", "hits"),
    [
        ({"user_id": 8}, ["test b"]),
        ({"model": "other"}, ["test c"]),
        ({"upstream": "spare"}, ["test d"]),
        ({"since_ms": NOW + 5}, ["test e"]),
        ({"before_ms": NOW}, ["test f"]),
        ({"user_id": 8, "model": "other"}, []),
        ({"user_id": 9}, []),
        (
            {"since_ms": NOW, "before_ms": NOW + 1, "user_id": 7, "model": "m", "upstream": "main"},
            ["test a"],
        ),
    ],
    ids=["user", "model", "upstream", "since", "before", "both", "unknown", "everything"],
)
def test_conditions_hold_together_with_the_text(
    engine: Engine, text: str, condition: dict[str, Any], hits: list[str]
) -> None:
    add(engine, "test a")
    add(engine, "test b", user_id=8)
    add(engine, "test c", model="other")
    add(engine, "test d", upstream="spare")
    add(engine, "test e", at=NOW + 5)
    add(engine, "test f", at=NOW - 1)
    assert found(engine, text, **condition) == hits


@only_sqlite
def test_days_are_found_without_reading_the_others(engine: Engine) -> None:
    for day in range(10):
        add(engine, *(f"test {day} {number}" for number in range(3)), at=NOW + day * DAY_MS)
    watched = Explained(engine)
    span = AuditFilter(since_ms=NOW + 5 * DAY_MS, before_ms=NOW + 6 * DAY_MS)

    records, following = search(watched, span)

    assert ([each.exchange for each in records], following) == (
        ["test 5 2", "test 5 1", "test 5 0"],
        None,
    )
    assert watched.steps[0] == "SEARCH audit USING COVERING INDEX audit_at (at<?)"
    assert watched.steps[1] == "SEARCH audit USING COVERING INDEX audit_at (at>?)"


def test_what_began_before_a_day_and_ended_in_it_hides_nothing(engine: Engine) -> None:
    add(engine, "next day", at=NOW + 1)
    add(engine, "long one", at=NOW - DAY_MS + 1)
    assert found(engine, before_ms=NOW) == ["long one"]
    assert found(engine, since_ms=NOW) == ["next day"]


@pytest.mark.parametrize("text", ["", "es", "tes"], ids=["all", "few characters", "indexed"])
def test_records_are_paged_newest_first(engine: Engine, text: str) -> None:
    add(engine, *(f"test {number}" for number in range(5)))
    first, following = search(engine, AuditFilter(text=text), limit=2)
    assert [each.exchange for each in first] == ["test 4", "test 3"]
    assert following == first[-1].id
    rest, following = search(engine, AuditFilter(text=text), before=following, limit=3)
    assert ([each.exchange for each in rest], following) == (["test 2", "test 1", "test 0"], None)


def test_a_list_can_do_without_long_texts_and_conversations(engine: Engine) -> None:
    run(engine, add_record(record(text="修复这个错误", conversation=b"x")))
    [[short], _] = search(engine, AuditFilter(), longest=3)
    assert (short.text, short.conversation) == ("修复这", None)


@only_sqlite
@pytest.mark.parametrize(
    ("wanted", "step"),
    [
        (AuditFilter(), "SEARCH audit USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (
            AuditFilter(user_id=7),
            "SEARCH audit USING INDEX audit_user_id (user_id=? AND id>? AND id<?)",
        ),
        (AuditFilter(text="abc"), "SCAN audit_search VIRTUAL TABLE INDEX 192:M1><"),
    ],
    ids=["all", "user", "text"],
)
def test_no_page_reads_the_whole_table_or_sorts_it(
    engine: Engine, wanted: AuditFilter, step: str
) -> None:
    watched = Explained(engine)
    search(watched, wanted)
    assert step in watched.steps
    assert not [each for each in watched.steps if "TEMP B-TREE" in each or each == "SCAN audit"]


@pytest.mark.parametrize("json", [b"{}", b'{"messages": []}' * 1000])
def test_a_conversation_is_unpacked(json: bytes) -> None:
    assert unpack_conversation(zlib.compress(json)) == json


@pytest.mark.parametrize(
    "broken", [b"", b"junk", zlib.compress(b"x" * 100)[:-9]], ids=["empty", "junk", "cut"]
)
def test_what_is_no_conversation_is_said_to_be_none(broken: bytes) -> None:
    with pytest.raises(ValueError, match="not a"):
        unpack_conversation(broken)


def test_a_conversation_is_unpacked_up_to_a_size() -> None:
    with pytest.raises(ValueError, match="larger one"):
        unpack_conversation(zlib.compress(b"0" * (32 * 1024 * 1024 + 1)))


def drop(engine: Engine, *, max_bytes: int, **limits: int) -> None:
    """Let go of records as far as one step does."""

    def work(transaction: Transaction) -> None:
        before = record_bytes(transaction)
        freed = drop_old_records(transaction, excess=before - max_bytes, **limits)
        assert record_bytes(transaction) == before - freed

    engine.transact(work, alone=())


def test_old_records_are_let_go_of(engine: Engine) -> None:
    add(engine, "old one", at=NOW - 1)
    add(engine, "new one", at=NOW)
    drop(engine, before_ms=NOW, max_bytes=1000)
    assert found(engine) == ["new one"]
    assert found(engine, "old") == []


@pytest.mark.parametrize(
    ("max_bytes", "left"),
    [(1000, 4), (40, 4), (39, 3), (30, 3), (29, 2), (9, 0), (0, 0)],
)
def test_the_oldest_go_until_the_rest_fits(engine: Engine, max_bytes: int, left: int) -> None:
    for number in (3, 1, 2, 4):
        add(engine, f"test {number}", at=NOW + number, conversation=b"four")
    drop(engine, before_ms=0, max_bytes=max_bytes)
    assert sorted(found(engine)) == ["test 1", "test 2", "test 3", "test 4"][4 - left :]


def test_the_size_is_that_of_text_and_conversation_in_bytes(engine: Engine) -> None:
    run(engine, add_record(record(text="错误", conversation=b"four")))
    assert engine.read("SELECT bytes FROM audit") == [(10,)]


def test_a_step_lets_go_of_so_many_and_the_next_of_more(engine: Engine) -> None:
    add(engine, *(f"old {number}" for number in range(5)), at=NOW - 1)
    add(engine, *(f"new {number}" for number in range(5)), at=NOW)
    drop(engine, before_ms=NOW, max_bytes=0, batch=2)
    assert len(found(engine)) == 6
    drop(engine, before_ms=NOW, max_bytes=0, batch=100)
    assert found(engine) == []


@only_sqlite
def test_letting_go_reads_indexes_only(engine: Engine) -> None:
    watched = Explained(engine)
    drop_old_records(watched, before_ms=NOW, excess=1)
    record_bytes(watched)
    tables = [step for step in watched.steps if "audit" in step]
    assert tables
    assert [
        step
        for step in tables
        if "COVERING INDEX audit_at" not in step and "PRIMARY KEY" not in step
    ] == []
