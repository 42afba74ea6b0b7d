"""Virtual keys: the verbs over the table `virtual_keys`. A key is known by its SHA-256 digest only."""

from functools import partial

from shared.errors import StoreError
from shared.model import Scope, User, VirtualKey
from shared.store.accounts import user_from
from shared.store.engine import Engine, Row, Transaction

__all__ = ("create_key", "find_key", "insert_key", "list_keys", "revoke_key")


def create_key(
    engine: Engine,
    *,
    user_id: int,
    name: str,
    scope: Scope,
    digest: str,
    suffix: str,
    now: int,
    expires_at: int | None = None,
) -> VirtualKey:
    """Add a key to an account; StoreError when there is no such account."""
    insert = partial(
        insert_key,
        user_id=user_id,
        name=name,
        scope=scope,
        digest=digest,
        suffix=suffix,
        now=now,
        expires_at=expires_at,
    )
    return engine.transact(insert)


def insert_key(
    transaction: Transaction,
    *,
    user_id: int,
    name: str,
    scope: Scope,
    digest: str,
    suffix: str,
    now: int,
    expires_at: int | None = None,
) -> VirtualKey:
    """`create_key` as part of a larger transaction."""
    if not transaction.run("SELECT 1 FROM users WHERE id = :id", {"id": user_id}):
        raise StoreError(f"There is no account {user_id} to give a key to.")
    rows = transaction.run(
        """
        INSERT INTO virtual_keys (user_id, name, digest, suffix, scope, created_at, expires_at)
        VALUES (:user_id, :name, :digest, :suffix, :scope, :now, :expires_at)
        RETURNING id, user_id, name, suffix, scope, created_at, expires_at, revoked_at
        """,
        {
            "user_id": user_id,
            "name": name,
            "digest": digest,
            "suffix": suffix,
            "scope": scope,
            "now": now,
            "expires_at": expires_at,
        },
    )
    return _key_from(rows[0])


def find_key(engine: Engine, digest: str) -> tuple[VirtualKey, User] | None:
    """The key with this digest and its owner, also when revoked, expired or disabled: the caller decides."""
    rows = engine.read(
        """
        SELECT k.id, k.user_id, k.name, k.suffix, k.scope, k.created_at, k.expires_at, k.revoked_at,
            u.id, u.username, u.role, u.disabled, u.epoch, u.must_change_password, u.created_at
        FROM virtual_keys k JOIN users u ON u.id = k.user_id
        WHERE k.digest = :digest
        """,
        {"digest": digest},
    )
    return (_key_from(rows[0][:8]), user_from(rows[0][8:])) if rows else None


def list_keys(engine: Engine, *, user_id: int | None = None, after: int = 0, limit: int = 100) -> list[VirtualKey]:
    """A page of keys by id, of one account or of all; pass the last one's id as `after` for the next page."""
    of_all = """
        SELECT id, user_id, name, suffix, scope, created_at, expires_at, revoked_at FROM virtual_keys
        WHERE id > :after ORDER BY id LIMIT :limit
    """
    of_one = """
        SELECT id, user_id, name, suffix, scope, created_at, expires_at, revoked_at FROM virtual_keys
        WHERE user_id = :user_id AND id > :after ORDER BY id LIMIT :limit
    """
    page = {"after": after, "limit": limit}
    rows = engine.read(of_all, page) if user_id is None else engine.read(of_one, page | {"user_id": user_id})
    return [_key_from(row) for row in rows]


def revoke_key(engine: Engine, key_id: int, now: int) -> bool:
    """Revoke a key for good; False when there is none with this id or it was revoked before."""
    sql = "UPDATE virtual_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING id"
    return bool(engine.transact(lambda transaction: transaction.run(sql, {"id": key_id, "now": now})))


def _key_from(row: Row) -> VirtualKey:
    return VirtualKey(
        id=row[0],
        user_id=row[1],
        name=row[2],
        suffix=row[3],
        scope=row[4],
        created_at=row[5],
        expires_at=row[6],
        revoked_at=row[7],
    )
