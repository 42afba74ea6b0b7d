"""`/api/admin/users`."""

import asyncio

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import JSONBody
from litestar.status_codes import HTTP_409_CONFLICT
from msgspec.structs import asdict

from manage_api.domains.session.service import hashed
from manage_api.domains.users.schemas import NewUser, UserView, UserWithKey
from manage_api.domains.users.service import open_account
from manage_api.guards import admin_only
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from shared.store.accounts import NameTaken

__all__ = ("UsersController",)


class UsersController(Controller):
    """Accounts, for admins."""

    path = "/api/admin/users"
    guards = (admin_only,)

    @post()
    async def add(self, data: JSONBody[NewUser], sidecar: NamedDependency[Sidecar]) -> UserWithKey:
        """Make an account with its first virtual key."""
        password_hash = await hashed(sidecar, data.password, field="password")
        try:
            user, api_key = await asyncio.to_thread(
                open_account,
                sidecar.store,
                username=data.username,
                password_hash=password_hash,
                role=data.role,
                now=sidecar.clock.now_ms(),
            )
        except ValueError as error:
            raise invalid("username", error) from None
        except NameTaken as error:
            raise ClientException(str(error), status_code=HTTP_409_CONFLICT) from None
        return UserWithKey(**asdict(UserView.of(user)), api_key=api_key)
