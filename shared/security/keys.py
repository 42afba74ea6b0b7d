"""Virtual keys: generated once, shown once, and stored as digests."""

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
    """Generate a key: `sk-` and 256 random bits in letters and digits."""
    return "sk-" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def digest(key: str) -> str:
    """Return the SHA-256 in hex; a key has 256 random bits, so it needs nothing slower."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def suffix(key: str) -> str:
    """Return the last four characters; nothing of a key so short that they give it away."""
    if len(key) <= 2 * _SUFFIX:
        return ""
    return key[-_SUFFIX:]


def mask(key: str) -> str:
    """Mask a key: `…` and its suffix."""
    return "…" + suffix(key)


def looks_like_key(text: str) -> bool:
    """Whether the text has the shape of a virtual key."""
    return _SHAPE.fullmatch(text) is not None
