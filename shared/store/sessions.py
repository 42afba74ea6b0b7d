"""Sessions: the verbs over the table `ended_sessions`, of those ended before they expired."""

from shared.model import User
from shared.security.tokens import InvalidToken, read_token
from shared.store.accounts import USER_COLUMNS, user_from
from shared.store.engine import Engine, Transaction

__all__ = ("end_session", "session_user")


def session_user(engine: Engine, token: str, secret: str | bytes, *, now_ms: int) -> User | None:
    """Return the user of a valid session token.

    Sessions end when they expire, by logging out, and when the account's password or role
    changes or it is disabled or deleted.
    """
    try:
        claims = read_token(token, secret, now=now_ms // 1000)
    except InvalidToken:
        return None
    rows = engine.read(_USER, {"id": claims.user_id, "epoch": claims.epoch, "jti": claims.jti})
    return user_from(rows[0]) if rows else None


def end_session(engine: Engine, token: str, secret: str | bytes, *, now_ms: int) -> None:
    """End a session everywhere; blocks. An invalid token changes nothing."""
    try:
        claims = read_token(token, secret, now=now_ms // 1000)
    except InvalidToken:
        return

    def work(transaction: Transaction) -> None:
        transaction.run("DELETE FROM ended_sessions WHERE expires_at <= :now", {"now": now_ms})
        transaction.run(
            (
                "INSERT INTO ended_sessions (jti, expires_at) VALUES (:jti, "
                ":expires_at) ON CONFLICT DO NOTHING"
            ),
            {"jti": claims.jti, "expires_at": claims.expires_at},
        )

    engine.transact(work)


_USER = f"""
    SELECT {USER_COLUMNS} FROM users
    WHERE id = :id AND epoch = :epoch AND disabled = 0
        AND NOT EXISTS (SELECT 1 FROM ended_sessions WHERE jti = :jti)
"""  # noqa: S608 - ours
