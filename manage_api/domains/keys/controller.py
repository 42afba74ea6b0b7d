"""`/api/keys`, `/api/admin/keys` and `/api/admin/users/{user_id}/keys`."""

import asyncio
from typing import Any

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only, no_inference_key
from manage_api.domains.keys.schemas import KeyChanges, KeyView, KeyWithSecret, NewKey
from manage_api.domains.users.service import give_key
from manage_api.paging import Cursor, Limit, Page, RowId, SomeText, page_of, place_in
from manage_api.problems import Conflict, invalid
from manage_api.sidecar import Sidecar
from shared.model import User, VirtualKey
from shared.store.accounts import find_user
from shared.store.ledger import balance_of, subject_of
from shared.store.subjects import name_fault
from shared.store.virtual_keys import (
    AdminsOnly,
    find_key_by_id,
    revoke_key,
    search_keys,
    update_key,
)

__all__ = ("AllKeysController", "KeysController", "UserKeysController")

DEFAULT_LIMIT = 50


class KeysController(Controller):
    """The caller's own virtual keys; an inference key can only list them."""

    path = "/api/keys"

    @get()
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[KeyView]:
        """List the caller's keys, including those no longer valid."""
        return _page(sidecar, cursor, limit, user_id=request.user.id)

    @post(guards=[no_inference_key])
    async def add(
        self, data: JSONBody[NewKey], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> KeyWithSecret:
        """Create a key for the caller; only this response contains the secret."""
        return await _create(sidecar, request.user, data)

    @patch("/{key_id:int}", guards=[no_inference_key], raises=[Conflict])
    async def change(
        self,
        key_id: RowId,
        data: JSONBody[KeyChanges],
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
    ) -> KeyView:
        """Change name, models, limits or expiry of one of the caller's keys."""
        return await _change(sidecar, _own_key(sidecar, request, key_id), data)

    @delete("/{key_id:int}", guards=[no_inference_key])
    async def revoke(
        self, key_id: RowId, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> None:
        """Revoke one of the caller's keys for good."""
        await _revoke(sidecar, _own_key(sidecar, request, key_id))


class AllKeysController(Controller):
    """Everyone's virtual keys, for admins."""

    path = "/api/admin/keys"
    guards = (admin_only,)

    @get()
    async def show(
        self,
        sidecar: NamedDependency[Sidecar],
        q: SomeText = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[KeyView]:
        """List keys whose name, owner or last characters contain `q`."""
        return _page(sidecar, cursor, limit, text=q or "")

    @patch("/{key_id:int}", raises=[Conflict])
    async def change(
        self, key_id: RowId, data: JSONBody[KeyChanges], sidecar: NamedDependency[Sidecar]
    ) -> KeyView:
        """Change name, models, limits or expiry of a key."""
        return await _change(sidecar, _any_key(sidecar, key_id), data)

    @delete("/{key_id:int}")
    async def revoke(self, key_id: RowId, sidecar: NamedDependency[Sidecar]) -> None:
        """Revoke a key for good."""
        await _revoke(sidecar, _any_key(sidecar, key_id))


class UserKeysController(Controller):
    """A user's virtual keys, for admins."""

    path = "/api/admin/users/{user_id:int}/keys"
    guards = (admin_only,)

    @get()
    async def show(
        self,
        user_id: RowId,
        sidecar: NamedDependency[Sidecar],
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[KeyView]:
        """List the user's keys, including those no longer valid."""
        return _page(sidecar, cursor, limit, user_id=_owner(sidecar, user_id).id)

    @post()
    async def add(
        self, user_id: RowId, data: JSONBody[NewKey], sidecar: NamedDependency[Sidecar]
    ) -> KeyWithSecret:
        """Create a key for the user; only this response contains the secret."""
        return await _create(sidecar, _owner(sidecar, user_id), data)


def _owner(sidecar: Sidecar, user_id: int) -> User:
    if user := find_user(sidecar.store, user_id):
        return user
    raise NotFoundException("There is no such account.")


def _any_key(sidecar: Sidecar, key_id: int) -> VirtualKey:
    if key := find_key_by_id(sidecar.store, key_id):
        return key
    raise NotFoundException("There is no such key.")


def _own_key(sidecar: Sidecar, request: UserRequest, key_id: int) -> VirtualKey:
    key = _any_key(sidecar, key_id)
    if key.user_id != request.user.id:
        raise NotFoundException("There is no such key.")
    return key


def _page(sidecar: Sidecar, cursor: str | None, limit: int, **which: Any) -> Page[KeyView]:
    now, after = sidecar.clock.now_ms(), place_in(cursor, int) or 0
    rows = search_keys(sidecar.store, now_ms=now, after=after, limit=limit + 1, **which)
    return page_of([KeyView.of(*row, now) for row in rows], limit, lambda view: view.id)


async def _create(sidecar: Sidecar, owner: User, body: NewKey) -> KeyWithSecret:
    _check(sidecar, body.name, body.expires_at)
    try:
        key, secret = await asyncio.to_thread(
            give_key,
            sidecar.store,
            user_id=owner.id,
            name=body.name,
            scope=body.scope,
            now=sidecar.clock.now_ms(),
            expires_at=body.expires_at,
            models=body.models,
            limits=body.limits,
        )
    except AdminsOnly as error:
        raise invalid("scope", error) from None
    return KeyWithSecret.showing(_view(sidecar, key), secret)


async def _change(sidecar: Sidecar, key: VirtualKey, changes: KeyChanges) -> KeyView:
    preview = changes.apply(key)
    new_expiry = preview.expires_at
    if new_expiry == key.expires_at:
        new_expiry = None  # an expired key may still be renamed
    _check(sidecar, preview.name, new_expiry)
    updated = await asyncio.to_thread(update_key, sidecar.store, key.id, changes.apply)
    if not updated:
        raise Conflict("This key has been revoked for good: create a new one.")
    return _view(sidecar, updated)


async def _revoke(sidecar: Sidecar, key: VirtualKey) -> None:
    await asyncio.to_thread(revoke_key, sidecar.store, key.id, sidecar.clock.now_ms())


def _view(sidecar: Sidecar, key: VirtualKey) -> KeyView:
    now = sidecar.clock.now_ms()
    spent = balance_of(sidecar.store, subject_of("key", key.id), key.limits.period, now)
    return KeyView.of(key, _owner(sidecar, key.user_id).username, spent, now)


def _check(sidecar: Sidecar, name: str, expires_at: int | None) -> None:
    if fault := name_fault(name, "A key's name"):
        raise invalid("name", fault)
    if expires_at is not None and expires_at <= sidecar.clock.now_ms():
        raise invalid(
            "expires_at", "This time is in the past: send a later one, in epoch milliseconds."
        )
