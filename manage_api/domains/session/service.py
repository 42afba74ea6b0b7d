"""Checks passwords and opens sessions."""

import asyncio
from math import ceil
from typing import Any

from litestar.exceptions import TooManyRequestsException
from msgspec.structs import replace

from manage_api.domains.users.service import open_account
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from manage_api.throttle import Attempts, network_of
from shared.model import User
from shared.security.passwords import (
    check_password,
    hash_new_password,
    hash_password,
    is_well_known,
    needs_rehash,
)
from shared.security.tokens import issue_token
from shared.store.accounts import find_user_by_name, replace_hash, require_new_password

__all__ = (
    "create_account",
    "hash_password_field",
    "new_session",
    "take_attempt",
    "verify_password",
)


LONGEST_DELAY = 4.0
"""Seconds by which an account that many addresses guess at is slowed down: its owner waits so
long at most, and a person waits so long.
"""


async def verify_password(
    sidecar: Sidecar, *, username: str, password: str, address: str
) -> User | None:
    """Return the user if the password is right and the account enabled, else None.

    Both take the same time. Raises TooManyRequestsException after many failures from one
    address, at this account or at any. After many failures at one account it takes longer,
    wherever these came from: its owner must still get in.
    """
    name, origin = username.lower(), network_of(address)
    buckets = (
        (sidecar.address_attempts, origin),
        (sidecar.guesses, f"{origin} {name}"),
        (sidecar.account_attempts, name),
    )
    for throttle, key in buckets[:2]:
        take_attempt(throttle, key)
    if wait := sidecar.account_attempts.take(name):
        await sidecar.clock.sleep(min(wait, LONGEST_DELAY))
    user, password_hash = find_user_by_name(sidecar.store, username) or (None, None)
    matches = await sidecar.hash(check_password, password, password_hash)
    if user is None or password_hash is None or user.disabled or not matches:
        await sidecar.count(*buckets)
        return None
    for throttle, key in buckets:
        throttle.give_back(key)
    if needs_rehash(password_hash):
        password_hash = await _rehash(sidecar, user, password, password_hash)
    if is_well_known(password, user.username):
        await asyncio.to_thread(require_new_password, sidecar.store, user.id, password_hash)
        user = replace(user, must_change_password=True)
    return user


async def _rehash(sidecar: Sidecar, user: User, password: str, old: str) -> str:
    """Store and return a hash at the current cost."""
    new = await sidecar.hash(hash_password, password)
    await asyncio.to_thread(replace_hash, sidecar.store, user.id, old=old, new=new)
    return new


def take_attempt(throttle: Attempts, name: str) -> None:
    """Use one attempt; raises TooManyRequestsException when none is left."""
    if wait := throttle.take(name):
        raise TooManyRequestsException(
            "Too many attempts: wait a while and try again.",
            headers={"Retry-After": str(ceil(wait))},
        )


def new_session(sidecar: Sidecar, user: User) -> str:
    """Issue a session token."""
    return issue_token(user, sidecar.token_secret, now=sidecar.clock.now_ms() // 1000)


async def create_account(
    sidecar: Sidecar, *, username: str, password: str, **fields: Any
) -> tuple[User, str]:
    """Create an account with a password; raises the error for an unusable field."""
    password_hash = await hash_password_field(
        sidecar, password, username=username, field="password"
    )
    now = sidecar.clock.now_ms()
    try:
        return await asyncio.to_thread(
            open_account,
            sidecar.store,
            username=username,
            password_hash=password_hash,
            now=now,
            **fields,
        )
    except ValueError as error:
        raise invalid("username", error) from None


async def hash_password_field(sidecar: Sidecar, password: str, *, username: str, field: str) -> str:
    """Hash a new password; raises the error for its field if it is unusable."""
    try:
        return await sidecar.hash(hash_new_password, password, username)
    except ValueError as error:
        raise invalid(field, error) from None
