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
from shared.store.virtual_keys import insert_key

__all__ = ("FirstAccount", "ensure_admin")

USERNAME = "admin"
_NO_ACCOUNT = "SELECT 1 FROM users LIMIT 1"


class FirstAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be told to a person, once."""

    username: str
    password: str | None
    """None when it was given and so is known."""

    api_key: str


def ensure_admin(engine: Engine, *, password: str, now: int) -> FirstAccount | None:
    """Make the account `admin` with one virtual key when there is no account at all; None
    when there is one.

    An empty password means a random one; a well-known one has to be changed before anything
    else, also by an account that has it already. Of programs that start at once one makes
    the account. ValueError for a password that can't be one. Hashes on the calling thread,
    which is the one that reads.
    """
    if engine.read(_NO_ACCOUNT):
        if is_well_known(password, USERNAME):
            _refuse_well_known(engine, password)
        return None
    chosen = password or readable_password()
    first = FirstAccount(
        username=USERNAME, password=None if password else chosen, api_key=mint_key()
    )
    password_hash = hash_password(chosen)

    def work(transaction: Transaction) -> bool:
        if transaction.run(_NO_ACCOUNT):
            return False
        _insert(
            transaction,
            first,
            password_hash,
            must_change_password=is_well_known(chosen, USERNAME),
            now=now,
        )
        return True

    return first if engine.transact(work) else None


def _refuse_well_known(engine: Engine, password: str) -> None:
    """Make the account `admin` change this password if it has it: an earlier version may
    have let it in.
    """
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
