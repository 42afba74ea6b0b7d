"""`/api/me`, `/api/call-token`, `/api/change-password` and `/api/regenerate-key`."""

import asyncio
from typing import Literal

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, TooManyRequestsException
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec.structs import asdict

from manage_api.access.callers import UserRequest, bearer, client_address
from manage_api.access.guards import WITH_ANY_PASSWORD, no_inference_key
from manage_api.access.same_origin import read_cookie, session_cookie
from manage_api.domains.account.schemas import (
    CallToken,
    CallTokenWish,
    Me,
    MeChanges,
    PasswordChange,
)
from manage_api.domains.keys.schemas import KeySecret, KeyView
from manage_api.domains.session.schemas import Token
from manage_api.domains.session.service import hash_password_field, new_session, verify_password
from manage_api.domains.users.schemas import UserDetails
from manage_api.domains.users.service import regenerate_key
from manage_api.problems import invalid
from manage_api.sidecar import Sidecar
from shared.model import User, VirtualKey
from shared.security.tokens import issue_call_token, read_token
from shared.store.accounts import find_user, set_mirror, set_password
from shared.store.ledger import Balance, balance_of, subject_of
from shared.store.virtual_keys import find_key_by_id

__all__ = ("AccountController",)


class AccountController(Controller):
    """The caller's own account."""

    @get("/api/me", opt=WITH_ANY_PASSWORD)
    async def show(self, request: UserRequest, sidecar: NamedDependency[Sidecar]) -> Me:
        """Show the caller's account, limits and usage."""
        return _me(sidecar, request.user, request.auth)

    @patch("/api/me", guards=[no_inference_key])
    async def change(
        self, data: JSONBody[MeChanges], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Me:
        """Change how Cursor shows the model's reasoning."""
        await asyncio.to_thread(set_mirror, sidecar.store, request.user.id, data.mirror)
        changed = find_user(sidecar.store, request.user.id)
        if not changed:
            raise NotAuthorizedException("The account has been deleted.")
        return _me(sidecar, changed, request.auth)

    @post("/api/call-token", guards=[no_inference_key])
    async def add_call_token(
        self, data: JSONBody[CallTokenWish], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> CallToken:
        """Issue a token for requests to models, for ten minutes and within a key's limits.

        It ends with the session that it was made in, and is good for nothing else.
        """
        if data.key_id is not None:
            key = find_key_by_id(sidecar.store, data.key_id)
            if key is None or key.user_id != request.user.id:
                raise invalid("key_id", "You have no such key.")
        now, secret = sidecar.clock.now_ms() // 1000, sidecar.token_secret
        session = None
        if request.auth is None:
            session = read_token(bearer(request) or read_cookie(request), secret, now=now)
        token = issue_call_token(request.user, secret, now=now, key_id=data.key_id, session=session)
        return CallToken(token, read_token(token, secret, now=now).expires_at)

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
        """Change the password, end all sessions and start a new one."""
        name = request.user.username
        user = await verify_password(
            sidecar, username=name, password=data.current_password, address=client_address(request)
        )
        if not user:
            raise invalid("current_password", "This is not the current password.")
        password_hash = await hash_password_field(
            sidecar, data.new_password, username=name, field="new_password"
        )
        await asyncio.to_thread(
            set_password, sidecar.store, user.id, password_hash, must_change_password=False
        )
        changed = find_user(sidecar.store, user.id)
        if not changed:
            raise NotAuthorizedException("The account has been deleted.")
        token = new_session(sidecar, changed)
        return Response(Token(token), cookies=[session_cookie(request, token)])

    @post("/api/regenerate-key", status_code=HTTP_200_OK)
    async def regenerate(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> KeySecret:
        """Replace the secret of the key in use, or of the caller's oldest active inference key.

        The old secret stops working; name, models, limits, expiry and usage stay.
        """
        key_id = None
        if request.auth:
            key_id = request.auth.id
        secret = await asyncio.to_thread(
            regenerate_key,
            sidecar.store,
            user_id=request.user.id,
            key_id=key_id,
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
    auth: Literal["session", "key"] = "session"
    key_view = None
    if key:
        auth = "key"
        key_view = KeyView.of(key, user.username, _balance(sidecar, "key", key), now)
    return Me(
        **asdict(UserDetails.of(user, spent, now)),
        reserved_tokens=spent.reserved_tokens,
        reserved_cost_micros=spent.reserved_cost_micros,
        auth=auth,
        mirror=user.mirror,
        key=key_view,
    )
