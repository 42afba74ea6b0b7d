"""A cache as deepseek-cursor-proxy keeps it (its reasoning_store.py)."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from pysqlite3 import dbapi2

from tests.support.turns import FIELD, Json

__all__ = ("write_cache",)

_TABLE = """
    CREATE TABLE reasoning_cache (
        key TEXT PRIMARY KEY,
        reasoning TEXT NOT NULL,
        message_json TEXT NOT NULL,
        created_at REAL NOT NULL
    )
"""


def write_cache(file: Path, messages: Iterable[Json]) -> None:
    """Write the assistant messages, each with its reasoning, under several keys as it does."""
    with closing(dbapi2.connect(file)) as cache, cache:
        cache.execute("PRAGMA journal_mode = WAL")
        cache.execute(_TABLE)
        for at, message in enumerate(messages):
            text = json.dumps(message, ensure_ascii=False, sort_keys=True)
            keys = [f"scope:{at}:signature:a", f"namespace:n:turn:{at}:signature:a"]
            keys += [f"scope:{at}:tool_call:{call['id']}" for call in message.get("tool_calls", ())]
            rows = [(key, message[FIELD], text, 1_790_000_000.5 + at) for key in keys]
            cache.executemany("INSERT INTO reasoning_cache VALUES (?, ?, ?, ?)", rows)
