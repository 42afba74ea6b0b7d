"""Settings from the web pages: the verbs over the table `settings`, with values as JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.store.engine import Engine, Row, Transaction
from shared.store.versions import change_topic

__all__ = ("change_settings", "setting_rows")


def setting_rows(engine: Engine) -> list[Row]:
    """Return every dotted name with its value as JSON."""
    return engine.read("SELECT name, value FROM settings ORDER BY name")


def change_settings(engine: Engine, changes: Mapping[str, Any], now: int) -> None:
    """Store these values, all or none; None deletes a setting."""

    def work(transaction: Transaction) -> None:
        for name, value in changes.items():
            if value is None:
                transaction.run("DELETE FROM settings WHERE name = :name", {"name": name})
            else:
                text = msgspec.json.encode(value).decode()
                transaction.run(_PUT, {"name": name, "value": text, "now": now})

    change_topic(engine, "configuration", work)


_PUT = """
    INSERT INTO settings (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""
