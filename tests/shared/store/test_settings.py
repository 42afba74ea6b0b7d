from pysqlite3 import dbapi2

from shared.store.engine import Engine
from shared.store.settings import change_settings, setting_rows
from tests.shared.store.plans import only_sqlite


def test_settings_are_stored_replaced_and_forgotten(engine: Engine) -> None:
    change_settings(
        engine,
        {"audit.mode": "off", "recall.max_mib": 5, "registration.invite_codes": ["ä"]},
        now=1,
    )
    change_settings(engine, {"recall.max_mib": 6, "audit.mode": None, "logging.level": None}, now=2)

    assert setting_rows(engine) == [("recall.max_mib", "6"), ("registration.invite_codes", '["ä"]')]


def test_a_false_or_empty_value_is_one(engine: Engine) -> None:
    change_settings(engine, {"registration.allowed": False, "server.public_url": ""}, now=1)

    assert setting_rows(engine) == [("registration.allowed", "false"), ("server.public_url", '""')]


@only_sqlite
def test_another_program_sees_the_change_by_the_version(
    engine: Engine, other: dbapi2.Connection
) -> None:
    before = other.execute("PRAGMA data_version").fetchone()

    change_settings(engine, {"audit.mode": "off"}, now=1)

    assert other.execute("PRAGMA data_version").fetchone() != before
