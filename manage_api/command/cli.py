"""The command `thinkback`."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import asdict

from manage_api.addresses import local_url
from manage_api.command import launcher, report
from manage_api.command.daemon import Daemon, DaemonError
from manage_api.command.supervise import is_healthy
from manage_api.domains.limits import limits_words
from manage_api.domains.settings.export import exported
from manage_api.domains.system.backup import back_up
from manage_api.domains.users.schemas import UserView
from manage_api.domains.users.service import give_key, open_account
from shared.clock import SystemClock
from shared.config.load import load
from shared.config.mitm import find_mitm, load_mitm
from shared.config.schema import Snapshot
from shared.config.watch import Watch
from shared.errors import ConfigError, ThinkbackError
from shared.model import Limits, Scope, User, VirtualKey
from shared.security.passwords import hash_new_password
from shared.security.secrets import load_secret
from shared.store import data_directory, open_engine
from shared.store.accounts import find_user_by_name, list_users, set_disabled, set_password
from shared.store.bootstrap import FirstAccount, ensure_admin
from shared.store.engine import Engine
from shared.store.overrides import read_overrides
from shared.store.virtual_keys import list_keys, revoke_key

__all__ = ("main",)


class Commands(click.Group):
    """Says what went wrong in one sentence: exit code 1, and 2 for the configuration."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThinkbackError as error:
            click.echo(error, err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
password_option = click.option("--password", help="Without it a random one is made and shown once.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="thinkback")
def main() -> None:
    """A self-hosted gateway that gives thinking models their own reasoning back."""


@main.command()
@click.option("--web", is_flag=True, help="Run under mitmweb, to watch the traffic in a browser.")
@click.option("--background", is_flag=True, hidden=True)
@click.pass_context
def up(ctx: click.Context, web: bool, background: bool) -> None:
    """Start the gateway here; Ctrl-C stops it."""
    prepared = launcher.prepare(os.environ, web=web)
    _show_first_account(prepared.first_account)
    daemon = _daemon() if background else None
    with daemon.hold() if daemon else nullcontext():
        code = asyncio.run(
            launcher.run(prepared, os.environ, web=web, daemon=daemon, say=click.echo)
        )
    ctx.exit(code)


@main.command()
def start() -> None:
    """Start the gateway in the background."""
    daemon = _daemon()
    if pid := daemon.pid():
        raise DaemonError(f"Thinkback runs in the background already, as process {pid}.")
    prepared = launcher.prepare(os.environ, web=False)
    _show_first_account(prepared.first_account)
    pid = daemon.start(os.environ, list(_programs(prepared.snapshot).values()))
    click.echo(report.ready(prepared.snapshot, version("thinkback")))
    click.echo(f"It runs in the background as process {pid}; its log is {daemon.log}.")


@main.command()
def stop() -> None:
    """Stop the gateway that runs in the background."""
    if not _daemon().stop():
        raise DaemonError(
            "No gateway runs in the background here; one in a terminal is stopped "
            "there with Ctrl-C."
        )
    click.echo("Stopped.")


@main.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Say what is running; exit code 1 unless both programs answer."""
    snapshot = load(os.environ)
    answers = {name: asyncio.run(is_healthy(url)) for name, url in _programs(snapshot).items()}
    for name, url in _programs(snapshot).items():
        click.echo(f"The {name} {'answers' if answers[name] else 'does not answer'} at {url}.")
    daemon = _daemon()
    if pid := daemon.pid():
        click.echo(f"They run in the background as process {pid}; the log is {daemon.log}.")
    ctx.exit(0 if all(answers.values()) else 1)


@main.command()
@click.option("-f", "--follow", is_flag=True, help="Go on showing what is added.")
def log(follow: bool) -> None:
    """Show the end of the log of the gateway that runs in the background."""
    file = _daemon().log
    if not file.exists():
        raise DaemonError(
            f"There is no log {file}: the gateway was not started in the background yet."
        )
    os.execvp("tail", ["tail", "-n", "100", *(["-F"] if follow else []), str(file)])  # noqa: S606, S607


@main.command()
def check() -> None:
    """Show the configuration as it is understood, or what is wrong with it."""
    snapshot = load(os.environ)
    load_mitm(find_mitm())
    click.echo(report.checked(snapshot))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the database into a new FILE, also while the gateway runs."""
    with _store() as store:
        back_up(store, file)
    click.echo(f"The database was copied to {file}.")


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Write the keys of upstreams in clear.")
def export(file: Path | None, with_keys: bool) -> None:
    """Write the configuration file, with what was set in the web pages added, to a new FILE
    or here.
    """
    watch = Watch(os.environ)
    with _store() as store:
        watch.override(
            read_overrides(store, load_secret(data_directory(watch.snapshot.database_url)))
        )
    config = Path(watch.snapshot.config_path)
    written = config.read_text(encoding="utf-8-sig") if config.exists() else ""
    text = exported(written, watch.snapshot, watch.sources, with_keys=with_keys)
    if file is None:
        click.echo(text, nl=False)
        return
    _write_new(file, text)
    click.echo(
        f"The configuration was written to {file}{'' if with_keys else ': put the keys into it'}."
    )


@main.group()
def user() -> None:
    """Accounts."""


@user.command("add")
@click.argument("name")
@password_option
@click.option("--admin", is_flag=True, help="Make an admin.")
@as_json
def add_user(name: str, password: str | None, admin: bool, as_json: bool) -> None:
    """Make an account with its first virtual key."""
    chosen = password or _random_password()
    with _store() as store, _in_words():
        added, key = open_account(
            store,
            username=name,
            password_hash=hash_new_password(chosen, name),
            role="admin" if admin else "user",
            now=SystemClock().now_ms(),
        )
    _show(_user_row(added) | _new_password(password, chosen) | {"api_key": key}, as_json)


@user.command("list")
@as_json
def show_users(as_json: bool) -> None:
    """List the accounts."""
    with _store() as store:
        _list([_user_row(each) for each in _every(partial(list_users, store))], as_json)


@user.command("passwd")
@click.argument("name")
@password_option
@as_json
def change_password(name: str, password: str | None, as_json: bool) -> None:
    """Set another password, which ends the account's sessions."""
    chosen = password or _random_password()
    with _store() as store, _in_words():
        user = _find(store, name)
        password_hash = hash_new_password(chosen, user.username)
        set_password(store, user.id, password_hash, must_change_password=False)
    _show({"username": name} | _new_password(password, chosen), as_json)


@user.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Refuse an account's sessions and keys, at once."""
    with _store() as store:
        set_disabled(store, _find(store, name).id, True)
    click.echo(f"{name} is disabled.")


@user.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Accept an account again."""
    with _store() as store:
        set_disabled(store, _find(store, name).id, False)
    click.echo(f"{name} is enabled.")


@main.group()
def key() -> None:
    """Virtual keys."""


@key.command("new")
@click.argument("username", metavar="USER")
@click.option("--name", default="key", show_default=True, help="What to recognise it by.")
@click.option(
    "--scope", type=click.Choice(["inference", "admin"]), default="inference", show_default=True
)
@as_json
def new_key(username: str, name: str, scope: Scope, as_json: bool) -> None:
    """Make a virtual key for an account; it is shown once."""
    with _store() as store:
        owner = _find(store, username)
        made, secret = give_key(
            store, user_id=owner.id, name=name, scope=scope, now=SystemClock().now_ms()
        )
    _show(_key_row(made, owner.username) | {"api_key": secret}, as_json)


@key.command("list")
@as_json
def show_keys(as_json: bool) -> None:
    """List the virtual keys."""
    with _store() as store:
        names = {each.id: each.username for each in _every(partial(list_users, store))}
        _list(
            [_key_row(each, names[each.user_id]) for each in _every(partial(list_keys, store))],
            as_json,
        )


@key.command("revoke")
@click.argument("key_id", metavar="ID", type=int)
def drop_key(key_id: int) -> None:
    """Refuse a virtual key from now on."""
    with _store() as store:
        if not revoke_key(store, key_id, SystemClock().now_ms()):
            raise ThinkbackError(
                f"There is no valid key {key_id}: `thinkback key list` shows them."
            )
    click.echo(f"Key {key_id} is revoked.")


@contextmanager
def _store() -> Iterator[Engine]:
    snapshot = load(os.environ)
    with closing(open_engine(snapshot.database_url)) as engine:
        _show_first_account(
            ensure_admin(engine, password=snapshot.admin_password, now=SystemClock().now_ms())
        )
        yield engine


def _write_new(file: Path, text: str) -> None:
    """Only its owner may read it."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise ThinkbackError(f"{file} exists already: name a new file.") from None
    except OSError as error:
        raise ThinkbackError(f"{file} can't be written: {error.strerror}.") from error


@contextmanager
def _in_words() -> Iterator[None]:
    """The store and the password functions refuse unusable names and passwords with a
    ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise ThinkbackError(str(error)) from None


def _daemon() -> Daemon:
    """Found by the environment alone: a configuration that was broken meanwhile must not
    keep it from being stopped.
    """
    return Daemon(data_directory(os.environ.get("DATABASE_URL") or Snapshot().database_url))


def _programs(snapshot: Snapshot) -> dict[str, str]:
    """Name and URL of both programs."""
    return {
        "data plane": local_url(snapshot.server.listen_addr),
        "sidecar": local_url(snapshot.server.admin_addr),
    }


def _find(store: Engine, name: str) -> User:
    if found := find_user_by_name(store, name):
        return found[0]
    raise ThinkbackError(f"There is no account “{name}”: `thinkback user list` shows them.")


def _every[T: (User, VirtualKey)](page: Callable[..., list[T]]) -> Iterator[T]:
    after = 0
    while found := page(after=after):
        yield from found
        after = found[-1].id


def _random_password() -> str:
    return secrets.token_urlsafe(12)


def _new_password(given: str | None, chosen: str) -> dict[str, Any]:
    return {} if given else {"password": chosen}


def _user_row(each: User) -> dict[str, Any]:
    return asdict(UserView.of(each))


def _key_row(each: VirtualKey, username: str) -> dict[str, Any]:
    return {"username": username, **asdict(each)}


def _show(row: dict[str, Any], as_json: bool) -> None:
    """One thing, whose secrets are shown this once."""
    if as_json:
        click.echo(msgspec.json.encode(row))
        return
    for name, value in row.items():
        click.echo(f"{name.replace('_', ' '):<22}{_text(name, value)}")


def _list(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    texts = (
        [list(rows[0]), *([_text(name, value) for name, value in row.items()] for row in rows)]
        if rows
        else []
    )
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for text in texts:
        click.echo(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(text, widths, strict=True)).rstrip()
        )


def _text(name: str, value: Any) -> str:
    """A field of a row in words."""
    match value:
        case None:
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case Limits():
            return "; ".join(limits_words(value)) or "none"
        case tuple():
            return ", ".join(value) or "all"
        case int() if name.endswith("_at"):
            return f"{datetime.fromtimestamp(value // 1000, UTC):%Y-%m-%d %H:%M:%S}"
    return str(value)


def _show_first_account(account: FirstAccount | None) -> None:
    if account:
        click.echo(report.first_account(account), err=True)


if __name__ == "__main__":
    main()
