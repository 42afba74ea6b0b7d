"""How a PostgreSQL database is opened."""

import psycopg

from shared.errors import StoreError
from shared.store.engine import Engine
from shared.store.postgres import PATIENCE_MS, PostgresEngine
from shared.store.postgres_connections import Connection, Connections, unreachable
from shared.store.steps import STEPS

__all__ = ("open_postgres",)


def open_postgres(database_url: str) -> Engine:
    """Open the database of this URL, migrating it as needed. Raises StoreError, in words."""
    connections = Connections(database_url)
    try:
        with connections.one(patience_ms=PATIENCE_MS) as connection:
            if _applied(connection) != set(STEPS):
                # What applies steps is loaded where one is missing.
                from shared.store.postgres_schema import migrate_postgres

                migrate_postgres(connection)
    except psycopg.Error as error:
        connections.close()
        raise unreachable(error) from error
    except StoreError:
        connections.close()
        raise
    return PostgresEngine(connections)


def _applied(connection: Connection) -> set[str]:
    [(table,)] = connection.execute("SELECT to_regclass('thinkback_steps')")
    if table is None:
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM thinkback_steps")}
