"""Sessions: the verbs over the table `ended_sessions`, of those ended before they expired."""

from shared.model import User, VirtualKey
from shared.security.tokens import Claims, InvalidToken, read_token
from shared.store.accounts import USER_COLUMNS, user_from
from shared.store.engine import Engine, Transaction
from shared.store.versions import change_topic
from shared.store.virtual_keys import find_key_by_id

__all__ = ("end_session", "session_user", "token_caller")


def session_user(engine: Engine, token: str, secret: str | bytes, *, now_ms: int) -> User | None:
    """Return the user of a valid session token.

    Sessions end when they expire, by logging out, and when the account's password or role
    changes or it is disabled or deleted.
    """
    claims = _claims(token, secret, now_ms)
    if claims is None or claims.key_id is not None:
        return None
    return _user(engine, claims)


def token_caller(
    engine: Engine, token: str, secret: str | bytes, *, now_ms: int
) -> tuple[User, VirtualKey | None] | None:
    """Return who asks models with a session's token or a call token, and the key within whose
    limits, even if that is revoked or expired. A call token ends with its session.
    """
    claims = _claims(token, secret, now_ms)
    if claims is None or (user := _user(engine, claims)) is None:
        return None
    if not claims.key_id:
        return user, None
    key = find_key_by_id(engine, claims.key_id)
    if key is None or key.user_id != user.id:
        return None
    return user, key


def end_session(engine: Engine, token: str, secret: str | bytes, *, now_ms: int) -> None:
    """End a session everywhere; blocks. An invalid token changes nothing, nor does a call token."""
    claims = _claims(token, secret, now_ms)
    if claims is None or claims.key_id is not None:
        return
    ended = {"jti": claims.jti, "expires_at": claims.expires_at}

    def work(transaction: Transaction) -> None:
        transaction.run("DELETE FROM ended_sessions WHERE expires_at <= :now", {"now": now_ms})
        transaction.run(
            (
                "INSERT INTO ended_sessions (jti, expires_at) VALUES (:jti, "
                ":expires_at) ON CONFLICT DO NOTHING"
            ),
            ended,
        )

    change_topic(engine, "accounts", work)


def _claims(token: str, secret: str | bytes, now_ms: int) -> Claims | None:
    try:
        return read_token(token, secret, now=now_ms // 1000)
    except InvalidToken:
        return None


def _user(engine: Engine, claims: Claims) -> User | None:
    rows = engine.read(_USER, {"id": claims.user_id, "epoch": claims.epoch, "jti": claims.jti})
    return user_from(rows[0]) if rows else None


_USER = f"""
    SELECT {USER_COLUMNS} FROM users
    WHERE id = :id AND epoch = :epoch AND disabled = 0
        AND NOT EXISTS (SELECT 1 FROM ended_sessions WHERE jti = :jti)
"""  # noqa: S608 - ours
