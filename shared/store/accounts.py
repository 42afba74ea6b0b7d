"""Accounts: the verbs over the table `users`."""

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from shared.errors import StoreError
from shared.model import Limits, MirrorWish, Role, User
from shared.store.engine import Engine, Row, Transaction
from shared.store.ledger import Balance, subject_of
from shared.store.limits import forget_lifted
from shared.store.subjects import (
    folded,
    limit_params,
    limits_from,
    models_from,
    name_fault,
    page_params,
)
from shared.store.versions import change_topic

__all__ = (
    "USER_COLUMNS",
    "LastAdmin",
    "NameTaken",
    "admins_to_change_password",
    "create_user",
    "delete_user",
    "find_user",
    "find_user_by_name",
    "find_user_id",
    "insert_user",
    "list_users",
    "replace_hash",
    "require_new_password",
    "search_users",
    "set_disabled",
    "set_mirror",
    "set_password",
    "update_user",
    "user_from",
)

USER_COLUMNS = (
    "users.id, users.username, users.role, users.disabled, users.epoch, "
    "users.must_change_password, users.created_at, "
    "users.models, users.quota_tokens, users.quota_cost_micros, users.period, "
    "users.rpm, users.tpm, users.concurrency, "
    "users.mirror"
)
"""In the order `user_from` wants."""


class NameTaken(StoreError):
    """Another account has this name, perhaps in other case."""


class LastAdmin(StoreError):
    """Nobody could administer the gateway any more."""


def create_user(
    engine: Engine,
    *,
    username: str,
    password_hash: str,
    role: Role,
    must_change_password: bool,
    now: int,
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
    return change_topic(engine, "accounts", insert)


def insert_user(
    transaction: Transaction,
    *,
    username: str,
    password_hash: str,
    role: Role,
    must_change_password: bool,
    now: int,
    models: tuple[str, ...] = (),
    limits: Limits = Limits(),
) -> User:
    """`create_user` as part of a larger transaction."""
    if fault := name_fault(username, "A username"):
        raise ValueError(fault)
    params = {
        "username": username,
        "folded": folded(username),
        "password_hash": password_hash,
        "role": role,
        "must_change_password": int(must_change_password),
        "now": now,
    }
    rows = transaction.run(_INSERT, params | limit_params(models, limits))
    if not rows:
        raise NameTaken(f"There is already an account “{username}”: choose another name.")
    return user_from(rows[0])


def find_user(engine: Engine, user_id: int) -> User | None:
    """Return the account with this id."""
    rows = engine.read(_BY_ID, {"id": user_id})
    return user_from(rows[0]) if rows else None


def find_user_by_name(engine: Engine, username: str) -> tuple[User, str] | None:
    """Return the account with this name, ignoring ASCII case, and its password hash."""
    if name_fault(username, "A username"):
        return None
    rows = engine.read(_BY_NAME, {"folded": folded(username)})
    if not rows:
        return None
    return user_from(rows[0][:-1]), rows[0][-1]


def find_user_id(engine: Engine, username: str) -> int | None:
    """Return the id of the account with this name."""
    row = find_user_by_name(engine, username)
    if row is None:
        return None
    return row[0].id


def list_users(engine: Engine, *, after: int = 0, limit: int = 100) -> list[User]:
    """Return a page of accounts by id; pass the last id as `after` for the next page."""
    return [user_from(row) for row in engine.read(_PAGE, {"after": after, "limit": limit})]


def search_users(
    engine: Engine, *, now_ms: int, text: str = "", after: int = 0, limit: int = 100
) -> list[tuple[User, Balance]]:
    """Return a page of the accounts whose names contain the text, with their spending.

    Spending is that of the current window, without reservations.
    """
    rows = engine.read(_SEARCH, page_params(now_ms=now_ms, text=text, after=after, limit=limit))
    return [(user_from(row), Balance(tokens=row[-2], cost_micros=row[-1])) for row in rows]


def update_user(engine: Engine, user_id: int, change: Callable[[User], User]) -> User | None:
    """Take over role, disabled, models and limits of what `change` makes of an account;
    None when there is no such one.

    Another role or `disabled` ends the account's sessions. LastAdmin when nobody could
    administer any more.
    """

    def work(transaction: Transaction) -> User | None:
        if not (rows := transaction.run(_BY_ID, {"id": user_id})):
            return None
        user = user_from(rows[0])
        changed = change(user)
        if (changed.role, changed.disabled) != (user.role, user.disabled):
            changed = replace(changed, epoch=user.epoch + 1)
        if not _administers(changed):
            _keep_an_admin(transaction, user)
        params = {
            "id": user_id,
            "role": changed.role,
            "disabled": int(changed.disabled),
            "epoch": changed.epoch,
        }
        transaction.run(_UPDATE, params | limit_params(changed.models, changed.limits))
        forget_lifted(transaction, subject_of("user", user_id), changed.limits)
        return changed

    return change_topic(engine, "accounts", work)


def set_disabled(engine: Engine, user_id: int, disabled: bool) -> bool:
    """Disable or enable an account, as `update_user` does; False when there is no such account."""
    return update_user(engine, user_id, lambda user: replace(user, disabled=disabled)) is not None


def delete_user(engine: Engine, user_id: int) -> bool:
    """Delete an account, its keys and what was counted for their quotas; the ledger stays.
    False when there is none.

    LastAdmin when nobody could administer any more.
    """

    def work(transaction: Transaction) -> bool:
        if not (rows := transaction.run(_BY_ID, {"id": user_id})):
            return False
        _keep_an_admin(transaction, user_from(rows[0]))
        transaction.run(_DELETE_SPENDING, {"id": user_id, "subject": subject_of("user", user_id)})
        transaction.run("DELETE FROM users WHERE id = :id", {"id": user_id})
        return True

    return change_topic(engine, "accounts", work)


def set_password(
    engine: Engine, user_id: int, password_hash: str, *, must_change_password: bool
) -> bool:
    """Replace the password and end the user's sessions; False when there is no such account."""
    sql = """
        UPDATE users
        SET password_hash = :password_hash, must_change_password = :must_change_password,
            epoch = epoch + 1
        WHERE id = :id RETURNING id
    """
    params = {
        "id": user_id,
        "password_hash": password_hash,
        "must_change_password": int(must_change_password),
    }
    return bool(change_topic(engine, "accounts", lambda work: work.run(sql, params)))


def require_new_password(engine: Engine, user_id: int, password_hash: str) -> None:
    """Require a password change unless it has just changed; sessions continue."""
    sql = (
        "UPDATE users SET must_change_password = 1 WHERE id = :id AND password_hash = "
        ":password_hash"
    )
    params = {"id": user_id, "password_hash": password_hash}
    change_topic(engine, "accounts", lambda work: work.run(sql, params))


def admins_to_change_password(engine: Engine) -> list[str]:
    """Return the names of admins who must change a well-known password."""
    rows = engine.read(
        "SELECT username FROM users WHERE role = 'admin' AND disabled = 0 AND "
        "must_change_password = 1 ORDER BY id"
    )
    return [name for (name,) in rows]


def set_mirror(engine: Engine, user_id: int, mirror: MirrorWish) -> bool:
    """Store how the user wants reasoning shown; return False for an unknown account."""
    sql = "UPDATE users SET mirror = :mirror WHERE id = :id RETURNING id"
    params = {"id": user_id, "mirror": mirror}
    return bool(change_topic(engine, "accounts", lambda work: work.run(sql, params)))


def replace_hash(engine: Engine, user_id: int, *, old: str, new: str) -> None:
    """Store the same password's hash at a new cost unless it has just changed."""
    sql = "UPDATE users SET password_hash = :new WHERE id = :id AND password_hash = :old"
    params = {"id": user_id, "old": old, "new": new}
    engine.transact(lambda work: work.run(sql, params), alone=("management",))


def user_from(row: Row) -> User:
    """The account in a row that begins with `USER_COLUMNS`."""
    return User(
        id=row[0],
        username=row[1],
        role=row[2],
        disabled=bool(row[3]),
        epoch=row[4],
        must_change_password=bool(row[5]),
        created_at=row[6],
        models=models_from(row[7]),
        limits=limits_from(row[8:14]),
        mirror=row[14],
    )


def _administers(user: User) -> bool:
    return user.role == "admin" and not user.disabled


def _keep_an_admin(transaction: Transaction, user: User) -> None:
    """Raise LastAdmin if no other account can administer."""
    others = "SELECT 1 FROM users WHERE role = 'admin' AND disabled = 0 AND id <> :id LIMIT 1"
    if _administers(user) and not transaction.run(others, {"id": user.id}):
        raise LastAdmin("This is the only admin: create or enable another one first.")


_BY_ID = f"SELECT {USER_COLUMNS} FROM users WHERE id = :id"  # noqa: S608 - ours

_BY_NAME = f"""
    SELECT {USER_COLUMNS}, password_hash FROM users WHERE lower(username) = :folded
"""  # noqa: S608 - ours

_PAGE = f"SELECT {USER_COLUMNS} FROM users WHERE id > :after ORDER BY id LIMIT :limit"  # noqa: S608 - ours

_SEARCH = f"""
    SELECT {USER_COLUMNS}, coalesce(spending.tokens, 0), coalesce(spending.cost_micros, 0)
    FROM users
    LEFT JOIN spending ON spending.subject = 'user:' || users.id AND spending.period = users.period
        AND spending."window" >= CASE users.period WHEN 'day' THEN :day WHEN 'month' THEN
            :month ELSE 0 END
    WHERE users.id > :after AND lower(users.username) LIKE :text ESCAPE '\\'
    ORDER BY users.id LIMIT :limit
"""  # noqa: S608 - ours

_INSERT = f"""
    INSERT INTO users (
        username, password_hash, role, must_change_password, created_at,
        models, quota_tokens, quota_cost_micros, period, rpm, tpm, concurrency
    )
    SELECT
        :username, :password_hash, :role, :must_change_password, :now,
        :models, :quota_tokens, :quota_cost_micros, :period, :rpm, :tpm, :concurrency
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE lower(username) = :folded)
    ON CONFLICT DO NOTHING
    RETURNING {USER_COLUMNS}
"""  # noqa: S608 - ours

_UPDATE = """
    UPDATE users
    SET role = :role, disabled = :disabled, epoch = :epoch, models = :models,
        quota_tokens = :quota_tokens,
        quota_cost_micros = :quota_cost_micros, period = :period, rpm = :rpm, tpm = :tpm,
            concurrency = :concurrency
    WHERE id = :id
"""

_DELETE_SPENDING = """
    DELETE FROM spending
    WHERE subject = :subject OR subject IN (SELECT 'key:' || id FROM virtual_keys
        WHERE user_id = :id)
"""
