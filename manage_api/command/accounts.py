"""`thinkback user` and `thinkback key`: accounts and their virtual keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
from msgspec.structs import asdict

from manage_api.command.account_options import (
    choose_password,
    limit_options,
    limits_of,
    password_option,
)
from manage_api.command.importing import open_store
from manage_api.command.rows import as_json, show, show_all
from manage_api.domains.users.schemas import UserView
from manage_api.domains.users.service import give_key, open_account
from shared.clock import SystemClock
from shared.errors import ThinkbackError
from shared.model import Role, Scope, User, VirtualKey
from shared.security.passwords import hash_new_password
from shared.store.accounts import find_user_by_name, list_users, set_disabled, set_password
from shared.store.engine import Engine
from shared.store.second_factors import remove_second_factor
from shared.store.virtual_keys import list_keys, revoke_key

__all__ = ("key", "user")


@click.group()
def user() -> None:
    """Manage accounts."""


@user.command("add")
@click.argument("name")
@password_option
@click.option("--admin", is_flag=True, help="Make it an admin.")
@limit_options
@as_json
def add_user(name: str, password: str | None, admin: bool, as_json: bool, **options: Any) -> None:
    """Create an account with its first virtual key; the quota and models are the account's."""
    new_password, generated = choose_password(password, name)
    role: Role = "admin" if admin else "user"
    with open_store() as store, _refusals_as_errors():
        account, key = open_account(
            store,
            username=name,
            password_hash=hash_new_password(new_password, name),
            role=role,
            now=SystemClock().now_ms(),
            models=options["models"],
            limits=limits_of(options),
            key_expires_at=options["expires_at"],
        )
    row = _user_row(account)
    if generated:
        row["password"] = new_password
    show(row | {"api_key": key}, as_json)


@user.command("list")
@as_json
def show_users(as_json: bool) -> None:
    """List accounts."""
    with open_store() as store:
        show_all([_user_row(user) for user in _every(partial(list_users, store))], as_json)


@user.command("passwd")
@click.argument("name")
@password_option
@as_json
def change_password(name: str, password: str | None, as_json: bool) -> None:
    """Set a new password and end the account's sessions."""
    new_password, generated = choose_password(password, name)
    with open_store() as store, _refusals_as_errors():
        user = _find(store, name)
        password_hash = hash_new_password(new_password, user.username)
        set_password(store, user.id, password_hash, must_change_password=False)
    row = {"username": name}
    if generated:
        row["password"] = new_password
    show(row, as_json)


@user.command("reset-second-factor")
@click.argument("name")
def reset_second_factor(name: str) -> None:
    """Let an account sign in with its password alone again."""
    with open_store() as store:
        if not remove_second_factor(store, _find(store, name).id):
            raise ThinkbackError(f"{name} has no second factor.")
    click.echo(f"Removed the second factor of {name}.")


@user.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Refuse an account's sessions and keys immediately."""
    with open_store() as store:
        set_disabled(store, _find(store, name).id, True)
    click.echo(f"Disabled {name}.")


@user.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Let an account in again."""
    with open_store() as store:
        set_disabled(store, _find(store, name).id, False)
    click.echo(f"Enabled {name}.")


@click.group()
def key() -> None:
    """Manage virtual keys."""


@key.command("new")
@click.argument("username", metavar="USER")
@click.option("--name", default="key", show_default=True, help="A name to recognise it by.")
@click.option(
    "--scope", type=click.Choice(["inference", "admin"]), default="inference", show_default=True
)
@limit_options
@as_json
def new_key(username: str, name: str, scope: Scope, as_json: bool, **options: Any) -> None:
    """Create a virtual key for an account; it is shown once."""
    with open_store() as store:
        owner = _find(store, username)
        new, secret = give_key(
            store,
            user_id=owner.id,
            name=name,
            scope=scope,
            now=SystemClock().now_ms(),
            expires_at=options["expires_at"],
            models=options["models"],
            limits=limits_of(options),
        )
    show(_key_row(new, owner.username) | {"api_key": secret}, as_json)


@key.command("list")
@as_json
def show_keys(as_json: bool) -> None:
    """List virtual keys."""
    with open_store() as store:
        names = {user.id: user.username for user in _every(partial(list_users, store))}
        keys = _every(partial(list_keys, store))
        show_all([_key_row(key, names[key.user_id]) for key in keys], as_json)


@key.command("revoke")
@click.argument("key_id", metavar="ID", type=int)
def drop_key(key_id: int) -> None:
    """Revoke a virtual key for good."""
    with open_store() as store:
        if not revoke_key(store, key_id, SystemClock().now_ms()):
            raise ThinkbackError(f"There is no valid key {key_id}: see `thinkback key list`.")
    click.echo(f"Revoked key {key_id}.")


@contextmanager
def _refusals_as_errors() -> Iterator[None]:
    """Turn the ValueError for an unusable name or password into an error for people."""
    try:
        yield
    except ValueError as error:
        raise ThinkbackError(str(error)) from None


def _find(store: Engine, name: str) -> User:
    if row := find_user_by_name(store, name):
        return row[0]
    raise ThinkbackError(f"There is no account “{name}”: see `thinkback user list`.")


def _every[T: (User, VirtualKey)](page: Callable[..., list[T]]) -> Iterator[T]:
    after = 0
    while rows := page(after=after):
        yield from rows
        after = rows[-1].id


def _user_row(user: User) -> dict[str, Any]:
    return asdict(UserView.of(user))


def _key_row(key: VirtualKey, username: str) -> dict[str, Any]:
    return {"username": username, **asdict(key)}
