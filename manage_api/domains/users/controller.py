"""`/api/admin/users`."""

import asyncio
from collections.abc import Iterator

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK
from msgspec.structs import asdict

from manage_api.access.guards import admin_only
from manage_api.domains.limits import QuotaChange, changed_limits
from manage_api.domains.session.service import hashed, opened
from manage_api.domains.users.schemas import (
    USER_FIELDS,
    NewPassword,
    NewUser,
    PasswordReset,
    UserChanges,
    UserDetails,
    UserWithKey,
)
from manage_api.paging import (
    CSV,
    Cursor,
    Limit,
    Page,
    RowId,
    SomeText,
    as_csv,
    described_as,
    page_of,
    place_in,
)
from manage_api.problems import Conflict, conflict_problem
from manage_api.sidecar import Sidecar
from shared.model import User
from shared.security.passwords import readable_password
from shared.store.accounts import (
    LastAdmin,
    NameTaken,
    delete_user,
    find_user,
    search_users,
    set_password,
    update_user,
)
from shared.store.ledger import balance_of, subject_of

__all__ = ("UsersController",)

DEFAULT_LIMIT = 50
_EXPORTED_AT_ONCE = 200


class UsersController(Controller):
    """Accounts, for admins."""

    path = "/api/admin/users"
    guards = (admin_only,)
    exception_handlers = {LastAdmin: conflict_problem, NameTaken: conflict_problem}

    @get()
    async def show_all(
        self,
        sidecar: NamedDependency[Sidecar],
        q: SomeText = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[UserDetails]:
        """The accounts whose names hold the text `q`; all without one."""
        now, after = sidecar.clock.now_ms(), place_in(cursor, int) or 0
        rows = search_users(sidecar.store, now_ms=now, text=q or "", after=after, limit=limit + 1)
        return page_of([UserDetails.of(*row, now) for row in rows], limit, lambda view: view.id)

    @get("/export", operation_class=described_as(CSV))
    async def export(self, sidecar: NamedDependency[Sidecar], q: SomeText = None) -> Stream:
        """The same as CSV, all of it at once."""
        return as_csv("users", USER_FIELDS, _pages(sidecar, q or ""))

    @post(raises=[Conflict])
    async def add(self, data: JSONBody[NewUser], sidecar: NamedDependency[Sidecar]) -> UserWithKey:
        """Make an account with its first virtual key; only this answer has its secrets."""
        password = readable_password() if data.password is None else data.password
        user, api_key = await opened(
            sidecar,
            username=data.username,
            password=password,
            role=data.role,
            models=data.models,
            limits=data.limits,
        )
        made = password if data.password is None else None
        return UserWithKey(**asdict(_details(sidecar, user)), api_key=api_key, password=made)

    @get("/{user_id:int}")
    async def show(self, user_id: RowId, sidecar: NamedDependency[Sidecar]) -> UserDetails:
        """One account."""
        return _details(sidecar, _found(find_user(sidecar.store, user_id)))

    @patch("/{user_id:int}", raises=[Conflict])
    async def change(
        self, user_id: RowId, data: JSONBody[UserChanges], sidecar: NamedDependency[Sidecar]
    ) -> UserDetails:
        """Change role, models or limits of an account, disable or enable it; a disabled one
        is refused at once.
        """
        changed = await asyncio.to_thread(update_user, sidecar.store, user_id, data.made_to)
        return _details(sidecar, _found(changed))

    @post("/{user_id:int}/quota", status_code=HTTP_200_OK)
    async def set_quota(
        self, user_id: RowId, data: JSONBody[QuotaChange], sidecar: NamedDependency[Sidecar]
    ) -> UserDetails:
        """Change what an account may spend in all, or in each month or day of UTC."""
        changed = await asyncio.to_thread(
            update_user, sidecar.store, user_id, lambda user: changed_limits(user, data)
        )
        return _details(sidecar, _found(changed))

    @post("/{user_id:int}/reset-password", status_code=HTTP_200_OK)
    async def reset_password(
        self,
        user_id: RowId,
        sidecar: NamedDependency[Sidecar],
        data: JSONBody[PasswordReset | None] = None,
    ) -> NewPassword:
        """Give an account another password, which ends its sessions."""
        user = _found(find_user(sidecar.store, user_id))
        given = data.password if data else None
        password = readable_password() if given is None else given
        password_hash = await hashed(sidecar, password, username=user.username, field="password")
        changed = await asyncio.to_thread(
            set_password, sidecar.store, user_id, password_hash, must_change_password=False
        )
        _found(user if changed else None)
        return NewPassword(password if given is None else None)

    @delete("/{user_id:int}", raises=[Conflict])
    async def remove(self, user_id: RowId, sidecar: NamedDependency[Sidecar]) -> None:
        """Delete an account and its keys; what it used stays in the ledger."""
        if not await asyncio.to_thread(delete_user, sidecar.store, user_id):
            _found(None)


def _pages(sidecar: Sidecar, text: str) -> Iterator[list[UserDetails]]:
    after, now = 0, sidecar.clock.now_ms()
    while rows := search_users(
        sidecar.store, now_ms=now, text=text, after=after, limit=_EXPORTED_AT_ONCE
    ):
        yield [UserDetails.of(*row, now) for row in rows]
        after = rows[-1][0].id


def _details(sidecar: Sidecar, user: User) -> UserDetails:
    now = sidecar.clock.now_ms()
    spent = balance_of(sidecar.store, subject_of("user", user.id), user.limits.period, now)
    return UserDetails.of(user, spent, now)


def _found(user: User | None) -> User:
    if user:
        return user
    raise NotFoundException("There is no such account.")
