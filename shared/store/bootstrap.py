"""The first account of a fresh database."""

import msgspec

from shared.security.keys import digest, mint_key, suffix
from shared.security.passwords import (
    check_password,
    hash_password,
    is_well_known,
    readable_password,
)
from shared.store.accounts import find_user_by_name, insert_user, require_new_password
from shared.store.engine import Engine, Transaction
from shared.store.versions import change_topic, changed
from shared.store.virtual_keys import insert_key

__all__ = ("FirstAccount", "ensure_admin", "ensure_key")

USERNAME = "admin"
KEY_NAME = "ANTHROPIC_AUTH_TOKEN"
"""The name of the key that the environment gives."""

_NO_ACCOUNT = "SELECT 1 FROM users LIMIT 1"
_FIRST_ADMIN = "SELECT id FROM users WHERE role = 'admin' ORDER BY id LIMIT 1"
_REVOKE_OTHERS = """
    UPDATE virtual_keys SET revoked_at = :now
    WHERE name = :name AND digest <> :digest AND revoked_at IS NULL
"""


class FirstAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of the first account, to be shown once."""

    username: str
    password: str | None
    """None if it was given, and so is known."""

    api_key: str


def ensure_admin(engine: Engine, *, password: str, now: int) -> FirstAccount | None:
    """Create the account `admin` with a virtual key in a database without accounts.

    An empty password means a random one. A well-known one must be changed before anything
    else, even by an account that already has it. Of programs that start together, one
    creates the account. Raises ValueError for an unusable password. Hashes on the calling
    thread, which is the one that reads.
    """
    if engine.read(_NO_ACCOUNT):
        if is_well_known(password, USERNAME):
            _refuse_well_known(engine, password)
        return None
    generated = None
    if not password:
        password = generated = readable_password()
    first = FirstAccount(username=USERNAME, password=generated, api_key=mint_key())
    password_hash = hash_password(password)

    def work(transaction: Transaction) -> bool:
        if transaction.run(_NO_ACCOUNT):
            return False
        _insert(
            transaction,
            first,
            password_hash,
            must_change_password=is_well_known(password, USERNAME),
            now=now,
        )
        transaction.run(*changed("accounts"))
        return True

    if not engine.transact(work, alone=("accounts", "management")):
        return None
    return first


def ensure_key(engine: Engine, key: str, *, now: int) -> None:
    """Let the first admin have this key of the environment's, and no longer an earlier one.

    A key that anyone has, or that was revoked, stays as it is.
    """

    def work(transaction: Transaction) -> None:
        params = {"digest": digest(key), "name": KEY_NAME, "now": now}
        transaction.run(_REVOKE_OTHERS, params)
        if transaction.run("SELECT 1 FROM virtual_keys WHERE digest = :digest", params):
            return
        for (user_id,) in transaction.run(_FIRST_ADMIN):
            insert_key(
                transaction,
                user_id=user_id,
                name=KEY_NAME,
                scope="inference",
                digest=digest(key),
                suffix=suffix(key),
                now=now,
            )

    change_topic(engine, "accounts", work)


def _refuse_well_known(engine: Engine, password: str) -> None:
    """Require `admin` to change this password, which an earlier version may have allowed."""
    user, password_hash = find_user_by_name(engine, USERNAME) or (None, "")
    if user and not user.must_change_password and check_password(password, password_hash):
        require_new_password(engine, user.id, password_hash)


def _insert(
    transaction: Transaction,
    first: FirstAccount,
    password_hash: str,
    *,
    must_change_password: bool,
    now: int,
) -> None:
    user = insert_user(
        transaction,
        username=first.username,
        password_hash=password_hash,
        role="admin",
        must_change_password=must_change_password,
        now=now,
    )
    insert_key(
        transaction,
        user_id=user.id,
        name="first",
        scope="inference",
        digest=digest(first.api_key),
        suffix=suffix(first.api_key),
        now=now,
    )
