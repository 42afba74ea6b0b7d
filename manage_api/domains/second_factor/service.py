"""Checks codes of authenticator apps and recovery codes."""

import asyncio

from manage_api.domains.session.service import take_attempt
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from shared.model import User
from shared.security.totp import digest_of_code, matching_step
from shared.store.second_factors import (
    SecondFactor,
    find_second_factor,
    use_recovery_code,
    use_step,
)

__all__ = ("require_code", "second_factor_of")


def second_factor_of(sidecar: Sidecar, user: User) -> SecondFactor | None:
    """Return the account's second factor, confirmed or not."""
    return find_second_factor(sidecar.store, sidecar.secret, user.id)


async def require_code(sidecar: Sidecar, user: User, code: str) -> None:
    """Require a code of an account that has a second factor, after its password was right.

    Raises the error for the field `code`, and TooManyRequestsException after many wrong ones.
    """
    factor = second_factor_of(sidecar, user)
    if factor is None or not factor.confirmed:
        return
    if not code:
        raise invalid("code", "Enter the code that your authenticator app shows.")
    take_attempt(sidecar.code_attempts, str(user.id))
    if not await _use(sidecar, user, factor, code):
        await sidecar.count((sidecar.code_attempts, str(user.id)))
        raise invalid("code", "This code is wrong or was used: wait for the next one.")
    sidecar.code_attempts.give_back(str(user.id))


async def _use(sidecar: Sidecar, user: User, factor: SecondFactor, code: str) -> bool:
    step = matching_step(factor.secret, code, now=sidecar.clock.now_ms() // 1000)
    if step is not None:
        return await asyncio.to_thread(use_step, sidecar.store, user.id, step)
    return await asyncio.to_thread(use_recovery_code, sidecar.store, user.id, digest_of_code(code))
