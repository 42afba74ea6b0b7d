"""`/api/login`."""

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from manage_api.authentication import PUBLIC
from manage_api.callers import AnyRequest, client_address
from manage_api.domains.session.schemas import SignIn, Token
from manage_api.domains.session.service import new_session, verified_user
from manage_api.sidecar import Sidecar

__all__ = ("SessionController",)


class SessionController(Controller):
    """Signing in."""

    @post("/api/login", opt=PUBLIC, status_code=HTTP_200_OK)
    async def sign_in(self, data: JSONBody[SignIn], request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> Token:
        """A session token for a name and a password."""
        user = await verified_user(
            sidecar, username=data.username, password=data.password, address=client_address(request)
        )
        if not user:
            raise NotAuthorizedException("The user name or the password is wrong, or the account is disabled.")
        return new_session(sidecar, user)
