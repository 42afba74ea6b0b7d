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
from manage_api.domains.session.service import create_account, hash_password_field
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
_EXPORT_PAGE = 200


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
        """List accounts whose names contain `q`."""
        now, after = sidecar.clock.now_ms(), place_in(cursor, int) or 0
        rows = search_users(sidecar.store, now_ms=now, text=q or "", after=after, limit=limit + 1)
        return page_of([UserDetails.of(*row, now) for row in rows], limit, lambda view: view.id)

    @get("/export", operation_class=described_as(CSV))
    async def export(self, sidecar: NamedDependency[Sidecar], q: SomeText = None) -> Stream:
        """Export them all as CSV."""
        return as_csv("users", USER_FIELDS, _pages(sidecar, q or ""))

    @post(raises=[Conflict])
    async def add(self, data: JSONBody[NewUser], sidecar: NamedDependency[Sidecar]) -> UserWithKey:
        """Create an account with its first virtual key; only this response has its secrets."""
        password, generated = _choose_password(data.password)
        user, api_key = await create_account(
            sidecar,
            username=data.username,
            password=password,
            role=data.role,
            models=data.models,
            limits=data.limits,
        )
        return UserWithKey(**asdict(_details(sidecar, user)), api_key=api_key, password=generated)

    @get("/{user_id:int}")
    async def show(self, user_id: RowId, sidecar: NamedDependency[Sidecar]) -> UserDetails:
        """Show one account."""
        return _details(sidecar, _existing(find_user(sidecar.store, user_id)))

    @patch("/{user_id:int}", raises=[Conflict])
    async def change(
        self, user_id: RowId, data: JSONBody[UserChanges], sidecar: NamedDependency[Sidecar]
    ) -> UserDetails:
        """Change role, models or limits of an account, or disable or enable it."""
        updated = await asyncio.to_thread(update_user, sidecar.store, user_id, data.apply)
        return _details(sidecar, _existing(updated))

    @post("/{user_id:int}/quota", status_code=HTTP_200_OK)
    async def set_quota(
        self, user_id: RowId, data: JSONBody[QuotaChange], sidecar: NamedDependency[Sidecar]
    ) -> UserDetails:
        """Change an account's quota in total, or for each UTC month or day."""
        updated = await asyncio.to_thread(
            update_user, sidecar.store, user_id, lambda user: changed_limits(user, data)
        )
        return _details(sidecar, _existing(updated))

    @post("/{user_id:int}/reset-password", status_code=HTTP_200_OK)
    async def reset_password(
        self,
        user_id: RowId,
        sidecar: NamedDependency[Sidecar],
        data: JSONBody[PasswordReset | None] = None,
    ) -> NewPassword:
        """Set a new password for an account and end its sessions."""
        user = _existing(find_user(sidecar.store, user_id))
        reset = data or PasswordReset()
        password, generated = _choose_password(reset.password)
        password_hash = await hash_password_field(
            sidecar, password, username=user.username, field="password"
        )
        if not await asyncio.to_thread(
            set_password, sidecar.store, user_id, password_hash, must_change_password=False
        ):
            raise _missing()
        return NewPassword(generated)

    @delete("/{user_id:int}", raises=[Conflict])
    async def remove(self, user_id: RowId, sidecar: NamedDependency[Sidecar]) -> None:
        """Delete an account and its keys; its usage stays in the ledger."""
        if not await asyncio.to_thread(delete_user, sidecar.store, user_id):
            raise _missing()


def _pages(sidecar: Sidecar, text: str) -> Iterator[list[UserDetails]]:
    after, now = 0, sidecar.clock.now_ms()
    while rows := search_users(
        sidecar.store, now_ms=now, text=text, after=after, limit=_EXPORT_PAGE
    ):
        yield [UserDetails.of(*row, now) for row in rows]
        after = rows[-1][0].id


def _details(sidecar: Sidecar, user: User) -> UserDetails:
    now = sidecar.clock.now_ms()
    spent = balance_of(sidecar.store, subject_of("user", user.id), user.limits.period, now)
    return UserDetails.of(user, spent, now)


def _choose_password(password: str | None) -> tuple[str, str | None]:
    """Return the password, and the same again if it had to be generated."""
    if password is not None:
        return password, None
    generated = readable_password()
    return generated, generated


def _existing(user: User | None) -> User:
    if user is None:
        raise _missing()
    return user


def _missing() -> NotFoundException:
    return NotFoundException("There is no such account.")
