"""`thinkback import`: takes over what another gateway has, and says what it can't take."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from pysqlite3 import dbapi2

from manage_api.command import report as words
from manage_api.command.adapter_accounts import FoundAccount, find_accounts
from manage_api.command.channels import read_channels
from manage_api.command.foreign import Found
from manage_api.command.litellm import read_litellm
from manage_api.command.new_file import write_new
from shared.clock import SystemClock
from shared.config.load import load
from shared.config.schema import Upstream
from shared.errors import ThinkbackError
from shared.security.keys import digest, mask, suffix
from shared.store import open_engine
from shared.store.accounts import NameTaken, find_user_by_name, insert_user
from shared.store.bootstrap import FirstAccount, ensure_admin
from shared.store.engine import Engine, Transaction
from shared.store.installation import installation_secret
from shared.store.upstreams import add_upstream, list_upstreams
from shared.store.versions import change_topic
from shared.store.virtual_keys import insert_key

__all__ = ("Report", "import_command", "open_store", "show_first_account")

_SQLITE = b"SQLite format 3\0"
"""How its files begin (https://www.sqlite.org/fileformat.html)."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


class Report(msgspec.Struct, kw_only=True):
    """What came over, and what did not and why, in sentences."""

    source: str
    """What the file is."""

    taken: list[str] = []
    left_out: list[str] = []
    asks: bool = False
    """Nothing was taken: the person must first say that it is right (`--yes`)."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the person asked for."""

    file: Path
    user: str
    """The account that gets remembered reasoning."""

    toml: Path | None
    """Where upstreams are written to; None: into the database."""

    dry_run: bool
    yes: bool
    """Accounts that were found by what columns hold are the ones that are meant."""


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--user", default="admin", show_default=True, help="Whose conversations they are.")
@click.option("--toml", type=click.Path(path_type=Path), help="Write upstreams to this new file.")
@click.option("--dry-run", is_flag=True, help="Only say what would come over.")
@click.option("--yes", is_flag=True, help="Take the accounts that were shown.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def import_command(
    source: Path, user: str, toml: Path | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Take over what another gateway has in the file SOURCE.

    That is the cache of deepseek-cursor-proxy, LiteLLM's config.yaml, the channels of
    new-api, or another gateway's database with accounts.
    """
    wanted = Wanted(file=source, user=user, toml=toml, dry_run=dry_run, yes=yes)
    report = _reader(source)(wanted)
    if as_json:
        click.echo(msgspec.json.encode(report))
        return
    click.echo(_words(report, dry_run=dry_run or report.asks))


def _reader(source: Path) -> Callable[[Wanted], Report]:
    """Return what takes over a file of this kind."""
    with source.open("rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if is_database and "reasoning_cache" in _tables(source):
        return _take_cache
    if is_database:
        return _take_accounts
    if source.name.endswith(".env"):
        raise ThinkbackError(f"Put {source} beside config.toml: it is read there as it is.")
    if source.suffix == ".toml":
        return _check_toml
    if source.suffix in (".yaml", ".yml"):
        return _take_litellm
    if source.suffix == ".json":
        return _take_channels
    raise ThinkbackError(f"{source} is nothing that Thinkback can take over (docs/operating.md).")


def _tables(source: Path) -> set[str]:
    try:
        with closing(dbapi2.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            return {name for (name,) in opened.execute(_TABLES)}
    except dbapi2.Error as error:
        raise ThinkbackError(f"Can't read the database {source}: {error}.") from error


def _words(report: Report, *, dry_run: bool) -> str:
    heads = ("Came over:", "Did not come over:")
    if dry_run:
        heads = ("Would come over:", "Would not come over:")
    lines = [f"This is {report.source}."]
    for head, sentences in zip(heads, (report.taken, report.left_out), strict=True):
        if sentences:
            lines += [head, *(f"  {sentence}" for sentence in sentences)]
    return "\n".join(lines)


def _take_accounts(wanted: Wanted) -> Report:
    """Take accounts with their passwords and keys, once the person has seen them."""
    report = Report(source="a database of another program", asks=not wanted.yes)
    if report.asks:
        report.left_out.append("Anything yet: if these are its accounts, repeat it with --yes")
    with open_store() as engine:
        for account in find_accounts(wanted.file):
            try:
                if wanted.yes and not wanted.dry_run:
                    work = partial(_add_account, account, SystemClock().now_ms())
                    change_topic(engine, "accounts", work)
                elif find_user_by_name(engine, account.name):
                    raise NameTaken("there is already an account of this name")
            except (NameTaken, ValueError) as error:
                report.left_out.append(f"{account.name}: {error}")
                continue
            keys = ", ".join(map(mask, account.keys)) or "none"
            report.taken.append(f"account {account.name} ({account.found_in}), keys: {keys}")
    return report


def _add_account(account: FoundAccount, now: int, transaction: Transaction) -> None:
    user = insert_user(
        transaction,
        username=account.name,
        password_hash=account.password_hash,
        role="user",
        must_change_password=False,
        now=now,
    )
    for key in account.keys:
        params = {"digest": digest(key)}
        if transaction.run("SELECT 1 FROM virtual_keys WHERE digest = :digest", params):
            continue
        insert_key(
            transaction,
            user_id=user.id,
            name="imported",
            scope="inference",
            digest=digest(key),
            suffix=suffix(key),
            now=now,
        )


def _check_toml(wanted: Wanted) -> Report:
    """See that a configuration of the original adapter's, or ours, can be used as it is."""
    upstreams = load({"CONFIG_PATH": str(wanted.file)}).upstreams
    taken = [f"upstream {each.name} ({each.base_url})" for each in upstreams]
    taken.append("All of it, as it is: make it config.toml, or name it in CONFIG_PATH")
    return Report(source="a config.toml that Thinkback reads", taken=taken)


def _take_litellm(wanted: Wanted) -> Report:
    found = _read(wanted.file, _from_yaml, partial(read_litellm, environ=os.environ))
    return _add_upstreams("a configuration of LiteLLM", found, wanted)


def _take_channels(wanted: Wanted) -> Report:
    return _add_upstreams(
        "new-api's channels", _read(wanted.file, json.loads, read_channels), wanted
    )


def _read(file: Path, parse: Callable[[str], Any], read: Callable[[Any], Found]) -> Found:
    try:
        return read(parse(file.read_text("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        raise ThinkbackError(f"Can't take over {file}: {error}.") from error


def _from_yaml(text: str) -> Any:
    """Parse YAML; raises ValueError."""
    # Other commands need not wait for it to be loaded.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ValueError(str(error)) from error


def _add_upstreams(source: str, found: Found, wanted: Wanted) -> Report:
    """Add the upstreams to the database, or write them to a file."""
    report = Report(source=source, left_out=found.left_out)
    if wanted.toml:
        _note(report, found.upstreams)
        if not wanted.dry_run:
            write_new(wanted.toml, _as_toml(found.upstreams))
        return report
    snapshot = load(os.environ)
    now = SystemClock().now_ms()
    with open_store() as engine:
        secret = installation_secret(engine, snapshot.database_url)
        known = {each.name.casefold() for each in snapshot.upstreams}
        known |= {row.name.casefold() for row in list_upstreams(engine, secret)}
        for upstream in found.upstreams:
            if upstream.name.casefold() in known:
                report.left_out.append(f"{upstream.name}: there is an upstream of this name")
                continue
            if upstream.scheme != "https" and not snapshot.server.allow_private_upstreams:
                report.left_out.append(f"{upstream.name}: without TLS only in a file (--toml)")
                continue
            _note(report, [upstream])
            if not wanted.dry_run:
                add_upstream(engine, secret, upstream, now)
    return report


def _as_toml(upstreams: list[Upstream]) -> str:
    """Write a configuration of these upstreams."""
    # Other commands need not wait for it to be loaded.
    import tomlkit

    from manage_api.domains.settings.export import plain

    return tomlkit.dumps({"upstreams": list(map(plain, upstreams))})


def _note(report: Report, upstreams: list[Upstream]) -> None:
    for each in upstreams:
        names = dict.fromkeys([*(one.from_ for one in each.model_rewrites), *each.models])
        report.taken.append(f"upstream {each.name} ({each.base_url}): {', '.join(names)}")


@contextmanager
def open_store() -> Iterator[Engine]:
    """Open the database, with the first account in it, which is shown when it is made."""
    snapshot = load(os.environ)
    with closing(open_engine(snapshot.database_url)) as engine:
        show_first_account(
            ensure_admin(engine, password=snapshot.admin_password, now=SystemClock().now_ms())
        )
        yield engine


def show_first_account(account: FirstAccount | None) -> None:
    """Print the secrets of an account that was made."""
    if account:
        click.echo(words.first_account(account), err=True)


class _Line(msgspec.Struct):
    """A line of the program's output: `addon/recall/cache_import.py` says which."""

    total: int = 0
    done: int = 0
    turns: int = 0
    short: int = 0
    unreadable: int = 0


def _take_cache(wanted: Wanted) -> Report:
    """Have the data plane's own program take the turns, as only that knows how they are kept."""
    database_url = load(os.environ).database_url
    with open_store() as engine:
        owner = find_user_by_name(engine, wanted.user)
    if owner is None:
        raise ThinkbackError(f"There is no account “{wanted.user}”: see `thinkback user list`.")
    now = str(SystemClock().now_ms())
    arguments = [str(wanted.file.absolute()), "--user", str(owner[0].id), "--now", now]
    if wanted.dry_run:
        arguments.append("--dry-run")
    tally = _Line()
    lines = _run(arguments, os.environ | {"DATABASE_URL": database_url})
    total = next(lines).total
    with click.progressbar(length=total, label="Turns", file=sys.stderr) as bar:
        for tally in lines:
            bar.update(tally.done - bar.pos if tally.done else 0)
    return _cache_report(tally, wanted.user)


def _run(arguments: list[str], environ: Mapping[str, str]) -> Iterator[_Line]:
    """Run the program and yield its lines; raises ThinkbackError with its words."""
    # -P: a folder `addon` in the current directory is not ours.
    command = [sys.executable, "-P", "-m", "addon.recall.cache_import", *arguments]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        assert program.stderr
        yield from (msgspec.json.decode(line, type=_Line) for line in program.stdout)
        if program.wait():
            raise ThinkbackError(program.stderr.read().strip())


def _cache_report(tally: _Line, user: str) -> Report:
    report = Report(source="a cache of deepseek-cursor-proxy")
    report.taken.append(f"Turns with their reasoning, for {user}: {tally.turns}")
    if tally.short:
        report.left_out.append(
            "Turns without an id of their own and with little text, which could be mistaken for "
            f"others: {tally.short}"
        )
    if tally.unreadable:
        report.left_out.append(f"Damaged rows: {tally.unreadable}")
    return report
