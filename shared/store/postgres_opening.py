"""How a PostgreSQL database is opened."""

import psycopg

from shared.errors import StoreError
from shared.store.engine import Engine
from shared.store.postgres import PATIENCE_MS, PostgresEngine
from shared.store.postgres_connections import Connection, Connections, unreachable
from shared.store.steps import FIND_BREAKING, STEPS, refused_step

__all__ = ("open_postgres",)


def open_postgres(database_url: str) -> Engine:
    """Open the database of this URL, migrating it as needed. Raises StoreError, in words."""
    connections = Connections(database_url)
    try:
        with connections.one(patience_ms=PATIENCE_MS) as connection:
            if not _applied(connection) >= set(STEPS):
                # What applies steps is loaded where one is missing.
                from shared.store.postgres_schema import migrate_postgres

                migrate_postgres(connection)
            _refuse_newer(connection)
    except psycopg.Error as error:
        connections.close()
        raise unreachable(error) from error
    except StoreError:
        connections.close()
        raise
    return PostgresEngine(connections)


def _refuse_newer(connection: Connection) -> None:
    breaking = sum(count for (count,) in connection.execute(FIND_BREAKING))
    if step := refused_step(sorted(_applied(connection)), breaking):
        raise StoreError(
            f"The database was made by a newer Thinkback (it has the change “{step}”): "
            "install that version, or restore a backup made before it."
        )


def _applied(connection: Connection) -> set[str]:
    [(table,)] = connection.execute("SELECT to_regclass('thinkback_steps')")
    if table is None:
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM thinkback_steps")}
