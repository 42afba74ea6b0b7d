from shared.config.overrides import Overrides
from shared.config.schema import Upstream
from shared.store.engine import NO_PARAMS, Engine, Params
from shared.store.overrides import read_overrides
from shared.store.settings import change_settings
from shared.store.upstreams import add_upstream

SECRET = b"s" * 32


def add(engine: Engine, name: str) -> None:
    add_upstream(engine, SECRET, Upstream(name=name, base_url="https://a.b", api_keys=("sk-1",)), 1)


def run(engine: Engine, sql: str, params: Params = NO_PARAMS) -> None:
    engine.transact(lambda transaction: transaction.run(sql, params), alone=())


def test_an_empty_database_stores_nothing(engine: Engine) -> None:
    assert read_overrides(engine, SECRET) == Overrides()


def test_settings_and_upstreams_are_read(engine: Engine) -> None:
    change_settings(engine, {"recall.max_mib": 5}, 1)
    add(engine, "b")
    add(engine, "a")

    stored = read_overrides(engine, SECRET)

    assert stored.settings == {"recall.max_mib": 5}
    assert [(upstream.name, upstream.api_keys) for upstream in stored.upstreams] == [
        ("b", ("sk-1",)),
        ("a", ("sk-1",)),
    ]
    assert stored.problems == ()


def test_two_readings_are_equal(engine: Engine) -> None:
    add(engine, "a")

    assert read_overrides(engine, SECRET) == read_overrides(engine, SECRET)


def test_rows_that_cannot_be_used_are_problems_and_the_others_count(engine: Engine) -> None:
    change_settings(engine, {"recall.max_mib": 5, "audit.mode": "off"}, 1)
    for name in ("a", "b"):
        add(engine, name)
    run(engine, "UPDATE settings SET value = 'off' WHERE name = 'audit.mode'")
    run(engine, "UPDATE upstreams SET sealed = :sealed WHERE name = 'a'", {"sealed": b"\0"})

    stored = read_overrides(engine, SECRET)

    assert (stored.settings, [upstream.name for upstream in stored.upstreams]) == (
        {"recall.max_mib": 5},
        ["b"],
    )
    assert [problem.key for problem in stored.problems] == ["audit.mode", "upstreams.a"]
