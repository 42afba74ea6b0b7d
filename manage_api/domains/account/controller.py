"""`/api/me` and `/api/change-password`."""

import asyncio

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from manage_api.callers import UserRequest, client_address
from manage_api.domains.account.schemas import PasswordChange
from manage_api.domains.session.schemas import Token
from manage_api.domains.session.service import hashed, new_session, verified_user
from manage_api.domains.users.schemas import UserView
from manage_api.guards import WITH_ANY_PASSWORD
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from shared.store.accounts import find_user, set_password

__all__ = ("AccountController",)

_SHORTEST_PASSWORD = 8


class AccountController(Controller):
    """One's own account."""

    opt = WITH_ANY_PASSWORD

    @get("/api/me")
    async def show(self, request: UserRequest) -> UserView:
        """Who the caller is."""
        return UserView.of(request.user)

    @post("/api/change-password", status_code=HTTP_200_OK)
    async def change_password(
        self, data: JSONBody[PasswordChange], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Token:
        """Change the password, which ends all sessions; the answer is the token of a new one."""
        if len(data.new_password) < _SHORTEST_PASSWORD:
            raise invalid("new_password", f"Use at least {_SHORTEST_PASSWORD} characters.")
        user = await verified_user(
            sidecar,
            username=request.user.username,
            password=data.current_password,
            address=client_address(request),
        )
        if not user:
            raise invalid("current_password", "This is not the current password.")
        password_hash = await hashed(sidecar, data.new_password, field="new_password")
        await asyncio.to_thread(set_password, sidecar.store, user.id, password_hash, must_change_password=False)
        changed = find_user(sidecar.store, user.id)
        assert changed, "accounts are never deleted"
        return new_session(sidecar, changed)
