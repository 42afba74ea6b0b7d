"""Passwords as bcrypt hashes. Hashing and checking take a fifth of a second of CPU: keep
them off an event loop.
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
MAX_BYTES = 72
"""bcrypt reads no further (https://pypi.org/project/bcrypt/, "Password Hashing")."""

_NOBODY = b"$2b$12$GC72.cQ5Dj0X1.eqocnuuuRgFGlNxG3F19uBFXjMDXMTWACBSiXTa"
"""Hash of a random password that was thrown away: what an unknown user's password is
compared with.
"""

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
"""What is tried first anywhere: the commonest of leaked passwords and what makers and
examples set, in lower case.
"""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike."""


def password_fault(password: str, username: str) -> str:
    """Why a person should choose another password, as a sentence; empty when nothing speaks
    against it.
    """
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters."
    if password.casefold() == username.casefold():
        return "The password is the username: choose another one."
    if is_well_known(password, username):
        return "Everybody would try this password first: choose another one."
    return ""


def is_well_known(password: str, username: str) -> bool:
    """Whether anybody would try this password first, whatever its case."""
    return password.casefold() in _WELL_KNOWN | {username.casefold()}


def hash_new_password(password: str, username: str) -> str:
    """The hash of a password that a person chose; ValueError, in words, for one to be
    chosen otherwise.

    The one rule for the pages, the API and the command line.
    """
    if fault := password_fault(password, username):
        raise ValueError(fault)
    return hash_password(password)


def readable_password() -> str:
    """A random one of four groups of four: 79 bits that can be copied by hand."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def hash_password(password: str) -> str:
    """The hash to store; ValueError, in words, for a password that is empty, over 72 bytes
    of UTF-8 or not text.
    """
    return bcrypt.hashpw(_encode(password), bcrypt.gensalt(COST)).decode("ascii")


def check_password(password: str, password_hash: str | None) -> bool:
    """Whether the password is the hash's; None, for an unknown user, costs the same time
    and is never true.
    """
    try:
        entered = _encode(password)
    except ValueError:
        return False
    matches = bcrypt.checkpw(entered, password_hash.encode("ascii") if password_hash else _NOBODY)
    return matches and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """The hash was made at another cost: hash the password again when it was just checked."""
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
            f"The password is too long: at most {MAX_BYTES} bytes of UTF-8, yours "
            f"has {len(encoded)}."
        )
    return encoded
