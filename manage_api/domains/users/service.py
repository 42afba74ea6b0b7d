"""Making accounts; no web framework here, as the command line makes them too."""

from functools import partial

from shared.model import Role, Scope, User, VirtualKey
from shared.security.keys import digest, mint_key, suffix
from shared.store.accounts import insert_user
from shared.store.engine import Engine, Transaction
from shared.store.virtual_keys import insert_key

__all__ = ("give_key", "open_account")


def open_account(engine: Engine, *, username: str, password_hash: str, role: Role, now: int) -> tuple[User, str]:
    """A new account and its first virtual key, which is known only here; blocks.

    ValueError for a name that can't be one, NameTaken for one that exists.
    """

    def work(transaction: Transaction) -> tuple[User, str]:
        user = insert_user(
            transaction,
            username=username,
            password_hash=password_hash,
            role=role,
            must_change_password=False,
            now=now,
        )
        _, secret = _give_key(transaction, user_id=user.id, name="first", scope="inference", now=now)
        return user, secret

    return engine.transact(work)


def give_key(engine: Engine, *, user_id: int, name: str, scope: Scope, now: int) -> tuple[VirtualKey, str]:
    """Another virtual key for an account, and the key itself, which is known only here; blocks."""
    return engine.transact(partial(_give_key, user_id=user_id, name=name, scope=scope, now=now))


def _give_key(transaction: Transaction, *, user_id: int, name: str, scope: Scope, now: int) -> tuple[VirtualKey, str]:
    secret = mint_key()
    key = insert_key(
        transaction,
        user_id=user_id,
        name=name,
        scope=scope,
        digest=digest(secret),
        suffix=suffix(secret),
        now=now,
    )
    return key, secret
