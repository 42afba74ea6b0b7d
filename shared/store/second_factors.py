"""Second factors of accounts: the verbs over `second_factors` and `recovery_codes`."""

from collections.abc import Iterable

import msgspec

from shared.security.sealing import seal, unseal
from shared.store.engine import Engine, Transaction, Work

__all__ = (
    "SecondFactor",
    "begin_second_factor",
    "confirm_second_factor",
    "find_second_factor",
    "remove_second_factor",
    "reseal_second_factors",
    "use_recovery_code",
    "use_step",
)


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """The second factor of an account."""

    secret: str
    """In base 32."""

    confirmed: bool
    """Whether it is asked for: before, nobody has shown that a device has it."""

    codes_left: int
    """Recovery codes that were not used."""


def find_second_factor(engine: Engine, key: bytes, user_id: int) -> SecondFactor | None:
    """Return the account's second factor; raises SealError if `key` does not open it."""
    rows = engine.read(_FIND, {"user_id": user_id})
    if not rows:
        return None
    sealed, confirmed, codes_left = rows[0]
    secret = unseal(key, sealed, bound_to=_place(user_id)).decode()
    return SecondFactor(secret=secret, confirmed=bool(confirmed), codes_left=codes_left)


def begin_second_factor(engine: Engine, key: bytes, user_id: int, secret: str, now: int) -> bool:
    """Store a secret to be confirmed, in place of one that was not; return False where one
    was. Blocks.
    """
    sealed = seal(key, secret.encode(), bound_to=_place(user_id))
    params = {"user_id": user_id, "sealed": sealed, "now": now}
    return bool(_transact(engine, user_id, lambda work: work.run(_BEGIN, params)))


def confirm_second_factor(
    engine: Engine, user_id: int, *, step: int, digests: Iterable[str]
) -> bool:
    """Ask for the second factor from now on; return False unless one is to be confirmed. Blocks.

    `step` is that of the code that was shown; `digests` are those of the recovery codes.
    """

    def work(transaction: Transaction) -> bool:
        if not transaction.run(_CONFIRM, {"user_id": user_id, "step": step}):
            return False
        for digest in digests:
            transaction.run(_ADD_CODE, {"user_id": user_id, "digest": digest})
        return True

    return _transact(engine, user_id, work)


def use_step(engine: Engine, user_id: int, step: int) -> bool:
    """Use up a time step's code; return False if it or a later one was used. Blocks."""
    params = {"user_id": user_id, "step": step}
    return bool(_transact(engine, user_id, lambda work: work.run(_USE_STEP, params)))


def use_recovery_code(engine: Engine, user_id: int, digest: str) -> bool:
    """Use up a recovery code; return False if there is none. Blocks."""
    params = {"user_id": user_id, "digest": digest}
    return bool(_transact(engine, user_id, lambda work: work.run(_USE_CODE, params)))


def reseal_second_factors(transaction: Transaction, old: bytes, new: bytes) -> int:
    """Seal every secret with the new one; return how many. Raises SealError for one that the
    old one does not open.
    """
    rows = transaction.run("SELECT user_id, sealed FROM second_factors")
    for user_id, sealed in rows:
        place = _place(user_id)
        again = seal(new, unseal(old, sealed, bound_to=place), bound_to=place)
        transaction.run(_RESEAL, {"sealed": again, "user_id": user_id})
    return len(rows)


def remove_second_factor(engine: Engine, user_id: int) -> bool:
    """Ask for no second factor any more; return False if there was none. Blocks."""
    params = {"user_id": user_id}
    return bool(_transact(engine, user_id, lambda work: work.run(_REMOVE, params)))


def _transact[T](engine: Engine, user_id: int, work: Work[T]) -> T:
    return engine.transact(work, alone=(f"user:{user_id}",))


def _place(user_id: int) -> str:
    return f"second factor:{user_id}"


_FIND = """
    SELECT sealed, confirmed,
        (SELECT count(*) FROM recovery_codes WHERE recovery_codes.user_id = :user_id)
    FROM second_factors WHERE user_id = :user_id
"""
_BEGIN = """
    INSERT INTO second_factors (user_id, sealed, created_at) VALUES (:user_id, :sealed, :now)
    ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, created_at = excluded.created_at
    WHERE second_factors.confirmed = 0 RETURNING user_id
"""
_CONFIRM = """
    UPDATE second_factors SET confirmed = 1, step = :step
    WHERE user_id = :user_id AND confirmed = 0 RETURNING user_id
"""
_ADD_CODE = "INSERT INTO recovery_codes (user_id, digest) VALUES (:user_id, :digest)"
_USE_STEP = """
    UPDATE second_factors SET step = :step
    WHERE user_id = :user_id AND confirmed = 1 AND step < :step RETURNING user_id
"""
_USE_CODE = """
    DELETE FROM recovery_codes WHERE user_id = :user_id AND digest = :digest RETURNING user_id
"""
_REMOVE = "DELETE FROM second_factors WHERE user_id = :user_id RETURNING user_id"
_RESEAL = "UPDATE second_factors SET sealed = :sealed WHERE user_id = :user_id"
