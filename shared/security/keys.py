"""Virtual keys: minted once, shown once, known by their digest afterwards."""

import hashlib
import re
import secrets
import string

__all__ = ("digest", "looks_like_key", "mask", "mint_key", "suffix")

_ALPHABET = string.digits + string.ascii_letters
_LENGTH = 43
"""Characters of base 62 that hold 256 bits."""

_SHAPE = re.compile(rf"sk-[0-9A-Za-z]{{{_LENGTH}}}")
_SUFFIX = 4


def mint_key() -> str:
    """A new key: `sk-` and 256 random bits in letters and digits."""
    return "sk-" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def digest(key: str) -> str:
    """SHA-256 in hex, for any string a header can hold; the key has 256 bits, so nothing
    slower is needed.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def suffix(key: str) -> str:
    """The last four characters, to recognise the key by; nothing of a key so short that
    they would give it away.
    """
    return key[-_SUFFIX:] if len(key) > 2 * _SUFFIX else ""


def mask(key: str) -> str:
    """The key as a person may see it: `…` and its suffix."""
    return "…" + suffix(key)


def looks_like_key(text: str) -> bool:
    """Whether the text has the shape of a minted key."""
    return _SHAPE.fullmatch(text) is not None
