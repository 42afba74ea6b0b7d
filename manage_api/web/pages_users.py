"""`/admin/users` and `/admin/keys`: accounts and virtual keys, for admins."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.keys.schemas import KeyView
from manage_api.domains.users.schemas import UserDetails
from manage_api.paging import Cursor, Page, RowId, SomeText, page_of, place_in
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.model import User, VirtualKey
from shared.store.accounts import find_user, search_users
from shared.store.ledger import Balance, balance_of, subject_of
from shared.store.virtual_keys import find_key_by_id, search_keys

__all__ = ("KeysPages", "UsersPages")

_PER_PAGE = 50

_MAX_KEYS = 100
"""In the drawer of one account; the page of keys has them all."""


class UsersPages(Pages):
    """Accounts."""

    guards = (admin_only,)

    @get("/admin/users")
    async def show_all(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        q: SomeText = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """List all, or those that match a search."""
        now, after = sidecar.clock.now_ms(), place_in(cursor, int) or 0
        rows = search_users(
            sidecar.store, now_ms=now, text=q or "", after=after, limit=_PER_PAGE + 1
        )
        users = page_of(
            [UserDetails.of(*row, now) for row in rows], _PER_PAGE, lambda view: view.id
        )
        return page(request, "admin/users.html", users=users, q=q or "", cursor=cursor or "")

    @get("/admin/users/new")
    async def show_new(self, request: UserRequest) -> Response[str]:
        """Show the form for a new account in the drawer."""
        return page(request, "admin/users_new.html")

    @get("/admin/users/{user_id:int}")
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], user_id: RowId
    ) -> Response[str]:
        """Show one account in the drawer."""
        return _account(
            request, sidecar, user_id, "admin/users_one.html", keys=_keys_of(sidecar, user_id)
        )

    @get("/admin/users/{user_id:int}/quota")
    async def show_quota(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], user_id: RowId
    ) -> Response[str]:
        """Show the form for an account's quota in its dialog."""
        return _account(request, sidecar, user_id, "admin/users_quota.html")

    @get("/admin/users/{user_id:int}/keys")
    async def show_keys(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], user_id: RowId
    ) -> Response[str]:
        """Show an account's keys again after a change."""
        return _account(
            request, sidecar, user_id, "admin/users_keys.html", keys=_keys_of(sidecar, user_id)
        )

    @get("/admin/users/{user_id:int}/keys/new")
    async def show_new_key(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], user_id: RowId
    ) -> Response[str]:
        """Show the form for an account's new key in the drawer."""
        return _account(request, sidecar, user_id, "admin/users_new_key.html")


class KeysPages(Pages):
    """Everyone's virtual keys."""

    guards = (admin_only,)

    @get("/admin/keys")
    async def show_all(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        q: SomeText = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """List all, or those that match a search."""
        now, after = sidecar.clock.now_ms(), place_in(cursor, int) or 0
        rows = search_keys(
            sidecar.store, now_ms=now, text=q or "", after=after, limit=_PER_PAGE + 1
        )
        keys: Page[KeyView] = page_of(
            [KeyView.of(*row, now) for row in rows], _PER_PAGE, lambda view: view.id
        )
        return page(request, "admin/keys.html", keys=keys, q=q or "", cursor=cursor or "")

    @get("/admin/keys/{key_id:int}")
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], key_id: RowId
    ) -> Response[str]:
        """Show the form to edit a key in the drawer."""
        key = find_key_by_id(sidecar.store, key_id)
        if key is None:
            raise NotFoundException("There is no such key.")
        owner = _user(sidecar, key.user_id)
        view = KeyView.of(key, owner.username, *_spent(sidecar, "key", key))
        return page(request, "admin/keys_one.html", key=view)


def _user(sidecar: Sidecar, user_id: int) -> User:
    if user := find_user(sidecar.store, user_id):
        return user
    raise NotFoundException("There is no such account; perhaps it has been deleted.")


def _account(
    request: UserRequest, sidecar: Sidecar, user_id: int, template: str, **shown: Any
) -> Response[str]:
    """Show a part of a page about one account."""
    owner = _user(sidecar, user_id)
    return page(
        request, template, one=UserDetails.of(owner, *_spent(sidecar, "user", owner)), **shown
    )


def _spent(sidecar: Sidecar, kind: str, subject: User | VirtualKey) -> tuple[Balance, int]:
    """Return what a user or key has spent in the current period, and the time."""
    now = sidecar.clock.now_ms()
    return balance_of(sidecar.store, subject_of(kind, subject.id), subject.limits.period, now), now


def _keys_of(sidecar: Sidecar, user_id: int) -> list[KeyView]:
    """List the active keys first, then the newest."""
    now = sidecar.clock.now_ms()
    rows = search_keys(sidecar.store, now_ms=now, limit=_MAX_KEYS, user_id=user_id)
    return sorted(
        (KeyView.of(*row, now) for row in rows), key=lambda key: (key.state != "usable", -key.id)
    )
