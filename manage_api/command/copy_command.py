"""`thinkback migrate-db`: from a SQLite file to PostgreSQL, and back."""

import sys
from collections.abc import Iterator
from contextlib import closing

import click

from shared.clock import SystemClock
from shared.config.address import without_password
from shared.security.secrets import (
    FILE_NAME,
    load_retired,
    load_secret,
    replace_secret,
    write_secret,
)
from shared.store import data_directory, is_postgres, open_engine
from shared.store.copying import CopyError, copy_rows, count_rows, refuse_unfit, verify_copy
from shared.store.installation import installation_secret, read_secrets
from shared.store.sqlite import database_path

__all__ = ("migrate_db",)


@click.command("migrate-db")
@click.argument("source")
@click.argument("target")
def migrate_db(source: str, target: str) -> None:
    """Copy the database at the URL SOURCE into an empty one at TARGET, and compare them.

    One is sqlite: and a file, the other postgresql://. Stop the gateway first. After an
    interruption the same command goes on.
    """
    if is_postgres(source) == is_postgres(target):
        raise CopyError("One of the two must be sqlite: and a file, the other postgresql://.")
    if not is_postgres(source) and not database_path(source).exists():
        raise CopyError(f"There is no database {database_path(source)}.")
    with closing(open_engine(source)) as ours, closing(open_engine(target)) as theirs:
        refuse_unfit(ours, theirs, SystemClock().now_ms())
        if is_postgres(target):
            _compare_secrets(source)
            installation_secret(theirs, target)
        else:
            installation_secret(ours, source)
            _keep_secrets(target)
        rows = count_rows(ours)
        _show(copy_rows(ours, theirs), rows, "Copying")
        _show(verify_copy(ours, theirs), rows, "Comparing")
    click.echo(f"Copied {rows} rows, which are the same in {without_password(target)}.")
    click.echo("Set DATABASE_URL to it, and keep the other database until you have seen it work.")


def _show(counts: Iterator[int], rows: int, label: str) -> None:
    """Use up the counts, with a bar on a terminal."""
    if not sys.stderr.isatty():
        sum(counts)
        return
    with click.progressbar(length=rows, label=label, file=sys.stderr) as bar:
        for count in counts:
            bar.update(count)


def _compare_secrets(source: str) -> None:
    """Refuse a `SECRET_KEY` that does not open what is sealed in the file."""
    directory = data_directory(source)
    if read_secrets() != [load_secret(directory), *reversed(load_retired(directory))]:
        raise CopyError(
            f"SECRET_KEY is not the secret of {database_path(source)}: set SECRET_KEY_FILE to "
            f"{directory / FILE_NAME}. Where there is a secret.old, SECRET_KEY must be that "
            "secret in hex, and after commas each 32 bytes of secret.old from its end on."
        )


def _keep_secrets(target: str) -> None:
    """Put the nodes' secrets beside the file; refuse one that has another."""
    directory, secrets = data_directory(target), read_secrets()
    if not (directory / FILE_NAME).exists():
        *newer, oldest = secrets
        write_secret(directory, oldest)
        for secret in reversed(newer):
            replace_secret(directory, secret)
    if load_secret(directory) != secrets[0]:
        raise CopyError(f"{directory / FILE_NAME} is another secret: name a file elsewhere.")
