"""`/api/me`, `/api/change-password` and `/api/regenerate-key`."""

import asyncio

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, TooManyRequestsException
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec.structs import asdict

from manage_api.access.callers import UserRequest, client_address
from manage_api.access.guards import WITH_ANY_PASSWORD, no_inference_key
from manage_api.access.same_origin import session_cookie
from manage_api.domains.account.schemas import Me, MeChanges, PasswordChange
from manage_api.domains.keys.schemas import KeySecret, KeyView
from manage_api.domains.session.schemas import Token
from manage_api.domains.session.service import hashed, new_session, verified_user
from manage_api.domains.users.schemas import UserDetails
from manage_api.domains.users.service import regenerate_key
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from shared.model import User, VirtualKey
from shared.store.accounts import find_user, set_mirror, set_password
from shared.store.ledger import Balance, balance_of, subject_of

__all__ = ("AccountController",)


class AccountController(Controller):
    """One's own account."""

    @get("/api/me", opt=WITH_ANY_PASSWORD)
    async def show(self, request: UserRequest, sidecar: NamedDependency[Sidecar]) -> Me:
        """Who the caller is, what it may use and what it has used."""
        return _me(sidecar, request.user, request.auth)

    @patch("/api/me", guards=[no_inference_key])
    async def change(
        self, data: JSONBody[MeChanges], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Me:
        """Change how reasoning is shown."""
        await asyncio.to_thread(set_mirror, sidecar.store, request.user.id, data.mirror)
        changed = find_user(sidecar.store, request.user.id)
        if not changed:
            raise NotAuthorizedException("The account was deleted.")
        return _me(sidecar, changed, request.auth)

    @post(
        "/api/change-password",
        opt=WITH_ANY_PASSWORD,
        guards=[no_inference_key],
        status_code=HTTP_200_OK,
        raises=[TooManyRequestsException],
    )
    async def change_password(
        self,
        data: JSONBody[PasswordChange],
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
    ) -> Response[Token]:
        """Change the password, which ends all sessions; the answer opens a new one."""
        name = request.user.username
        user = await verified_user(
            sidecar, username=name, password=data.current_password, address=client_address(request)
        )
        if not user:
            raise invalid("current_password", "This is not the current password.")
        password_hash = await hashed(
            sidecar, data.new_password, username=name, field="new_password"
        )
        await asyncio.to_thread(
            set_password, sidecar.store, user.id, password_hash, must_change_password=False
        )
        changed = find_user(sidecar.store, user.id)
        if not changed:
            raise NotAuthorizedException("The account was deleted.")
        token = new_session(sidecar, changed)
        return Response(Token(token), cookies=[session_cookie(request, token)])

    @post("/api/regenerate-key", status_code=HTTP_200_OK)
    async def regenerate(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> KeySecret:
        """Another secret for the key that was shown, else for one's oldest usable key for
        inference.

        The old secret is refused from now on; name, models, limits, expiry and what was
        used stay.
        """
        secret = await asyncio.to_thread(
            regenerate_key,
            sidecar.store,
            user_id=request.user.id,
            key_id=request.auth.id if request.auth else None,
            now=sidecar.clock.now_ms(),
        )
        if not secret:
            raise NotAuthorizedException("This virtual key is no longer valid.")
        return KeySecret(secret)


def _balance(sidecar: Sidecar, kind: str, subject: User | VirtualKey) -> Balance:
    name = subject_of(kind, subject.id)
    return balance_of(sidecar.store, name, subject.limits.period, sidecar.clock.now_ms())


def _me(sidecar: Sidecar, user: User, key: VirtualKey | None) -> Me:
    now = sidecar.clock.now_ms()
    spent = _balance(sidecar, "user", user)
    return Me(
        **asdict(UserDetails.of(user, spent, now)),
        reserved_tokens=spent.reserved_tokens,
        reserved_cost_micros=spent.reserved_cost_micros,
        auth="key" if key else "session",
        mirror=user.mirror,
        key=KeyView.of(key, user.username, _balance(sidecar, "key", key), now) if key else None,
    )
