"""Statements are written once: what is bound to them, and the few words that differ."""

import pytest

from shared.store.dialect import PostgresDialect, SqliteDialect, with_placeholders


@pytest.mark.parametrize(
    ("sql", "placed"),
    [
        ("SELECT :a, :b, :a", "SELECT %(a)s, %(b)s, %(a)s"),
        ("token = ANY(?) AND namespace = ?", "token = ANY(%s) AND namespace = %s"),
        ("SELECT ':a?' || :a", "SELECT ':a?' || %(a)s"),
        ('SELECT "a:b"', 'SELECT "a:b"'),
        ("x % 4096 LIKE '%a'", "x %% 4096 LIKE '%%a'"),
        ("extract(epoch FROM now())::bigint", "extract(epoch FROM now())::bigint"),
    ],
    ids=["names", "marks", "text", "column", "percent", "cast"],
)
def test_what_is_named_in_a_statement_is_a_place_for_a_value(sql: str, placed: str) -> None:
    assert with_placeholders(sql) == placed


def test_many_values_are_asked_for_in_lots() -> None:
    values = list(range(401))
    [(lite, bound, lot), (rest, *_)] = SqliteDialect().among("n", values)
    assert (lite.count("?"), bound, lot) == (400, values[:400], values[:400])
    assert rest == "n IN (?)"
    [first, last] = PostgresDialect().among("n", values)
    assert first == ("n = ANY(?)", [values[:400]], values[:400])
    assert last == ("n = ANY(?)", [[400]], [400])
    assert list(PostgresDialect().among("n", [])) == []
