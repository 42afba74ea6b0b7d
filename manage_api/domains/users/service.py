"""Making accounts and keys; no web framework here, as the command line makes them too."""

from functools import partial
from typing import Any

from shared.model import Limits, Role, Scope, User, VirtualKey
from shared.security.keys import digest, mint_key, suffix
from shared.store.accounts import insert_user
from shared.store.engine import Engine, Transaction
from shared.store.virtual_keys import insert_key, oldest_key, renew_key

__all__ = ("give_key", "open_account", "regenerate_key")


def open_account(
    engine: Engine,
    *,
    username: str,
    password_hash: str,
    role: Role,
    now: int,
    models: tuple[str, ...] = (),
    limits: Limits = Limits(),
) -> tuple[User, str]:
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
            models=models,
            limits=limits,
        )
        _, secret = _give_key(
            transaction, user_id=user.id, name="first", scope="inference", now=now
        )
        return user, secret

    return engine.transact(work)


def give_key(
    engine: Engine,
    *,
    user_id: int,
    name: str,
    scope: Scope,
    now: int,
    expires_at: int | None = None,
    models: tuple[str, ...] = (),
    limits: Limits = Limits(),
) -> tuple[VirtualKey, str]:
    """Another virtual key for an account, and the key itself, which is known only here; blocks.

    StoreError when there is no such account, AdminsOnly when it may not have such a key.
    """
    return engine.transact(
        partial(
            _give_key,
            user_id=user_id,
            name=name,
            scope=scope,
            now=now,
            expires_at=expires_at,
            models=models,
            limits=limits,
        )
    )


def regenerate_key(engine: Engine, *, user_id: int, key_id: int | None, now: int) -> str | None:
    """Another secret for a key, or else for the oldest one that can be used for inference,
    or else a new key; blocks.

    Name, models, limits, expiry and what was spent stay, so that a key can't escape its
    limits; the old secret ends. None when the key was revoked meanwhile.
    """

    def work(transaction: Transaction) -> str | None:
        renewed = oldest_key(transaction, user_id, now) if key_id is None else key_id
        if renewed is None:
            return _give_key(transaction, user_id=user_id, name="key", scope="inference", now=now)[
                1
            ]
        secret = mint_key()
        return (
            secret
            if renew_key(transaction, renewed, digest=digest(secret), suffix=suffix(secret))
            else None
        )

    return engine.transact(work)


def _give_key(transaction: Transaction, **fields: Any) -> tuple[VirtualKey, str]:
    secret = mint_key()
    return insert_key(transaction, digest=digest(secret), suffix=suffix(secret), **fields), secret
