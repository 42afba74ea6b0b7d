"""What nodes on one database have in common: the installation's secret, and the verbs over the
table `installation` that tell another one from it.
"""

import os
from base64 import b64decode
from binascii import Error
from pathlib import Path

from shared.config.passed import received
from shared.security.secrets import SecretError, derive, load_retired, load_secret
from shared.store import data_directory, is_postgres
from shared.store.engine import Engine, Transaction

__all__ = ("installation_secret", "installation_secrets", "note_secret", "read_secrets")

_BYTES = 32
_HOW = "32 bytes in hex, as openssl rand -hex 32 makes them"
_PURPOSE = "fingerprint"
_FIND = "SELECT value FROM installation WHERE name = 'secret'"
_NOTE = """
    INSERT INTO installation (name, value) VALUES ('secret', :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


def installation_secret(engine: Engine, database_url: str) -> bytes:
    """The secret of `installation_secrets`."""
    return installation_secrets(engine, database_url)[0]


def installation_secrets(engine: Engine, database_url: str) -> tuple[bytes, tuple[bytes, ...]]:
    """The secret, and those before it, the oldest first. Raises SecretError, in words.

    Beside a database file they are files. Nodes on one PostgreSQL database are given them, all
    the same ones: the first node's is noted by its fingerprint, and another one is refused.
    """
    if not is_postgres(database_url):
        directory = data_directory(database_url)
        return load_secret(directory), load_retired(directory)
    newest, *earlier = read_secrets()
    _refuse_another(engine, newest)
    return newest, tuple(reversed(earlier))


def read_secrets() -> list[bytes]:
    """The secrets in `SECRET_KEY` or in the file that `SECRET_KEY_FILE` names, the newest first.
    Raises SecretError, in words.
    """
    environ = received(os.environ)
    if text := environ.get("SECRET_KEY", ""):
        return _parsed(text.encode(), "SECRET_KEY")
    if not (name := environ.get("SECRET_KEY_FILE", "")):
        raise SecretError(
            "Nodes on one PostgreSQL database need the same secret: set SECRET_KEY on each of "
            f"them, or SECRET_KEY_FILE to a file with it ({_HOW})."
        )
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise SecretError(f"Can't read SECRET_KEY_FILE {name}: {error.strerror}.") from error
    return _parsed(content, f"SECRET_KEY_FILE {name}")


def note_secret(transaction: Transaction, secret: bytes) -> None:
    """Let this be the secret that all nodes must have."""
    transaction.run(_NOTE, {"value": _fingerprint(secret)})


def _refuse_another(engine: Engine, secret: bytes) -> None:
    known = engine.read(_FIND) or engine.transact(
        lambda transaction: _noted(transaction, secret), alone=("management",)
    )
    if known != [(_fingerprint(secret),)]:
        raise SecretError(
            "This secret is not the one that the database's other nodes have: give this node the "
            "same SECRET_KEY. To replace it, stop all nodes, set SECRET_KEY to the new one, a "
            "comma and the old one, and run thinkback rotate-secret."
        )


def _noted(transaction: Transaction, secret: bytes) -> list[tuple[str]]:
    if not transaction.run(_FIND):
        note_secret(transaction, secret)
    return transaction.run(_FIND)


def _fingerprint(secret: bytes) -> str:
    """Tells secrets apart, and nothing else of them."""
    return derive(secret, _PURPOSE)[:8].hex()


def _parsed(content: bytes, where: str) -> list[bytes]:
    """One secret or several; `secret.key` of an installation with a file may be one, as it is."""
    if len(content) == _BYTES:
        return [content]
    secrets = [_decoded(word) for word in content.replace(b",", b" ").split()]
    if not secrets or any(len(secret) != _BYTES for secret in secrets):
        raise SecretError(f"{where} must be {_HOW}; several are separated by commas.")
    return secrets


def _decoded(word: bytes) -> bytes:
    """Hex or Base64; empty where it is neither."""
    try:
        return bytes.fromhex(word.decode())
    except (ValueError, UnicodeDecodeError):
        pass
    try:
        return b64decode(word, validate=True)
    except Error:
        return b""
