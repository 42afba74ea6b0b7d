"""Upstreams are stored with their keys sealed, in an order; a row that can't be used says why."""

from typing import Any

import pytest
from msgspec.structs import asdict, replace

from shared.config.overrides import DatabaseUpstream
from shared.config.schema import ModelRewrite, Timeouts, Upstream
from shared.store.engine import Engine
from shared.store.upstreams import (
    UpstreamNameTaken,
    add_upstream,
    find_upstream,
    list_upstreams,
    move_upstream,
    remove_upstream,
    replace_upstream,
    upstream_faults,
)

SECRET = b"s" * 32
WHOLE = Upstream(
    name="mimo",
    base_url="https://api.example.com/v1",
    api_keys=("sk-first-key", "sk-second-key"),
    models=("a", "b"),
    path="/chat",
    model_rewrites=(
        ModelRewrite(from_="x", to="y"),
        ModelRewrite(from_pattern="^a(.*)$", to_template="b{1}"),
    ),
    profile="mimo",
    headers={"X-Secret": "hidden-value"},
    timeouts=Timeouts(idle=2.5),
)


def add(engine: Engine, *names: str) -> list[int]:
    return [add_upstream(engine, SECRET, replace(WHOLE, name=name), 1) for name in names]


def order(engine: Engine) -> list[str]:
    return [row.name for row in list_upstreams(engine, SECRET)]


def spoil(engine: Engine, column: str, value: Any) -> str:
    """What is said of a row with this in it."""
    [upstream_id] = add(engine, "mimo")
    engine.transact(
        lambda transaction: transaction.run(
            f"UPDATE upstreams SET {column} = :value", {"value": value}
        ),
        alone=(),
    )
    row = find_upstream(engine, SECRET, upstream_id)
    assert row
    assert not row.upstream
    return row.problem


def test_an_upstream_is_had_back_whole(engine: Engine) -> None:
    upstream_id = add_upstream(engine, SECRET, WHOLE, 1)

    row = find_upstream(engine, SECRET, upstream_id)

    assert row
    assert row.upstream
    assert (row.id, row.name, row.problem) == (upstream_id, "mimo", "")
    assert asdict(row.upstream) == {"id": upstream_id, "local": False, **asdict(WHOLE)}


@pytest.mark.parametrize("local", [True, False])
def test_it_is_remembered_who_may_have_it_inside(engine: Engine, local: bool) -> None:
    wanted = DatabaseUpstream(id=0, local=local, name="own", base_url="http://127.0.0.1:8000")

    row = find_upstream(engine, SECRET, add_upstream(engine, SECRET, wanted, 1))

    assert row
    assert row.upstream
    assert (row.upstream.local, row.upstream.guarded) == (local, not local)
    [(body,)] = engine.read("SELECT body FROM upstreams")
    assert ('"local"' in body) == local


def test_no_secret_is_in_the_database_in_clear(engine: Engine) -> None:
    add(engine, "mimo")

    [row] = engine.read("SELECT * FROM upstreams")

    assert not [
        secret for secret in ("first-key", "second-key", "hidden-value") if secret in repr(row)
    ]


def test_they_are_listed_in_the_order_they_came(engine: Engine) -> None:
    add(engine, "b", "a", "c")

    assert order(engine) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("position", "after"),
    [(1, "cab"), (2, "acb"), (3, "abc"), (99, "abc")],
    ids=["first", "second", "stays", "far"],
)
def test_one_is_moved(engine: Engine, position: int, after: str) -> None:
    [*_, last] = add(engine, *"abc")

    assert move_upstream(engine, last, position)

    assert order(engine) == list(after)
    add(engine, "d")
    assert order(engine) == [*after, "d"]


def test_one_is_replaced_in_its_place(engine: Engine) -> None:
    first, _ = add(engine, "a", "b")

    assert replace_upstream(
        engine, SECRET, first, replace(WHOLE, name="z", api_keys=("sk-new",)), 2
    )

    assert order(engine) == ["z", "b"]
    row = find_upstream(engine, SECRET, first)
    assert row
    assert row.upstream
    assert row.upstream.api_keys == ("sk-new",)


def test_one_may_keep_its_name_in_another_case(engine: Engine) -> None:
    [upstream_id] = add(engine, "mimo")

    assert replace_upstream(engine, SECRET, upstream_id, replace(WHOLE, name="MiMo"), 2)
    assert order(engine) == ["MiMo"]


def test_one_is_removed(engine: Engine) -> None:
    first, _ = add(engine, "a", "b")

    assert remove_upstream(engine, first)

    assert order(engine) == ["b"]
    assert find_upstream(engine, SECRET, first) is None


def test_what_is_not_there_is_neither_changed_nor_removed(engine: Engine) -> None:
    assert not replace_upstream(engine, SECRET, 7, WHOLE, 1)
    assert not move_upstream(engine, 7, 1)
    assert not remove_upstream(engine, 7)


def test_a_name_is_given_once_whatever_its_case(engine: Engine) -> None:
    _, second = add(engine, "mimo", "b")

    with pytest.raises(UpstreamNameTaken, match="already an upstream “MIMO”"):
        add(engine, "MIMO")
    with pytest.raises(UpstreamNameTaken):
        replace_upstream(engine, SECRET, second, replace(WHOLE, name="Mimo"), 2)
    assert order(engine) == ["mimo", "b"]


def test_with_another_secret_a_row_says_so(engine: Engine) -> None:
    [upstream_id] = add(engine, "mimo")

    row = find_upstream(engine, b"t" * 32, upstream_id)

    assert row
    assert row.upstream is None
    assert "another secret.key" in row.problem


def test_keys_that_were_moved_from_another_row_stay_shut(engine: Engine) -> None:
    add(engine, "a", "b")
    swap = (
        "UPDATE upstreams SET sealed = (SELECT sealed FROM upstreams WHERE name = 'a') "
        "WHERE name = 'b'"
    )
    engine.transact(lambda transaction: transaction.run(swap), alone=())

    assert [bool(row.upstream) for row in list_upstreams(engine, SECRET)] == [True, False]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("body", "{", "can't be read"),
        ("body", "[1]", "can't be read"),
        ("body", '{"base_url": "ftp://x"}', "base_url: must start with http"),
        ("body", '{"base_url": "https://a.b", "colour": 1}', "colour: is not a known key"),
        ("sealed", b"", "can't be opened"),
    ],
    ids=["no JSON", "no object", "bad URL", "unknown key", "no seal"],
)
def test_a_row_that_cannot_be_used_says_why(
    engine: Engine, column: str, value: Any, words: str
) -> None:
    assert words in spoil(engine, column, value)


def test_the_rules_are_those_of_the_file() -> None:
    faults = upstream_faults(
        {"name": "", "base_url": "x", "api_keys": ["k", "k"], "timeouts": {"idle": -1}}
    )

    assert faults.keys() == {"name", "base_url", "api_keys[1]", "timeouts.idle"}
