"""Virtual keys: the verbs over the table `virtual_keys`, which has only SHA-256 digests."""

from collections.abc import Callable
from functools import lru_cache

from shared.errors import StoreError
from shared.model import Limits, Scope, User, VirtualKey
from shared.store.accounts import USER_COLUMNS, user_from
from shared.store.engine import Engine, Row, Transaction
from shared.store.ledger import Balance, subject_of
from shared.store.limits import forget_lifted
from shared.store.subjects import limit_params, limits_from, models_from, page_params
from shared.store.versions import change_topic

__all__ = (
    "AdminsOnly",
    "KeyRow",
    "find_key",
    "find_key_by_id",
    "insert_key",
    "list_keys",
    "oldest_key",
    "renew_key",
    "revoke_key",
    "search_keys",
    "update_key",
)

type KeyRow = tuple[VirtualKey, str, Balance]
"""A key, its owner's name, and what it has spent in the current window, without reservations."""

_COLUMNS = (
    "virtual_keys.id, virtual_keys.user_id, virtual_keys.name, virtual_keys.suffix, "
    "virtual_keys.scope, "
    "virtual_keys.created_at, virtual_keys.expires_at, virtual_keys.revoked_at, "
    "virtual_keys.models, "
    "virtual_keys.quota_tokens, virtual_keys.quota_cost_micros, virtual_keys.period, "
    "virtual_keys.rpm, "
    "virtual_keys.tpm, virtual_keys.concurrency"
)
_WIDTH = 15
"""The number of `_COLUMNS`: the owner's follow."""


class AdminsOnly(StoreError):
    """Only an admin may have a key with the scope `admin`."""


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
    models: tuple[str, ...] = (),
    limits: Limits = Limits(),
) -> VirtualKey:
    """Add a key to an account; raises StoreError for an unknown account, or AdminsOnly."""
    owner = transaction.run("SELECT role FROM users WHERE id = :id", {"id": user_id})
    if not owner:
        raise StoreError(f"There is no account {user_id} to give a key to.")
    if scope == "admin" and owner != [("admin",)]:
        raise AdminsOnly("Only an admin can have a key with the scope admin.")
    params = {
        "user_id": user_id,
        "name": name,
        "digest": digest,
        "suffix": suffix,
        "scope": scope,
        "now": now,
        "expires_at": expires_at,
    }
    return _key_from(transaction.run(_INSERT, params | limit_params(models, limits))[0])


def find_key(engine: Engine, digest: str) -> tuple[VirtualKey, User] | None:
    """Return the key with this digest and its owner, even if revoked, expired or disabled."""
    for row in engine.read(_BY_DIGEST, {"digest": digest}):
        return _key_and_owner(row)
    return None


def find_key_by_id(engine: Engine, key_id: int) -> VirtualKey | None:
    """Return the key with this id."""
    rows = engine.read(_BY_ID, {"id": key_id})
    return _key_from(rows[0]) if rows else None


def list_keys(
    engine: Engine, *, user_id: int | None = None, after: int = 0, limit: int = 100
) -> list[VirtualKey]:
    """Return a page of keys by id; pass the last id as `after` for the next page."""
    rows = search_keys(engine, now_ms=0, user_id=user_id, after=after, limit=limit)
    return [key for key, _, _ in rows]


def search_keys(
    engine: Engine,
    *,
    now_ms: int,
    user_id: int | None = None,
    text: str = "",
    after: int = 0,
    limit: int = 100,
) -> list[KeyRow]:
    """Return a page by id of the keys whose name, owner or suffix contains the text."""
    params = page_params(now_ms=now_ms, text=text, after=after, limit=limit)
    if user_id is None:
        rows = engine.read(_SEARCH_ALL, params)
    else:
        rows = engine.read(_SEARCH_OWN, {**params, "user_id": user_id})
    return [(_key_from(row), row[-3], Balance(tokens=row[-2], cost_micros=row[-1])) for row in rows]


def update_key(
    engine: Engine, key_id: int, change: Callable[[VirtualKey], VirtualKey]
) -> VirtualKey | None:
    """Store name, expiry, models and limits of a changed key; return None if it is revoked."""

    def work(transaction: Transaction) -> VirtualKey | None:
        rows = transaction.run(_BY_ID, {"id": key_id})
        if not rows or rows[0][7] is not None:
            return None
        changed = change(_key_from(rows[0]))
        params = {"id": key_id, "name": changed.name, "expires_at": changed.expires_at}
        transaction.run(_UPDATE, params | limit_params(changed.models, changed.limits))
        forget_lifted(transaction, subject_of("key", key_id), changed.limits)
        return changed

    return change_topic(engine, "accounts", work)


def renew_key(transaction: Transaction, key_id: int, *, digest: str, suffix: str) -> bool:
    """Replace a key's secret, and nothing else; return False if it is revoked."""
    sql = """
        UPDATE virtual_keys SET digest = :digest, suffix = :suffix
        WHERE id = :id AND revoked_at IS NULL RETURNING id
    """
    return bool(transaction.run(sql, {"id": key_id, "digest": digest, "suffix": suffix}))


def oldest_key(transaction: Transaction, user_id: int, now: int) -> int | None:
    """Return the id of an account's oldest active inference key."""
    rows = transaction.run(
        """
        SELECT id FROM virtual_keys
        WHERE user_id = :user_id AND scope = 'inference' AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > :now)
        ORDER BY id LIMIT 1
        """,
        {"user_id": user_id, "now": now},
    )
    return rows[0][0] if rows else None


def revoke_key(engine: Engine, key_id: int, now: int) -> bool:
    """Revoke a key for good; return False if it does not exist or is already revoked."""
    sql = (
        "UPDATE virtual_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS "
        "NULL RETURNING id"
    )
    params = {"id": key_id, "now": now}
    return bool(change_topic(engine, "accounts", lambda work: work.run(sql, params)))


@lru_cache(maxsize=1024)
def _key_and_owner(row: Row) -> tuple[VirtualKey, User]:
    """What a row of `_BY_DIGEST` says: with each request of a key it says the same."""
    return _key_from(row), user_from(row[_WIDTH:])


def _key_from(row: Row) -> VirtualKey:
    """The key in a row that begins with `_COLUMNS`."""
    return VirtualKey(
        id=row[0],
        user_id=row[1],
        name=row[2],
        suffix=row[3],
        scope=row[4],
        created_at=row[5],
        expires_at=row[6],
        revoked_at=row[7],
        models=models_from(row[8]),
        limits=limits_from(row[9:_WIDTH]),
    )


_BY_DIGEST = f"""
    SELECT {_COLUMNS}, {USER_COLUMNS} FROM virtual_keys
        JOIN users ON users.id = virtual_keys.user_id
    WHERE virtual_keys.digest = :digest
"""  # noqa: S608 - ours

_BY_ID = f"SELECT {_COLUMNS} FROM virtual_keys WHERE id = :id"  # noqa: S608 - ours

_WITH_SPENDING = f"""
    SELECT {_COLUMNS}, users.username, coalesce(spending.tokens, 0),
        coalesce(spending.cost_micros, 0)
    FROM virtual_keys
    JOIN users ON users.id = virtual_keys.user_id
    LEFT JOIN spending ON spending.subject = 'key:' || virtual_keys.id
        AND spending.period = virtual_keys.period
        AND spending."window" >= CASE virtual_keys.period WHEN 'day' THEN :day WHEN 'month'
            THEN :month ELSE 0 END
    WHERE virtual_keys.id > :after AND (
        lower(virtual_keys.name) LIKE :text ESCAPE '\\'
            OR lower(users.username) LIKE :text ESCAPE '\\'
        OR lower(virtual_keys.suffix) LIKE :text ESCAPE '\\'
    )
"""  # noqa: S608 - ours

_SEARCH_ALL = _WITH_SPENDING + "ORDER BY virtual_keys.id LIMIT :limit"

_SEARCH_OWN = (
    _WITH_SPENDING + "AND virtual_keys.user_id = :user_id ORDER BY virtual_keys.id LIMIT :limit"
)

_INSERT = f"""
    INSERT INTO virtual_keys (
        user_id, name, digest, suffix, scope, created_at, expires_at,
        models, quota_tokens, quota_cost_micros, period, rpm, tpm, concurrency
    )
    VALUES (
        :user_id, :name, :digest, :suffix, :scope, :now, :expires_at,
        :models, :quota_tokens, :quota_cost_micros, :period, :rpm, :tpm, :concurrency
    )
    RETURNING {_COLUMNS}
"""  # noqa: S608 - ours

_UPDATE = """
    UPDATE virtual_keys
    SET name = :name, expires_at = :expires_at, models = :models, quota_tokens = :quota_tokens,
        quota_cost_micros = :quota_cost_micros, period = :period, rpm = :rpm, tpm = :tpm,
            concurrency = :concurrency
    WHERE id = :id
"""
