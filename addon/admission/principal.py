"""Credentials become a principal, or a problem that says why not."""

import hmac
from collections.abc import Callable, Mapping, Sequence

from addon.admission import problems
from addon.formats.neutral.problem import Problem
from shared.config.schema import Upstream
from shared.model import Principal, User, VirtualKey
from shared.security import keys

__all__ = ("credentials", "identify", "passthrough_principal", "user_principal")

type FindKey = Callable[[str], tuple[VirtualKey, User] | None]
"""SHA-256 digest -> the virtual key and its user."""

type ReadToken = Callable[[str], tuple[User, VirtualKey | None] | None]
"""A session token or call token (JWT) -> its user and the key within whose limits, when it is
valid and not ended.
"""


def credentials(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What the caller shows: `Authorization: Bearer`, `api-key` (Azure clients), `x-api-key`
    (Anthropic clients), each once.

    Clients that are made for one provider fill one header with the key that they were told,
    and another with a placeholder.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token if scheme.lower() == "bearer" else ""
    shown = (bearer, headers.get("api-key", ""), headers.get("x-api-key", ""))
    return tuple(dict.fromkeys(filter(None, map(str.strip, shown))))


def identify(
    shown: Sequence[str],
    *,
    find_key: FindKey,
    read_token: ReadToken,
    upstreams: tuple[Upstream, ...],
    now_ms: int,
) -> Principal | Problem:
    """The caller behind the first credential that is one's own to use; a key is looked up by
    its digest alone. Without such a one: why a known one may not be used, else that the
    first is not known.
    """
    if not shown:
        return problems.no_key()
    turned_away: list[Problem] = []
    for one in shown:
        found = _known(one, find_key, read_token, upstreams, now_ms)
        if isinstance(found, Principal):
            return found
        if found is not None:
            turned_away.append(found)
    return next(iter(turned_away), problems.unknown_key(keys.mask(shown[0])))


def _known(
    shown: str,
    find_key: FindKey,
    read_token: ReadToken,
    upstreams: tuple[Upstream, ...],
    now_ms: int,
) -> Principal | Problem | None:
    """The caller behind a credential, or why it may not be used; None for one that nobody
    has.
    """
    if found := find_key(keys.digest(shown)):
        return _of_key(*found, now_ms)
    if principal := passthrough_principal(shown, upstreams):
        return principal
    if shown.count(".") == 2 and (caller := read_token(shown)):
        user, key = caller
        return user_principal(user) if key is None else _of_key(key, user, now_ms)
    return None


def user_principal(user: User, key: VirtualKey | None = None) -> Principal | Problem:
    """A user as caller, by a virtual key or a session token, unless the account may not call."""
    key_suffix = key.suffix if key is not None else "jwt"
    if user.disabled:
        return problems.account_disabled()
    if user.must_change_password:
        return problems.password_unchanged()
    return Principal(
        id=f"user:{user.id}", name=user.username, key_suffix=key_suffix, user=user, key=key
    )


def passthrough_principal(shown: str, upstreams: tuple[Upstream, ...]) -> Principal | None:
    """The caller who shows a configured upstream's own key; compared by digest, in constant
    time.
    """
    digest = keys.digest(shown)
    found: Principal | None = None
    for upstream in upstreams:
        for key in upstream.api_keys:
            if hmac.compare_digest(digest, keys.digest(key)) and found is None:
                caller = f"upstream:{digest[:32]}"
                found = Principal(
                    id=caller,
                    name="passthrough",
                    key_suffix=keys.suffix(key),
                    upstream=upstream.name,
                    upstream_key=key,
                )
    return found


def _of_key(key: VirtualKey, user: User, now_ms: int) -> Principal | Problem:
    if key.revoked_at is not None:
        return problems.key_revoked(key.suffix)
    if key.expires_at is not None and key.expires_at <= now_ms:
        return problems.key_expired(key.suffix)
    if key.scope != "inference":
        return problems.key_for_management(key.suffix)
    return user_principal(user, key)
