"""The installation's secret: 32 random bytes from which all other secrets are derived."""

import hashlib
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from shared.errors import ThinkbackError

__all__ = (
    "FILE_NAME",
    "SecretError",
    "derive",
    "load_retired",
    "load_secret",
    "mint_secret",
    "read_secret",
    "replace_secret",
    "write_secret",
)

FILE_NAME = "secret.key"
RETIRED = "secret.old"
_BYTES = 32


class SecretError(ThinkbackError):
    """The secret's file can't be used; the message says what to do."""


def load_secret(directory: Path) -> bytes:
    """Read the 32 bytes in `secret.key`, which is created (0600) if missing.

    Programs that start together get the same bytes. Raises SecretError for a file that all
    users can read, of the wrong length or unreadable.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():
            _create(path, mint_secret())
    except OSError as error:
        raise _unusable(path, error) from error
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """Read the 32 bytes of a secret's file; raises as `load_secret`."""
    try:
        mode, secret = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    if mode & stat.S_IRWXO:
        raise SecretError(
            f"All users of this machine can read the secret {path}: run chmod 600 on it."
        )
    if len(secret) != _BYTES:
        raise SecretError(
            f"The secret {path} has {len(secret)} bytes instead of {_BYTES}: "
            "restore it from a backup."
        )
    return secret


def load_retired(directory: Path) -> tuple[bytes, ...]:
    """Read the secrets that were replaced, the oldest first; raises as `load_secret`.

    They open what clients still carry, and nothing is sealed with them. Deleting their file
    forgets them.
    """
    path = directory / RETIRED
    if not path.exists():
        return ()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    return tuple(content[at : at + _BYTES] for at in range(0, len(content), _BYTES))


def replace_secret(directory: Path, new: bytes) -> None:
    """Make `new` the secret, and the present one the last of the retired; raises SecretError.

    A crash in between leaves the present one in both places, which does no harm.
    """
    present = load_secret(directory)
    retired = tuple(each for each in load_retired(directory) if each != present)
    try:
        _write(directory / RETIRED, b"".join((*retired, present)))
        _write(directory / FILE_NAME, new)
    except OSError as error:
        raise _unusable(directory / FILE_NAME, error) from error


def mint_secret() -> bytes:
    """Generate a secret."""
    return secrets.token_bytes(_BYTES)


def write_secret(directory: Path, secret: bytes) -> None:
    """Make `secret.key` (0600) with these bytes where there is none; raises SecretError."""
    path = directory / FILE_NAME
    try:
        _create(path, secret)
    except OSError as error:
        raise _unusable(path, error) from error


def derive(secret: bytes, purpose: str) -> bytes:
    """Derive 32 bytes for a purpose: keyed BLAKE2b of the purpose (RFC 7693)."""
    return hashlib.blake2b(purpose.encode(), key=secret, digest_size=_BYTES).digest()


def _unusable(path: Path, error: OSError) -> SecretError:
    return SecretError(f"Can't read or create the secret {path}: {error.strerror}.")


def _create(path: Path, secret: bytes) -> None:
    """Write the file aside, then link it: the first link wins, and nobody sees half a file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = _aside(path, secret)
    try:
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        os.unlink(aside)
    _sync_directory(path.parent)


def _write(path: Path, content: bytes) -> None:
    """Put the file in the place of what is there; nobody sees half of it."""
    os.replace(_aside(path, content), path)
    _sync_directory(path.parent)


def _aside(path: Path, content: bytes) -> str:
    """Write a file (0600) with another name in the same directory, and return its path."""
    descriptor, aside = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return aside


def _sync_directory(directory: Path) -> None:
    """What is sealed with the secret must not outlive it in a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
