"""Passwords that somebody entered, and the sessions they open."""

from math import ceil

from litestar.exceptions import TooManyRequestsException

from manage_api.domains.session.schemas import Token
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from shared.model import User
from shared.security.passwords import check_password, hash_password
from shared.security.tokens import issue_token
from shared.store.accounts import find_user_by_name

__all__ = ("hashed", "new_session", "verified_user")


async def verified_user(sidecar: Sidecar, *, username: str, password: str, address: str) -> User | None:
    """The account whose password this is; None, after the same work, when it is not or the account is disabled.

    Raises TooManyRequestsException after many failures under one name or from one address.
    """
    buckets = ((sidecar.address_attempts, address), (sidecar.account_attempts, username.lower()))
    for throttle, name in buckets:
        if wait := throttle.take(name):
            raise TooManyRequestsException(
                "Too many attempts to sign in: wait a little.", headers={"Retry-After": str(ceil(wait))}
            )
    user, password_hash = find_user_by_name(sidecar.store, username) or (None, None)
    matches = await sidecar.hash(check_password, password, password_hash)
    if user is None or user.disabled or not matches:
        return None
    for throttle, name in buckets:
        throttle.give_back(name)
    return user


def new_session(sidecar: Sidecar, user: User) -> Token:
    """A token that lasts until it expires, the password is changed or the account disabled."""
    return Token(issue_token(user, sidecar.token_secret, now=sidecar.clock.now_ms() // 1000))


async def hashed(sidecar: Sidecar, password: str, *, field: str) -> str:
    """The hash of a new password; when it can't be one, the error names the field it came in."""
    try:
        return await sidecar.hash(hash_password, password)
    except ValueError as error:
        raise invalid(field, error) from None
