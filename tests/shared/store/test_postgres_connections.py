"""Connections are kept, bounded and begun as the URL says."""

import psycopg
import pytest

from shared.errors import Busy, StoreError
from shared.store import postgres_connections
from shared.store.postgres_connections import Connections, is_pooled
from tests.support.postgres import empty_database


def test_one_that_was_given_back_is_lent_again() -> None:
    connections = Connections(empty_database())
    with connections.one(patience_ms=0) as first, connections.one(patience_ms=0) as second:
        assert first is not second
    with connections.one(patience_ms=0) as again:
        assert again in (first, second)
    connections.close()
    assert all(each.closed for each in (first, second))


def test_one_that_is_in_a_transaction_is_not_lent_again() -> None:
    connections = Connections(empty_database())
    with connections.one(patience_ms=0) as left:
        left.execute("BEGIN")
    assert left.closed
    connections.close()


def test_there_are_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connections, "MOST", 1)
    connections = Connections(empty_database())
    with (
        connections.one(patience_ms=0),
        pytest.raises(Busy, match="All connections"),
        connections.one(patience_ms=1),
    ):
        pass
    connections.close()


def test_a_database_that_is_not_there_is_told_once_in_words_and_then_at_once() -> None:
    connections = Connections("postgresql://ada:pa55word@127.0.0.1:9/x")
    for words in ("127.0.0.1.*port 9.*refused", r"now: try again\.$"):
        with pytest.raises(StoreError, match=words) as refused, connections.one(patience_ms=0):
            pass
        assert "pa55word" not in str(refused.value)


def test_a_url_says_what_it_wants_to_have_otherwise() -> None:
    url = empty_database()
    connections = Connections(f"{url}&application_name=mine&pgbouncer=true")
    with connections.one(patience_ms=0) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("mine",)
    connections.close()
    assert (is_pooled(url), is_pooled(f"{url}&pgbouncer=true")) == (False, True)
    with pytest.raises(psycopg.ProgrammingError, match="invalid"):
        psycopg.connect(f"{url}&pgbouncer=true")
