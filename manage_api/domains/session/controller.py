"""`/api/login`, `/api/logout` and `/api/register`."""

import asyncio
from hmac import compare_digest

from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.exceptions import (
    NotAuthorizedException,
    PermissionDeniedException,
    TooManyRequestsException,
)
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from msgspec.structs import asdict

from manage_api.access.authentication import PUBLIC
from manage_api.access.callers import AnyRequest, bearer, client_address, is_local
from manage_api.access.registration import may_register
from manage_api.access.same_origin import expired_cookie, read_cookie, session_cookie
from manage_api.domains.second_factor.service import require_code
from manage_api.domains.session.schemas import Registered, Registration, SignInWithCode, Token
from manage_api.domains.session.service import (
    create_account,
    new_session,
    take_attempt,
    verify_password,
)
from manage_api.domains.users.schemas import UserDetails
from manage_api.problems import Conflict, conflict_problem, invalid
from manage_api.sidecar import Sidecar
from manage_api.throttle import network_of
from shared.model import Limits
from shared.security.keys import digest
from shared.security.passwords import is_well_known
from shared.store.accounts import NameTaken
from shared.store.ledger import Balance
from shared.store.sessions import end_session

__all__ = ("SessionController",)


class SessionController(Controller):
    """Signing in, out and up."""

    opt = PUBLIC
    exception_handlers = {NameTaken: conflict_problem}

    @post(
        "/api/login",
        status_code=HTTP_200_OK,
        raises=[NotAuthorizedException, TooManyRequestsException],
    )
    async def sign_in(
        self, data: JSONBody[SignInWithCode], request: AnyRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[Token]:
        """Start a session; return its token, which browsers also get as a cookie."""
        user = await verify_password(
            sidecar, username=data.username, password=data.password, address=client_address(request)
        )
        if not user:
            raise NotAuthorizedException(
                "The username or password is wrong, or the account is disabled."
            )
        if user.role == "admin" and is_well_known(data.password, user.username):
            _refuse_from_afar(request)
        await require_code(sidecar, user, data.code)
        token = new_session(sidecar, user)
        return Response(Token(token), cookies=[session_cookie(request, token)])

    @post("/api/logout", status_code=HTTP_204_NO_CONTENT)
    async def sign_out(
        self, request: AnyRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[None]:
        """End the caller's session everywhere; without one, do nothing."""
        for token in filter(None, (bearer(request), read_cookie(request))):
            await asyncio.to_thread(
                end_session,
                sidecar.store,
                token,
                sidecar.token_secret,
                now_ms=sidecar.clock.now_ms(),
            )
        return Response(None, cookies=[expired_cookie(request)])

    @post("/api/register", raises=[Conflict, TooManyRequestsException])
    async def sign_up(
        self, data: JSONBody[Registration], request: AnyRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[Registered]:
        """Create an account with the configured quota and sign in."""
        rules = sidecar.snapshot.registration
        if not may_register(request):
            raise PermissionDeniedException("Registration is closed: ask an admin for an account.")
        origin = network_of(client_address(request))
        take_attempt(sidecar.address_attempts, origin)
        await sidecar.count((sidecar.address_attempts, origin))
        if not _is_invited(data.invite_code, rules.invite_codes):
            raise invalid("invite_code", "This invite code is not valid: ask an admin for one.")
        user, api_key = await create_account(
            sidecar,
            username=data.username,
            password=data.password,
            role="user",
            limits=Limits(quota_tokens=rules.quota_tokens),
        )
        token = new_session(sidecar, user)
        view = UserDetails.of(user, Balance(), sidecar.clock.now_ms())
        return Response(
            Registered(**asdict(view), api_key=api_key, token=token),
            cookies=[session_cookie(request, token)],
        )


def _refuse_from_afar(request: AnyRequest) -> None:
    """Refuse whoever knows a password that everybody knows: the first could take the gateway."""
    if not is_local(request):
        raise PermissionDeniedException(
            "This admin's password is well known, so it works on the gateway's own machine only: "
            "set another one there with `thinkback user passwd`."
        )


def _is_invited(code: str, codes: tuple[str, ...]) -> bool:
    """Whether the code is valid or none is required, in the same time for any code."""
    matches = [compare_digest(digest(code), digest(each)) for each in codes]
    return any(matches) or not codes
