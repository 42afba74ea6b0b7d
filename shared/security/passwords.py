"""Passwords as bcrypt hashes.

Hashing and checking take a fifth of a second of CPU: keep them off an event loop.
"""

import secrets

import bcrypt

__all__ = (
    "check_password",
    "hash_new_password",
    "hash_password",
    "is_well_known",
    "needs_rehash",
    "password_fault",
    "readable_password",
)

COST = 12
"""OWASP's Password Storage Cheat Sheet asks for 10 at least."""

MAX_BYTES = 72
"""bcrypt reads no further (https://pypi.org/project/bcrypt/, "Password Hashing")."""

_NOBODY = b"$2b$12$GC72.cQ5Dj0X1.eqocnuuuRgFGlNxG3F19uBFXjMDXMTWACBSiXTa"
"""The hash of a discarded random password, checked for unknown users to take the same time."""

SHORTEST = 8
_WELL_KNOWN = frozenset(
    """
    000000 00000000 111111 11111111 123123 123321 1234 12345 123456 1234567 12345678
    123456789 1234567890 654321 666666 87654321 888888 1q2w3e4r 1qaz2wsx abc123 abcd1234
    admin admin1 admin123 admin1234 admin@123 administrator change-me change_me changeit
    changeme changeme123 default demo dragon guest iloveyou letmein login master monkey
    p@ssw0rd p@ssword pass pass123 passw0rd password password! password1 password123 qwerty
    qwerty123 qwertyui qwertyuiop root secret sunshine superuser test test123 test1234
    thinkback toor trustno1 user welcome welcome1 welcome123
    """.split()  # noqa: SIM905 - a list with one word a line would hide the code below it
)
"""The most common leaked passwords and defaults of vendors and examples, in lower case."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without look-alikes."""


def password_fault(password: str, username: str) -> str:
    """Explain why a password is not acceptable, as a sentence; empty when it is."""
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters."
    if password.casefold() == username.casefold():
        return "The password is the username: choose another one."
    if is_well_known(password, username):
        return "Anyone could guess this password: choose another one."
    return ""


def is_well_known(password: str, username: str) -> bool:
    """Whether anyone could guess this password, whatever its case."""
    return password.casefold() in _WELL_KNOWN | {username.casefold()}


def hash_new_password(password: str, username: str) -> str:
    """Hash a password that a person chose; raises ValueError, in words, if unacceptable.

    This is the one rule for the pages, the API and the command line.
    """
    if fault := password_fault(password, username):
        raise ValueError(fault)
    return hash_password(password)


def readable_password() -> str:
    """Generate a password of four groups of four: 79 bits that can be copied by hand."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def hash_password(password: str) -> str:
    """Hash a password; raises ValueError, in words, if it is empty, too long or not text."""
    return bcrypt.hashpw(_encode(password), bcrypt.gensalt(COST)).decode("ascii")


def check_password(password: str, password_hash: str | None) -> bool:
    """Whether the password matches the hash; None, for an unknown user, never matches.

    Both take the same time.
    """
    try:
        entered = _encode(password)
    except ValueError:
        return False
    if not password_hash:
        bcrypt.checkpw(entered, _NOBODY)
        return False
    return bcrypt.checkpw(entered, password_hash.encode("ascii"))


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash has another cost: hash the password again after checking it."""
    return not password_hash.startswith(f"$2b${COST:02}$")


def _encode(password: str) -> bytes:
    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        raise ValueError("The password is not valid text.") from None
    if not encoded:
        raise ValueError("The password is empty: choose one.")
    if len(encoded) > MAX_BYTES:
        raise ValueError(
            f"The password is too long: it has {len(encoded)} bytes of UTF-8, "
            f"and at most {MAX_BYTES} are allowed."
        )
    return encoded
