"""`/api/second-factor`, and an admin's way to remove that of another."""

import asyncio

from litestar import Controller, delete, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, TooManyRequestsException
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from manage_api.access.callers import UserRequest, client_address
from manage_api.access.guards import admin_only, no_inference_key
from manage_api.domains.second_factor.schemas import (
    Confirmation,
    NewSecondFactor,
    OwnPassword,
    RecoveryCodes,
)
from manage_api.domains.second_factor.service import second_factor_of
from manage_api.domains.session.service import take_attempt, verify_password
from manage_api.problems import Conflict, invalid
from manage_api.sidecar import Sidecar
from shared.security.totp import (
    address_of,
    digest_of_code,
    matching_step,
    mint_recovery_codes,
    mint_totp_secret,
)
from shared.store.second_factors import (
    begin_second_factor,
    confirm_second_factor,
    remove_second_factor,
)

__all__ = ("SecondFactorController", "SecondFactorsController")


class SecondFactorController(Controller):
    """The second factor of the caller's own account."""

    path = "/api/second-factor"
    guards = (no_inference_key,)

    @post("/", raises=[Conflict, TooManyRequestsException])
    async def begin(
        self,
        data: JSONBody[OwnPassword],
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
    ) -> NewSecondFactor:
        """Make a secret for an authenticator app; it is asked for once it is confirmed."""
        await _require_password(sidecar, request, data.current_password)
        secret, user = mint_totp_secret(), request.user
        now = sidecar.clock.now_ms()
        if not await asyncio.to_thread(
            begin_second_factor, sidecar.store, sidecar.secret, user.id, secret, now
        ):
            raise Conflict("The account has a second factor: remove it first.")
        return NewSecondFactor(secret, address_of(secret, user.username))

    @post("/confirm", status_code=HTTP_200_OK, raises=[Conflict, TooManyRequestsException])
    async def confirm(
        self,
        data: JSONBody[Confirmation],
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
    ) -> RecoveryCodes:
        """Ask for a code at each sign-in from now on; return the recovery codes, this once."""
        user, factor = request.user, second_factor_of(sidecar, request.user)
        if factor is None or factor.confirmed:
            raise Conflict("There is no second factor to confirm.")
        take_attempt(sidecar.code_attempts, str(user.id))
        step = matching_step(factor.secret, data.code, now=sidecar.clock.now_ms() // 1000)
        if step is None:
            await sidecar.count((sidecar.code_attempts, str(user.id)))
            raise invalid("code", "This is not the code that the app shows: try the next one.")
        codes = mint_recovery_codes()
        digests = [digest_of_code(code) for code in codes]
        if not await asyncio.to_thread(
            confirm_second_factor, sidecar.store, user.id, step=step, digests=digests
        ):
            raise Conflict("There is no second factor to confirm.")
        sidecar.code_attempts.give_back(str(user.id))
        return RecoveryCodes(codes, "\n".join(codes))

    @post("/remove", status_code=HTTP_204_NO_CONTENT, raises=[TooManyRequestsException])
    async def remove(
        self,
        data: JSONBody[OwnPassword],
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
    ) -> None:
        """Ask for no code any more; without a second factor, do nothing."""
        await _require_password(sidecar, request, data.current_password)
        await asyncio.to_thread(remove_second_factor, sidecar.store, request.user.id)


class SecondFactorsController(Controller):
    """The second factors of others, for admins."""

    path = "/api/admin/users/{user_id:int}/second-factor"
    guards = (admin_only,)

    @delete("/", raises=[NotFoundException])
    async def remove(self, user_id: int, sidecar: NamedDependency[Sidecar]) -> None:
        """Remove that of somebody who has lost both device and recovery codes."""
        if not await asyncio.to_thread(remove_second_factor, sidecar.store, user_id):
            raise NotFoundException("This account has no second factor.")


async def _require_password(sidecar: Sidecar, request: UserRequest, password: str) -> None:
    """Require the password: a session that was left open must not change how one signs in."""
    name, address = request.user.username, client_address(request)
    if not await verify_password(sidecar, username=name, password=password, address=address):
        raise invalid("current_password", "This is not the current password.")
