"""Gives the installation another secret."""

from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from manage_api.command.restore import refuse_in_use
from shared.errors import ThinkbackError
from shared.security.sealing import SealError
from shared.security.secrets import load_retired, load_secret, mint_secret, replace_secret
from shared.store import data_directory, is_postgres, open_engine
from shared.store.engine import Transaction
from shared.store.installation import note_secret, read_secrets
from shared.store.second_factors import reseal_second_factors
from shared.store.sqlite import database_path
from shared.store.upstreams import reseal_upstreams
from shared.store.versions import change_topic

__all__ = ("RotationError", "rotate")


class RotationError(ThinkbackError):
    """The secret was not replaced; the message says why."""


def rotate(database_url: str) -> int:
    """Make a new secret, and seal with it what the old one sealed; return how much.

    The gateway must not run. After a crash in between, the secret is new and the rows are
    sealed with the last one that was retired: once more makes it whole.
    """
    if is_postgres(database_url):
        return _seal_with_newest(database_url)
    directory = data_directory(database_url)
    refuse_in_use(database_path(database_url))
    sealed_with = (load_secret(directory), *reversed(load_retired(directory)))
    with closing(open_engine(database_url)) as engine:
        for old in sealed_with:
            with suppress(SealError):
                work = partial(_reseal, directory=directory, old=old)
                return change_topic(engine, "configuration", work)
    raise RotationError(
        "The present secret does not open what is sealed in the database, and none of those "
        "before it does: restore the one that belongs to it. Nothing was changed."
    )


def _seal_with_newest(database_url: str) -> int:
    """Seal with the first secret in `SECRET_KEY` what the second has sealed."""
    newest, *earlier = read_secrets()

    def work(transaction: Transaction) -> int:
        for old in earlier:
            with suppress(SealError):
                resealed = reseal_upstreams(transaction, old, newest)
                resealed += reseal_second_factors(transaction, old, newest)
                note_secret(transaction, newest)
                return resealed
        raise RotationError(
            "None of the secrets after the first one in SECRET_KEY opens what is sealed in the "
            "database: set it to the new one, a comma and the present one. Nothing was changed."
        )

    with closing(open_engine(database_url)) as engine:
        return change_topic(engine, "configuration", work)


def _reseal(transaction: Transaction, *, directory: Path, old: bytes) -> int:
    """Seal everything anew, and replace the secret's file before this is committed."""
    new = mint_secret()
    resealed = reseal_upstreams(transaction, old, new)
    resealed += reseal_second_factors(transaction, old, new)
    replace_secret(directory, new)
    return resealed
