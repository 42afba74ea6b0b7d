"""The command `thinkback`."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import msgspec

from manage_api.addresses import is_healthy, local_url
from manage_api.command import launcher, report, rotation
from manage_api.command import restore as restoring
from manage_api.command import tunnel_command as tunnels
from manage_api.command.accounts import key, user
from manage_api.command.activation import activated
from manage_api.command.child import subject
from manage_api.command.completion import completion
from manage_api.command.copy_command import migrate_db
from manage_api.command.daemon import Daemon, DaemonError
from manage_api.command.doctor_command import doctor
from manage_api.command.handover import take_over
from manage_api.command.importing import import_command, open_store, show_first_account
from manage_api.command.models_command import models
from manage_api.command.new_file import write_new
from manage_api.command.progress import growing
from manage_api.command.resident import exit_status
from manage_api.command.rows import as_json
from manage_api.command.workers import (
    VARIABLE,
    WorkersError,
    running,
    workers_option,
    workers_words,
)
from manage_api.domains.system.backup import back_up, refuse_server, secret_beside
from manage_api.domains.system.nodes import differing_in
from manage_api.domains.upstreams.probe import probe_all
from shared.clock import SystemClock
from shared.config.dotenv import read_env_file
from shared.config.load import load
from shared.config.mitm import find_mitm, load_safe_mitm
from shared.config.places import env_file, places
from shared.config.schema import Snapshot
from shared.config.watch import Watch
from shared.errors import ConfigError, ThinkbackError
from shared.store import data_directory
from shared.store.installation import installation_secret
from shared.store.overrides import read_overrides

__all__ = ("main",)

_SIZE = (
    "SELECT (page_count - freelist_count) * page_size "
    "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
"""What a copy of the database will have, in bytes."""


class Commands(click.Group):
    """Reports an error in one sentence: exit code 2 for the configuration, else 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThinkbackError as error:
            click.echo(error, err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run as click does, but let `make` be silent about a failure that a person was told."""
        try:
            return super().main(*args, **extra)
        except SystemExit as end:
            if isinstance(end.code, int) and end.code:
                sys.exit(exit_status(end.code))
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="thinkback")
def main() -> None:
    """A self-hosted gateway that gives thinking models their own reasoning back."""
    here = Path.cwd()
    os.environ.update(read_env_file(env_file(os.environ, here), os.environ))
    os.environ.update(places(os.environ, here))


@main.command()
@click.option("--web", is_flag=True, help="Run under mitmweb, to watch the traffic in a browser.")
@click.option("--background", is_flag=True, hidden=True)
@click.option("--rehearse", is_flag=True, hidden=True, help="Only see whether it could start.")
@workers_option
@tunnels.tunnel_options
def up(web: bool, background: bool, rehearse: bool, workers: str | None, **options: Any) -> None:
    """Start the gateway in the foreground; Ctrl-C stops it."""
    if web and workers not in (None, "1"):
        reason = "mitmweb shows the traffic of one process: leave out --web or --workers."
        raise WorkersError(reason)
    handover = take_over(os.environ)
    if workers:
        os.environ[VARIABLE] = workers
    snapshot = load(os.environ)
    address = snapshot.server.listen_addr
    if passed := activated(os.environ, address):
        handover.sockets[address] = passed
    client = tunnels.client_wanted(snapshot, **options)
    held = handover.sockets.keys()
    prepared = launcher.prepare(os.environ, web=web, held=held, client=client)
    show_first_account(prepared.first_account)
    if rehearse:
        return
    launch = partial(launcher.launch, prepared, os.environ, web=web, handover=handover)
    if not background:
        launch()
    daemon = _daemon()
    with daemon.hold(handover.lock):
        launch(daemon=daemon)


main.add_command(tunnels.tunnel)


@main.command()
@workers_option
@tunnels.tunnel_options
def start(workers: str | None, **options: Any) -> None:
    """Start the gateway in the background."""
    daemon = _daemon()
    if pid := daemon.pid():
        pages = report.web_pages(load(os.environ))
        raise DaemonError(f"Thinkback runs here already, in the background, pid {pid}: {pages}")
    client = tunnels.client_wanted(load(os.environ), **options)
    prepared = launcher.prepare(os.environ, web=False, client=client)
    snapshot = prepared.snapshot
    show_first_account(prepared.first_account)
    words = (*workers_words(workers), *tunnels.tunnel_words(**options))
    pid = daemon.start(os.environ, list(_programs(snapshot).values()), words)
    tunnelled, listed = client is not None, prepared.listed
    click.echo(report.ready(snapshot, version("thinkback"), tunnelled=tunnelled, listed=listed))
    for sentence in report.faults(asyncio.run(probe_all(snapshot, SystemClock()))):
        click.echo(sentence)
    if client:
        click.echo(asyncio.run(tunnels.await_tunnel(client, prepared)))
    click.echo(f"It runs in the background as process {pid}; log: {daemon.log}.")


@main.command()
def stop() -> None:
    """Stop the gateway that runs in the background; answers that run may end.

    Ctrl-C, or a second stop, cuts them.
    """
    if not _daemon().stop(click.echo):
        raise DaemonError(
            "No gateway runs in the background here. Stop one that runs in a terminal with Ctrl-C."
        )
    click.echo("Stopped.")


@main.command()
@workers_option
def restart(workers: str | None) -> None:
    """Run the gateway in the background with the code and configuration that are there now.

    No answer is cut and no client refused. The environment and the options stay those of the
    start, but for the number of workers if it is given.
    """
    if not _daemon().restart(click.echo, workers_words(workers)):
        raise DaemonError(
            "No gateway runs in the background here. Send SIGUSR2 to one that runs elsewhere."
        )
    click.echo("Restarted.")


@main.command()
@as_json
@click.pass_context
def status(ctx: click.Context, /, as_json: bool) -> None:
    """Show what is running; exit code 1 unless both programs answer."""
    programs, daemon = _programs(load(os.environ)), _daemon()
    healthy = {name: asyncio.run(is_healthy(url)) for name, url in programs.items()}
    pid = daemon.pid()
    serving = running(programs["sidecar"])
    if as_json:
        rows = [
            {"name": name, "url": url, "answers": healthy[name]} for name, url in programs.items()
        ]
        found = {"programs": rows, "workers": serving, "pid": pid, "log": str(daemon.log)}
        click.echo(msgspec.json.encode(found))
        ctx.exit(int(not all(healthy.values())))
    for name, url in programs.items():
        verb = "answers" if healthy[name] else "does not answer"
        click.echo(f"The {name} {verb} at {url}.")
    for worker in serving:
        click.echo(f"{subject(worker.name)} is process {worker.pid}, since {worker.since}.")
    if pid:
        click.echo(f"They run in the background as process {pid}; log: {daemon.log}.")
    ctx.exit(int(not all(healthy.values())))


@main.command()
@click.option("-f", "--follow", is_flag=True, help="Keep showing new lines.")
def log(follow: bool) -> None:
    """Show the end of the background gateway's log."""
    file = _daemon().log
    if not file.exists():
        raise DaemonError(f"There is no log {file}: the gateway has not run in the background yet.")
    command = ["tail", "-n", "100", str(file)]
    if follow:
        command.append("-F")
    os.execvp("tail", command)  # noqa: S606, S607


@main.command()
@click.option("--offline", is_flag=True, help="Don't try the upstreams' keys.")
@as_json
def check(offline: bool, as_json: bool) -> None:
    """Show the configuration in force, or what is wrong with it; try the upstreams' keys."""
    snapshot = load(os.environ)
    load_safe_mitm(find_mitm(), web=True)
    launcher.refuse_unsafe(snapshot)
    tried, others = {}, differing_in(snapshot)
    if not offline:
        tried = asyncio.run(probe_all(snapshot, SystemClock()))
    if as_json:
        click.echo(msgspec.json.encode(report.checked_fields(snapshot, tried, others)))
    else:
        click.echo(report.checked(snapshot, tried, others))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--without-secret", is_flag=True, help="Leave out the secret that decrypts its keys.")
def backup(file: Path, without_secret: bool) -> None:
    """Copy the database to a new FILE, even while the gateway runs, and its secret beside it."""
    secret = None
    with open_store() as store:
        refuse_server(store)
        if not without_secret:
            secret = installation_secret(store, _database_url())
        [(size,)] = store.read(_SIZE)
        with growing(file, size, "Copying"):
            back_up(store, file, secret)
    click.echo(f"Copied the database to {file}.")
    if secret:
        click.echo(
            f"Copied the secret to {secret_beside(file)}: it decrypts the upstreams' keys, so keep "
            "it where nobody else reads it."
        )


@main.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--secret",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The backup's secret. Default: FILE.secret, else the present one.",
)
def restore(file: Path, secret: Path | None) -> None:
    """Put a backup in the database's place, and keep what was there. Stop the gateway first."""
    snapshot = load(os.environ)
    running = [name for name, url in _programs(snapshot).items() if asyncio.run(is_healthy(url))]
    if running or _daemon().pid():
        raise restoring.RestoreError("The gateway is running: stop it first.")
    stamp = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside = restoring.copied_to(snapshot.database_url)
    with growing(aside, file.stat().st_size, "Copying"):
        done = restoring.restore(file, snapshot.database_url, secret_file=secret, stamp=stamp)
    click.echo(f"Restored {done.database} from {file}.")
    for path in done.kept:
        click.echo(f"Kept what was there as {path}.")
    click.echo(
        "Accounts, keys and passwords are those of the backup: revoke again what was revoked since."
    )


@main.command("rotate-secret")
def rotate_secret() -> None:
    """Replace secret.key, and seal the upstreams' keys with the new one. Stop the gateway first."""
    database_url = load(os.environ).database_url
    resealed = rotation.rotate(database_url)
    click.echo(f"Replaced the secret, and sealed {resealed} rows of the database with it.")
    click.echo(
        "All sessions have ended. The old secret is kept in secret.old for what clients still "
        "carry: delete that when the conversations of before are over."
    )


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Include the upstreams' keys in plain text.")
def export(file: Path | None, with_keys: bool) -> None:
    """Write config.toml plus the settings made in the web pages to FILE, or to the terminal."""
    watch = Watch(os.environ)
    with open_store() as store:
        secret = installation_secret(store, watch.snapshot.database_url)
        watch.override(read_overrides(store, secret))
    config = Path(watch.snapshot.config_path)
    base = ""
    if config.exists():
        base = config.read_text(encoding="utf-8-sig")
    # Other commands need not wait for it to be loaded.
    from manage_api.domains.settings.export import export_config

    text = export_config(base, watch.snapshot, watch.sources, with_keys=with_keys)
    if file is None:
        click.echo(text, nl=False)
        return
    write_new(file, text)
    click.echo(f"Wrote the configuration to {file}.")
    if not with_keys:
        click.echo("Replace the placeholders in it by your keys.")


main.add_command(completion)
main.add_command(doctor)
main.add_command(import_command)
main.add_command(migrate_db)
main.add_command(models)
main.add_command(user)
main.add_command(key)


def _daemon() -> Daemon:
    """Find the daemon by the environment alone.

    A configuration that is broken by now must not keep it from being stopped.
    """
    return Daemon(_directory())


def _directory() -> Path:
    """Return the data directory."""
    return data_directory(_database_url())


def _database_url() -> str:
    return os.environ.get("DATABASE_URL") or Snapshot().database_url


def _programs(snapshot: Snapshot) -> dict[str, str]:
    """Return the name and URL of both programs."""
    return {
        "data plane": local_url(snapshot.server.listen_addr),
        "sidecar": local_url(snapshot.server.admin_addr),
    }


if __name__ == "__main__":
    main()
