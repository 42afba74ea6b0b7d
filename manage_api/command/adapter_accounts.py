"""Finds accounts in a SQLite database whose shape is not known, by what its columns hold: a
bcrypt hash, an `sk-` key, a name. What is not certain is not taken.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from pysqlite3 import dbapi2

from shared.errors import ThinkbackError

__all__ = ("FoundAccount", "find_accounts")

_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-5])\$[./0-9A-Za-z]{53}")
"""bcrypt, as every program writes it (man.openbsd.org/crypt.3); with a higher cost, signing in
would take many seconds.
"""

_KEY = re.compile(r"sk-[!-~]{16,}")
_NAMES = ("username", "user_name", "login", "name", "email")
"""Columns that are a name beside a password's hash, the surest first."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"

type _Row = dict[str, Any]


class FoundAccount(msgspec.Struct, frozen=True):
    """An account, with the places in the database that it was read from."""

    name: str
    password_hash: str
    keys: tuple[str, ...]
    found_in: str


def find_accounts(database: Path) -> list[FoundAccount]:
    """Return the accounts. Raises ThinkbackError for a database in which none are certain."""
    try:
        with closing(dbapi2.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.row_factory = dbapi2.Row
            found = list(_accounts(opened))
    except dbapi2.Error as error:
        raise ThinkbackError(f"Can't read the database {database}: {error}.") from error
    if not found:
        raise ThinkbackError(
            f"No table of {database} has a bcrypt hash in one column and a name in another, so "
            "its accounts are not known: make them with `thinkback user add`."
        )
    return found


def _accounts(opened: dbapi2.Connection) -> Iterator[FoundAccount]:
    tables = [name for (name,) in opened.execute(_TABLES)]
    rows = {table: _rows(opened, table) for table in tables}
    for table in tables:
        hashes, name = _column(rows[table], _HASH), _name_column(rows[table])
        if not hashes or not name:
            continue
        for row in rows[table]:
            owned = [_column_keys([row]), *_owned(opened, rows, table, row)]
            keys = dict.fromkeys(key for each in owned for key in each)
            where = f"{table}.{name}, {table}.{hashes}"
            yield FoundAccount(str(row[name]), str(row[hashes]), tuple(keys), where)


def _rows(opened: dbapi2.Connection, table: str) -> list[_Row]:
    quoted = table.replace('"', '""')
    return [dict(row) for row in opened.execute(f'SELECT * FROM "{quoted}"')]  # noqa: S608


def _column(rows: list[_Row], shape: re.Pattern[str]) -> str:
    """The only column that has this shape in every row; empty when none or several have."""
    columns = [
        name
        for name in (rows[0] if rows else ())
        if all(isinstance(row[name], str) and shape.fullmatch(row[name]) for row in rows)
    ]
    return columns[0] if len(columns) == 1 else ""


def _name_column(rows: list[_Row]) -> str:
    """The column of names: called so, with another text in each row."""
    for name in _NAMES:
        column = next((each for each in (rows[0] if rows else ()) if each.lower() == name), None)
        texts = {row[column] for row in rows} if column else set()
        if column and len(texts) == len(rows) and all(isinstance(text, str) for text in texts):
            return column
    return ""


def _owned(
    opened: dbapi2.Connection, rows: dict[str, list[_Row]], owner: str, row: _Row
) -> Iterator[list[str]]:
    """The keys in rows of other tables that refer to the row by a declared foreign key."""
    for table in rows:
        for reference in opened.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,)):
            target = reference["to"] or "id"
            if reference["table"] == owner and target in row:
                column = reference["from"]
                yield _column_keys([each for each in rows[table] if each[column] == row[target]])


def _column_keys(rows: list[_Row]) -> list[str]:
    """The `sk-` keys in the rows, which are in clear there."""
    texts = (value for row in rows for value in row.values() if isinstance(value, str))
    return [text for text in texts if _KEY.fullmatch(text)]
