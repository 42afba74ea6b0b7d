"""Creates accounts and keys; free of the web framework, as the command line uses it too."""

from functools import partial
from typing import Any

from shared.model import Limits, Role, Scope, User, VirtualKey
from shared.security.keys import digest, mint_key, suffix
from shared.store.accounts import insert_user
from shared.store.engine import Engine, Transaction
from shared.store.versions import change_topic
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
    key_expires_at: int | None = None,
) -> tuple[User, str]:
    """Create an account; return it and the secret of its first virtual key. Blocks.

    Raises ValueError for an unusable name, NameTaken for one that exists.
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
            transaction,
            user_id=user.id,
            name="first",
            scope="inference",
            now=now,
            expires_at=key_expires_at,
        )
        return user, secret

    return change_topic(engine, "accounts", work)


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
    """Create a virtual key for an account; return it and its secret. Blocks.

    Raises StoreError for an unknown account, AdminsOnly for a scope it may not have.
    """
    work = partial(
        _give_key,
        user_id=user_id,
        name=name,
        scope=scope,
        now=now,
        expires_at=expires_at,
        models=models,
        limits=limits,
    )
    return change_topic(engine, "accounts", work)


def regenerate_key(engine: Engine, *, user_id: int, key_id: int | None, now: int) -> str | None:
    """Replace the secret of a key, by default the oldest active inference key. Blocks.

    Without any key, creates one. Name, models, limits, expiry and usage stay, so that a key
    can't escape its limits. Returns None for a revoked key.
    """

    def work(transaction: Transaction) -> str | None:
        renewed = key_id or oldest_key(transaction, user_id, now)
        if renewed is None:
            _, secret = _give_key(
                transaction, user_id=user_id, name="key", scope="inference", now=now
            )
            return secret
        secret = mint_key()
        if not renew_key(transaction, renewed, digest=digest(secret), suffix=suffix(secret)):
            return None
        return secret

    return change_topic(engine, "accounts", work)


def _give_key(transaction: Transaction, **fields: Any) -> tuple[VirtualKey, str]:
    secret = mint_key()
    return insert_key(transaction, digest=digest(secret), suffix=suffix(secret), **fields), secret
