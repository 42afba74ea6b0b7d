"""Accounts: the verbs over the table `users`."""

import unicodedata
from functools import partial

from shared.errors import StoreError
from shared.model import Role, User
from shared.store.engine import Engine, Row, Transaction

__all__ = (
    "LastAdmin",
    "NameTaken",
    "create_user",
    "find_user",
    "find_user_by_name",
    "insert_user",
    "list_users",
    "set_disabled",
    "set_password",
    "user_from",
)

NAME_MAX_CHARS = 64
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that don't show: controls, direction overrides, surrogates, line separators."""

_JOINERS = "\u200c\u200d"
"""Invisible too, but Persian, Indic scripts and emoji are spelt with them."""


class NameTaken(StoreError):
    """Another account has this name, perhaps in other case."""


class LastAdmin(StoreError):
    """Nobody could administer the gateway any more."""


def create_user(
    engine: Engine, *, username: str, password_hash: str, role: Role, must_change_password: bool, now: int
) -> User:
    """Add an account; ValueError for a name that can't be one, NameTaken for one that exists."""
    insert = partial(
        insert_user,
        username=username,
        password_hash=password_hash,
        role=role,
        must_change_password=must_change_password,
        now=now,
    )
    return engine.transact(insert)


def insert_user(
    transaction: Transaction, *, username: str, password_hash: str, role: Role, must_change_password: bool, now: int
) -> User:
    """`create_user` as part of a larger transaction."""
    if fault := _name_fault(username):
        raise ValueError(fault)
    rows = transaction.run(
        """
        INSERT INTO users (username, password_hash, role, must_change_password, created_at)
        VALUES (:username, :password_hash, :role, :must_change_password, :now)
        ON CONFLICT DO NOTHING
        RETURNING id, username, role, disabled, epoch, must_change_password, created_at
        """,
        {
            "username": username,
            "password_hash": password_hash,
            "role": role,
            "must_change_password": int(must_change_password),
            "now": now,
        },
    )
    if not rows:
        raise NameTaken(f"There is already an account “{username}”: choose another name.")
    return user_from(rows[0])


def find_user(engine: Engine, user_id: int) -> User | None:
    """The account with this id."""
    rows = engine.read(
        "SELECT id, username, role, disabled, epoch, must_change_password, created_at FROM users WHERE id = :id",
        {"id": user_id},
    )
    return user_from(rows[0]) if rows else None


def find_user_by_name(engine: Engine, username: str) -> tuple[User, str] | None:
    """The account with this name, whatever its case (ASCII letters), and its password hash."""
    if _name_fault(username):
        return None
    rows = engine.read(
        """
        SELECT id, username, role, disabled, epoch, must_change_password, created_at, password_hash
        FROM users WHERE username = :username
        """,
        {"username": username},
    )
    return (user_from(rows[0][:-1]), rows[0][-1]) if rows else None


def list_users(engine: Engine, *, after: int = 0, limit: int = 100) -> list[User]:
    """A page of accounts by id; pass the last one's id as `after` for the next page."""
    rows = engine.read(
        """
        SELECT id, username, role, disabled, epoch, must_change_password, created_at
        FROM users WHERE id > :after ORDER BY id LIMIT :limit
        """,
        {"after": after, "limit": limit},
    )
    return [user_from(row) for row in rows]


def set_password(engine: Engine, user_id: int, password_hash: str, *, must_change_password: bool) -> bool:
    """Replace the password and end the user's sessions; False when there is no such account."""
    sql = """
        UPDATE users
        SET password_hash = :password_hash, must_change_password = :must_change_password, epoch = epoch + 1
        WHERE id = :id RETURNING id
    """
    params = {"id": user_id, "password_hash": password_hash, "must_change_password": int(must_change_password)}
    return bool(engine.transact(lambda transaction: transaction.run(sql, params)))


def set_disabled(engine: Engine, user_id: int, disabled: bool) -> bool:
    """Disable or enable an account and end its sessions; False when there is no such account.

    Raises LastAdmin instead of disabling the only admin who can still sign in.
    """

    def work(transaction: Transaction) -> bool:
        admins = transaction.run("SELECT id FROM users WHERE role = 'admin' AND disabled = 0")
        if disabled and admins == [(user_id,)]:
            raise LastAdmin("This is the only admin left: make or enable another admin first.")
        sql = "UPDATE users SET disabled = :disabled, epoch = epoch + 1 WHERE id = :id RETURNING id"
        return bool(transaction.run(sql, {"id": user_id, "disabled": int(disabled)}))

    return engine.transact(work)


def user_from(row: Row) -> User:
    """A row of id, username, role, disabled, epoch, must_change_password, created_at."""
    return User(
        id=row[0],
        username=row[1],
        role=row[2],
        disabled=bool(row[3]),
        epoch=row[4],
        must_change_password=bool(row[5]),
        created_at=row[6],
    )


def _name_fault(username: str) -> str:
    """What is wrong with a name, as a sentence; empty when nothing is."""
    if not 1 <= len(username) <= NAME_MAX_CHARS:
        return f"A username has 1 to {NAME_MAX_CHARS} characters."
    if username != username.strip():
        return "A username can't begin or end with a blank."
    if any(unicodedata.category(char) in _HIDDEN and char not in _JOINERS for char in username):
        return "A username can't contain control characters."
    return ""
